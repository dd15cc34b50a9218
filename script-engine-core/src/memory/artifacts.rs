//! Files by their digest, in memory, within a bound.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use crate::contract::ArtifactStore;
use crate::{Digest, Error, ErrorKind, Result};

/// Keeps files in memory. When it is full it refuses more: it never drops what was put.
#[derive(Debug)]
pub struct MemoryArtifacts {
    max_bytes: u64,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    bytes: u64,
    by_digest: HashMap<Digest, Bytes>,
}

impl MemoryArtifacts {
    /// Makes an empty store for at most `max_bytes` of content.
    #[must_use]
    pub fn new(max_bytes: u64) -> Self {
        Self { max_bytes, held: Mutex::default() }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryArtifacts {
    /// Makes an empty store for 256 MiB.
    fn default() -> Self {
        Self::new(256 << 20)
    }
}

#[async_trait]
impl ArtifactStore for MemoryArtifacts {
    async fn put(&self, content: Bytes) -> Result<Digest> {
        let digest = Digest::of(&content);
        let mut held = self.held();
        if held.by_digest.contains_key(&digest) {
            return Ok(digest);
        }
        let bytes = held.bytes.saturating_add(content.len() as u64);
        if bytes > self.max_bytes {
            return Err(Error::new(ErrorKind::Overloaded, "the artifact store is full; delete what is not needed")
                .with_context("max_bytes", self.max_bytes)
                .with_context("content_bytes", content.len()));
        }
        held.bytes = bytes;
        held.by_digest.insert(digest, content);
        Ok(digest)
    }

    async fn get(&self, digest: Digest) -> Result<Bytes> {
        let found = self.held().by_digest.get(&digest).cloned();
        let content =
            found.ok_or_else(|| Error::new(ErrorKind::NotFound, "no such artifact").with_context("digest", digest))?;
        if Digest::of(&content) == digest {
            Ok(content)
        } else {
            Err(Error::new(ErrorKind::Corrupted, "the artifact no longer has its digest; delete it and put it again")
                .with_context("digest", digest))
        }
    }

    async fn delete(&self, digest: Digest) -> Result<()> {
        let mut held = self.held();
        if let Some(content) = held.by_digest.remove(&digest) {
            held.bytes -= content.len() as u64;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_store_refuses_and_a_delete_makes_room() {
        let store = MemoryArtifacts::new(10);
        let first = store.put(Bytes::from_static(b"12345678")).await.unwrap();
        assert_eq!(store.put(Bytes::from_static(b"abc")).await.unwrap_err().kind(), ErrorKind::Overloaded);
        assert_eq!(store.put(Bytes::from_static(b"12345678")).await.unwrap(), first);
        store.delete(first).await.unwrap();
        store.put(Bytes::from_static(b"abc")).await.unwrap();
    }

    #[tokio::test]
    async fn what_lost_its_digest_is_corrupted() {
        let store = MemoryArtifacts::default();
        let digest = store.put(Bytes::from_static(b"good")).await.unwrap();
        store.held().by_digest.insert(digest, Bytes::from_static(b"evil"));
        assert_eq!(store.get(digest).await.unwrap_err().kind(), ErrorKind::Corrupted);
    }
}
