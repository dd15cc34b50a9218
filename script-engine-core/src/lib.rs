//! Domain types, traits and the engine.

pub mod wire;
