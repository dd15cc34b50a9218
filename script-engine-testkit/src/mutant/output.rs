//! Output stores that break one rule each: wrappers round the one in memory.

use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use script_engine_core::contract::{OutputReader, OutputSink, OutputStore, OutputStream};
use script_engine_core::memory::MemoryOutput;
use script_engine_core::output::{OutputCursor, OutputItem, OutputLog, StreamCounts};
use script_engine_core::{ExecutionId, Result, Timestamp};
use serde_json::Value;

use super::Mutant;
use crate::case::Case;
use crate::store::{made, output_store};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    OpensTwice,
    LosesAChunk,
    RepeatsAChunk,
    HidesGaps,
    ReadsTheUnknown,
    WaitsForReaders,
    KeepsEverything,
    CountsWrong,
}

use Fault as F;

pub(super) const MUTANTS: &[Mutant] = &[
    Mutant::new("OS-01", "opens an output twice", || cases(F::OpensTwice)),
    Mutant::new("OS-02", "loses a chunk", || cases(F::LosesAChunk)),
    Mutant::new("OS-02", "repeats a chunk", || cases(F::RepeatsAChunk)),
    Mutant::new("OS-03", "hides gaps", || cases(F::HidesGaps)),
    Mutant::new("OS-04", "reads an output that is not known as an empty one", || cases(F::ReadsTheUnknown)),
    Mutant::new("OS-05", "waits for readers", || cases(F::WaitsForReaders)),
    Mutant::new("OS-06", "keeps every buffer", || cases(F::KeepsEverything)),
    Mutant::new("OS-07", "counts what it dropped as kept", || cases(F::CountsWrong)),
];

fn cases(fault: Fault) -> Vec<Case> {
    output_store(made(move || Arc::new(Broken { inner: MemoryOutput::default(), fault, read: Arc::default() }) as _))
}

#[derive(Debug)]
struct Broken {
    inner: MemoryOutput,
    fault: Fault,
    read: Arc<AtomicBool>,
}

#[async_trait]
impl OutputStore for Broken {
    async fn open(&self, id: ExecutionId, limit: u64) -> Result<Arc<dyn OutputSink>> {
        let again = ExecutionId::from_bits(id.bits() + 1000);
        let inner = match self.inner.open(id, limit).await {
            Err(_) if self.fault == F::OpensTwice => self.inner.open(again, limit).await?,
            opened => opened?,
        };
        let (fault, read) = (self.fault, Arc::clone(&self.read));
        Ok(Arc::new(BrokenSink { inner, fault, read, appended: AtomicUsize::new(0), kept: Mutex::default() }))
    }

    async fn read(&self, id: ExecutionId, from: OutputCursor) -> Result<Box<dyn OutputReader>> {
        self.read.store(true, Ordering::Relaxed);
        let inner = match self.inner.read(id, from).await {
            Err(_) if self.fault == F::ReadsTheUnknown => {
                let empty = OutputLog::new(0);
                empty.close();
                Box::new(empty.reader(from))
            }
            found => found?,
        };
        Ok(Box::new(BrokenReader { inner, fault: self.fault, chunks: 0, again: None }))
    }
}

#[derive(Debug)]
struct BrokenSink {
    inner: Arc<dyn OutputSink>,
    fault: Fault,
    read: Arc<AtomicBool>,
    appended: AtomicUsize,
    kept: Mutex<Vec<Bytes>>,
}

#[async_trait]
impl OutputSink for BrokenSink {
    async fn append(&self, stream: OutputStream, time: Timestamp, bytes: Bytes) -> Result<()> {
        let count = self.appended.fetch_add(1, Ordering::Relaxed);
        if self.fault == F::WaitsForReaders && count > 100 && self.read.load(Ordering::Relaxed) {
            pending::<()>().await;
        }
        if self.fault == F::KeepsEverything {
            self.kept.lock().unwrap_or_else(PoisonError::into_inner).push(bytes.clone());
        }
        self.inner.append(stream, time, bytes).await
    }

    async fn record(&self, time: Timestamp, value: Value) -> Result<()> {
        self.inner.record(time, value).await
    }

    async fn close(&self) -> Result<StreamCounts> {
        let mut counts = self.inner.close().await?;
        if self.fault == F::CountsWrong {
            counts.stdout.kept = counts.stdout.total;
        }
        Ok(counts)
    }
}

#[derive(Debug)]
struct BrokenReader {
    inner: Box<dyn OutputReader>,
    fault: Fault,
    chunks: u32,
    again: Option<OutputItem>,
}

#[async_trait]
impl OutputReader for BrokenReader {
    async fn next(&mut self) -> Option<OutputItem> {
        if let Some(item) = self.again.take() {
            return Some(item);
        }
        loop {
            let item = self.inner.next().await?;
            self.chunks += u32::from(matches!(item, OutputItem::Chunk { .. }));
            let third = self.chunks == 3 && matches!(item, OutputItem::Chunk { .. });
            match (self.fault, &item) {
                (F::LosesAChunk, _) if third => {}
                (F::HidesGaps, OutputItem::Gap { .. }) => {}
                (F::RepeatsAChunk, _) if third => {
                    self.again = Some(item.clone());
                    return Some(item);
                }
                _ => return Some(item),
            }
        }
    }
}
