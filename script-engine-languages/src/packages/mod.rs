//! Packages: each language's ecosystem as data and steps, and what carries the steps out.
//!
//! An [`Ecosystem`](ecosystem::Ecosystem) does no I/O: it says which program of its own to start in a
//! networked build sandbox and how to read what comes of it.

mod driver;
mod ecosystem;
mod go;
mod maven;
#[cfg(test)]
mod on_this_machine;
pub(crate) mod pypi;
mod sources;

pub use ecosystem::{Ecosystem, LayerStep, Rules};
pub use go::GoModules;
pub use maven::MavenPackages;
pub use pypi::PyPi;
pub use sources::{IndexSource, PackageSources};
