//! Scripts that multiply, hide, will not end, or turn on whoever watches them.

use std::time::{Duration, Instant};

use script_engine_core::{CancelReason, Exit, LimitOverrides, Outcome, TimeoutCause};

use crate::bench::{Bench, ends, ends_by_itself, limits, prints, stdout, story};
use crate::case::{Hostile, cases};

pub(crate) fn cases() -> Vec<Hostile> {
    cases![
        fork_bomb,
        fork_bomb_of_threads,
        busy_loop,
        detached_survivor,
        sigterm_ignored,
        stops_itself,
        waits_for_ever,
        grandchild_holds_stdout,
        kills_everybody,
        kills_process_one,
        ptraces,
        cancelled_twice,
    ]
}

const SECOND: Duration = Duration::from_secs(1);

fn timeout(timeout: Duration) -> LimitOverrides {
    LimitOverrides { timeout: Some(timeout), ..LimitOverrides::default() }
}

/// Multiplies without end; the limit holds, time ends it, and nothing outlives it.
async fn fork_bomb(bench: &Bench) {
    let begin = Instant::now();
    let overrides = LimitOverrides { pids: Some(64), ..timeout(2 * SECOND) };
    let record = bench.run("bash", "b() { b | b & b; }; b 2>/dev/null", limits(overrides.clone())).await;
    let outcome = record.outcome();
    assert!(matches!(outcome, Some(Outcome::TimedOut(TimeoutCause::Limit) | Outcome::Failed(_))), "{}", story(&record));
    let insistent = "
import os
while True:
    try:
        os.fork()
    except OSError:
        pass
";
    let record = bench.run("python", insistent, limits(overrides.clone())).await;
    ends(&record, &Outcome::TimedOut(TimeoutCause::Limit));
    let counts = "
import errno, os, signal
born = 0
try:
    while True:
        if os.fork() == 0:
            signal.pause()
        born += 1
except OSError as error:
    print(born, errno.errorcode[error.errno])
";
    let record = bench.run("python", counts, limits(overrides)).await;
    ends(&record, &Outcome::Succeeded);
    let text = stdout(&record);
    let (born, error) = text.trim().split_once(' ').unwrap();
    assert!((40..=64).contains(&born.parse::<u32>().unwrap()) && error == "EAGAIN", "{text}");
    assert!(begin.elapsed() < 30 * SECOND, "{:?}", begin.elapsed());
}

async fn fork_bomb_of_threads(bench: &Bench) {
    let source = "
import threading
stop = threading.Event()
born = 0
try:
    while True:
        threading.Thread(target=stop.wait, daemon=True).start()
        born += 1
except RuntimeError as error:
    print(born <= 64, error)
stop.set()
";
    let overrides = LimitOverrides { pids: Some(64), ..timeout(20 * SECOND) };
    let record = bench.run("python", source, limits(overrides)).await;
    prints(&record, "True can't start new thread\n");
}

async fn busy_loop(bench: &Bench) {
    let record = bench.run("bash", "while :; do :; done", limits(timeout(SECOND))).await;
    ends(&record, &Outcome::TimedOut(TimeoutCause::Limit));
    let cpu = record.ending.unwrap().usage.cpu;
    assert!(cpu > SECOND / 10, "{cpu:?}");
}

/// Leaves its session and its parent, keeps every signal from itself, and is gone when the script is.
async fn detached_survivor(bench: &Bench) {
    let source = "
import os, signal, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in set(range(1, 65)) - {9, 19, 32, 33}:
            signal.signal(number, signal.SIG_IGN)
        for fd in range(3):
            os.close(fd)
        open('/tmp/survives', 'w').close()
        while True:
            time.sleep(1000)
    os._exit(0)
while not os.path.exists('/tmp/survives'):
    time.sleep(0.01)
print('ends')
";
    let record = bench.python(source).await;
    prints(&record, "ends\n");
    let notes = &record.ending.unwrap().notes;
    assert!(notes.iter().any(|it| it.contains("1 processes outlived")), "{notes:?}");
}

async fn sigterm_ignored(bench: &Bench) {
    let source = "trap '' TERM INT HUP QUIT; echo ready; while :; do sleep 1000; done";
    let record = bench.run("bash", source, limits(timeout(SECOND))).await;
    ends(&record, &Outcome::TimedOut(TimeoutCause::Limit));
    let id = bench.submit("bash", source, |request| request).await;
    bench.await_text(id, "ready").await;
    let begin = Instant::now();
    bench.engine.cancel(id).await.unwrap();
    ends(&bench.end(id).await, &Outcome::Cancelled(CancelReason::Requested));
    assert!(begin.elapsed() < 10 * SECOND, "{:?}", begin.elapsed());
}

