#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub use script_engine_core::*;

#[cfg(feature = "sandbox")]
mod local;

#[cfg(feature = "sandbox")]
pub use local::{local, local_with};

/// The languages that come with the engine.
#[cfg(feature = "sandbox")]
pub use script_engine_languages as languages;

/// The scripts that come with the engine.
#[cfg(feature = "sandbox")]
pub use script_engine_languages::{Sample, SamplePackage, clone_sample, sample, samples};

/// The backend of Linux namespaces, cgroups, seccomp and landlock.
#[cfg(feature = "sandbox")]
pub use script_engine_sandbox as sandbox_linux;
