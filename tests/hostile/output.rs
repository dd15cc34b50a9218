//! Scripts that print too much, print what is no text, imitate the engine, or leave their streams.

use std::time::{Duration, Instant};

use bytes::Bytes;
use script_engine_core::contract::OutputStream;
use script_engine_core::output::{OutputCursor, OutputItem};
use script_engine_core::wire::{FromAgent, Stream};
use script_engine_core::{BrokenLimit, Exit, LimitOverrides, OnOutputLimit, Outcome, Stdin};

use crate::bench::{Bench, ends, ends_by_itself, prints, stdout, story};
use crate::case::{Hostile, cases};
use crate::flood;

pub(crate) fn cases() -> Vec<Hostile> {
    cases![
        one_gigabyte_without_newline,
        ten_million_lines,
        one_byte_at_a_time,
        both_streams_flooded,
        output_limit_stops,
        slow_reader,
        every_byte,
        terminal_sequences,
        fake_frames,
        fake_records,
        hostile_results,
        closed_streams,
        stdin_never_read,
        stdin_given_away,
    ]
}

const MIB: u64 = 1 << 20;
const SECOND: Duration = Duration::from_secs(1);

/// An engine in a process of its own carries 1 GiB; its memory tells.
async fn one_gigabyte_without_newline(bench: &Bench) {
    let grown = flood::measure(bench.who).await;
    assert!(grown < 100 * MIB, "the engine grew by {} MiB", grown / MIB);
}

async fn ten_million_lines(bench: &Bench) {
    let record = bench.bash("yes | head -n 10000000").await;
    ends(&record, &Outcome::Succeeded);
    let stdout = &record.ending.unwrap().output.stdout;
    assert_eq!((stdout.total, stdout.dropped, stdout.truncated), (20_000_000, 0, true));
    assert!(stdout.bytes.starts_with(b"y\ny\n") && stdout.bytes.ends_with(b"y\ny\n"));
}

async fn one_byte_at_a_time(bench: &Bench) {
    let source = "
import os
for i in range(200_000):
    os.write(1 + i % 2, b'ab'[i % 2:i % 2 + 1])
";
    let record = bench.python(source).await;
    ends(&record, &Outcome::Succeeded);
    let output = record.ending.unwrap().output;
    assert_eq!(output.stdout.bytes, vec![b'a'; 100_000]);
    assert_eq!(output.stderr.bytes, vec![b'b'; 100_000]);
}

async fn both_streams_flooded(bench: &Bench) {
    let record = bench.bash("yes out | head -c 50m & yes err | head -c 50m >&2; wait").await;
    ends(&record, &Outcome::Succeeded);
    let output = record.ending.unwrap().output;
    assert_eq!((output.stdout.total, output.stderr.total), (50 * MIB, 50 * MIB));
}

async fn output_limit_stops(bench: &Bench) {
    let overrides = LimitOverrides { output_bytes: Some(MIB), ..LimitOverrides::default() };
    let begin = Instant::now();
    let id = bench
        .submit("bash", "trap '' TERM; yes; sleep 1000", |mut request| {
            request.on_output_limit = OnOutputLimit::Stop;
            request.with_limits(overrides)
        })
        .await;
    ends(&bench.end(id).await, &Outcome::LimitExceeded(BrokenLimit::Output));
    assert!(begin.elapsed() < 20 * SECOND, "{:?}", begin.elapsed());
}

/// A reader that takes nothing holds up neither the script nor another reader, and finds out what it missed.
async fn slow_reader(bench: &Bench) {
    let overrides = LimitOverrides { output_bytes: Some(MIB), ..LimitOverrides::default() };
    let source = "read -r _; yes | head -c 20m";
    let id = bench.submit("bash", source, |it| it.with_limits(overrides).with_stdin(Stdin::Open)).await;
    let mut slow = bench.engine.output(id, OutputCursor::default()).await.unwrap();
    let abandoned = bench.engine.output(id, OutputCursor::default()).await.unwrap();
    bench.engine.write_stdin(id, Bytes::from_static(b"go\n")).await.unwrap();
    let record = bench.end(id).await;
    drop(abandoned);
    ends(&record, &Outcome::Succeeded);
    let (mut got, mut missed) = (0, 0);
    while let Some(item) = slow.next().await {
        match item {
            OutputItem::Chunk { bytes, .. } => got += bytes.len() as u64,
            OutputItem::Gap { bytes, .. } => missed += bytes,
            OutputItem::Record { .. } => panic!("nothing was structured"),
        }
    }
    assert_eq!(got + missed, 20 * MIB);
    assert!((MIB..3 * MIB).contains(&got), "{got}");
}

