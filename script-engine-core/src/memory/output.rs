//! Outputs in memory. Open ones are always kept; of those that are closed, the last ones.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;

use crate::contract::{OutputReader, OutputSink, OutputStore, OutputStream};
use crate::output::{OutputCursor, OutputLog, StreamCounts};
use crate::{Error, ErrorKind, ExecutionId, Result, Timestamp};

/// Keeps outputs in memory. Each open one is bounded by its limit, and their number by the engine's
/// setting; closed ones are bounded in number and bytes, and the one that was closed first goes first.
/// A reader that reads on keeps what it reads.
#[derive(Debug)]
pub struct MemoryOutput {
    shelf: Arc<Shelf>,
}

#[derive(Debug)]
struct Shelf {
    max_closed: usize,
    max_closed_bytes: u64,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    logs: HashMap<ExecutionId, OutputLog>,
    /// Those that are closed, in the order of their closing, with the memory they take.
    closed: VecDeque<(ExecutionId, u64)>,
    closed_bytes: u64,
}

impl MemoryOutput {
    /// Makes an empty store that keeps the last `max_closed` outputs that are closed, as long as they
    /// take no more than `max_closed_bytes` of memory together.
    #[must_use]
    pub fn new(max_closed: usize, max_closed_bytes: u64) -> Self {
        Self { shelf: Arc::new(Shelf { max_closed, max_closed_bytes, held: Mutex::default() }) }
    }
}

impl Default for MemoryOutput {
    /// Makes an empty store that keeps the last 1000 closed outputs, 256 MiB of them at most.
    fn default() -> Self {
        Self::new(1000, 256 << 20)
    }
}

#[async_trait]
impl OutputStore for MemoryOutput {
    async fn open(&self, id: ExecutionId, limit: u64) -> Result<Arc<dyn OutputSink>> {
        let mut held = self.shelf.held();
        if held.logs.contains_key(&id) {
            return Err(
                Error::new(ErrorKind::AlreadyExists, "the output was opened before").with_context("execution", id)
            );
        }
        let log = OutputLog::new(limit);
        held.logs.insert(id, log.clone());
        Ok(Arc::new(ShelvedSink { id, log, shelf: Arc::clone(&self.shelf) }))
    }

    async fn read(&self, id: ExecutionId, from: OutputCursor) -> Result<Box<dyn OutputReader>> {
        match self.shelf.held().logs.get(&id) {
            Some(log) => Ok(Box::new(log.reader(from))),
            None => Err(Error::new(ErrorKind::NotFound, "no output is kept of this execution, or no longer")
                .with_context("execution", id)),
        }
    }
}

impl Shelf {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an output among the closed ones, once, and drops the first of them beyond the bounds.
    fn retire(&self, id: ExecutionId, bytes: u64) {
        let mut held = self.held();
        if held.closed.iter().any(|(it, _)| *it == id) || !held.logs.contains_key(&id) {
            return;
        }
        held.closed.push_back((id, bytes));
        held.closed_bytes = held.closed_bytes.saturating_add(bytes);
        while held.closed.len() > self.max_closed || held.closed_bytes > self.max_closed_bytes {
            let Some((first, bytes)) = held.closed.pop_front() else { break };
            held.closed_bytes -= bytes;
            held.logs.remove(&first);
        }
    }
}

/// The writing end. Dropping it closes the output, so that nothing stays open for good.
#[derive(Debug)]
struct ShelvedSink {
    id: ExecutionId,
    log: OutputLog,
    shelf: Arc<Shelf>,
}

impl ShelvedSink {
    fn shut(&self) -> StreamCounts {
        let counts = self.log.close();
        self.shelf.retire(self.id, self.log.memory() as u64);
        counts
    }
}

impl Drop for ShelvedSink {
    fn drop(&mut self) {
        self.shut();
    }
}

#[async_trait]
impl OutputSink for ShelvedSink {
    async fn append(&self, stream: OutputStream, time: Timestamp, bytes: Bytes) -> Result<()> {
        self.log.append(stream, time, &bytes)
    }

    async fn record(&self, time: Timestamp, value: Value) -> Result<()> {
        self.log.record(time, &value)
    }

    async fn close(&self) -> Result<StreamCounts> {
        Ok(self.shut())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn write(store: &MemoryOutput, id: u128, bytes: usize) -> Arc<dyn OutputSink> {
        let sink = store.open(ExecutionId::from_bits(id), 1 << 20).await.unwrap();
        sink.append(OutputStream::Stdout, Timestamp::from_micros(0), vec![b'x'; bytes].into()).await.unwrap();
        sink
    }

    async fn kept(store: &MemoryOutput, ids: std::ops::RangeInclusive<u128>) -> Vec<u128> {
        let mut kept = Vec::new();
        for id in ids {
            if store.read(ExecutionId::from_bits(id), OutputCursor::default()).await.is_ok() {
                kept.push(id);
            }
        }
        kept
    }

    #[tokio::test]
    async fn closed_outputs_are_bounded_in_number_and_bytes_and_open_ones_stay() {
        let store = MemoryOutput::new(3, 400_000);
        let open = write(&store, 1, 1).await;
        for id in 2..=6 {
            let sink = write(&store, id, 1).await;
            sink.close().await.unwrap();
            sink.close().await.unwrap();
        }
        assert_eq!(kept(&store, 1..=6).await, [1, 4, 5, 6]);
        let mut reading = store.read(ExecutionId::from_bits(6), OutputCursor::default()).await.unwrap();
        for id in 7..=8 {
            drop(write(&store, id, 300_000).await);
        }
        assert_eq!(kept(&store, 1..=8).await, [1, 8]);
        assert!(reading.next().await.is_some());
        open.close().await.unwrap();
    }
}
