//! The way of a script's bytes: masked first, then into the record's view, the sink, and the readers of records
//! and results.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use super::item::{StreamCount, StreamCounts};
use super::log::{MAX_RECORDS, MAX_RECORDS_BYTES};
use super::mask::{MaskStream, SecretMasker};
use super::result::LastLine;
use super::structured::RecordScanner;
use super::view::{VIEW_BYTES, View, ViewBytes};
use crate::contract::{OutputSink, OutputStream};
use crate::{Error, OutputRecord, Result, StreamRecord, Timestamp};

/// What a value takes in memory beside its text, roughly: it decides how many records are kept.
const VALUE_BYTES: usize = 64;

/// The output of one execution on its way. One execution has one; its memory is bounded by its parts.
#[derive(Debug)]
pub struct OutputPipeline {
    sink: Arc<dyn OutputSink>,
    max_structured: usize,
    stdout: Channel,
    stderr: Channel,
    scanner: RecordScanner,
    last_line: LastLine,
    records: Vec<Value>,
    record_bytes: usize,
    records_dropped: u64,
    sink_works: bool,
}

#[derive(Debug)]
struct Channel {
    mask: MaskStream,
    view: View,
    received: u64,
    /// When its last bytes were printed.
    last: Timestamp,
}

/// How much of the output the execution's record keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PipelineSettings {
    /// Bytes of each stream.
    pub view_bytes: usize,
    /// Structured records; at most [`MAX_RECORDS`].
    pub max_structured: usize,
}

impl Default for PipelineSettings {
    fn default() -> Self {
        Self { view_bytes: VIEW_BYTES, max_structured: MAX_RECORDS }
    }
}

/// What is left when both streams have ended.
#[derive(Debug, Default)]
pub struct PipelineEnd {
    /// What the execution's record keeps.
    pub record: OutputRecord,
    /// What the sink counted.
    pub counts: StreamCounts,
    /// The last line of stdout that is not blank, masked, unless it is too long to be a result.
    pub last_line: Option<Vec<u8>>,
    /// Lines that looked like structured records and were none.
    pub malformed_records: u64,
    /// Why the sink did not get the end of the output, if it did not.
    pub sink_error: Option<Error>,
}

impl OutputPipeline {
    /// Begins the output of an execution.
    #[must_use]
    pub fn new(sink: Arc<dyn OutputSink>, masker: &SecretMasker, settings: PipelineSettings) -> Self {
        let begun = Timestamp::from_micros(0);
        let channel =
            || Channel { mask: masker.stream(), view: View::new(settings.view_bytes), received: 0, last: begun };
        Self {
            sink,
            max_structured: settings.max_structured.min(MAX_RECORDS),
            stdout: channel(),
            stderr: channel(),
            scanner: RecordScanner::default(),
            last_line: LastLine::default(),
            records: Vec::new(),
            record_bytes: 0,
            records_dropped: 0,
            sink_works: true,
        }
    }

    /// Takes what the script printed.
    ///
    /// Fails when the sink does, once: from then on the sink gets nothing more, but the record still gets everything.
    /// Not cancel-safe: bytes may have reached the record and not the sink.
    pub async fn push(&mut self, stream: OutputStream, time: Timestamp, bytes: Bytes) -> Result<()> {
        let channel = self.channel(stream);
        channel.received += bytes.len() as u64;
        channel.last = time;
        let masked = channel.mask.push(bytes);
        self.pass_on(stream, time, masked).await
    }

    /// Bytes of a stream that the script printed, before masking.
    #[must_use]
    pub fn received(&self, stream: OutputStream) -> u64 {
        match stream {
            OutputStream::Stdout => self.stdout.received,
            OutputStream::Stderr => self.stderr.received,
        }
    }

    /// Ends both streams and closes the sink.
    pub async fn finish(mut self) -> PipelineEnd {
        let mut sink_error = None;
        for stream in [OutputStream::Stdout, OutputStream::Stderr] {
            let channel = self.channel(stream);
            let (held, time) = (channel.mask.finish(), channel.last);
            sink_error = sink_error.or(self.pass_on(stream, time, held).await.err());
        }
        let last: Vec<Value> = self.scanner.finish().into_iter().collect();
        sink_error = sink_error.or(self.send_records(self.stdout.last, last).await.err());
        let closed = self.sink.close().await;
        let (stdout, stderr) = (self.stdout.view.finish(), self.stderr.view.finish());
        let counts = closed.unwrap_or_else(|error| {
            sink_error.get_or_insert(error);
            StreamCounts { stdout: nothing_kept(&stdout), stderr: nothing_kept(&stderr) }
        });
        PipelineEnd {
            record: OutputRecord {
                stdout: stream_record(stdout, counts.stdout.dropped),
                stderr: stream_record(stderr, counts.stderr.dropped),
                structured: self.records,
                structured_dropped: self.records_dropped,
            },
            counts,
            last_line: self.last_line.get().map(<[u8]>::to_vec),
            malformed_records: self.scanner.malformed(),
            sink_error,
        }
    }

    async fn pass_on(&mut self, stream: OutputStream, time: Timestamp, masked: Bytes) -> Result<()> {
        if masked.is_empty() {
            return Ok(());
        }
        self.channel(stream).view.push(&masked);
        let mut records = Vec::new();
        if stream == OutputStream::Stdout {
            self.last_line.push(&masked);
            records = self.scanner.push(&masked);
        }
        let appended = if self.sink_works { self.sink.append(stream, time, masked).await } else { Ok(()) };
        self.sink_works &= appended.is_ok();
        appended.and(self.send_records(time, records).await)
    }

    async fn send_records(&mut self, time: Timestamp, records: Vec<Value>) -> Result<()> {
        let mut sent = Ok(());
        for value in records {
            let weight = weight(&value);
            if self.records.len() == self.max_structured || self.record_bytes + weight > MAX_RECORDS_BYTES {
                self.records_dropped += 1;
                continue;
            }
            self.record_bytes += weight;
            self.records.push(value.clone());
            if self.sink_works {
                sent = self.sink.record(time, value).await;
                self.sink_works &= sent.is_ok();
            }
        }
        sent
    }

    fn channel(&mut self, stream: OutputStream) -> &mut Channel {
        match stream {
            OutputStream::Stdout => &mut self.stdout,
            OutputStream::Stderr => &mut self.stderr,
        }
    }
}

fn nothing_kept(view: &ViewBytes) -> StreamCount {
    StreamCount { total: view.total, kept: 0, dropped: view.total }
}

fn stream_record(view: ViewBytes, dropped: u64) -> StreamRecord {
    StreamRecord { bytes: view.bytes.into(), total: view.total, dropped, truncated: view.truncated }
}

fn weight(value: &Value) -> usize {
    VALUE_BYTES
        + match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(weight).sum(),
            Value::Object(map) => map.iter().map(|(name, it)| VALUE_BYTES + name.len() + weight(it)).sum(),
        }
}

#[cfg(test)]
mod tests;
