//! What is kept of one stream: everything up to a limit, beyond it head and tail, in blocks.

use std::collections::VecDeque;

use bytes::Bytes;

use super::item::{OutputItem, StreamCount};
use crate::Timestamp;
use crate::contract::OutputStream;

/// The size to which small pieces are put together.
const BLOCK: usize = 64 * 1024;
/// Pieces of one stream are put together if they come within this time: precise enough for people, and it bounds
/// how many blocks there are.
const MERGE_MICROS: u64 = 10_000;
/// The bytes after the head that are kept while the stream goes on, whatever the limit: for readers that follow.
/// More than a block, so that the growing block is never cut.
const LIVE_WINDOW: u64 = 256 * 1024;
/// One block for so many bytes of the limit; with more, pieces are put together whenever they come.
const BYTES_PER_BLOCK: u64 = 512;

#[derive(Debug)]
pub(super) struct Retention {
    limit: u64,
    head_limit: u64,
    tail_limit: u64,
    max_blocks: usize,
    /// Blocks before `head_limit`. Never dropped.
    head: VecDeque<Block<Bytes>>,
    /// Blocks after it, without gap from `tail_start` on; the first may begin before that.
    tail: VecDeque<Block<Bytes>>,
    tail_start: u64,
    /// The last block. It does not reach over `head_limit`.
    growing: Option<Block<Vec<u8>>>,
    /// The memory of the block that was dropped last, for the next one: while a long stream goes by nothing is
    /// allocated, which an allocator that serves several threads would answer with more memory than is kept.
    spare: Vec<u8>,
    total: u64,
}

#[derive(Debug)]
struct Block<T> {
    offset: u64,
    sequence: u64,
    time: Timestamp,
    bytes: T,
}

/// What stands at a position. `sequence` decides which stream is read first.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) sequence: u64,
    pub(super) item: OutputItem,
}

impl Retention {
    pub(super) fn new(limit: u64) -> Self {
        let head_limit = limit / 2;
        Self {
            limit,
            head_limit,
            tail_limit: (limit - head_limit).max(LIVE_WINDOW),
            max_blocks: usize::try_from(limit / BYTES_PER_BLOCK).unwrap_or(usize::MAX).saturating_add(1024),
            head: VecDeque::new(),
            tail: VecDeque::new(),
            tail_start: head_limit,
            growing: None,
            spare: Vec::new(),
            total: 0,
        }
    }

    pub(super) fn append(&mut self, time: Timestamp, bytes: &[u8], next_sequence: &mut u64) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let crowded = self.head.len() + self.tail.len() >= self.max_blocks;
            if self.growing.as_ref().is_some_and(|it| !crowded && !it.is_near(time)) {
                self.freeze();
            }
            let to_border = if self.total < self.head_limit { self.head_limit - self.total } else { u64::MAX };
            let room = BLOCK.min(usize::try_from(to_border).unwrap_or(BLOCK));
            let growing = self.growing.get_or_insert_with(|| {
                let mut bytes = std::mem::take(&mut self.spare);
                bytes.reserve(rest.len().min(room));
                let block = Block { offset: self.total, sequence: *next_sequence, time, bytes };
                *next_sequence += 1;
                block
            });
            let (now, later) = rest.split_at((BLOCK - growing.bytes.len()).min(room).min(rest.len()));
            growing.bytes.extend_from_slice(now);
            let is_full = growing.bytes.len() == BLOCK;
            self.total += now.len() as u64;
            if is_full || self.total == self.head_limit {
                self.freeze();
            }
            rest = later;
            self.trim();
        }
    }

    /// No more bytes come: cuts what was kept for readers that follow only.
    pub(super) fn close(&mut self) {
        self.freeze();
        self.tail_limit = self.limit - self.head_limit;
        self.trim();
        self.spare = Vec::new();
    }

    pub(super) fn count(&self) -> StreamCount {
        let kept = self.total.min(self.limit);
        StreamCount { total: self.total, kept, dropped: self.total - kept }
    }

    pub(super) fn memory(&self) -> usize {
        let blocks = (self.head.capacity() + self.tail.capacity()) * size_of::<Block<Bytes>>();
        let bytes: usize = self.head.iter().chain(&self.tail).map(|it| it.bytes.len()).sum();
        blocks + bytes + self.growing.as_ref().map_or(0, |it| it.bytes.capacity()) + self.spare.capacity()
    }

    /// What stands at a position, up to the end of its block, or the gap there.
    pub(super) fn at(&self, stream: OutputStream, position: u64) -> Option<Found> {
        if position >= self.total {
            return None;
        }
        if let Some(growing) = self.growing.as_ref().filter(|it| it.offset <= position) {
            let bytes = &growing.bytes[usize::try_from(position - growing.offset).ok()?..];
            return Some(growing.found(stream, position, Bytes::copy_from_slice(bytes)));
        }
        if (self.head_limit..self.tail_start).contains(&position) {
            let next = self.tail.front().map(|it| it.sequence).or(self.growing.as_ref().map(|it| it.sequence));
            let item = OutputItem::Gap { stream, offset: position, bytes: self.tail_start - position };
            return Some(Found { sequence: next.unwrap_or(u64::MAX), item });
        }
        let blocks = if position < self.head_limit { &self.head } else { &self.tail };
        let block = blocks.get(blocks.partition_point(|it| it.offset <= position).checked_sub(1)?)?;
        let bytes = block.bytes.slice(usize::try_from(position - block.offset).ok()?..);
        Some(block.found(stream, position, bytes))
    }

    fn freeze(&mut self) {
        if let Some(Block { offset, sequence, time, bytes }) = self.growing.take() {
            let blocks = if offset < self.head_limit { &mut self.head } else { &mut self.tail };
            blocks.push_back(Block { offset, sequence, time, bytes: bytes.into_boxed_slice().into() });
        }
    }

    fn trim(&mut self) {
        let start = self.total.saturating_sub(self.tail_limit);
        if start <= self.tail_start {
            return;
        }
        self.tail_start = start;
        while self.tail.front().is_some_and(|it| it.offset + it.bytes.len() as u64 <= start) {
            let dropped = self.tail.pop_front().map(|it| it.bytes);
            if let Some(bytes) = dropped.filter(|it| it.len() == BLOCK && it.is_unique()) {
                self.spare = bytes.into();
                self.spare.clear();
            }
        }
    }
}

impl<T> Block<T> {
    fn is_near(&self, time: Timestamp) -> bool {
        time.as_micros().abs_diff(self.time.as_micros()) <= MERGE_MICROS
    }

    fn found(&self, stream: OutputStream, position: u64, bytes: Bytes) -> Found {
        let item = OutputItem::Chunk { stream, offset: position, sequence: self.sequence, time: self.time, bytes };
        Found { sequence: self.sequence, item }
    }
}
