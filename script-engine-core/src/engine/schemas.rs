//! Compiled parameter schemas of the versions that are executed often: compiling one takes longer than all else
//! that a submit does.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::parameters::ParameterSchema;
use crate::{Problem, VersionId};

/// Keeps compiled schemas by version; the one used longest ago goes first.
#[derive(Debug)]
pub(super) struct Schemas {
    most: usize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    uses: u64,
    entries: HashMap<VersionId, Entry>,
}

#[derive(Debug)]
struct Entry {
    used: u64,
    schema: Arc<ParameterSchema>,
}

impl Schemas {
    /// Makes an empty one for at most `most` schemas.
    pub(super) fn new(most: usize) -> Self {
        Self { most, held: Mutex::default() }
    }

    /// The compiled schema of a version, which has this document. One that can't be compiled is not kept.
    pub(super) fn compiled(&self, version: VersionId, document: &Value) -> Result<Arc<ParameterSchema>, Vec<Problem>> {
        if let Some(schema) = self.held().touch(version) {
            return Ok(schema);
        }
        // Not under the lock: others need not wait for it.
        let schema = Arc::new(ParameterSchema::compile(document)?);
        self.held().keep(version, Arc::clone(&schema), self.most);
        Ok(schema)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn touch(&mut self, version: VersionId) -> Option<Arc<ParameterSchema>> {
        self.uses += 1;
        let entry = self.entries.get_mut(&version)?;
        entry.used = self.uses;
        Some(Arc::clone(&entry.schema))
    }

    fn keep(&mut self, version: VersionId, schema: Arc<ParameterSchema>, most: usize) {
        while self.entries.len() >= most.max(1) {
            // A look at each is nothing beside the compiling that came before.
            let oldest = self.entries.iter().min_by_key(|(_, it)| it.used).map(|(id, _)| *id);
            match oldest {
                Some(id) => drop(self.entries.remove(&id)),
                None => break,
            }
        }
        self.entries.insert(version, Entry { used: self.uses, schema });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Digest;
    use serde_json::json;

    fn id(number: u8) -> VersionId {
        VersionId(Digest::of(&[number]))
    }

    #[test]
    fn the_one_used_longest_ago_goes_first_and_each_version_has_its_own() {
        let schemas = Schemas::new(2);
        let of = |number: u8| {
            let document = json!({"properties": {format!("p{number}"): {"type": "integer"}}});
            schemas.compiled(id(number), &document).unwrap()
        };
        let first = of(1);
        assert_eq!((first.names(), of(2).names()), (&["p1".to_owned()][..], &["p2".to_owned()][..]));
        assert!(Arc::ptr_eq(&first, &of(1)));
        // Takes the place of the second.
        let third = of(3);
        assert!(Arc::ptr_eq(&first, &of(1)) && Arc::ptr_eq(&third, &of(3)));
        let held = schemas.held();
        assert_eq!((held.entries.len(), held.entries.contains_key(&id(2))), (2, false));
    }

    #[test]
    fn a_broken_one_takes_no_place() {
        let schemas = Schemas::new(2);
        assert!(schemas.compiled(id(1), &json!({"type": 7})).is_err());
        assert!(schemas.held().entries.is_empty());
    }
}
