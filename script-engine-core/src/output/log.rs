//! The output of one execution in memory: written once, read by any number of readers, bounded whatever comes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;
use tokio::sync::watch;

use super::item::{OutputCursor, OutputItem, StreamCounts};
use super::retention::Retention;
use crate::contract::{OutputReader, OutputSink, OutputStream};
use crate::{Error, ErrorKind, Result, Timestamp};

/// The most structured records that are kept of one execution; the first ones are.
pub const MAX_RECORDS: usize = 10_000;
/// The most bytes of all kept records, as compact JSON.
pub const MAX_RECORDS_BYTES: usize = 16 * 1024 * 1024;

/// The output of one execution. Cheap to clone; all clones are the same output.
///
/// Appending copies the bytes and never waits for a reader. Small pieces are put together: what a stream prints
/// within ten milliseconds may carry the first piece's time and sequence.
#[derive(Clone, Debug)]
pub struct OutputLog {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

#[derive(Debug)]
struct State {
    stdout: Retention,
    stderr: Retention,
    records: Vec<StoredRecord>,
    record_bytes: usize,
    next_sequence: u64,
    closed: bool,
}

/// Kept as text: a parsed value can take thirty times the memory.
#[derive(Debug)]
struct StoredRecord {
    sequence: u64,
    time: Timestamp,
    json: Box<str>,
}

impl OutputLog {
    /// Opens an empty log that keeps `limit` bytes of each stream whole; beyond that the first and the last half
    /// of it (while it is open, at least the last 256 KiB, so that readers have a chance).
    #[must_use]
    pub fn new(limit: u64) -> Self {
        let state = State {
            stdout: Retention::new(limit),
            stderr: Retention::new(limit),
            records: Vec::new(),
            record_bytes: 0,
            next_sequence: 0,
            closed: false,
        };
        Self { shared: Arc::new(Shared { state: Mutex::new(state), changed: watch::Sender::new(()) }) }
    }

    /// Appends bytes to a stream. Fails with `Closed` after [`Self::close`].
    pub fn append(&self, stream: OutputStream, time: Timestamp, bytes: &[u8]) -> Result<()> {
        let mut state = self.open_state()?;
        let State { stdout, stderr, next_sequence, .. } = &mut *state;
        let retention = match stream {
            OutputStream::Stdout => stdout,
            OutputStream::Stderr => stderr,
        };
        retention.append(time, bytes, next_sequence);
        drop(state);
        self.shared.changed.send_replace(());
        Ok(())
    }

    /// Appends a structured record; beyond the bounds it is dropped. Fails with `Closed` after [`Self::close`].
    pub fn record(&self, time: Timestamp, value: &Value) -> Result<()> {
        let json = value.to_string().into_boxed_str();
        let mut state = self.open_state()?;
        if state.records.len() < MAX_RECORDS && state.record_bytes + json.len() <= MAX_RECORDS_BYTES {
            let sequence = state.next_sequence;
            state.next_sequence += 1;
            state.record_bytes += json.len();
            state.records.push(StoredRecord { sequence, time, json });
        }
        drop(state);
        self.shared.changed.send_replace(());
        Ok(())
    }

    /// Closes the log, cuts it to what its limit says, and counts. Idempotent.
    pub fn close(&self) -> StreamCounts {
        let mut state = self.shared.lock();
        if !state.closed {
            state.closed = true;
            state.stdout.close();
            state.stderr.close();
        }
        let counts = state.counts();
        drop(state);
        self.shared.changed.send_replace(());
        counts
    }

    /// How much there was so far, and what of it is kept for good.
    #[must_use]
    pub fn counts(&self) -> StreamCounts {
        self.shared.lock().counts()
    }

    /// Bytes of memory that the log takes, its bookkeeping included.
    #[must_use]
    pub fn memory(&self) -> usize {
        let state = self.shared.lock();
        let records = state.record_bytes + state.records.capacity() * size_of::<StoredRecord>();
        state.stdout.memory() + state.stderr.memory() + records
    }

    /// Reads from a position on.
    #[must_use]
    pub fn reader(&self, from: OutputCursor) -> LogReader {
        LogReader { shared: self.shared.clone(), changes: self.shared.changed.subscribe(), cursor: from }
    }

    fn open_state(&self) -> Result<MutexGuard<'_, State>> {
        let state = self.shared.lock();
        if state.closed {
            return Err(Error::new(ErrorKind::Closed, "the output is closed: the execution has ended"));
        }
        Ok(state)
    }
}

#[async_trait]
impl OutputSink for OutputLog {
    async fn append(&self, stream: OutputStream, time: Timestamp, bytes: Bytes) -> Result<()> {
        Self::append(self, stream, time, &bytes)
    }

    async fn record(&self, time: Timestamp, value: Value) -> Result<()> {
        Self::record(self, time, &value)
    }

    async fn close(&self) -> Result<StreamCounts> {
        Ok(Self::close(self))
    }
}

impl Shared {
    // Nothing in here can panic half-way, so a poisoned lock guards good data.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn counts(&self) -> StreamCounts {
        StreamCounts { stdout: self.stdout.count(), stderr: self.stderr.count() }
    }

    /// What stands at the cursor: of the three channels, what was appended first.
    fn at(&self, cursor: OutputCursor) -> Option<OutputItem> {
        let stdout = self.stdout.at(OutputStream::Stdout, cursor.stdout);
        let stderr = self.stderr.at(OutputStream::Stderr, cursor.stderr);
        let index = usize::try_from(cursor.structured).ok();
        let record = index.and_then(|it| self.records.get(it));
        let sequences = [&stdout, &stderr].map(|it| it.as_ref().map(|it| it.sequence));
        let first = sequences.into_iter().flatten().chain(record.map(|it| it.sequence)).min()?;
        if sequences[0] == Some(first) {
            return stdout.map(|it| it.item);
        }
        if sequences[1] == Some(first) {
            return stderr.map(|it| it.item);
        }
        record.map(|it| OutputItem::Record {
            index: cursor.structured,
            sequence: it.sequence,
            time: it.time,
            // It was a value before, so it is one.
            value: serde_json::from_str(&it.json).unwrap_or_default(),
        })
    }
}

/// Reads a log at its own pace. What was dropped before it came to be read is a gap.
#[derive(Debug)]
pub struct LogReader {
    shared: Arc<Shared>,
    changes: watch::Receiver<()>,
    cursor: OutputCursor,
}

impl LogReader {
    /// The position behind what was read last.
    #[must_use]
    pub fn cursor(&self) -> OutputCursor {
        self.cursor
    }

    fn advance(&mut self, item: &OutputItem) {
        let (stream, end) = match item {
            OutputItem::Chunk { stream, offset, bytes, .. } => (stream, offset + bytes.len() as u64),
            OutputItem::Gap { stream, offset, bytes } => (stream, offset + bytes),
            OutputItem::Record { index, .. } => {
                self.cursor.structured = index + 1;
                return;
            }
        };
        match stream {
            OutputStream::Stdout => self.cursor.stdout = end,
            OutputStream::Stderr => self.cursor.stderr = end,
        }
    }
}

#[async_trait]
impl OutputReader for LogReader {
    async fn next(&mut self) -> Option<OutputItem> {
        loop {
            let (item, closed) = {
                let state = self.shared.lock();
                (state.at(self.cursor), state.closed)
            };
            if let Some(item) = item {
                self.advance(&item);
                return Some(item);
            }
            if closed || self.changes.changed().await.is_err() {
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests;
