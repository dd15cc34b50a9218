//! The agent that is process 1 of every sandbox, as bytes, and the system call profile it applies.
//!
//! The agent's source is in `guest/`; `build.rs` compiles it. How to speak to it is
//! [`script_engine_core::wire`]; nothing here starts it.

#[path = "../guest/plan.rs"]
pub mod plan;
pub mod profile;

pub(crate) use script_engine_core::wire;

/// The agent: a static Linux program for the architecture that this crate was built for.
pub const AGENT: &[u8] = include_bytes!(env!("SCRIPT_ENGINE_AGENT_PATH"));

/// Names the sources and the compiler that [`AGENT`] was made from; the agent's hello says the same.
pub const BUILD: &str = env!("SCRIPT_ENGINE_AGENT_BUILD");
