//! Several levels as one cache.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::contract::CompiledCache;
use crate::{Digest, Result};

/// Asks levels from the nearest to the farthest. What a farther one has is put into the nearer ones.
///
/// A level that fails costs time and nothing else: it is passed over, with a warning.
#[derive(Clone, Debug)]
pub struct TieredCache {
    levels: Vec<Arc<dyn CompiledCache>>,
}

impl TieredCache {
    /// Makes one cache of levels, the nearest first.
    #[must_use]
    pub fn new(levels: Vec<Arc<dyn CompiledCache>>) -> Self {
        Self { levels }
    }

    async fn fill(levels: &[Arc<dyn CompiledCache>], key: Digest, value: &Bytes) {
        for level in levels {
            if let Err(error) = level.put(key, value.clone()).await {
                tracing::warn!(%error, ?level, "a level of the compile cache takes nothing");
            }
        }
    }
}

#[async_trait]
impl CompiledCache for TieredCache {
    async fn find(&self, key: Digest) -> Result<Option<Bytes>> {
        for (index, level) in self.levels.iter().enumerate() {
            match level.find(key).await {
                Ok(Some(value)) => {
                    Self::fill(&self.levels[..index], key, &value).await;
                    return Ok(Some(value));
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, ?level, "a level of the compile cache can't be asked"),
            }
        }
        Ok(None)
    }

    async fn put(&self, key: Digest, value: Bytes) -> Result<()> {
        Self::fill(&self.levels, key, &value).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryCache;
    use crate::{Error, ErrorKind};

    #[derive(Debug)]
    struct Broken;

    #[async_trait]
    impl CompiledCache for Broken {
        async fn find(&self, _key: Digest) -> Result<Option<Bytes>> {
            Err(Error::new(ErrorKind::Unavailable, "gone"))
        }

        async fn put(&self, _key: Digest, _value: Bytes) -> Result<()> {
            Err(Error::new(ErrorKind::Unavailable, "gone"))
        }
    }

    #[tokio::test]
    async fn what_is_far_comes_nearer_and_a_broken_level_is_passed_over() {
        let (near, far) = (Arc::new(MemoryCache::default()), Arc::new(MemoryCache::default()));
        let key = Digest::of(b"key");
        far.put(key, Bytes::from_static(b"value")).await.unwrap();
        let cache = TieredCache::new(vec![Arc::clone(&near) as _, Arc::new(Broken), far as _]);
        assert_eq!(near.find(key).await.unwrap(), None);
        assert_eq!(cache.find(key).await.unwrap().unwrap(), "value");
        assert_eq!(near.find(key).await.unwrap().unwrap(), "value");
        assert_eq!(cache.find(Digest::of(b"other")).await.unwrap(), None);
        cache.put(Digest::of(b"other"), Bytes::from_static(b"v")).await.unwrap();
        assert!(near.find(Digest::of(b"other")).await.unwrap().is_some());
    }
}
