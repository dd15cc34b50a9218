//! How the fake behaves where engine tests lean on it.

use script_engine_core::contract::{OutputStream, ScriptEvent, ScriptExecutor, Spawned, Stop};
use script_engine_core::{
    Cancel, EgressSettings, Exit, JobFile, Limits, NetworkPolicy, RelPath, RuntimeSpec, Stopwatch,
};
use tokio::time::Instant;

use super::*;
use bytes::Bytes;
use script_engine_core::Job;
use std::time::Duration;

fn job(source: &str) -> Job {
    Job {
        runtime: RuntimeSpec { language: "bash".into(), image: "bash".into(), layer: None },
        files: vec![JobFile {
            path: RelPath::parse("main.sh").unwrap(),
            content: Bytes::copy_from_slice(source.as_bytes()),
            executable: false,
        }],
        argv: vec!["sh".into(), "/scripts/main.sh".into()],
        env: Vec::new(),
        stdin: true,
        limits: Limits::default(),
        network: NetworkPolicy::Off,
        target: None,
        tenant: None,
        given: Vec::new(),
        egress: EgressSettings::default(),
    }
}

async fn spawn(fake: &FakeExecutor, source: &str) -> Spawned {
    fake.spawn(job(source), &mut Stopwatch::start(), Cancel::never()).await.unwrap()
}

/// Reads to the end: stdout, the number of beats, and how it ended.
async fn read(spawned: &mut Spawned) -> (Vec<u8>, u32, ScriptEvent) {
    let (mut stdout, mut beats) = (Vec::new(), 0);
    loop {
        match spawned.script.next().await {
            ScriptEvent::Output { stream: OutputStream::Stdout, bytes, .. } => stdout.extend_from_slice(&bytes),
            ScriptEvent::Output { .. } => {}
            ScriptEvent::Beat(_) => beats += 1,
            end => return (stdout, beats, end),
        }
    }
}

#[track_caller]
fn assert_exit(end: &ScriptEvent, exit: Exit) {
    assert!(matches!(end, ScriptEvent::Exited(report) if report.exit == exit), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn waits_take_their_time_with_beats_and_silence_has_none() {
    let wait = Action::Wait(Duration::from_secs(9));
    let fake = FakeExecutor::new()
        .with_source("loud", vec![wait.clone(), Action::say("done"), Action::Exit(3)])
        .with_source("quiet", vec![Action::Silence, wait]);
    let start = Instant::now();
    let (stdout, beats, end) = read(&mut spawn(&fake, "loud").await).await;
    assert_eq!((stdout.as_slice(), beats, start.elapsed().as_secs()), (&b"done"[..], 4, 9));
    assert_exit(&end, Exit::Code(3));
    assert_eq!(read(&mut spawn(&fake, "quiet").await).await.1, 0);
    assert!(fake.spawn(job("other"), &mut Stopwatch::start(), Cancel::never()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn asks_end_it_unless_it_ignores_them_and_kills_always_do() {
    let fake = FakeExecutor::new()
        .with_source("polite", vec![Action::Never])
        .with_source("deaf", vec![Action::IgnoreAsk, Action::say("on"), Action::Never])
        .with_source(
            "trap",
            vec![Action::OnAsk(vec![Action::say("bye"), Action::Exit(4)]), Action::say("on"), Action::Never],
        );
    let mut polite = spawn(&fake, "polite").await;
    polite.control.stop(Stop::Ask).await.unwrap();
    assert_exit(&polite.script.next().await, Exit::Signal(15));
    for (source, says, exit) in [("deaf", "on", Exit::Signal(9)), ("trap", "onbye", Exit::Code(4))] {
        let mut script = spawn(&fake, source).await;
        for _ in 0.."on".len() {
            assert!(matches!(script.script.next().await, ScriptEvent::Output { .. }));
            if says == "on" {
                break;
            }
        }
        script.control.stop(Stop::Ask).await.unwrap();
        if source == "deaf" {
            while !matches!(script.script.next().await, ScriptEvent::Beat(_)) {}
            script.control.stop(Stop::Kill).await.unwrap();
        }
        let (_, _, end) = read(&mut script).await;
        assert_exit(&end, exit);
        script.control.stop(Stop::Kill).await.unwrap();
        script.script.finish().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn stdin_is_bounded_and_comes_back_whole() {
    let fake = FakeExecutor::new().with_source("", vec![Action::EchoStdin]);
    let mut script = spawn(&fake, "x").await;
    let control = std::sync::Arc::clone(&script.control);
    let sent = Bytes::from((0..100_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<_>>());
    let copy = sent.clone();
    let write = async move {
        control.write_stdin(copy).await.unwrap();
        control.close_stdin().await.unwrap();
    };
    let ((), (stdout, _, end)) = tokio::join!(write, read(&mut script));
    assert_eq!(stdout, sent);
    assert_exit(&end, Exit::Code(0));
    assert_exit(&script.script.next().await, Exit::Code(0));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_finished_is_left_for_reap() {
    let fake = FakeExecutor::new().with_source("", vec![Action::Never]);
    let mut script = spawn(&fake, "x").await;
    drop(spawn(&fake, "y").await);
    assert_eq!(fake.host().leftovers(fake.owner()).len(), 2);
    assert_eq!(fake.reap(fake.owner()).await.unwrap().removed.len(), 2);
    assert!(matches!(script.script.next().await, ScriptEvent::Lost { .. }));
    assert_eq!(fake.reap(fake.owner()).await.unwrap().removed.len(), 0);
}
