//! The whole way: masked before everything else, accounted for, whatever the sink does.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::contract::OutputReader;
use crate::output::{OutputCursor, OutputItem, OutputLog};
use OutputStream::{Stderr, Stdout};

fn now() -> Timestamp {
    Timestamp::from_micros(0)
}

async fn stored(log: &OutputLog, wanted: OutputStream) -> Vec<u8> {
    let mut reader = log.reader(OutputCursor::default());
    let mut all = Vec::new();
    while let Some(item) = reader.next().await {
        if let OutputItem::Chunk { stream, bytes, .. } = item
            && stream == wanted
        {
            all.extend_from_slice(&bytes);
        }
    }
    all
}

#[tokio::test]
async fn what_a_script_prints_reaches_every_end_masked() {
    let log = OutputLog::new(1 << 20);
    let masker = SecretMasker::new(["hunter2"]).expect("maskable");
    let mut pipeline = OutputPipeline::new(Arc::new(log.clone()), &masker, PipelineSettings::default());
    pipeline.push(Stdout, now(), Bytes::from_static(b"@@{\"key\":\"hun")).await.expect("the sink takes it");
    pipeline.push(Stderr, now(), Bytes::from_static(b"ter2 hunter")).await.expect("the sink takes it");
    pipeline
        .push(Stdout, now(), Bytes::from_static(b"ter2\"}\n{\"result\":\"hunter2\"}\n@@{\"n\":"))
        .await
        .expect("the sink takes it");
    pipeline.push(Stdout, now(), Bytes::from_static(b"NaN}\n@@{\"last\":1}")).await.expect("the sink takes it");
    assert_eq!(pipeline.received(Stderr), 11);
    let end = pipeline.finish().await;
    assert!(end.sink_error.is_none());
    assert_eq!(end.record.structured, [json!({ "key": "***" }), json!({ "last": 1 })]);
    assert_eq!(end.malformed_records, 1);
    assert_eq!(end.last_line.as_deref(), Some(&b"@@{\"last\":1}"[..]));
    let expected = b"@@{\"key\":\"***\"}\n{\"result\":\"***\"}\n@@{\"n\":NaN}\n@@{\"last\":1}";
    assert_eq!(end.record.stdout.bytes, &expected[..]);
    assert_eq!(end.record.stderr.bytes, &b"ter2 hunter"[..]);
    assert_eq!(stored(&log, Stdout).await, expected);
    assert_eq!(end.counts.stdout.total, expected.len() as u64);
    assert!(!end.record.stdout.truncated);
}

#[tokio::test]
async fn masking_comes_before_cutting() {
    // The cut of the view and of the log would go through the secret.
    let secret = "s3cr3t".repeat(10);
    let log = OutputLog::new(100_000);
    let mut pipeline = OutputPipeline::new(
        Arc::new(log.clone()),
        &SecretMasker::new([&secret]).expect("maskable"),
        PipelineSettings::default(),
    );
    for _ in 0..60_000 {
        pipeline.push(Stdout, now(), Bytes::from(format!("{secret} "))).await.expect("the sink takes it");
    }
    pipeline.push(Stdout, now(), Bytes::from("x".repeat(4 << 20))).await.expect("the sink takes it");
    let end = pipeline.finish().await;
    assert!(end.record.stdout.truncated && end.counts.stdout.dropped > 0);
    let shown = String::from_utf8_lossy(&end.record.stdout.bytes).into_owned();
    assert!(!shown.contains("s3cr3t") && shown.contains("bytes dropped"));
    assert!(!String::from_utf8_lossy(&stored(&log, Stdout).await).contains("s3cr3t"));
}

