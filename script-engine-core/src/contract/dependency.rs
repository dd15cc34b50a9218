//! Resolving packages: `lock` decides and is plain data, `materialize` fetches.

use std::any::Any;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;

use super::{Progress, Toolchain};
use crate::packages::{Declared, DependencyLock, LayerUse, PackageSummary};
use crate::{Digest, LanguageId, Result, RuntimeSpec};

/// A read-only directory tree with the packages of one lock. It stays in place while this lives.
#[derive(Clone, Debug)]
pub struct DependencyLayer {
    /// The lock it was made from.
    pub lock: Digest,
    /// The digest of the tree's manifest: names, modes and contents of all its files.
    pub digest: Digest,
    /// Where it is on this machine. Everybody may read it.
    pub path: PathBuf,
    /// Keeps the tree from being removed.
    pub hold: Arc<dyn Any + Send + Sync>,
}

/// What packages are for: a runtime, with the toolchain that was found in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageTarget {
    /// The runtime, without packages.
    pub runtime: RuntimeSpec,
    /// The toolchain, whose version decides what fits.
    pub toolchain: Toolchain,
    /// The environment variables of the language.
    pub env: Vec<(String, String)>,
    /// The absolute path at which the sandboxes of scripts have the packages.
    pub packages_dir: String,
}

/// Gets packages by the ecosystem's own resolver.
#[async_trait]
pub trait DependencyResolver: fmt::Debug + Send + Sync + 'static {
    /// Whether this resolver serves the language.
    fn supports(&self, language: &LanguageId) -> bool;

    /// Names what decides a layer's content besides its lock and its target, such as settings. Compiled forms are kept by
    /// it: one that counts on something in its layer is not used with a layer that has it not.
    fn fingerprint(&self) -> String {
        String::new()
    }

    /// Decides the exact closure of what a version declares. Fails with `InvalidRequest` that names
    /// the package and the reason (missing, yanked, in conflict, refused by policy), with
    /// `Unavailable` if an index can't be reached. Cancel-safe: nothing but a cache entry may be left.
    ///
    /// - [DR-01] The same input gives the same bytes.
    async fn lock(
        &self,
        declared: &Declared,
        target: &PackageTarget,
        progress: &dyn Progress,
    ) -> Result<DependencyLock>;

    /// Gets the layer of a lock in place: the packages that a script runs with, or those that its
    /// compiler needs as well. Cancel-safe: a layer is in place whole or not at all.
    ///
    /// - [DR-02] What does not have the locked digest is never served.
    async fn materialize(
        &self,
        lock: &DependencyLock,
        wanted: LayerUse,
        target: &PackageTarget,
        progress: &dyn Progress,
    ) -> Result<DependencyLayer>;

    /// Looks packages up by name or words, best first, at most `limit`. Fails with `Unsupported` where
    /// the language's index offers no search.
    async fn search(&self, text: &str, limit: usize, target: &PackageTarget) -> Result<Vec<PackageSummary>>;
}
