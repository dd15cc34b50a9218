#![doc = include_str!("../docs.md")]
#![forbid(unsafe_code)]

mod cgroup;
mod config;
mod doctor;
mod error;
mod host;
mod launcher;
mod machine;
mod owner;
mod plan;
mod probe;
mod process;
mod runtime;
#[cfg(test)]
mod scratch;
mod tree;

pub use config::{Agent, Cgroups, Config, Isolation, Root};
pub use doctor::examine;
pub use runtime::Manager;
