//! What is asked of one package ecosystem: steps that decide, fetch and look up, and nothing that does
//! them.

use std::fmt;

use bytes::Bytes;
use script_engine_core::contract::{PackageTarget, Step};
use script_engine_core::packages::{Declared, DependencyLock, LayerUse, PackageSummary};
use script_engine_core::{LanguageId, Limits, Result, Timestamp};

use super::sources::PackageSources;

/// A step that leaves a layer: its one collected file is an uncompressed tar archive of the tree.
///
/// Plain files, folders, and links that stay within the tree; the reader of the archive refuses
/// everything else, and takes no owner, no time and no mode but the executable bit from it.
pub type LayerStep = Step<Bytes>;

/// What the policy leaves to the ecosystem's own tool to keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Only versions that were published before are looked at.
    pub published_before: Option<Timestamp>,
    /// Whether packages may run code of theirs while they are resolved and installed: install scripts, and builds of
    /// what is only there as source.
    pub install_scripts: bool,
}

/// One package ecosystem, such as PyPI with its resolver.
///
/// Steps run in a sandbox of the language's runtime with the network open to public addresses and to
/// what the sources name. They see no script but the names it declares.
pub trait Ecosystem: fmt::Debug + Send + Sync + 'static {
    /// The language that it serves.
    fn language(&self) -> &LanguageId;

    /// What its steps may use.
    fn limits(&self) -> Limits;

    /// Names what decides a lock besides what is declared: the format of the steps. Counted up whenever
    /// their results change.
    fn fingerprint(&self) -> String;

    /// Decides the closure by the ecosystem's own resolver. Whatever the resolver complains of becomes
    /// an `InvalidRequest` of the field `dependencies` that names the package and the reason in one
    /// short line, or `Unavailable` where an index can't be reached.
    fn lock(&self, declared: &Declared, sources: &PackageSources, rules: Rules) -> Result<Step<DependencyLock>>;

    /// A lock whose layer is in the language's place for packages while this lock's is installed, so that what many layers
    /// have in common is made once. It has no such lock itself. `None`, as is the default, if there is no such thing.
    fn base(&self, lock: &DependencyLock) -> Result<Option<DependencyLock>> {
        let _ = lock;
        Ok(None)
    }

    /// Fetches the packages of a lock, compares their hashes, runs none of their code unless the rules
    /// allow it, and compiles what makes the start quicker. The step fails if packages of the lock
    /// are for another platform than it finds itself on. A lock without packages of scope `build` has one layer for both
    /// uses, and is asked for with `Run`. `None` if a layer of this use has nothing in it.
    fn install(
        &self,
        lock: &DependencyLock,
        wanted: LayerUse,
        sources: &PackageSources,
        rules: Rules,
    ) -> Result<Option<LayerStep>>;

    /// Makes what lets scripts start sooner and must be made where they will find the packages: the step has them at the
    /// language's place for them, and no network. What its archive has is added to the layer; if it fails, the layer does
    /// without. `None`, as is the default, if there is no such thing.
    fn finish(&self, lock: &DependencyLock, wanted: LayerUse, target: &PackageTarget) -> Result<Option<LayerStep>> {
        let _ = (lock, wanted, target);
        Ok(None)
    }

    /// Looks packages up. Fails with `Unsupported` where the index offers no search.
    fn search(&self, text: &str, limit: usize, sources: &PackageSources) -> Result<Step<Vec<PackageSummary>>>;
}
