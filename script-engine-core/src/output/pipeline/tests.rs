//! The whole way: masked before everything else, accounted for, whatever the sink does.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::Result;
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
    let mut pipeline = OutputPipeline::new(Arc::new(log.clone()), &masker);
    pipeline.push(Stdout, now(), Bytes::from_static(b"@@{\"key\":\"hun")).await;
    pipeline.push(Stderr, now(), Bytes::from_static(b"ter2 hunter")).await;
    pipeline.push(Stdout, now(), Bytes::from_static(b"ter2\"}\n{\"result\":\"hunter2\"}\n@@{\"n\":")).await;
    pipeline.push(Stdout, now(), Bytes::from_static(b"NaN}\n@@{\"last\":1}")).await;
    assert_eq!(pipeline.received(Stderr), 11);
    let end = pipeline.finish(now()).await;
    assert!(end.sink_error.is_none());
    assert_eq!(end.output.structured, [json!({ "key": "***" }), json!({ "last": 1 })]);
    assert_eq!(end.malformed_records, 1);
    assert_eq!(end.last_line.as_deref(), Some(&b"@@{\"last\":1}"[..]));
    let expected = b"@@{\"key\":\"***\"}\n{\"result\":\"***\"}\n@@{\"n\":NaN}\n@@{\"last\":1}";
    assert_eq!(end.output.stdout.bytes, &expected[..]);
    assert_eq!(end.output.stderr.bytes, &b"ter2 hunter"[..]);
    assert_eq!(stored(&log, Stdout).await, expected);
    assert_eq!(end.counts.stdout.total, expected.len() as u64);
    assert!(!end.output.stdout.truncated);
}

#[tokio::test]
async fn masking_comes_before_cutting() {
    // The cut of the view and of the log would go through the secret.
    let secret = "s3cr3t".repeat(10);
    let log = OutputLog::new(100_000);
    let mut pipeline = OutputPipeline::new(Arc::new(log.clone()), &SecretMasker::new([&secret]).expect("maskable"));
    for _ in 0..60_000 {
        pipeline.push(Stdout, now(), Bytes::from(format!("{secret} "))).await;
    }
    pipeline.push(Stdout, now(), Bytes::from("x".repeat(4 << 20))).await;
    let end = pipeline.finish(now()).await;
    assert!(end.output.stdout.truncated && end.counts.stdout.dropped > 0);
    let shown = String::from_utf8_lossy(&end.output.stdout.bytes).into_owned();
    assert!(!shown.contains("s3cr3t") && shown.contains("bytes dropped"));
    assert!(!String::from_utf8_lossy(&stored(&log, Stdout).await).contains("s3cr3t"));
}

#[tokio::test]
async fn records_beyond_the_bounds_are_counted() {
    let log = OutputLog::new(1000);
    let mut pipeline = OutputPipeline::new(Arc::new(log), &SecretMasker::default());
    pipeline.push(Stdout, now(), Bytes::from("@@{}\n".repeat(MAX_RECORDS + 7))).await;
    let end = pipeline.finish(now()).await;
    assert_eq!((end.output.structured.len(), end.output.structured_dropped), (MAX_RECORDS, 7));
    // Text that becomes much larger as values.
    let log = OutputLog::new(1000);
    let mut pipeline = OutputPipeline::new(Arc::new(log), &SecretMasker::default());
    let large = format!("@@{{\"a\":[{}0]}}\n", "0,".repeat(100_000));
    for _ in 0..10 {
        pipeline.push(Stdout, now(), Bytes::from(large.clone())).await;
    }
    let end = pipeline.finish(now()).await;
    assert_eq!((end.output.structured.len(), end.output.structured_dropped), (2, 8));
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
        Err(Error::internal("not the first"))
    }
}

#[tokio::test]
async fn a_sink_that_fails_costs_the_record_nothing() {
    let mut pipeline = OutputPipeline::new(Arc::new(FailingSink), &SecretMasker::default());
    pipeline.push(Stdout, now(), Bytes::from_static(b"@@{}\nend")).await;
    let end = pipeline.finish(now()).await;
    assert_eq!(end.sink_error.map(|it| it.to_string()).as_deref(), Some("the disk is full"));
    assert_eq!(end.output.stdout.bytes, &b"@@{}\nend"[..]);
    assert_eq!((end.output.structured.len(), end.output.stdout.dropped), (1, 8));
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
            let mut pipeline = OutputPipeline::new(Arc::new(log.clone()), &SecretMasker::new([[7, 7, 7, 7]]).expect("maskable"));
            let mut sizes = [0, 0];
            for (stderr, bytes) in pieces {
                sizes[usize::from(stderr)] += bytes.len() as u64;
                pipeline.push(if stderr { Stderr } else { Stdout }, now(), bytes.into()).await;
            }
            let end = pipeline.finish(now()).await;
            for (count, size) in [(end.counts.stdout, sizes[0]), (end.counts.stderr, sizes[1])] {
                prop_assert_eq!(count.total, size);
                prop_assert_eq!(count.kept + count.dropped, size);
            }
            prop_assert_eq!(stored(&log, Stdout).await.len() as u64, end.counts.stdout.kept);
            Ok(())
        })?;
    }
}
