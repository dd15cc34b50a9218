//! The shared level of the compile cache, over Valkey or Redis: what one machine compiled the others need
//! not compile.
//!
//! Only engines write it. A value begins with its own digest, so one that was changed or cut is never
//! served. What it holds is bounded by the time to live and by the server's `maxmemory`.
#![forbid(unsafe_code)]

mod cache;

pub use cache::{Config, ValkeyCache};
