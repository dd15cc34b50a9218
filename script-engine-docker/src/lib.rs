#![doc = include_str!("../docs.md")]
#![forbid(unsafe_code)]

mod agent;
mod config;
mod daemon;
mod doctor;
mod error;
mod image;
mod inspect;
mod link;
mod machine;
mod owner;
mod plan;
mod posture;
mod probe;
mod runtime;
mod tar;

pub use config::{AgentDelivery, Config};
pub use doctor::{Finding, Grade, examine};
pub use runtime::Manager;
