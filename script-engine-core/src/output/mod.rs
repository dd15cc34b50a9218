//! What scripts print: cursors, items and the pipeline.
//!
//! ```text
//! frame -> mask -> view (for the record) · sink (store, live readers) · structured records · last line
//! ```
//!
//! Everything here reads what a script wrote: each part has a bound, and none can be made to fail.

mod forms;
mod item;
mod json;
mod log;
mod mask;
mod pipeline;
mod result;
mod retention;
mod structured;
mod view;

pub use item::{OutputCursor, OutputItem, StreamCount, StreamCounts};
pub use log::{LogReader, MAX_RECORDS, MAX_RECORDS_BYTES, OutputLog};
pub use mask::{MASK, MAX_SECRET_BYTES, MAX_SECRETS_BYTES, MaskStream, SecretMasker};
pub use pipeline::{OutputPipeline, PipelineEnd, PipelineSettings};
pub use result::{LastLine, MAX_RESULT_BYTES, ResultFile, ScriptResult, decide_result};
pub use structured::{MAX_RECORD_BYTES, RecordScanner};
pub use view::{VIEW_BYTES, View, ViewBytes};
