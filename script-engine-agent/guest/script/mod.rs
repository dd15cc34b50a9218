//! A script from its start to its last process: how it is made, confined, watched and ended. What
//! the engine is told about it is [`crate::serve`]'s business.

pub mod child;
pub mod filter;
pub mod gate;
pub mod start;
pub mod streams;
pub mod stub;
