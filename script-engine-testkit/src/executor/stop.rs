//! Ends: exit codes, signals, requests to stop, and what is left of those who resist.

use std::sync::Arc;

use script_engine_core::Exit;
use script_engine_core::contract::{ScriptEvent, Stop};

use super::bench::Bench;
use crate::interrupt::drop_at;
use crate::seen::{Seen, soon};
use crate::verdict::{Proof, ensure, fail};

pub(super) async fn ex_10(it: Arc<Bench>) -> Proof {
    for (name, script, exit) in [
        ("exit 0", "exit 0", Exit::Code(0)),
        ("exit 7", "exit 7", Exit::Code(7)),
        ("exit 255", "exit 255", Exit::Code(255)),
        // What a shell reports for a child that a signal ended is an exit code of its own.
        ("exit 137", "sh -c 'kill -9 $$'; exit $?", Exit::Code(137)),
        ("die 9", "kill -9 $$", Exit::Signal(9)),
        ("die 15", "kill -15 $$", Exit::Signal(15)),
        ("die 6", "kill -6 $$", Exit::Signal(6)),
    ] {
        let mut spawned = it.spawn(it.job(name, script)?).await?;
        let mut seen = Seen::default();
        // Broken off whenever it waits, at the first point and at the second.
        for point in 0..2 {
            match drop_at(point, spawned.script.next()).await {
                Some(ScriptEvent::Exited(report)) => seen.exit = Some(report),
                Some(ScriptEvent::Lost { reason, .. }) => fail!("{name}: the sandbox was lost: {reason}"),
                Some(ScriptEvent::Output { .. } | ScriptEvent::Beat(_)) | None => {}
            }
        }
        seen.watch(&mut *spawned.script).await?;
        ensure!(seen.exit.map(|it| it.exit) == Some(exit), "{name}: ended as {:?}", seen.exit);
        for _ in 0..2 {
            let mut again = Seen::default();
            again.watch(&mut *spawned.script).await?;
            // What was used may be counted once more.
            let same = again.exit.map(|it| (it.exit, it.broke)) == seen.exit.map(|it| (it.exit, it.broke));
            ensure!(same, "{name}: asked again, it ended as {:?}, at first as {:?}", again.exit, seen.exit);
        }
        spawned.script.finish().await?;
    }
    Ok(())
}

pub(super) async fn ex_13(it: Arc<Bench>) -> Proof {
    // A child, an orphan, one in a session of its own, a stopped one, and one that keeps stdout open.
    let script = r#"
        loop='trap "" TERM HUP INT; while :; do sleep 1000; done'
        sh -c "$loop" "$1" >/dev/null 2>&1 </dev/null &
        (sh -c "$loop" "$1" >/dev/null 2>&1 </dev/null &)
        if command -v setsid >/dev/null; then (setsid sh -c "$loop" "$1" >/dev/null 2>&1 </dev/null &); fi
        sh -c 'kill -STOP $$; :' "$1" >/dev/null 2>&1 </dev/null &
        (sh -c "$loop" "$1" &)
        echo ready
        exit 5"#;
    let mut spawned = it.spawn(it.job("escapes", script)?).await?;
    let mut seen = Seen::default();
    let end = seen.watch(&mut *spawned.script).await;
    let gone = it.no_process("after `Exited`").await;
    spawned.script.finish().await?;
    end?;
    gone?;
    ensure!(seen.exit.is_some_and(|it| it.exit == Exit::Code(5)), "ended as {}", seen.text());
    ensure!(seen.stdout == b"ready\n", "the output is {}", seen.text());
    ensure!(
        seen.exit.is_some_and(|it| it.leaked > 0),
        "processes outlived the script, and none was counted: {}",
        seen.text()
    );
    ensure!(seen.exit.is_some_and(|it| it.usage.processes == 0), "processes are left, says {}", seen.text());
    Ok(())
}

pub(super) async fn ex_20(it: Arc<Bench>) -> Proof {
    let script = r#"
        trap 'wait; echo parent; exit 3' TERM
        sh -c 'trap "echo child; exit 0" TERM; echo ready; while :; do sleep 1; done' "$1" &
        while :; do wait; done"#;
    let mut spawned = it.spawn(it.job("traps", script)?).await?;
    let mut seen = Seen::default();
    seen.until(&mut *spawned.script, |it| it.says("ready")).await?;
    soon("a request to stop", spawned.control.stop(Stop::Ask)).await?;
    let end = seen.watch(&mut *spawned.script).await;
    let again = soon("a request to stop what is gone", spawned.control.stop(Stop::Ask)).await;
    spawned.script.finish().await?;
    end?;
    again?;
    ensure!(seen.says("child"), "the child was not asked: {}", seen.text());
    ensure!(seen.says("parent"), "the parent was not asked: {}", seen.text());
    let own = seen.exit.is_some_and(|it| it.exit == Exit::Code(3));
    ensure!(own, "a script that traps the request did not end in its own way: {}", seen.text());
    Ok(())
}

pub(super) async fn ex_21(it: Arc<Bench>) -> Proof {
    // A deaf orphan, a stopped child, and a script that stops itself.
    let script = r#"
        trap '' TERM HUP INT
        (sh -c 'trap "" TERM HUP INT; while :; do sleep 1000; done' "$1" >/dev/null 2>&1 </dev/null &)
        sh -c 'kill -STOP $$; :' "$1" &
        echo ready
        kill -STOP $$
        while :; do sleep 1000; done"#;
    let mut spawned = it.spawn(it.job("deaf", script)?).await?;
    let mut seen = Seen::default();
    seen.until(&mut *spawned.script, |it| it.says("ready")).await?;
    soon("a request to stop", spawned.control.stop(Stop::Ask)).await?;
    soon("a kill", spawned.control.stop(Stop::Kill)).await?;
    let end = seen.watch(&mut *spawned.script).await;
    let gone = it.no_process("after a kill").await;
    let again = soon("a kill of what is gone", spawned.control.stop(Stop::Kill)).await;
    spawned.script.finish().await?;
    end?;
    gone?;
    again?;
    ensure!(seen.exit.is_some_and(|it| it.exit == Exit::Signal(9)), "a killed script ended as {}", seen.text());
    Ok(())
}
