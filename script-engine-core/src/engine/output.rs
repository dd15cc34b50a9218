//! The engine's side of the output pipeline: what is printed goes through it once, and what a record
//! keeps comes out at the end.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;

use crate::contract::{OutputReader, OutputSink, OutputStream};
use crate::output::{OutputItem, OutputPipeline, PipelineSettings, ResultFile, SecretMasker, decide_result};
use crate::{Fault, OnOutputLimit, Outcome, OutputRecord, Result, Settings, Timestamp};

/// Takes one execution's output.
#[derive(Debug)]
pub(super) struct OutputCollector {
    pipeline: OutputPipeline,
    masker: Arc<SecretMasker>,
    stop_at: Option<u64>,
}

/// What a record keeps of it.
#[derive(Debug)]
pub(super) struct CollectedOutput {
    pub(super) record: OutputRecord,
    pub(super) result: Option<Value>,
    pub(super) notes: Vec<String>,
}

impl OutputCollector {
    pub(super) fn new(
        sink: Arc<dyn OutputSink>,
        masker: SecretMasker,
        settings: &Settings,
        limit: u64,
        on_limit: OnOutputLimit,
    ) -> Self {
        let pipeline = OutputPipeline::new(
            sink,
            &masker,
            PipelineSettings { view_bytes: settings.record_view_bytes, max_structured: settings.max_structured },
        );
        Self { pipeline, masker: Arc::new(masker), stop_at: (on_limit == OnOutputLimit::Stop).then_some(limit) }
    }

    /// Takes bytes. `false` says that the script printed more than it may.
    pub(super) async fn push(&mut self, stream: OutputStream, time: Timestamp, bytes: Bytes) -> Result<bool> {
        self.pipeline.push(stream, time, bytes).await?;
        Ok(self.stop_at.is_none_or(|limit| self.pipeline.received(stream) <= limit))
    }

    /// Masks what an outcome says in words.
    pub(super) fn masked_outcome(&self, outcome: Outcome) -> Outcome {
        match outcome {
            Outcome::EngineFault(fault) => {
                Outcome::EngineFault(Fault { message: self.masker.mask_str(&fault.message), ..fault })
            }
            other => other,
        }
    }

    /// Closes the output and gives what a record keeps; `result_file` is what the script left as its
    /// result, or why that could not be had.
    pub(super) async fn finish(self, result_file: Result<Option<Bytes>>) -> CollectedOutput {
        let summary = self.pipeline.finish().await;
        let mut notes: Vec<String> = summary.sink_error.iter().map(|it| format!("output was not kept: {it}")).collect();
        if summary.malformed_records > 0 {
            notes.push(format!("{} lines began with @@ and held no JSON object", summary.malformed_records));
        }
        let masked = result_file.map(|it| it.map(|content| self.masker.mask_once(&content)));
        let refused = masked.as_ref().err().map(ToString::to_string).unwrap_or_default();
        let file = match &masked {
            Ok(None) => ResultFile::Missing,
            Ok(Some(content)) => ResultFile::Content(content),
            Err(_) => ResultFile::Refused(&refused),
        };
        let decided = decide_result(file, summary.last_line.as_deref());
        notes.extend(decided.note.map(|it| self.masker.mask_str(&it)));
        let result = decided.value.map(|it| self.masker.mask_json(&it));
        CollectedOutput { record: summary.record, result, notes }
    }
}

/// The output of an execution that ended before it could print.
#[derive(Debug)]
pub(super) struct EmptyOutput;

#[async_trait]
impl OutputReader for EmptyOutput {
    async fn next(&mut self) -> Option<OutputItem> {
        None
    }
}
