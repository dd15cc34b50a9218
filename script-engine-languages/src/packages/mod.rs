//! Packages: each language's ecosystem as data and steps, and what carries the steps out.
//!
//! An [`Ecosystem`] does no I/O: it says which program of its own to start in a networked build sandbox
//! and how to read what comes of it. [`SandboxedResolver`] carries that out, and keeps locks and layers in
//! a folder.

mod answer;
pub(crate) mod apt;
mod driver;
mod ecosystem;
mod go;
mod locks;
mod machine;
mod maven;
#[cfg(feature = "typescript")]
pub(crate) mod npm;
mod nuget;
#[cfg(test)]
mod on_this_machine;
mod policy;
pub(crate) mod pypi;
mod reach;
mod resolver;
#[cfg(test)]
mod served;
mod sources;
mod store;
mod tree;
#[cfg(test)]
mod unwell_index;

pub use apt::Apt;
pub use ecosystem::{Ecosystem, LayerStep, Rules};
pub use go::GoModules;
pub use maven::MavenPackages;
#[cfg(feature = "typescript")]
pub use npm::Npm;
pub use nuget::NuGetPackages;
pub use policy::{NameLists, PackagePolicy};
pub use pypi::PyPi;
pub use resolver::{PackageCounts, PackageSettings, SandboxedResolver, folder_below};
pub use script_engine_core::packages::PackageNetwork;
pub use sources::{IndexSource, PackageSources};

use std::sync::Arc;

use script_engine_core::Result;

/// The ecosystems of this crate's languages.
#[must_use]
pub fn ecosystems() -> Vec<Arc<dyn Ecosystem>> {
    fn shared(ecosystem: Result<impl Ecosystem>) -> Option<Arc<dyn Ecosystem>> {
        // Only a name that is none could fail, and the tests see that none is.
        ecosystem.ok().map(|it| Arc::new(it) as Arc<dyn Ecosystem>)
    }
    let all = [
        shared(Apt::new()),
        shared(GoModules::new()),
        shared(MavenPackages::new()),
        shared(NuGetPackages::new()),
        #[cfg(feature = "typescript")]
        shared(Npm::new()),
        shared(PyPi::new()),
    ];
    all.into_iter().flatten().collect()
}
