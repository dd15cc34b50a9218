//! The suite of [`OutputStore`].

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use script_engine_core::contract::{OutputReader, OutputSink, OutputStore, OutputStream};
use script_engine_core::output::{OutputCursor, OutputItem, StreamCount, StreamCounts};
use script_engine_core::{ExecutionId, Timestamp};
use serde_json::{Value, json};

use super::Factory;
use crate::case::{Case, on};
use crate::interrupt::drop_at;
use crate::verdict::{Proof, Unproven, ensure, ensure_error, fail};

type Made = Factory<dyn OutputStore>;

/// The cases of an output store.
#[must_use]
pub fn output_store(make: Made) -> Vec<Case> {
    let make = Arc::new(make);
    vec![
        Case::new("OS-01", "an output is opened once", on(&make, os_01)),
        Case::new("OS-02", "a reader gets backlog and live output without gap or duplicate", on(&make, os_02)),
        Case::new("OS-03", "what was dropped is told as a gap of its size", on(&make, os_03)),
        Case::new("OS-04", "an id that is not known is not found", on(&make, os_04)),
        Case::new("OS-05", "writing never waits for a reader", on(&make, os_05)),
        Case::new("OS-06", "memory stays within the limit's order", on(&make, os_06)),
        Case::new("OS-07", "kept and dropped bytes sum to what was appended", on(&make, os_07)),
    ]
}

const ID: ExecutionId = ExecutionId::from_bits(1);
const LIMIT: u64 = 64 << 10;

/// What a reader got, put together again.
#[derive(Debug, Default)]
struct Read {
    cursor: OutputCursor,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    gaps: Vec<(OutputStream, u64, u64)>,
    records: Vec<Value>,
    sequences: Vec<u64>,
}

impl Read {
    fn from(cursor: OutputCursor) -> Self {
        Self { cursor, ..Self::default() }
    }

    /// Takes one item; fails if it does not begin where the last one of its channel ended.
    fn take(&mut self, item: OutputItem) -> Proof {
        match item {
            OutputItem::Chunk { stream, offset, sequence, bytes, .. } => {
                ensure!(!bytes.is_empty(), "an empty chunk");
                self.advance(stream, offset, bytes.len() as u64)?;
                self.sequences.push(sequence);
                match stream {
                    OutputStream::Stdout => self.stdout.extend_from_slice(&bytes),
                    OutputStream::Stderr => self.stderr.extend_from_slice(&bytes),
                }
            }
            OutputItem::Gap { stream, offset, bytes } => {
                ensure!(bytes > 0, "an empty gap");
                self.advance(stream, offset, bytes)?;
                self.gaps.push((stream, offset, bytes));
            }
            OutputItem::Record { index, sequence, value, .. } => {
                let expected = self.cursor.structured;
                ensure!(index == expected, "record {index} came, expected {expected}");
                self.cursor.structured += 1;
                self.sequences.push(sequence);
                self.records.push(value);
            }
        }
        Ok(())
    }

    fn advance(&mut self, stream: OutputStream, offset: u64, bytes: u64) -> Proof {
        let at = match stream {
            OutputStream::Stdout => &mut self.cursor.stdout,
            OutputStream::Stderr => &mut self.cursor.stderr,
        };
        ensure!(offset == *at, "{} goes on at {offset}, expected {at}", stream.as_str());
        *at += bytes;
        Ok(())
    }

    /// Reads to the end; every wait is broken off a few times on the way.
    async fn finish(mut self, reader: &mut dyn OutputReader) -> Result<Self, Unproven> {
        loop {
            if let Some(item) = drop_at(0, reader.next()).await {
                match item {
                    Some(item) => self.take(item)?,
                    None => return Ok(self),
                }
            }
            match reader.next().await {
                Some(item) => self.take(item)?,
                None => return Ok(self),
            }
        }
    }
}

/// Times so far apart that a store has no reason to join what was printed at them.
fn time(n: usize) -> Timestamp {
    Timestamp::from_micros(i64::try_from(n).unwrap_or(0).saturating_mul(1_000_000))
}

