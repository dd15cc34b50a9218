//! The toolchains that were found, by how they were looked for.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::Digest;
use crate::contract::Toolchain;

/// A bounded memory of what was found.
#[derive(Debug, Default)]
pub(super) struct Toolchains(Mutex<HashMap<Digest, Toolchain>>);

/// Ways of looking that are remembered: a few for each language, more where scripts ask for versions.
const MOST: usize = 256;

impl Toolchains {
    pub(super) fn find(&self, way: Digest) -> Option<Toolchain> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&way).cloned()
    }

    /// Keeps one. Where there are too many already all are forgotten: they are found again when they are needed.
    pub(super) fn keep(&self, way: Digest, toolchain: Toolchain) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(way, toolchain);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_some_and_never_too_many() {
        let toolchains = Toolchains::default();
        let found = Toolchain { name: "go".into(), version: "1.26".into(), place: String::new() };
        for number in 0..=MOST {
            let way = Digest::of(&number.to_le_bytes());
            assert_eq!(toolchains.find(way), None);
            toolchains.keep(way, found.clone());
            assert_eq!(toolchains.find(way), Some(found.clone()));
        }
        assert_eq!(toolchains.find(Digest::of(&0usize.to_le_bytes())), None);
    }
}
