//! The log against a model: what each reader gets, what is kept, and what it costs.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use OutputStream::{Stderr, Stdout};

const LIVE_WINDOW: u64 = 256 * 1024;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_micros(millis * 1000)
}

/// Everything that a reader gets from a closed log, without waiting.
async fn drain(reader: &mut LogReader) -> Vec<OutputItem> {
    let mut items = Vec::new();
    while let Some(item) = reader.next().await {
        items.push(item);
    }
    items
}

/// The bytes of one stream, with gaps as dots, and no doubt about the offsets.
#[track_caller]
fn text_of(items: &[OutputItem], wanted: OutputStream, from: u64) -> Vec<u8> {
    let mut text = Vec::new();
    for item in items {
        match item {
            OutputItem::Chunk { stream, offset, bytes, .. } if *stream == wanted => {
                assert_eq!(*offset, from + text.len() as u64, "a gap or a duplicate");
                assert!(!bytes.is_empty() && bytes.len() <= 64 * 1024);
                text.extend_from_slice(bytes);
            }
            OutputItem::Gap { stream, offset, bytes } if *stream == wanted => {
                assert_eq!(*offset, from + text.len() as u64, "a gap or a duplicate");
                assert!(*bytes > 0);
                text.resize(text.len() + *bytes as usize, b'.');
            }
            OutputItem::Chunk { .. } | OutputItem::Gap { .. } | OutputItem::Record { .. } => {}
        }
    }
    text
}

fn chunk(stream: OutputStream, offset: u64, sequence: u64, time: Timestamp, bytes: &'static [u8]) -> OutputItem {
    OutputItem::Chunk { stream, offset, sequence, time, bytes: Bytes::from_static(bytes) }
}

