//! Stores of content by digest: compiled forms, and files that executions leave.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{Digest, Result};

/// The shared second level of the compile cache. Only the trusted builder writes it. Losing an
/// entry costs time, nothing else.
#[async_trait]
pub trait CompiledCache: fmt::Debug + Send + Sync + 'static {
    /// Gets the value of a key.
    ///
    /// - [CC-01] Gives exactly the bytes that were put, or nothing: what does not verify is dropped.
    async fn find(&self, key: Digest) -> Result<Option<Bytes>>;

    /// Keeps a value. Putting the same key again is `Ok` and the first value stays.
    ///
    /// - [CC-02] What it holds is bounded; the entry used longest ago goes first.
    async fn put(&self, key: Digest, value: Bytes) -> Result<()>;
}

/// Keeps files by their digest.
#[async_trait]
pub trait ArtifactStore: fmt::Debug + Send + Sync + 'static {
    /// Keeps `content` and gives its digest. Idempotent.
    ///
    /// - [AS-01] What was put is there, byte for byte, under its digest.
    async fn put(&self, content: Bytes) -> Result<Digest>;

    /// Gets content. Fails with `NotFound`, or `Corrupted` if it no longer has its digest.
    async fn get(&self, digest: Digest) -> Result<Bytes>;

    /// Removes content. Removing what is not there is `Ok`.
    ///
    /// - [AS-02] After a delete, `get` is `NotFound`.
    async fn delete(&self, digest: Digest) -> Result<()>;
}
