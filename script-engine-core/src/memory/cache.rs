//! The compile cache's first level: in memory, bounded, the entry used longest ago goes first.

use async_trait::async_trait;
use bytes::Bytes;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use crate::contract::CompiledCache;
use crate::{Digest, Result};

/// Bytes by which values are weighed: weights are 32 bits.
const UNIT: u64 = 1024;

/// Keeps values in memory, within a number of entries and of bytes.
#[derive(Clone, Debug)]
pub struct MemoryCache {
    most: u64,
    entries: Cache<Digest, Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    value: Bytes,
    digest: Digest,
}

impl MemoryCache {
    /// Makes an empty cache for at most `max_entries` values of at most `max_bytes` together.
    #[must_use]
    pub fn new(max_entries: usize, max_bytes: u64) -> Self {
        let most = max_bytes.div_ceil(UNIT);
        // Each value weighs its bytes, and at least its share of the number of entries: so one bound is both.
        let share = u32::try_from(most / (max_entries as u64).max(1)).unwrap_or(u32::MAX).max(1);
        let weigh = move |_: &Digest, it: &Entry| weight(&it.value).max(share);
        let entries = Cache::builder().max_capacity(most).weigher(weigh).eviction_policy(EvictionPolicy::lru()).build();
        Self { most: if max_entries == 0 { 0 } else { most }, entries }
    }
}

fn weight(value: &Bytes) -> u32 {
    u32::try_from((value.len() as u64).div_ceil(UNIT)).unwrap_or(u32::MAX)
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
        let Some(Entry { value, digest }) = self.entries.get(&key) else { return Ok(None) };
        if Digest::of(&value) == digest {
            return Ok(Some(value));
        }
        self.entries.invalidate(&key);
        Ok(None)
    }

    async fn put(&self, key: Digest, value: Bytes) -> Result<()> {
        // A value that alone is over the bound would empty the cache for nothing.
        if u64::from(weight(&value)) > self.most {
            return Ok(());
        }
        let digest = Digest::of(&value);
        self.entries.entry(key).or_insert(Entry { value, digest });
        // Else it would be over the bound until somebody asks.
        self.entries.run_pending_tasks();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u8) -> Digest {
        Digest::of(&[n])
    }

    #[tokio::test]
    async fn is_bounded_by_bytes_too_and_too_large_a_value_is_not_kept() {
        let cache = MemoryCache::new(10, 8 << 10);
        cache.put(key(1), Bytes::from(vec![1; 4 << 10])).await.unwrap();
        cache.put(key(2), Bytes::from(vec![2; 4 << 10])).await.unwrap();
        cache.put(key(3), Bytes::from(vec![3; 9 << 10])).await.unwrap();
        assert!(cache.find(key(3)).await.unwrap().is_none());
        assert!(cache.find(key(1)).await.unwrap().is_some());
        // The second one was used longest ago.
        cache.put(key(4), Bytes::from(vec![4; 4 << 10])).await.unwrap();
        assert!(cache.find(key(2)).await.unwrap().is_none());
        assert!(cache.find(key(1)).await.unwrap().is_some());
        assert!(cache.find(key(4)).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn the_first_value_of_a_key_stays() {
        let cache = MemoryCache::default();
        cache.put(key(1), Bytes::from_static(b"first")).await.unwrap();
        cache.put(key(1), Bytes::from_static(b"second")).await.unwrap();
        assert_eq!(cache.find(key(1)).await.unwrap().unwrap(), "first");
    }
}
