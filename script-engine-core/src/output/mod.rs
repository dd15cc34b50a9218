//! What scripts print: cursors, items and the pipeline.
//!
//! ```text
//! frame -> mask -> view (for the record) · sink (store, live readers) · structured records · last line
//! ```
//!
//! Everything here reads what a script wrote: each part has a bound, and none can be made to fail.

mod forms;
mod item;
mod mask;

pub use item::{OutputCursor, OutputItem, StreamCount, StreamCounts};
pub use mask::{MASK, MAX_SECRET_BYTES, MAX_SECRETS_BYTES, MaskStream, SecretMasker};
