//! A scripted executor without any operating system process: what its scripts do is a list
//! of [`Action`]s. Stricter than a real one: output comes in small and uneven pieces, every answer is
//! late by a turn of the scheduler, and nothing is forgiven.
//!
//! A fake script moves on only while somebody waits for its next event, and waits by tokio's time, so
//! that a test with paused time decides everything.

mod action;
mod backend;
mod egress;
mod executor;
mod host;
mod manager;
mod sandbox;
mod script;
mod stdin;

pub use action::{Action, Left};
pub use backend::FakeBackend;
pub use executor::FakeExecutor;
pub use host::FakeHost;

#[cfg(test)]
mod tests;
