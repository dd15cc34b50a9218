//! What a script may reach: allow-lists, which addresses an operator opens, and the record of connections.
//!
//! All of it decides or is data; who dials is the [`gateway`](crate::gateway).

mod address;
mod connection;
mod host_port;
mod policy;
mod reach;

pub use address::AddressClass;
pub use connection::{Connection, ConnectionEnd, ConnectionLog, Connections};
pub use host_port::{Host, HostPort};
pub use policy::NetworkPolicy;
pub use reach::{EgressSettings, Open};
