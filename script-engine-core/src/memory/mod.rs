//! Reference implementations of the traits, in memory.