#[tokio::test]
async fn a_late_reader_gets_everything_in_the_order_of_appending() {
    let log = OutputLog::new(1000);
    log.append(Stdout, at(0), b"one\n").expect("open");
    log.append(Stderr, at(20), b"two\n").expect("open");
    log.append(Stdout, at(40), b"@@{}\n").expect("open");
    log.record(at(40), &json!({})).expect("open");
    log.append(Stderr, at(60), b"three\n").expect("open");
    assert_eq!(log.close(), log.close());
    let expected = [
        chunk(Stdout, 0, 0, at(0), b"one\n"),
        chunk(Stderr, 0, 1, at(20), b"two\n"),
        chunk(Stdout, 4, 2, at(40), b"@@{}\n"),
        OutputItem::Record { index: 0, sequence: 3, time: at(40), value: json!({}) },
        chunk(Stderr, 4, 4, at(60), b"three\n"),
    ];
    assert_eq!(drain(&mut log.reader(OutputCursor::default())).await, expected);
    let cursor = "o2-e10-s0".parse().expect("a cursor");
    let mut reader = log.reader(cursor);
    let items = drain(&mut reader).await;
    assert_eq!(text_of(&items, Stdout, 2), b"e\n@@{}\n");
    assert_eq!(items.len(), 3);
    assert_eq!(reader.cursor().to_string(), "o9-e10-s1");
    assert!(drain(&mut log.reader("o99-e99-s99".parse().expect("a cursor"))).await.is_empty());
    assert_eq!(log.append(Stdout, at(0), b"x").expect_err("closed").kind(), ErrorKind::Closed);
    assert_eq!(log.record(at(0), &json!(1)).expect_err("closed").kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn small_pieces_are_put_together_within_ten_milliseconds() {
    let log = OutputLog::new(1000);
    for (millis, bytes) in [(0, b"a"), (5, b"b"), (10, b"c"), (11, b"d"), (30, b"e")] {
        log.append(Stdout, at(millis), bytes).expect("open");
    }
    log.close();
    let items = drain(&mut log.reader(OutputCursor::default())).await;
    let expected =
        [chunk(Stdout, 0, 0, at(0), b"abc"), chunk(Stdout, 3, 1, at(11), b"d"), chunk(Stdout, 4, 2, at(30), b"e")];
    assert_eq!(items, expected);
}

#[tokio::test]
async fn a_live_reader_waits_and_can_be_cancelled() {
    let log = OutputLog::new(1000);
    let mut reader = log.reader(OutputCursor::default());
    for round in 0..100_u64 {
        // A wait that is given up loses nothing.
        assert!(futures_poll_once(reader.next()).await.is_none(), "nothing is there yet");
        log.append(Stdout, at(0), b"x").expect("open");
        let item = reader.next().await.expect("a chunk");
        assert_eq!(item, chunk(Stdout, round, 0, at(0), b"x"));
    }
    let end = tokio::spawn(async move { reader.next().await });
    tokio::task::yield_now().await;
    log.close();
    assert_eq!(end.await.expect("no panic"), None);
}

/// Polls once, then drops the future.
async fn futures_poll_once<T>(future: impl Future<Output = Option<T>>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|context| {
        let polled = future.as_mut().poll(context);
        std::task::Poll::Ready(match polled {
            std::task::Poll::Ready(item) => item,
            std::task::Poll::Pending => None,
        })
    })
    .await
}

#[tokio::test]
async fn beyond_the_limit_head_and_tail_are_kept_and_the_gap_is_exact() {
    let limit = 1_000_000_u64;
    let log = OutputLog::new(limit);
    let all: Vec<u8> = (0..3_000_000_u32).map(|it| b'a' + (it % 26) as u8).collect();
    let mut live = log.reader(OutputCursor::default());
    let mut seen = Vec::new();
    for (round, piece) in all.chunks(70_001).enumerate() {
        log.append(Stdout, at(round as i64 * 20), piece).expect("open");
        while let Some(item) = futures_poll_once(live.next()).await {
            seen.push(item);
        }
    }
    let counts = log.close();
    assert_eq!(text_of(&seen, Stdout, 0), all, "a reader that keeps up gets everything");
    assert_eq!((counts.stdout.total, counts.stdout.kept, counts.stdout.dropped), (3_000_000, limit, 2_000_000));
    let items = drain(&mut log.reader(OutputCursor::default())).await;
    let gaps: Vec<_> = items.iter().filter(|it| matches!(it, OutputItem::Gap { .. })).collect();
    assert_eq!(gaps, [&OutputItem::Gap { stream: Stdout, offset: 500_000, bytes: 2_000_000 }]);
    let text = text_of(&items, Stdout, 0);
    assert_eq!(text[..500_000], all[..500_000]);
    assert_eq!(text[2_500_000..], all[2_500_000..]);
    assert!(log.memory() < 1_200_000, "{}", log.memory());
}

#[tokio::test]
async fn a_reader_that_falls_behind_gets_a_gap_and_nobody_waits() {
    let log = OutputLog::new(0);
    let mut slow = log.reader(OutputCursor::default());
    for piece in 0..100 {
        log.append(Stderr, at(piece), &[b'x'; 64 * 1024]).expect("open");
    }
    let total = 100 * 64 * 1024;
    assert_eq!(slow.next().await, Some(OutputItem::Gap { stream: Stderr, offset: 0, bytes: total - LIVE_WINDOW }));
    assert!(matches!(slow.next().await, Some(OutputItem::Chunk { offset, .. }) if offset == total - LIVE_WINDOW));
    let counts = log.close();
    assert_eq!((counts.stderr.kept, counts.stderr.dropped), (0, total));
    assert!(matches!(slow.next().await, Some(OutputItem::Gap { .. })));
    assert_eq!(slow.next().await, None);
    assert!(log.memory() < 100_000, "{}", log.memory());
}

#[test]
fn millions_of_tiny_writes_cost_their_bytes() {
    let log = OutputLog::new(64 << 20);
    for round in 0..2_000_000_i64 {
        let stream = if round % 2 == 0 { Stdout } else { Stderr };
        // Late ones among them.
        log.append(stream, Timestamp::from_micros(round / 4), b"x").expect("open");
    }
    assert!(log.memory() < 2_200_000, "{}", log.memory());
}

#[test]
fn pieces_that_come_far_apart_are_bounded_too() {
    let log = OutputLog::new(1 << 20);
    for round in 0..300_000 {
        let stream = if round % 2 == 0 { Stdout } else { Stderr };
        log.append(stream, at(round * 1000), b"x").expect("open");
    }
    assert!(log.memory() < 1_000_000, "{}", log.memory());
    for wild in [i64::MIN, i64::MAX, 0] {
        log.append(Stdout, Timestamp::from_micros(wild), b"x").expect("open");
    }
}

#[tokio::test]
async fn records_are_bounded_by_number_and_size() {
    let log = OutputLog::new(1000);
    for _ in 0..MAX_RECORDS + 10 {
        log.record(at(0), &json!({ "a": 1 })).expect("open");
    }
    log.close();
    assert_eq!(drain(&mut log.reader(OutputCursor::default())).await.len(), MAX_RECORDS);
    let log = OutputLog::new(1000);
    for _ in 0..20 {
        log.record(at(0), &json!({ "a": "x".repeat(1 << 20) })).expect("open");
    }
    log.close();
    assert_eq!(drain(&mut log.reader(OutputCursor::default())).await.len(), 15);
}

#[derive(Clone, Debug)]
enum Step {
    Append(bool, usize, i64),
    Record,
    Read(usize),
    Join,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (any::<bool>(), prop_oneof![0..20usize, 60_000..140_000usize], 0..30i64).prop_map(|(a, b, c)| Step::Append(a, b, c)),
        1 => Just(Step::Record),
        3 => (0..4usize).prop_map(Step::Read),
        1 => Just(Step::Join),
    ];
    prop::collection::vec(step, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn every_reader_gets_every_byte_or_its_gap(limit in prop_oneof![0..100u64, 100_000..400_000u64], steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let log = OutputLog::new(limit);
            let (mut written, mut records, mut now) = ([Vec::new(), Vec::new()], 0, 0);
            let mut readers = vec![(log.reader(OutputCursor::default()), Vec::new())];
            for step in steps {
                match step {
                    Step::Append(stderr, size, wait) => {
                        now += wait;
                        let piece: Vec<u8> = (0..size).map(|it| b'a' + (it % 23) as u8).collect();
                        log.append(if stderr { Stderr } else { Stdout }, at(now), &piece).expect("open");
                        written[usize::from(stderr)].extend(piece);
                    }
                    Step::Record => {
                        log.record(at(now), &json!({ "n": records })).expect("open");
                        records += 1;
                    }
                    Step::Read(count) => {
                        for (reader, items) in &mut readers {
                            for _ in 0..count {
                                items.extend(futures_poll_once(reader.next()).await);
                            }
                        }
                    }
                    Step::Join => readers.push((log.reader(OutputCursor::default()), Vec::new())),
                }
                prop_assert!(log.memory() as u64 <= 2 * (limit + LIVE_WINDOW + 64 * 1024) + 500_000, "{}", log.memory());
            }
            let counts = log.close();
            readers.push((log.reader(OutputCursor::default()), Vec::new()));
            for (reader, mut items) in readers {
                // Resumed by its cursor's text, as a client does.
                let cursor = reader.cursor().to_string().parse().expect("a cursor");
                items.extend(drain(&mut log.reader(cursor)).await);
                for (index, stream) in [Stdout, Stderr].into_iter().enumerate() {
                    let text = text_of(&items, stream, 0);
                    prop_assert_eq!(text.len(), written[index].len());
                    let wrong = text.iter().zip(&written[index]).filter(|(got, put)| **got != b'.' && got != put).count();
                    prop_assert_eq!(wrong, 0);
                    let missing = text.iter().filter(|it| **it == b'.').count() as u64;
                    let count = [counts.stdout, counts.stderr][index];
                    prop_assert_eq!(count.kept + count.dropped, count.total);
                    prop_assert_eq!(count.total, written[index].len() as u64);
                    prop_assert!(missing <= count.dropped);
                }
                let found: Vec<u64> = items.iter().filter_map(|it| match it {
                    OutputItem::Record { index, value, .. } => { assert_eq!(value, &json!({ "n": index })); Some(*index) }
                    OutputItem::Chunk { .. } | OutputItem::Gap { .. } => None,
                }).collect();
                prop_assert_eq!(found, (0..records).collect::<Vec<u64>>());
            }
            Ok(())
        })?;
    }
}