/// Prints `hex` to both streams; what arrives, live and in the record, is the same bytes.
async fn byte_exact(bench: &Bench, bytes: &[u8]) {
    let hex: String = bytes.iter().map(|it| format!("{it:02x}")).collect();
    let source = format!("import os; it = bytes.fromhex('{hex}'); os.write(1, it); os.write(2, it)");
    let id = bench.submit("python", &source, |request| request).await;
    let mut reader = bench.engine.output(id, OutputCursor::default()).await.unwrap();
    let mut live = [Vec::new(), Vec::new()];
    while let Some(item) = reader.next().await {
        match item {
            OutputItem::Chunk { stream: OutputStream::Stdout, bytes, .. } => live[0].extend_from_slice(&bytes),
            OutputItem::Chunk { stream: OutputStream::Stderr, bytes, .. } => live[1].extend_from_slice(&bytes),
            other @ (OutputItem::Record { .. } | OutputItem::Gap { .. }) => panic!("{other:?}"),
        }
    }
    let record = bench.end(id).await;
    ends(&record, &Outcome::Succeeded);
    let output = record.ending.unwrap().output;
    for found in [&live[0][..], &live[1], &output.stdout.bytes, &output.stderr.bytes] {
        assert_eq!(found, bytes);
    }
}

async fn every_byte(bench: &Bench) {
    let mut bytes: Vec<u8> = (0..=255).collect();
    // Invalid, overlong and cut-off UTF-8, a lone surrogate, a byte order mark in the middle, a noncharacter.
    bytes.extend(b"\xc3\x28\xc0\xaf\xe0\x80\xaf\xed\xa0\x80\xef\xbb\xbf\xef\xbf\xbf\xf4\x90\x80\x80\xf0\x9f\x92");
    byte_exact(bench, &bytes).await;
}

async fn terminal_sequences(bench: &Bench) {
    let text =
        "\x1b[2J\x1b]52;c;cm0gLXJmIC8=\x07\x1b]8;;file:///etc\x1b\\x\rover\x08\x08\u{202e}\u{2066}\x1bP\x1b[6n\x00";
    byte_exact(bench, text.as_bytes()).await;
}

/// Whole frames of the agent's protocol on both streams, and on every descriptor that a script could have
/// inherited by mistake: they are output, and nothing else.
async fn fake_frames(bench: &Bench) {
    let exited = FromAgent::Exited {
        code: 0,
        signal: 0,
        user_us: 1,
        system_us: 1,
        peak_memory: 1,
        out_of_memory: false,
        too_many_processes: false,
        leaked: 0,
    };
    let messages = [
        FromAgent::Data { stream: Stream::Stderr, time_us: 0, bytes: b"forged".to_vec() },
        FromAgent::End { stream: Stream::Stdout, total: 0 },
        FromAgent::End { stream: Stream::Stderr, total: 6 },
        exited,
        FromAgent::Fault { operation: "forged".into(), message: "forged".into(), errno: 1, fatal: true },
        FromAgent::PostureReport { facts: vec![] },
    ];
    let frames: Vec<u8> =
        (0..4).flat_map(|execution| messages.iter().flat_map(move |it| it.encode(execution).unwrap())).collect();
    let hex: String = frames.iter().map(|it| format!("{it:02x}")).collect();
    let source = format!(
        "
import errno, os
frames = bytes.fromhex('{hex}')
os.write(1, frames)
os.write(2, frames)
for number in range(3, 1024):
    for act in (lambda: os.write(number, frames), lambda: os.read(number, 1), lambda: os.fstat(number)):
        try:
            act()
            os.write(1, b'open: %d' % number)
        except OSError as error:
            if error.errno != errno.EBADF:
                os.write(1, b'there: %d' % number)
raise SystemExit(7)
"
    );
    let record = bench.python(&source).await;
    ends(&record, &Outcome::Failed(Exit::Code(7)));
    let output = record.ending.unwrap().output;
    assert_eq!(output.stdout.bytes, frames);
    assert_eq!(output.stderr.bytes, frames);
}

