//! The agent's wire protocol: frames, messages and their binary form.
//!
//! Both ends compile these files: the engine as a module of core, the agent as a module of its own
//! (links in its source folder), so they lean on `std` alone and hold neither I/O nor policy.

pub mod connection;
pub mod frame;
pub mod message;

pub use connection::{CONNECTION_WINDOW, Listen, MAX_CONNECTIONS, MAX_PIECE, Traffic};
pub use frame::{HEADER_LEN, Header, MAX_DATA, MAX_FRAME, MAX_PAYLOAD, Reader, Stream, VERSION, WireError, Writer};
pub use message::{FromAgent, Landlock, LandlockRule, MAX_ENVIRONMENT, Place, Start, ToAgent, feature, gate};

#[cfg(test)]
mod tests;
