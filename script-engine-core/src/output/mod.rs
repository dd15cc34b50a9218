//! What scripts print: cursors, items and the pipeline.

mod item;

pub use item::{OutputCursor, OutputItem, StreamCount, StreamCounts};
