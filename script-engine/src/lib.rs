#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub use script_engine_core::*;

#[cfg(any(feature = "sandbox", feature = "docker"))]
mod assembly;
#[cfg(feature = "docker")]
mod sources;

#[cfg(feature = "docker")]
pub use assembly::docker_with;
#[cfg(feature = "sandbox")]
pub use assembly::{local, local_with};

/// The languages that come with the engine.
#[cfg(any(feature = "sandbox", feature = "docker"))]
pub use script_engine_languages as languages;

/// The scripts that come with the engine.
#[cfg(any(feature = "sandbox", feature = "docker"))]
pub use script_engine_languages::{Sample, SamplePackage, clone_sample, sample, samples};

/// The backend of Linux namespaces, cgroups, seccomp and landlock.
#[cfg(feature = "sandbox")]
pub use script_engine_sandbox as sandbox_linux;

/// The backend of containers of a Docker Engine.
#[cfg(feature = "docker")]
pub use script_engine_docker as docker;

/// The compile cache that machines share.
#[cfg(feature = "valkey")]
pub use script_engine_valkey as valkey;