/// Bytes that differ from place to place.
fn text(from: usize, len: usize) -> Bytes {
    (from..from + len).map(|it| (it ^ (it >> 8) ^ (it >> 16)).to_le_bytes()[0]).collect()
}

async fn read_all(store: &dyn OutputStore, from: OutputCursor) -> Result<Read, Unproven> {
    let mut reader = store.read(ID, from).await?;
    Read::from(from).finish(&mut *reader).await
}

async fn os_01(make: Arc<Made>) -> Proof {
    let store = make().await?;
    let sink = store.open(ID, LIMIT).await?;
    ensure_error!(store.open(ID, LIMIT).await, AlreadyExists, "a second open");
    sink.append(OutputStream::Stdout, time(0), text(0, 10)).await?;
    sink.close().await?;
    ensure_error!(store.open(ID, LIMIT).await, AlreadyExists, "an open after the close");
    let read = read_all(&*store, OutputCursor::default()).await?;
    ensure!(read.stdout == text(0, 10), "the second open changed the output");
    store.open(ExecutionId::from_bits(2), LIMIT).await?.close().await?;
    Ok(())
}

/// Writes `pieces` of uneven length to both streams, with a record now and then, and calls
/// `between` after each.
async fn write(
    sink: &dyn OutputSink,
    pieces: std::ops::Range<usize>,
    mut between: impl AsyncFnMut(usize) -> Proof,
) -> Proof {
    for n in pieces {
        let stream = if n % 3 == 0 { OutputStream::Stderr } else { OutputStream::Stdout };
        sink.append(stream, time(n), text(n * 31, 1 + n * 7 % 97)).await?;
        if n % 10 == 0 {
            sink.record(time(n), json!({ "n": n })).await?;
        }
        between(n).await?;
    }
    Ok(())
}

fn written(pieces: usize, stderr: bool) -> Vec<u8> {
    let own = (0..pieces).filter(|n| (n % 3 == 0) == stderr);
    own.flat_map(|n| text(n * 31, 1 + n * 7 % 97)).collect()
}

async fn os_02(make: Arc<Made>) -> Proof {
    const PIECES: usize = 300;
    let store = make().await?;
    let sink = store.open(ID, LIMIT).await?;
    let mut late = Vec::new();
    // One reader from the start that keeps up, and every now and then one that comes late.
    let mut first = store.read(ID, OutputCursor::default()).await?;
    let mut keeps_up = Read::default();
    write(&*sink, 0..PIECES, async |n| {
        while let Some(Some(item)) = drop_at(0, first.next()).await {
            keeps_up.take(item)?;
        }
        if n % 50 == 25 {
            late.push((OutputCursor::default(), store.read(ID, OutputCursor::default()).await?));
            late.push((keeps_up.cursor, store.read(ID, keeps_up.cursor).await?));
        }
        Ok(())
    })
    .await?;
    ensure!(keeps_up.stdout == written(PIECES, false), "a reader that keeps up does not get what is there at once");
    let (closed, ended) = {
        let waiting = keeps_up.finish(&mut *first);
        let close = async {
            tokio::task::yield_now().await;
            sink.close().await
        };
        let (ended, closed) = tokio::join!(waiting, close);
        (closed?, ended?)
    };
    let expected = (written(PIECES, false), written(PIECES, true));
    ensure!((&ended.stdout, &ended.stderr) == (&expected.0, &expected.1), "the first reader's bytes are others");
    ensure!(ended.records.len() == PIECES / 10, "{} records came of {}", ended.records.len(), PIECES / 10);
    ensure!(ended.records.last() == Some(&json!({ "n": PIECES - 10 })), "the last record is another");
    ensure!(ended.sequences.is_sorted_by(|a, b| a < b), "a reader that keeps up does not get things in their order");
    ensure!(closed.stdout.total == expected.0.len() as u64, "stdout counts {:?}", closed.stdout);
    late.push((OutputCursor::default(), store.read(ID, OutputCursor::default()).await?));
    late.push((
        OutputCursor { stdout: 1, stderr: 2, structured: 3 },
        store.read(ID, OutputCursor { stdout: 1, stderr: 2, structured: 3 }).await?,
    ));
    for (from, mut reader) in late {
        let read = Read::from(from).finish(&mut *reader).await?;
        ensure!(read.gaps.is_empty(), "a gap though nothing was dropped: {:?}", read.gaps);
        let begin = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        let right = Some(&*read.stdout) == expected.0.get(begin(from.stdout)..)
            && Some(&*read.stderr) == expected.1.get(begin(from.stderr)..)
            && read.records.len() as u64 == PIECES as u64 / 10 - from.structured;
        ensure!(right, "a reader that came late, from {from}, did not get just what came after it");
        ensure!(reader.next().await.is_none(), "something came after the end");
    }
    let end = ended.cursor;
    let read = read_all(&*store, end).await?;
    ensure!(read.cursor == end, "something came after {end}, which is the end");
    Ok(())
}

