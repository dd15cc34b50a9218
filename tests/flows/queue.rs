//! The queue: bounds, order, keys, and submits that are repeated.

use std::time::Duration;

use script_engine_core::{ErrorKind, ExecutionState, Priority, Settings, Stdin};
use script_engine_testkit::fake::Action;

use super::bench_of_work::{Bench, request};

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_and_records_nothing() {
    let settings = Settings { max_concurrent: 1, max_queued: 2, max_queued_per_tenant: 2, ..Settings::default() };
    let bench = Bench::new(settings, vec![("long", vec![Action::Wait(Duration::from_secs(9))])]).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(bench.engine.submit(request("long")).await.unwrap());
    }
    let error = bench.engine.submit(request("long")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Overloaded, "{error}");
    for id in ids {
        assert_eq!(bench.engine.wait(id).await.unwrap().state, ExecutionState::Completed);
    }
    assert_eq!(bench.fake.jobs().len(), 3);
    bench.assert_clean();
}

#[tokio::test(start_paused = true)]
async fn one_key_runs_one_after_the_other_and_priorities_pass() {
    let settings = Settings { max_concurrent: 1, ..Settings::default() };
    let bench = Bench::new(
        settings,
        vec![
            ("first", vec![Action::Wait(Duration::from_secs(1))]),
            ("low", vec![Action::Wait(Duration::from_secs(1))]),
            ("high", vec![Action::Wait(Duration::from_secs(1))]),
        ],
    )
    .await;
    let mut ids = Vec::new();
    for (name, priority) in [("first", Priority::Normal), ("low", Priority::Low), ("high", Priority::High)] {
        let mut wanted = request(name);
        wanted.priority = priority;
        ids.push(bench.engine.submit(wanted).await.unwrap());
    }
    for id in ids {
        bench.engine.wait(id).await.unwrap();
    }
    let order: Vec<String> =
        bench.fake.jobs().iter().map(|it| String::from_utf8_lossy(&it.files[0].content).into_owned()).collect();
    assert_eq!(order, ["act first;", "act high;", "act low;"]);

    let bench = Bench::new(Settings::default(), vec![("step", vec![Action::Wait(Duration::from_secs(4))])]).await;
    let begin = tokio::time::Instant::now();
    let mut ids = Vec::new();
    for _ in 0..3 {
        let mut wanted = request("step");
        wanted.concurrency_key = Some("deploy".into());
        ids.push(bench.engine.submit(wanted).await.unwrap());
    }
    for id in ids {
        bench.engine.wait(id).await.unwrap();
    }
    assert_eq!(begin.elapsed(), Duration::from_secs(12));
}

#[tokio::test(start_paused = true)]
async fn a_repeated_submit_with_one_key_is_one_execution() {
    let bench = Bench::new(Settings::default(), vec![("good", vec![Action::say("hi")])]).await;
    let mut wanted = request("good");
    wanted.idempotency_key = Some("order-1".into());
    let first = bench.engine.submit(wanted.clone()).await.unwrap();
    let second = bench.engine.submit(wanted.clone()).await.unwrap();
    bench.engine.wait(first).await.unwrap();
    assert_eq!((second, bench.engine.submit(wanted).await.unwrap()), (first, first));
    assert_eq!(bench.fake.jobs().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn stdin_is_fed_from_bytes_and_by_hand() {
    let bench = Bench::new(Settings::default(), vec![("echo", vec![Action::EchoStdin])]).await;
    let record = bench.run(request("echo").with_stdin(Stdin::Bytes(vec![b'x'; 200_000].into()))).await;
    assert_eq!(record.ending.unwrap().output.stdout.total, 200_000);
    let id = bench.engine.submit(request("echo").with_stdin(Stdin::Open)).await.unwrap();
    bench.engine.write_stdin(id, "one ".into()).await.unwrap();
    bench.engine.write_stdin(id, "two".into()).await.unwrap();
    bench.engine.close_stdin(id).await.unwrap();
    let record = bench.engine.wait(id).await.unwrap();
    assert_eq!(&record.ending.unwrap().output.stdout.bytes[..], b"one two");
    bench.engine.write_stdin(id, "late".into()).await.unwrap();
    let id = bench.engine.submit(request("echo")).await.unwrap();
    assert_eq!(bench.engine.write_stdin(id, "x".into()).await.unwrap_err().problems()[0].field, "stdin");
}
