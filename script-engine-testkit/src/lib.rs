#![doc = include_str!("../README.md")]

pub mod executor;
pub mod fake;
pub mod memory;
pub mod mutant;
pub mod sandbox;
pub mod store;

mod case;
mod interrupt;
mod ledger;
mod machine;
mod network;
mod runner;
mod seen;
mod verdict;

pub use case::{BoxFuture, Case, Proving};
pub use ledger::Ledger;
pub use machine::{TestMachine, processes_here};
pub use runner::{Conformance, carry_out};
pub use verdict::{Proof, Unproven, Verdict};
