//! What scripts print and return, from the sandbox to records and readers.

use std::sync::Arc;

use script_engine_core::contract::{OutputStream, Unit};
use script_engine_core::memory::{Heard, MemorySecrets};
use script_engine_core::output::{OutputCursor, OutputItem};
use script_engine_core::{Engine, EngineEvent, ExecutionState, Secret, SecretRef, Settings, TenantId};
use script_engine_testkit::fake::{Action, FakeExecutor, Left};
use serde_json::json;

use super::bench_of_work::{Bench, request};

async fn read_all(
    engine: &Engine,
    id: script_engine_core::ExecutionId,
    from: OutputCursor,
) -> (Vec<u8>, Vec<u8>, usize) {
    let mut reader = engine.output(id, from).await.unwrap();
    let (mut stdout, mut stderr, mut records) = (Vec::new(), Vec::new(), 0);
    while let Some(item) = reader.next().await {
        match item {
            OutputItem::Chunk { stream: OutputStream::Stdout, offset, bytes, .. } => {
                assert_eq!(offset, from.stdout + stdout.len() as u64);
                stdout.extend_from_slice(&bytes);
            }
            OutputItem::Chunk { stream: OutputStream::Stderr, bytes, .. } => stderr.extend_from_slice(&bytes),
            OutputItem::Record { .. } => records += 1,
            OutputItem::Gap { .. } => panic!("nothing was dropped"),
        }
    }
    (stdout, stderr, records)
}

#[tokio::test(start_paused = true)]
async fn readers_early_and_late_get_everything() {
    let acts = vec![
        Action::say("a\n@@{\"step\": 1}\n"),
        Action::Print(OutputStream::Stderr, "warn".into()),
        Action::Wait(std::time::Duration::from_secs(1)),
        Action::say("{\"ok\": true}\n"),
    ];
    let bench = Bench::new(Settings::default(), vec![("talk", acts)]).await;
    let id = bench.engine.submit(request("talk")).await.unwrap();
    let all = b"a\n@@{\"step\": 1}\n{\"ok\": true}\n".to_vec();
    let early = read_all(&bench.engine, id, OutputCursor::default()).await;
    assert_eq!(early, (all.clone(), b"warn".to_vec(), 1));
    let late = read_all(&bench.engine, id, OutputCursor { stdout: 2, stderr: 4, structured: 1 }).await;
    assert_eq!(late, (all[2..].to_vec(), Vec::new(), 0));
    let record = bench.engine.wait(id).await.unwrap();
    assert_eq!(record.result(), Some(&json!({"ok": true})));
    assert_eq!(record.ending.unwrap().output.structured, [json!({"step": 1})]);
}

#[tokio::test(start_paused = true)]
async fn the_result_file_goes_before_the_last_line_and_strange_ones_are_noted() {
    let path = "/tmp/.script-result".to_owned();
    let bench = Bench::new(
        Settings::default(),
        vec![
            ("file", vec![Action::say("{\"line\": 1}"), Action::Leave(path.clone(), Left::File("[1, 2]".into()))]),
            ("link", vec![Action::say("{\"line\": 1}"), Action::Leave(path.clone(), Left::Special)]),
            ("none", vec![Action::say("no object")]),
        ],
    )
    .await;
    assert_eq!(bench.run(request("file")).await.result(), Some(&json!([1, 2])));
    let strange = bench.run(request("link")).await;
    assert_eq!(strange.result(), None);
    assert!(!strange.ending.unwrap().notes.is_empty());
    assert_eq!(bench.run(request("none")).await.result(), None);
    bench.assert_clean();
}

#[tokio::test(start_paused = true)]
async fn secrets_are_masked_everywhere() {
    let secrets = Arc::new(MemorySecrets::new());
    secrets.set(TenantId::default(), "token", Secret::new(*b"s3cr3t-value").unwrap());
    let fake = script_engine_testkit::fake::FakeExecutor::new().with_source(
        "act leak;",
        vec![
            Action::say("before s3cr3t-"),
            Action::say("value after\n@@{\"t\": \"s3cr3t-value\"}\n"),
            Action::Leave("/tmp/.script-result".into(), Left::File("{\"t\": \"s3cr3t-value\"}".into())),
            Action::Lose("s3cr3t-value".into()),
        ],
    );
    let bench = Bench::with(fake, Some(secrets), &["leak"]).await;
    let secret = SecretRef { name: "token".into(), variable: "TOKEN".into() };
    let id = bench.engine.submit(request("leak").with_secret(secret)).await.unwrap();
    let (stdout, ..) = read_all(&bench.engine, id, OutputCursor::default()).await;
    let record = bench.engine.wait(id).await.unwrap();
    let everything = format!("{record:?} {}", String::from_utf8_lossy(&stdout));
    assert!(!everything.contains("s3cr3t-value"), "{everything}");
    assert!(everything.contains("before *** after"), "{everything}");
    let job = &bench.fake.jobs()[0];
    assert!(job.env.iter().any(|it| it.0 == "TOKEN" && it.1 == b"s3cr3t-value"));
    assert!(!format!("{job:?}").contains("s3cr3t-value"));
}

#[tokio::test(start_paused = true)]
async fn preparations_are_told_of_before_the_script_runs() {
    let fake = FakeExecutor::new()
        .with_preparation("pull image", 3 << 20, Some(9 << 20), Unit::Bytes)
        .with_preparation("build image", 2, Some(4), Unit::Items);
    let Bench { engine, .. } = &Bench::on(fake, Settings::default(), vec![("good", vec![Action::say("hi")])]).await;
    let mut events = engine.events();
    let id = engine.submit(request("good")).await.unwrap();
    engine.wait(id).await.unwrap();
    let mut told = Vec::new();
    loop {
        match events.next().await.unwrap() {
            Heard::Event(EngineEvent::Progress { execution, step, done, total, unit, .. }) => {
                assert_eq!(execution, Some(id));
                told.push((step, done, total, unit));
            }
            Heard::Event(EngineEvent::State { state: ExecutionState::Running, .. }) => break,
            _ => {}
        }
    }
    let expected = [
        ("pull image".to_owned(), 3 << 20, Some(9 << 20), Unit::Bytes),
        ("build image".to_owned(), 2, Some(4), Unit::Items),
    ];
    assert_eq!(told, expected);
}
