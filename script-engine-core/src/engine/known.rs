//! What an engine has found out and need not find out again, by how it was looked for.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::Digest;

/// A bounded memory of what was found.
#[derive(Debug)]
pub(super) struct Known<T> {
    found: Mutex<HashMap<Digest, T>>,
    most: usize,
}

impl<T: Clone> Known<T> {
    /// Remembers at most so many at one time.
    pub(super) fn new(most: usize) -> Self {
        Self { found: Mutex::default(), most }
    }

    pub(super) fn find(&self, way: Digest) -> Option<T> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).get(&way).cloned()
    }

    /// Keeps one. Where there are too many already all are forgotten: they are found again when they are needed.
    pub(super) fn keep(&self, way: Digest, found: T) {
        let mut known = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= self.most {
            known.clear();
        }
        known.insert(way, found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_some_and_never_too_many() {
        let known = Known::new(3);
        for number in 0..=3_usize {
            let way = Digest::of(&number.to_le_bytes());
            assert_eq!(known.find(way), None);
            known.keep(way, number);
            assert_eq!(known.find(way), Some(number));
        }
        assert_eq!(known.find(Digest::of(&0usize.to_le_bytes())), None);
    }
}