#[tokio::test]
async fn records_beyond_the_bounds_are_counted() {
    let log = OutputLog::new(1000);
    let mut pipeline = OutputPipeline::new(Arc::new(log), &SecretMasker::default(), PipelineSettings::default());
    pipeline.push(Stdout, now(), Bytes::from("@@{}\n".repeat(MAX_RECORDS + 7))).await.expect("the sink takes it");
    let end = pipeline.finish().await;
    assert_eq!((end.record.structured.len(), end.record.structured_dropped), (MAX_RECORDS, 7));
    let few = PipelineSettings { view_bytes: 4, max_structured: 2 };
    let mut pipeline = OutputPipeline::new(Arc::new(OutputLog::new(1000)), &SecretMasker::default(), few);
    pipeline.push(Stdout, now(), Bytes::from_static(b"@@{}\n@@{}\n@@{}\n")).await.expect("the sink takes it");
    let end = pipeline.finish().await;
    assert_eq!((end.record.structured.len(), end.record.structured_dropped), (2, 1));
    assert_eq!(end.record.stdout.bytes, &b"@@\n[... 11 bytes dropped ...]\n}\n"[..]);
    // Text that becomes much larger as values.
    let log = OutputLog::new(1000);
    let mut pipeline = OutputPipeline::new(Arc::new(log), &SecretMasker::default(), PipelineSettings::default());
    let large = format!("@@{{\"a\":[{}0]}}\n", "0,".repeat(100_000));
    for _ in 0..10 {
        pipeline.push(Stdout, now(), Bytes::from(large.clone())).await.expect("the sink takes it");
    }
    let end = pipeline.finish().await;
    assert_eq!((end.record.structured.len(), end.record.structured_dropped), (2, 8));
}

#[derive(Debug)]
struct FailingSink;

#[async_trait::async_trait]
impl OutputSink for FailingSink {
    async fn append(&self, _: OutputStream, _: Timestamp, _: Bytes) -> Result<()> {
        Err(Error::internal("the disk is full"))
    }

    async fn record(&self, _: Timestamp, _: Value) -> Result<()> {
        Err(Error::internal("not reached"))
    }

    async fn close(&self) -> Result<StreamCounts> {
        Err(Error::internal("not even closed"))
    }
}

#[tokio::test]
async fn a_sink_that_fails_costs_the_record_nothing() {
    let mut pipeline =
        OutputPipeline::new(Arc::new(FailingSink), &SecretMasker::default(), PipelineSettings::default());
    let failed = pipeline.push(Stdout, now(), Bytes::from_static(b"@@")).await.expect_err("the sink fails");
    assert_eq!(failed.to_string(), "the disk is full");
    pipeline.push(Stdout, now(), Bytes::from_static(b"{}\nend")).await.expect("the sink is left alone");
    let end = pipeline.finish().await;
    assert_eq!(end.sink_error.map(|it| it.to_string()).as_deref(), Some("not even closed"));
    assert_eq!(end.record.stdout.bytes, &b"@@{}\nend"[..]);
    assert_eq!((end.record.structured.len(), end.record.stdout.dropped), (1, 8));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_in_any_pieces_are_accounted_for(
        pieces in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..300)), 0..20),
        limit in 0..500u64,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let log = OutputLog::new(limit);
            let mut pipeline = OutputPipeline::new(Arc::new(log.clone()), &SecretMasker::new([[7, 7, 7, 7]]).expect("maskable"), PipelineSettings::default());
            let mut sizes = [0, 0];
            for (stderr, bytes) in pieces {
                sizes[usize::from(stderr)] += bytes.len() as u64;
                pipeline.push(if stderr { Stderr } else { Stdout }, now(), bytes.into()).await.expect("the sink takes it");
            }
            let end = pipeline.finish().await;
            for (count, size) in [(end.counts.stdout, sizes[0]), (end.counts.stderr, sizes[1])] {
                prop_assert_eq!(count.total, size);
                prop_assert_eq!(count.kept + count.dropped, size);
            }
            prop_assert_eq!(stored(&log, Stdout).await.len() as u64, end.counts.stdout.kept);
            Ok(())
        })?;
    }
}