async fn os_03(make: Arc<Made>) -> Proof {
    const TOTAL: usize = 5 * LIMIT as usize + 4321;
    let store = make().await?;
    let sink = store.open(ID, LIMIT).await?;
    sink.append(OutputStream::Stderr, time(0), text(7, 100)).await?;
    let mut from = 0;
    while from < TOTAL {
        let len = (1 + from % 5000).min(TOTAL - from);
        sink.append(OutputStream::Stdout, time(from), text(from, len)).await?;
        from += len;
    }
    let mut waiting = store.read(ID, OutputCursor::default()).await?;
    let counts = sink.close().await?;
    let mut reader = store.read(ID, OutputCursor::default()).await?;
    for reader in [&mut waiting, &mut reader] {
        let read = Read::default().finish(&mut **reader).await?;
        let dropped: u64 = read.gaps.iter().map(|(_, _, bytes)| bytes).sum();
        ensure!(dropped == counts.stdout.dropped, "gaps of {dropped} bytes, {:?} counted", counts.stdout);
        ensure!(read.cursor.stdout == TOTAL as u64, "stdout ends at {}, expected {TOTAL}", read.cursor.stdout);
        let kept = read.stdout.len();
        ensure!(kept as u64 == counts.stdout.kept, "{kept} bytes came, {:?} counted", counts.stdout);
        let [(OutputStream::Stdout, offset, _)] = read.gaps[..] else { fail!("the gaps are {:?}", read.gaps) };
        let head = usize::try_from(offset).unwrap_or(0);
        let (head, tail) = read.stdout.split_at(head.min(kept));
        ensure!(head == text(0, head.len()), "the head is not what was printed first");
        ensure!(tail == text(TOTAL - tail.len(), tail.len()), "the tail is not what was printed last");
        let least = LIMIT as usize / 2 - LIMIT as usize / 8;
        ensure!(head.len() >= least && tail.len() >= least, "a head of {}, a tail of {}", head.len(), tail.len());
        ensure!(read.stderr == text(7, 100), "the other stream lost something");
    }
    // A reader who begins inside of what was dropped is told the rest of it.
    let inside = OutputCursor { stdout: LIMIT / 2 + 1000, ..OutputCursor::default() };
    let read = read_all(&*store, inside).await?;
    ensure!(read.cursor.stdout == TOTAL as u64 && read.gaps.len() == 1, "from {inside}: gaps {:?}", read.gaps);
    Ok(())
}

async fn os_04(make: Arc<Made>) -> Proof {
    let store = make().await?;
    ensure_error!(store.read(ID, OutputCursor::default()).await, NotFound, "an id that was never opened");
    store.open(ID, LIMIT).await?;
    ensure_error!(store.read(ExecutionId::from_bits(2), OutputCursor::default()).await, NotFound, "another id");
    Ok(())
}

