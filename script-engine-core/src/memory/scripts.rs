//! Scripts, versions and refs in memory.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use semver::Version;

use crate::contract::{NewVersion, ScriptStore, ScriptSummary};
use crate::script::{DEFAULT_BRANCH, RefKind, ScriptRef, ScriptVersion};
use crate::selector::VersionSummary;
use crate::{Error, ErrorKind, RefName, Result, ScriptId, ScriptName, TenantId, VersionId};

/// Keeps scripts in memory, up to a number of versions; when it is full it refuses more.
#[derive(Debug)]
pub struct MemoryScripts {
    max_versions: usize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    names: BTreeMap<TenantId, BTreeMap<ScriptName, ScriptId>>,
    scripts: HashMap<ScriptId, History>,
    versions: usize,
}

/// One script's versions in the order of their making, and its refs.
#[derive(Debug, Default)]
struct History {
    versions: Vec<Arc<ScriptVersion>>,
    refs: Vec<ScriptRef>,
}

impl MemoryScripts {
    /// Makes an empty store for at most `max_versions` versions of all scripts together.
    #[must_use]
    pub fn new(max_versions: usize) -> Self {
        Self { max_versions, held: Mutex::default() }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryScripts {
    /// Makes an empty store for 100000 versions.
    fn default() -> Self {
        Self::new(100_000)
    }
}

#[async_trait]
impl ScriptStore for MemoryScripts {
    async fn save(&self, new: NewVersion) -> Result<Arc<ScriptVersion>> {
        let id = new.manifest.id();
        let mut held = self.held();
        let known = held.names.get(&new.tenant).and_then(|own| own.get(&new.name)).copied();
        if known.is_none() && held.scripts.contains_key(&new.script) {
            return Err(Error::new(ErrorKind::AlreadyExists, "another script has this id; take a fresh one")
                .with_context("script", new.script));
        }
        let script = known.unwrap_or(new.script);
        let full = held.versions >= self.max_versions;
        if let Some(history) = held.scripts.get_mut(&script)
            && let Some(version) = history.find(id)
        {
            history.move_branch(&new.branch, id);
            return Ok(version);
        }
        if full {
            return Err(Error::new(ErrorKind::Overloaded, "the script store is full; use one that keeps them on disk")
                .with_context("max_versions", self.max_versions));
        }
        let nothing = History::default();
        let history = held.scripts.get(&script).unwrap_or(&nothing);
        let version = Arc::new(ScriptVersion {
            script,
            name: new.name,
            tenant: new.tenant,
            id,
            number: history.number(new.number)?,
            parent: history.parent(&new.branch),
            created_at: new.at,
            author: new.author,
            manifest: new.manifest,
        });
        // Nothing was changed up to here, and nothing fails from here on.
        let history = held.scripts.entry(script).or_default();
        history.versions.push(Arc::clone(&version));
        history.move_branch(&new.branch, id);
        held.names.entry(version.tenant.clone()).or_default().insert(version.name.clone(), script);
        held.versions += 1;
        Ok(version)
    }

    async fn find(&self, tenant: &TenantId, name: &ScriptName) -> Result<Option<ScriptSummary>> {
        let held = self.held();
        let id = held.names.get(tenant).and_then(|own| own.get(name));
        Ok(id.map(|id| ScriptSummary { id: *id, name: name.clone(), tenant: tenant.clone() }))
    }

    async fn list(&self, tenant: &TenantId, after: Option<&ScriptName>, limit: usize) -> Result<Vec<ScriptSummary>> {
        let held = self.held();
        let from = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let own = held.names.get(tenant).into_iter().flat_map(|own| own.range::<ScriptName, _>(from));
        let summary = |(name, id): (&ScriptName, &ScriptId)| ScriptSummary {
            id: *id,
            name: name.clone(),
            tenant: tenant.clone(),
        };
        Ok(own.take(limit).map(summary).collect())
    }

    async fn history(&self, script: ScriptId) -> Result<(Vec<VersionSummary>, Vec<ScriptRef>)> {
        let held = self.held();
        let history = held.history(script)?;
        let short = |it: &Arc<ScriptVersion>| VersionSummary {
            id: it.id,
            number: it.number.clone(),
            parent: it.parent,
            sha256: it.manifest.sha256(),
        };
        Ok((history.versions.iter().map(short).collect(), history.refs.clone()))
    }

    async fn get(&self, script: ScriptId, version: VersionId) -> Result<Arc<ScriptVersion>> {
        self.held().history(script)?.find(version).ok_or_else(|| no_version(script, version))
    }

    async fn set_ref(
        &self,
        script: ScriptId,
        kind: RefKind,
        name: &RefName,
        expected: Option<VersionId>,
        to: VersionId,
    ) -> Result<()> {
        let mut held = self.held();
        let history = held.scripts.get_mut(&script).ok_or_else(|| no_script(script))?;
        if history.find(to).is_none() {
            return Err(no_version(script, to));
        }
        let present = history.refs.iter_mut().find(|it| it.kind == kind && it.name == *name);
        let conflict = |message: &str| {
            Err(Error::new(ErrorKind::Conflict, message).with_context("ref", name).with_context("script", script))
        };
        match (present, expected) {
            (None, None) => history.refs.push(ScriptRef { name: name.clone(), kind, version: to }),
            (None, Some(_)) => return conflict("the ref does not exist; make it first"),
            (Some(_), None) => return conflict("the ref exists already; say where it points to move it"),
            (Some(at), Some(expected)) if at.version != expected => {
                return conflict("the ref points elsewhere by now; read it again");
            }
            (Some(at), Some(_)) => match kind {
                RefKind::Branch => at.version = to,
                RefKind::Tag => return conflict("a tag never moves; make another one"),
            },
        }
        Ok(())
    }
}

impl Held {
    fn history(&self, script: ScriptId) -> Result<&History> {
        self.scripts.get(&script).ok_or_else(|| no_script(script))
    }
}

impl History {
    fn find(&self, id: VersionId) -> Option<Arc<ScriptVersion>> {
        self.versions.iter().find(|it| it.id == id).cloned()
    }

    /// The number of the next version.
    fn number(&self, wanted: Option<Version>) -> Result<Version> {
        let highest = self.versions.iter().map(|it| &it.number).max();
        let Some(number) = wanted else {
            return match highest {
                None => Ok(Version::new(1, 0, 0)),
                Some(it) => match it.patch.checked_add(1) {
                    Some(patch) => Ok(Version::new(it.major, it.minor, patch)),
                    None => Err(Error::invalid("number", "no patch number is left; give a number")),
                },
            };
        };
        match self.versions.iter().find(|it| it.number == number) {
            None => Ok(number),
            Some(_) => Err(Error::new(ErrorKind::AlreadyExists, "another version has this number; give a higher one")
                .with_context("number", number)),
        }
    }

    /// The version that the next one on `branch` comes after; a new branch begins at the default one.
    fn parent(&self, branch: &RefName) -> Option<VersionId> {
        let head = |name: &str| self.refs.iter().find(|it| it.kind == RefKind::Branch && it.name.as_str() == name);
        head(branch.as_str()).or_else(|| head(DEFAULT_BRANCH)).map(|it| it.version)
    }

    fn move_branch(&mut self, name: &RefName, to: VersionId) {
        match self.refs.iter_mut().find(|it| it.kind == RefKind::Branch && it.name == *name) {
            Some(branch) => branch.version = to,
            None => self.refs.push(ScriptRef { name: name.clone(), kind: RefKind::Branch, version: to }),
        }
    }
}

fn no_script(script: ScriptId) -> Error {
    Error::new(ErrorKind::NotFound, "no such script").with_context("script", script)
}

fn no_version(script: ScriptId, version: VersionId) -> Error {
    Error::new(ErrorKind::NotFound, "the script has no such version")
        .with_context("script", script)
        .with_context("version", version)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::script::Manifest;
    use crate::{EntryPoint, LanguageId, LimitOverrides, NetworkPolicy, Timestamp};

    fn version(name: &str, source: &'static str) -> NewVersion {
        NewVersion {
            name: ScriptName::parse(name).unwrap(),
            tenant: TenantId::default(),
            script: ScriptId::from_bits(name.len() as u128),
            manifest: Arc::new(Manifest {
                language: LanguageId::parse("bash").unwrap(),
                entry_point: EntryPoint::parse("main.sh").unwrap(),
                source: Bytes::from_static(source.as_bytes()),
                parameter_schema: None,
                dependencies: Vec::new(),
                lock: None,
                limits: LimitOverrides::default(),
                network: NetworkPolicy::Off,
            }),
            number: None,
            author: "ada".into(),
            at: Timestamp::from_micros(0),
            branch: RefName::parse(DEFAULT_BRANCH).unwrap(),
        }
    }

    #[tokio::test]
    async fn a_full_store_refuses_what_is_new_and_leaves_no_script_without_a_version() {
        let store = MemoryScripts::new(2);
        let first = store.save(version("a", "1")).await.unwrap();
        store.save(version("a", "2")).await.unwrap();
        for refused in [version("a", "3"), version("bb", "1")] {
            assert_eq!(store.save(refused).await.unwrap_err().kind(), ErrorKind::Overloaded);
        }
        assert_eq!(store.find(&TenantId::default(), &ScriptName::parse("bb").unwrap()).await.unwrap(), None);
        assert_eq!(store.save(version("a", "1")).await.unwrap(), first);
    }

    #[tokio::test]
    async fn a_new_branch_begins_at_the_default_one_and_ids_are_not_shared() {
        let store = MemoryScripts::default();
        let first = store.save(version("a", "1")).await.unwrap();
        let fix = NewVersion { branch: RefName::parse("fix").unwrap(), ..version("a", "2") };
        assert_eq!(store.save(fix).await.unwrap().parent, Some(first.id));
        assert_eq!(store.save(version("b", "1")).await.unwrap_err().kind(), ErrorKind::AlreadyExists);
    }
}