async fn stops_itself(bench: &Bench) {
    let record = bench.run("bash", "echo ready; kill -STOP $$", limits(timeout(SECOND))).await;
    ends(&record, &Outcome::TimedOut(TimeoutCause::Limit));
    assert_eq!(stdout(&record), "ready\n");
    let id = bench.submit("bash", "echo ready; sh -c 'kill -STOP 0' & kill -STOP 0", |request| request).await;
    bench.await_text(id, "ready").await;
    bench.engine.cancel(id).await.unwrap();
    ends(&bench.end(id).await, &Outcome::Cancelled(CancelReason::Requested));
}

async fn waits_for_ever(bench: &Bench) {
    for source in [
        "import signal; signal.pause()",
        "import select; select.select([], [], [])",
        "import os; os.read(os.pipe()[0], 1)",
    ] {
        let record = bench.run("python", source, limits(timeout(SECOND / 2))).await;
        ends(&record, &Outcome::TimedOut(TimeoutCause::Limit));
    }
}

/// Ends, but a grandchild goes on with its output: the end is not held up beyond the bound for that.
async fn grandchild_holds_stdout(bench: &Bench) {
    let begin = Instant::now();
    let record = bench.bash("(setsid sh -c 'echo late; sleep 1000' &) ; echo first; exit 3").await;
    ends(&record, &Outcome::Failed(Exit::Code(3)));
    let text = stdout(&record);
    assert!(text.contains("first\n"), "{text}");
    assert!(begin.elapsed() < 20 * SECOND, "{:?}", begin.elapsed());
    let notes = &record.ending.unwrap().notes;
    assert!(notes.iter().any(|it| it.contains("outlived the script and were killed")), "{notes:?}");
}

/// `kill(-1)` reaches the script's own processes and nobody else: the engine hears of a plain end.
async fn kills_everybody(bench: &Bench) {
    let record = bench.bash("sleep 1000 & kill -KILL -1; echo survived").await;
    ends_by_itself(&record);
    let record = bench.bash("for i in $(seq 2000); do kill -KILL $i 2>/dev/null; done; echo ended").await;
    ends_by_itself(&record);
}

/// Every signal at process 1, at the parent, at the parent's group.
async fn kills_process_one(bench: &Bench) {
    let source = "
import os
felt = []
me = os.getpid()
for victim in (1, os.getppid(), -1):
    for number in range(1, 65):
        if victim == -1 and number in (9, 19):
            continue
        try:
            import signal
            if number not in (9, 19, 32, 33):
                signal.signal(number, signal.SIG_IGN)
            if victim not in (0, me):
                os.kill(victim, number)
        except OSError:
            pass
print('still here')
";
    prints(&bench.python(source).await, "still here\n");
}

async fn ptraces(bench: &Bench) {
    let source = "
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
ATTACH, SEIZE = 16, 0x4206
for victim in (1, os.getppid()):
    for request in (ATTACH, SEIZE):
        print(libc.ptrace(request, victim, 0, 0), os.strerror(ctypes.get_errno()))
print(libc.process_vm_readv(1, 0, 0, 0, 0, 0), os.strerror(ctypes.get_errno()))
for name in ('mem', 'environ', 'maps', 'auxv', 'syscall', 'stack', 'fd', 'fdinfo', 'ns/net', 'root', 'cwd', 'exe'):
    path = f'/proc/1/{name}'
    try:
        if os.path.isdir(path) and not os.path.islink(path):
            print(name, os.listdir(path))
        elif name in ('ns/net', 'root', 'cwd', 'exe'):
            print(name, os.readlink(path))
        else:
            with open(path, 'rb') as file:
                content = file.read(1)
            print(name, content)
    except OSError:
        pass
";
    let refused = "-1 Operation not permitted\n".repeat(5);
    prints(&bench.python(source).await, &refused);
}

async fn cancelled_twice(bench: &Bench) {
    // At various points while its sandbox is made, which is gone when it has ended.
    for turns in 0..12 {
        let id = bench.submit("bash", "echo ready; sleep 1000", |request| request).await;
        for _ in 0..1 << turns {
            tokio::task::yield_now().await;
        }
        bench.engine.cancel(id).await.unwrap();
        bench.engine.cancel(id).await.unwrap();
        ends(&bench.end(id).await, &Outcome::Cancelled(CancelReason::Requested));
        bench.engine.cancel(id).await.unwrap();
    }
    let id = bench.submit("bash", "echo ready; sleep 1000", |request| request).await;
    bench.await_text(id, "ready").await;
    bench.engine.cancel(id).await.unwrap();
    bench.engine.cancel(id).await.unwrap();
    ends(&bench.end(id).await, &Outcome::Cancelled(CancelReason::Requested));
}
