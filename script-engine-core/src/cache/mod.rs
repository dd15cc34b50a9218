//! Levels of the compile cache below memory: a folder, and several levels as one.

mod disk;
mod tiered;

pub use disk::DiskCache;
pub use tiered::TieredCache;
