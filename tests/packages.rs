//! Scripts with real packages of their ecosystems, locked, fetched and run on the Linux sandbox.

#[cfg(test)]
#[path = "packages/bench.rs"]
mod bench;
#[cfg(test)]
#[path = "packages/go.rs"]
mod go;
#[cfg(test)]
#[path = "packages/java.rs"]
mod java;
#[cfg(test)]
#[path = "packages/locks.rs"]
mod locks;
