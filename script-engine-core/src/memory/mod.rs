//! Reference implementations of the traits, in memory: complete, strict, and gone with the engine.
//! They serve hosts that need no history, and tests. What must last belongs in a database.

mod access;
mod artifacts;
mod cache;
mod clock;
mod dependencies;
mod events;
mod executions;
mod ids;
mod output;
mod scripts;
mod secrets;

pub use access::TenantPolicy;
pub use artifacts::MemoryArtifacts;
pub use cache::MemoryCache;
pub use clock::SystemClock;
pub use dependencies::NoDependencies;
pub use events::{BroadcastEvents, Heard, NoEvents, Subscription};
pub use executions::MemoryExecutions;
pub use ids::{SeededIds, UuidIds};
pub use output::MemoryOutput;
pub use scripts::MemoryScripts;
pub use secrets::MemorySecrets;
