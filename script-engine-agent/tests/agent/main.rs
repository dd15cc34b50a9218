//! Drives the real agent over a socket, as the engine does.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod confinement;
mod connections;
mod driver;
mod ends;
mod files;
mod life;
mod primed;
mod streams;
