//! Keeps what scripts print, within bounds, for readers that come early, late and slow.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;

use super::OutputStream;
use crate::output::{OutputCursor, OutputItem, StreamCounts};
use crate::{ExecutionId, Result, Timestamp};

/// Keeps the masked output of executions.
#[async_trait]
pub trait OutputStore: fmt::Debug + Send + Sync + 'static {
    /// Opens the output of a new execution. `limit` bytes of each stream are kept whole; beyond that
    /// the first and the last half of it.
    ///
    /// - [OS-01] An id that was opened before is `AlreadyExists`.
    async fn open(&self, id: ExecutionId, limit: u64) -> Result<Arc<dyn OutputSink>>;

    /// Reads from a position on: what is there, then what comes, until the output is closed.
    ///
    /// - [OS-02] A reader that comes late gets the backlog, then what comes, without gap or duplicate.
    /// - [OS-03] What was dropped is told as a gap of the exact size.
    /// - [OS-04] An id that is not known is `NotFound`.
    async fn read(&self, id: ExecutionId, from: OutputCursor) -> Result<Box<dyn OutputReader>>;
}

/// The writing end of one execution's output. Only the engine holds it.
#[async_trait]
pub trait OutputSink: fmt::Debug + Send + Sync + 'static {
    /// Appends bytes to a stream.
    ///
    /// - [OS-05] Never waits for a reader.
    /// - [OS-06] Memory stays within the limit's order, whatever is appended in whatever pieces.
    async fn append(&self, stream: OutputStream, time: Timestamp, bytes: Bytes) -> Result<()>;

    /// Appends a structured record.
    async fn record(&self, time: Timestamp, value: Value) -> Result<()>;

    /// Closes the output; readers end when they have read it all. Idempotent.
    ///
    /// - [OS-07] For each stream, kept and dropped bytes sum to what was appended.
    async fn close(&self) -> Result<StreamCounts>;
}

/// A reader of one execution's output.
#[async_trait]
pub trait OutputReader: fmt::Debug + Send + 'static {
    /// The next item; `None` when the output is closed and read. Cancel-safe.
    async fn next(&mut self) -> Option<OutputItem>;
}
