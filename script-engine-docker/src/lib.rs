#![doc = include_str!("../docs.md")]
#![forbid(unsafe_code)]

mod agent;
mod config;
mod context;
mod daemon;
mod doctor;
mod error;
mod flavour;
mod garbage;
mod guest;
mod image;
mod inspect;
mod layer;
mod link;
mod login;
mod machine;
mod owner;
mod plan;
mod probe;
mod registry;
mod runtime;
mod tar;

pub use config::{Build, Config, Delivery, ImageCache};
pub use doctor::examine;
pub use login::Login;
pub use runtime::Manager;
