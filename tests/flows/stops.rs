//! How executions end: by themselves, late, silent, cancelled, lost.

use std::time::Duration;

use script_engine_core::contract::OutputStream;
use script_engine_core::memory::Heard;
use script_engine_core::{
    BrokenLimit, CancelReason, EngineEvent, ErrorKind, ExecutionState, Exit, LimitOverrides, Outcome, RetryAdvice,
    Settings, Shutdown, Stage, TimeoutCause,
};
use script_engine_testkit::fake::Action;

use super::bench_of_work::{Bench, request};

const SECOND: Duration = Duration::from_secs(1);

#[track_caller]
fn check(record: &script_engine_core::ExecutionRecord, state: ExecutionState, outcome: &Outcome) {
    assert_eq!((record.state, record.outcome()), (state, Some(outcome)), "{record:#?}");
    let ending = record.ending.as_ref().unwrap();
    let wall = ending.at.since(record.begun.created_at);
    assert!(wall.abs_diff(ending.timings.total()) < Duration::from_millis(1), "{wall:?} {:?}", ending.timings);
}

#[tokio::test(start_paused = true)]
async fn scripts_end_by_themselves() {
    let bench = Bench::new(
        Settings::default(),
        vec![
            ("good", vec![Action::say("hi"), Action::Wait(SECOND)]),
            ("bad", vec![Action::Exit(7)]),
            ("dead", vec![Action::Die(11)]),
            ("fat", vec![Action::ExhaustMemory]),
            ("lost", vec![Action::say("partial"), Action::Lose("machine gone".into())]),
        ],
    )
    .await;
    let record = bench.run(request("good")).await;
    check(&record, ExecutionState::Completed, &Outcome::Succeeded);
    let ending = record.ending.unwrap();
    assert_eq!(&ending.output.stdout.bytes[..], b"hi");
    assert_eq!(ending.exit_code, Some(0));
    assert_eq!(ending.timings.of(Stage::Run), SECOND);
    check(&bench.run(request("bad")).await, ExecutionState::Failed, &Outcome::Failed(Exit::Code(7)));
    let dead = bench.run(request("dead")).await;
    check(&dead, ExecutionState::Failed, &Outcome::Failed(Exit::Signal(11)));
    assert_eq!(dead.ending.unwrap().signal, Some(11));
    check(&bench.run(request("fat")).await, ExecutionState::Failed, &Outcome::LimitExceeded(BrokenLimit::Memory));
    let lost = bench.run(request("lost")).await;
    match lost.outcome().unwrap() {
        Outcome::EngineFault(fault) => {
            assert_eq!(fault.retry, RetryAdvice::Unsafe);
            assert!(fault.message.contains("machine gone"), "{}", fault.message);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(&lost.ending.unwrap().output.stdout.bytes[..], b"partial");
    bench.assert_clean();
}

#[tokio::test(start_paused = true)]
async fn late_scripts_are_asked_then_killed() {
    let polite = vec![Action::OnAsk(vec![Action::say("bye"), Action::Exit(3)]), Action::Never];
    let stubborn = vec![Action::IgnoreAsk, Action::Never];
    let bench = Bench::new(Settings::default(), vec![("polite", polite), ("stubborn", stubborn)]).await;
    let limits = LimitOverrides { timeout: Some(5 * SECOND), ..LimitOverrides::default() };
    let timed_out = Outcome::TimedOut(TimeoutCause::Limit);
    let record = bench.run(request("polite").with_limits(limits.clone())).await;
    check(&record, ExecutionState::Timeout, &timed_out);
    let ending = record.ending.unwrap();
    assert_eq!(&ending.output.stdout.bytes[..], b"bye");
    assert_eq!(ending.timings.of(Stage::Run), 5 * SECOND);
    let record = bench.run(request("stubborn").with_limits(limits)).await;
    check(&record, ExecutionState::Timeout, &timed_out);
    let grace = Settings::default().grace;
    assert_eq!(record.ending.unwrap().timings.of(Stage::Run), 5 * SECOND + grace);
    bench.assert_clean();
}

#[tokio::test(start_paused = true)]
async fn silence_ends_an_execution_and_keeps_what_it_printed() {
    let bench =
        Bench::new(Settings::default(), vec![("still", vec![Action::say("so far"), Action::Silence, Action::Never])])
            .await;
    let id = bench.engine.submit(request("still")).await.unwrap();
    let mut output = bench.engine.output(id, "o0-e0-s0".parse().unwrap()).await.unwrap();
    output.next().await.unwrap();
    let mut missed = Vec::new();
    while let Some(vitals) = bench.engine.vitals(id) {
        assert!(vitals.last_heartbeat.is_some());
        missed.push(vitals.missed_heartbeats);
        tokio::time::advance(SECOND).await;
    }
    missed.dedup();
    assert!(missed.ends_with(&[0, 1, 2]) || missed.ends_with(&[0, 1, 2, 3]), "{missed:?}");
    let record = bench.engine.wait(id).await.unwrap();
    check(&record, ExecutionState::Timeout, &Outcome::TimedOut(TimeoutCause::Silence));
    assert_eq!(&record.ending.unwrap().output.stdout.bytes[..], b"so far");
    assert_eq!(bench.engine.vitals(id), None);
    bench.assert_clean();
}

#[tokio::test(start_paused = true)]
async fn a_cancel_reaches_every_state() {
    let settings = Settings { max_concurrent: 1, ..Settings::default() };
    let bench = Bench::new(
        settings,
        vec![("running", vec![Action::say("x"), Action::Never]), ("booting", vec![Action::SlowSpawn(100 * SECOND)])],
    )
    .await;
    let cancelled = Outcome::Cancelled(CancelReason::Requested);
    let running = bench.engine.submit(request("running")).await.unwrap();
    let queued = bench.engine.submit(request("running")).await.unwrap();
    let mut output = bench.engine.output(running, "o0-e0-s0".parse().unwrap()).await.unwrap();
    output.next().await.unwrap();
    bench.engine.cancel(queued).await.unwrap();
    let record = bench.engine.wait(queued).await.unwrap();
    check(&record, ExecutionState::Cancelled, &cancelled);
    assert_eq!(record.started, None);
    for _ in 0..2 {
        bench.engine.cancel(running).await.unwrap();
    }
    check(&bench.engine.wait(running).await.unwrap(), ExecutionState::Cancelled, &cancelled);
    bench.engine.cancel(running).await.unwrap();

    let mut events = bench.engine.events();
    let booting = bench.engine.submit(request("booting")).await.unwrap();
    loop {
        match events.next().await.unwrap() {
            Heard::Event(EngineEvent::State { execution, state: ExecutionState::Provisioning, .. })
                if execution == booting =>
            {
                break;
            }
            _ => {}
        }
    }
    bench.engine.cancel(booting).await.unwrap();
    check(&bench.engine.wait(booting).await.unwrap(), ExecutionState::Cancelled, &cancelled);
    bench.assert_clean();
}

/// Submits it, lets its sandbox be under way, cancels it, and gives its record and how long it took to end.
async fn cancelled_while_provisioning(bench: &Bench, name: &str) -> (script_engine_core::ExecutionRecord, Duration) {
    let mut events = bench.engine.events();
    let id = bench.engine.submit(request(name)).await.unwrap();
    let provisioning = |it: &EngineEvent| matches!(it, EngineEvent::State { execution, state, .. } if *execution == id && *state == ExecutionState::Provisioning);
    while !matches!(events.next().await.unwrap(), Heard::Event(event) if provisioning(&event)) {}
    while bench.fake.host().leftovers(bench.fake.owner()).is_empty() {
        tokio::task::yield_now().await;
    }
    let begin = tokio::time::Instant::now();
    bench.engine.cancel(id).await.unwrap();
    let record = bench.engine.wait(id).await.unwrap();
    (record, begin.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_start_ends_when_its_sandbox_is_gone_or_its_time_is_up() {
    let settings = Settings { kill_timeout: 10 * SECOND, ..Settings::default() };
    let bench = Bench::new(
        settings,
        vec![
            ("prompt", vec![Action::SlowSpawn(1000 * SECOND)]),
            ("late", vec![Action::StuckSpawn(7 * SECOND)]),
            ("stuck", vec![Action::StuckSpawn(1000 * SECOND)]),
            ("compiled", vec![Action::IgnoreAsk, Action::Never]),
            ("compiled-late", vec![Action::StuckSpawn(7 * SECOND), Action::Never]),
        ],
    )
    .await;
    let cancelled = Outcome::Cancelled(CancelReason::Requested);
    for (name, seconds, notes) in
        [("prompt", 0, 0), ("late", 7, 0), ("stuck", 10, 1), ("compiled", 0, 0), ("compiled-late", 7, 0)]
    {
        let (record, took) = cancelled_while_provisioning(&bench, name).await;
        bench.assert_clean();
        check(&record, ExecutionState::Cancelled, &cancelled);
        assert_eq!(took.as_secs(), seconds, "{name}");
        let noted = record.ending.unwrap().notes;
        assert_eq!(noted.len(), notes, "{name}: {noted:?}");
        assert!(noted.iter().all(|it| it.contains("settings.kill_timeout")), "{noted:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn failures_and_deadlines_of_provisioning_end_failed_and_say_which() {
    let settings =
        Settings { provision_timeout: 3 * SECOND, queue_timeout: SECOND, max_concurrent: 1, ..Settings::default() };
    let bench = Bench::new(
        settings,
        vec![
            ("slow", vec![Action::SlowSpawn(100 * SECOND)]),
            ("broken", vec![Action::FailSpawn(ErrorKind::Unavailable, "no room on the disk".into())]),
        ],
    )
    .await;
    let slow = bench.engine.submit(request("slow")).await.unwrap();
    let waiting = bench.engine.submit(request("slow")).await.unwrap();
    for (id, part) in [(slow, "settings.provision_timeout"), (waiting, "queue timeout")] {
        let record = bench.engine.wait(id).await.unwrap();
        assert_eq!(record.state, ExecutionState::Failed);
        match record.outcome().unwrap() {
            Outcome::EngineFault(fault) => {
                assert!(fault.message.contains(part), "{}", fault.message);
                assert_eq!(fault.retry, RetryAdvice::Safe);
            }
            other => panic!("{other:?}"),
        }
    }
    let record = bench.run(request("broken")).await;
    assert!(record.outcome().unwrap().explain().unwrap().contains("no room on the disk"));
    bench.assert_clean();
}

#[tokio::test(start_paused = true)]
async fn events_tell_each_state_once_and_in_order() {
    let bench = Bench::new(Settings::default(), vec![("good", vec![Action::say("hi")])]).await;
    let mut events = bench.engine.events();
    bench.run(request("good")).await;
    let mut states = Vec::new();
    while states.last().is_none_or(|it: &ExecutionState| !it.is_terminal()) {
        if let Some(Heard::Event(EngineEvent::State { state, .. })) = events.next().await {
            states.push(state);
        }
    }
    use ExecutionState as S;
    assert_eq!(states, [S::Queued, S::Provisioning, S::Running, S::Completed]);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_everything_and_takes_nothing_more() {
    let bench = Bench::new(
        Settings::default(),
        vec![("long", vec![Action::Wait(50 * SECOND)]), ("endless", vec![Action::IgnoreAsk, Action::Never])],
    )
    .await;
    let long = bench.engine.submit(request("long")).await.unwrap();
    let report = bench.engine.shutdown(Shutdown::Drain).await;
    assert!(report.errors.is_empty() && report.removed.is_empty(), "{report:?}");
    check(&bench.engine.get(long).await.unwrap(), ExecutionState::Completed, &Outcome::Succeeded);
    assert_eq!(bench.engine.submit(request("long")).await.unwrap_err().kind(), ErrorKind::Closed);

    let bench = Bench::new(Settings::default(), vec![("endless", vec![Action::IgnoreAsk, Action::Never])]).await;
    let endless = bench.engine.submit(request("endless")).await.unwrap();
    bench.engine.shutdown(Shutdown::Cancel).await;
    let outcome = Outcome::Cancelled(CancelReason::Shutdown);
    check(&bench.engine.get(endless).await.unwrap(), ExecutionState::Cancelled, &outcome);
    bench.assert_clean();
}

#[tokio::test(start_paused = true)]
async fn too_much_output_stops_a_script_that_asked_for_it() {
    let flood = vec![Action::Flood(OutputStream::Stdout, 1 << 20), Action::Never];
    let bench = Bench::new(Settings::default(), vec![("flood", flood)]).await;
    let mut wanted = request("flood");
    wanted.on_output_limit = script_engine_core::OnOutputLimit::Stop;
    wanted.limits.output_bytes = Some(64 << 10);
    let record = bench.run(wanted).await;
    check(&record, ExecutionState::Failed, &Outcome::LimitExceeded(BrokenLimit::Output));
    bench.assert_clean();
}
