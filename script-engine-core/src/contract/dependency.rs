//! Resolving packages: `lock` decides and is plain data, `materialize` fetches.

use std::fmt;
use std::path::PathBuf;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{Digest, LanguageId, Result, RuntimeSpec, ScriptDependency};

/// The exact closure of a set of packages, in its ecosystem's own form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DependencyLock {
    /// The language whose ecosystem it is.
    pub language: LanguageId,
    /// The ecosystem's own manifests and lock files, by name.
    pub files: Vec<(String, Bytes)>,
    /// The digest over all of them.
    pub digest: Digest,
}

/// A read-only directory tree with the packages of one lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DependencyLayer {
    /// The lock it was made from.
    pub lock: Digest,
    /// Where it is on this machine.
    pub path: PathBuf,
}

/// Gets packages by the ecosystem's own resolver.
#[async_trait]
pub trait DependencyResolver: fmt::Debug + Send + Sync + 'static {
    /// Whether this resolver serves the language.
    fn supports(&self, language: &LanguageId) -> bool;

    /// Decides the exact closure.
    ///
    /// - [DR-01] The same input gives the same bytes.
    async fn lock(&self, wanted: &[ScriptDependency], runtime: &RuntimeSpec) -> Result<DependencyLock>;

    /// Gets the layer of a lock in place.
    ///
    /// - [DR-02] What does not have the locked digest is never served.
    async fn materialize(&self, lock: &DependencyLock, runtime: &RuntimeSpec) -> Result<DependencyLayer>;
}