async fn os_05(make: Arc<Made>) -> Proof {
    let store = make().await?;
    let sink = store.open(ID, LIMIT).await?;
    let mut idle = store.read(ID, OutputCursor::default()).await?;
    let piece = text(0, 32 << 10);
    let write = async {
        for n in 0..1000 {
            sink.append(OutputStream::Stdout, time(n), piece.clone()).await?;
            sink.record(time(n), json!(n)).await?;
        }
        sink.close().await
    };
    let Ok(closed) = tokio::time::timeout(Duration::from_secs(20), write).await else {
        fail!("writing waits while a reader does not read");
    };
    let total = closed?.stdout.total;
    ensure!(total == 1000 * piece.len() as u64, "{total} bytes were counted");
    ensure!(idle.next().await.is_some(), "the idle reader finds nothing when it comes back");
    Ok(())
}

/// A buffer that says how much is held of its kind.
struct Counted(Vec<u8>, Arc<AtomicUsize>);

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.fetch_sub(self.0.len(), Ordering::Relaxed);
    }
}

async fn os_06(make: Arc<Made>) -> Proof {
    let store = make().await?;
    // Long pieces, and short ones that are slices of long buffers.
    for (id, slice) in [(1, 16 << 10), (2, 1)] {
        let held = Arc::new(AtomicUsize::new(0));
        let sink = store.open(ExecutionId::from_bits(id), LIMIT).await?;
        let idle = store.read(ExecutionId::from_bits(id), OutputCursor::default()).await?;
        let mut most = 0;
        for n in 0..4000 {
            let buffer = vec![b'x'; 16 << 10];
            held.fetch_add(buffer.len(), Ordering::Relaxed);
            let bytes = Bytes::from_owner(Counted(buffer, Arc::clone(&held)));
            sink.append(OutputStream::Stdout, time(n), bytes.slice(..slice)).await?;
            drop(bytes);
            most = most.max(held.load(Ordering::Relaxed));
        }
        let bound = 8 * usize::try_from(LIMIT).unwrap_or(0);
        ensure!(most <= bound, "{most} bytes of appended buffers were held, the limit is {LIMIT}");
        drop(idle);
        let counts = sink.close().await?;
        ensure!(counts.stdout.kept <= LIMIT, "kept {:?}, the limit is {LIMIT}", counts.stdout);
        let mut reader = store.read(ExecutionId::from_bits(id), OutputCursor::default()).await?;
        let read = Read::default().finish(&mut *reader).await?;
        let kept = read.stdout.len();
        ensure!(kept as u64 <= LIMIT, "{kept} bytes can be read back, the limit is {LIMIT}");
    }
    Ok(())
}

async fn os_07(make: Arc<Made>) -> Proof {
    for (stdout, stderr) in [(0, 0), (1, 0), (64 << 10, 5), ((64 << 10) + 1, 64 << 10), (1_000_003, 300_000)] {
        let store = make().await?;
        let sink = store.open(ID, LIMIT).await?;
        for (stream, total) in [(OutputStream::Stdout, stdout), (OutputStream::Stderr, stderr)] {
            let mut from = 0;
            while from < total {
                let len = (1 + from % 9000).min(total - from);
                sink.append(stream, time(from), text(from, len)).await?;
                from += len;
            }
        }
        let counts = sink.close().await?;
        ensure!(sink.close().await? == counts, "a second close gave other counts");
        for (count, total) in [(counts.stdout, stdout), (counts.stderr, stderr)] {
            check_count(count, total as u64)?;
        }
        let StreamCounts { stdout, stderr } = counts;
        let read = read_all(&*store, OutputCursor::default()).await?;
        let came = (read.stdout.len() as u64, read.stderr.len() as u64);
        ensure!(came == (stdout.kept, stderr.kept), "{came:?} bytes came, {counts:?} counted");
    }
    Ok(())
}

fn check_count(count: StreamCount, total: u64) -> Proof {
    ensure!(count.total == total, "{count:?} of {total} appended bytes");
    ensure!(count.kept + count.dropped == count.total, "kept and dropped are not the total: {count:?}");
    ensure!(total > LIMIT || count.dropped == 0, "bytes within the limit were dropped: {count:?}");
    Ok(())
}