/// Lines that look structured and are not, or are too much of it.
async fn fake_records(bench: &Bench) {
    let source = r#"
import json, sys
print('@@{"good": 1}', flush=True)
for line in ('{', '{}', '{"a": 1e400}', '{"a": NaN}', '[1]', '7', 'null', '{"a": 1} trailing', '{"a": "\udc80"}',
             '{"a": ' * 20000 + '1' + '}' * 20000, '{"a": "' + 'x' * 3000000 + '"}', '{"a":1,"a":2}', '\x00{"a":1}'):
    sys.stdout.buffer.write(b'@@' + line.encode('utf-8', 'surrogateescape') + b'\n')
print(' @@{"not": "at the beginning"}')
for i in range(20000):
    print('@@{"i": %d}' % i)
print('@@{"unfinished": ')
"#;
    let record = bench.python(source).await;
    ends(&record, &Outcome::Succeeded);
    let output = record.ending.unwrap().output;
    assert!(output.structured.len() <= 10_000, "{}", output.structured.len());
    assert_eq!(output.structured[0], serde_json::json!({"good": 1}));
    assert!(output.structured.iter().all(serde_json::Value::is_object));
    assert!(output.structured_dropped >= 10_000, "{}", output.structured_dropped);
}

/// What is no result is none, says why, and changes nothing about the outcome.
async fn hostile_results(bench: &Bench) {
    let writes = [
        ("not JSON", "open(path, 'w').write('{\"a\": ')"),
        ("not a number of JSON", "open(path, 'w').write('{\"a\": NaN, \"b\": Infinity}')"),
        ("not text", "open(path, 'wb').write(bytes(range(256)))"),
        ("deep", "open(path, 'w').write('[' * 100_000 + ']' * 100_000)"),
        ("long", "open(path, 'w').write('\"' + 'x' * 5_000_000 + '\"')"),
        ("sparse", "open(path, 'w').truncate(40_000_000)"),
        ("a link", "os.symlink('/etc/passwd', path)"),
        ("a link to its arguments", "os.symlink('/scripts/args.json', path)"),
        ("a link to what would do", "open('/work/x', 'w').write('{\"a\": 1}'); os.symlink('/work/x', path)"),
        ("a link to itself", "os.symlink(path, path)"),
        ("a link to what never ends", "os.symlink('/dev/zero', path)"),
        ("a pipe", "os.mkfifo(path)"),
        ("a folder", "os.mkdir(path)"),
        ("a socket", "socket.socket(socket.AF_UNIX).bind(path)"),
    ];
    for (what, write) in writes {
        let begin = Instant::now();
        let source = format!("import os, socket; path = os.environ['SCRIPT_RESULT']; {write}; print('end')");
        let record = bench.python(&source).await;
        prints(&record, "end\n");
        assert_eq!(record.result(), None, "{what}");
        let ending = record.ending.as_ref().unwrap();
        assert!(!ending.notes.is_empty(), "{what}: {}", story(&record));
        assert!(begin.elapsed() < 10 * SECOND, "{what}: {:?}", begin.elapsed());
    }
    // The result file is one of the script's own; a second name for it changes nothing.
    let record = bench
        .python("import os; open('/tmp/x', 'w').write('{\"a\": 1}'); os.link('/tmp/x', os.environ['SCRIPT_RESULT'])")
        .await;
    assert_eq!(record.result(), Some(&serde_json::json!({"a": 1})), "{}", story(&record));
}

async fn closed_streams(bench: &Bench) {
    let record = bench.bash("exec >&- 2>&- <&-; sleep 0.2; exit 4").await;
    ends(&record, &Outcome::Failed(Exit::Code(4)));
    let record = bench.bash("exec 1>/dev/null; echo lost; echo kept >&2").await;
    ends(&record, &Outcome::Succeeded);
    assert_eq!(stdout(&record), "");
    let record = bench.bash("echo first >/dev/stdout; echo second >/dev/fd/1; echo third >/proc/self/fd/1").await;
    prints(&record, "first\nsecond\nthird\n");
}

async fn stdin_never_read(bench: &Bench) {
    let huge = Bytes::from(vec![b'x'; 64 << 20]);
    let record = bench.run("bash", "exit 0", |it| it.with_stdin(Stdin::Bytes(huge.clone()))).await;
    ends_by_itself(&record);
    let record = bench.run("bash", "exec <&-; echo end", |it| it.with_stdin(Stdin::Bytes(huge.clone()))).await;
    prints(&record, "end\n");
    let record = bench.run("bash", "head -c 10 | wc -c", |it| it.with_stdin(Stdin::Bytes(huge))).await;
    prints(&record, "10\n");
    let record = bench.run("bash", "echo end", |it| it.with_stdin(Stdin::Open)).await;
    prints(&record, "end\n");
}

/// Somebody else reads the script's input: it is over with the script all the same.
async fn stdin_given_away(bench: &Bench) {
    let source = "setsid cat <&0 >/dev/null 2>&1 & echo end";
    let record = bench.run("bash", source, |it| it.with_stdin(Stdin::Open)).await;
    prints(&record, "end\n");
    let record = bench.bash("cat; wc -c </dev/stdin").await;
    prints(&record, "0\n");
}
