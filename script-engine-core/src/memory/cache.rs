//! The compile cache's first level: in memory, bounded, the entry used longest ago goes first.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use crate::contract::CompiledCache;
use crate::{Digest, Result};

/// Keeps values in memory, within a number of entries and of bytes.
#[derive(Debug)]
pub struct MemoryCache {
    max_entries: usize,
    max_bytes: u64,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    entries: HashMap<Digest, Entry>,
    /// Keys by the time of their last use, oldest first.
    by_use: BTreeMap<u64, Digest>,
    uses: u64,
    bytes: u64,
}

#[derive(Debug)]
struct Entry {
    value: Bytes,
    digest: Digest,
    used: u64,
}

impl MemoryCache {
    /// Makes an empty cache for at most `max_entries` values of at most `max_bytes` together.
    #[must_use]
    pub fn new(max_entries: usize, max_bytes: u64) -> Self {
        Self { max_entries, max_bytes, held: Mutex::default() }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryCache {
    /// Makes an empty cache for 1024 values of 256 MiB together.
    fn default() -> Self {
        Self::new(1024, 256 << 20)
    }
}

#[async_trait]
impl CompiledCache for MemoryCache {
    async fn find(&self, key: Digest) -> Result<Option<Bytes>> {
        let Some((value, digest)) = self.held().touch(key) else { return Ok(None) };
        if Digest::of(&value) == digest {
            return Ok(Some(value));
        }
        self.held().remove(key);
        Ok(None)
    }

    async fn put(&self, key: Digest, value: Bytes) -> Result<()> {
        // A value that alone is over the bound would empty the cache for nothing.
        let size = value.len() as u64;
        if size > self.max_bytes || self.max_entries == 0 {
            return Ok(());
        }
        let digest = Digest::of(&value);
        let mut held = self.held();
        if held.touch(key).is_some() {
            return Ok(());
        }
        while held.entries.len() >= self.max_entries || held.bytes.saturating_add(size) > self.max_bytes {
            let Some((_, oldest)) = held.by_use.first_key_value() else { break };
            let oldest = *oldest;
            held.remove(oldest);
        }
        held.uses += 1;
        let used = held.uses;
        held.bytes += size;
        held.by_use.insert(used, key);
        held.entries.insert(key, Entry { value, digest, used });
        Ok(())
    }
}

impl Held {
    /// Marks an entry as used now and gives it.
    fn touch(&mut self, key: Digest) -> Option<(Bytes, Digest)> {
        let entry = self.entries.get_mut(&key)?;
        self.uses += 1;
        self.by_use.remove(&entry.used);
        entry.used = self.uses;
        self.by_use.insert(entry.used, key);
        Some((entry.value.clone(), entry.digest))
    }

    fn remove(&mut self, key: Digest) {
        if let Some(entry) = self.entries.remove(&key) {
            self.by_use.remove(&entry.used);
            self.bytes -= entry.value.len() as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bytes_are_bounded_and_a_value_over_the_bound_displaces_nothing() {
        let cache = MemoryCache::new(10, 8);
        let key = |n: u8| Digest::of(&[n]);
        cache.put(key(1), Bytes::from_static(b"1234")).await.unwrap();
        cache.put(key(2), Bytes::from_static(b"1234")).await.unwrap();
        cache.put(key(3), Bytes::from_static(b"123456789")).await.unwrap();
        assert!(cache.find(key(1)).await.unwrap().is_some());
        assert!(cache.find(key(3)).await.unwrap().is_none());
        cache.put(key(4), Bytes::from_static(b"1")).await.unwrap();
        assert!(cache.find(key(2)).await.unwrap().is_none());
        assert!(cache.find(key(1)).await.unwrap().is_some());
        assert_eq!(cache.held().bytes, 5);
    }

    #[tokio::test]
    async fn what_does_not_verify_is_dropped() {
        let cache = MemoryCache::default();
        let key = Digest::of(b"key");
        cache.put(key, Bytes::from_static(b"good")).await.unwrap();
        cache.held().entries.get_mut(&key).unwrap().value = Bytes::from_static(b"evil");
        assert_eq!(cache.find(key).await.unwrap(), None);
        cache.put(key, Bytes::from_static(b"good")).await.unwrap();
        assert_eq!(cache.find(key).await.unwrap(), Some(Bytes::from_static(b"good")));
    }
}
