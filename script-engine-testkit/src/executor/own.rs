//! Owners: what `reap` finds, and what it leaves alone.

use std::sync::Arc;

use bytes::Bytes;
use script_engine_core::contract::ScriptEvent;
use script_engine_core::{Cancel, Exit, Stopwatch};

use super::bench::Bench;
use crate::machine::fresh_owner;
use crate::seen::{Seen, soon};
use crate::verdict::{Proof, ensure, fail};

const NEVER: &str = "echo ready; while :; do sleep 1000; done";

pub(super) async fn ex_03(it: Arc<Bench>) -> Proof {
    let mut spawned = it.spawn(it.job("never", NEVER)?).await?;
    let mut seen = Seen::default();
    seen.until(&mut *spawned.script, |it| it.says("ready")).await?;
    let alive = it.backend.processes(&it.marker).await?;
    ensure!(!alive.is_empty(), "the script runs, and nothing is seen of it from outside: the set-up is wrong");
    let owners = it.executor.owners().await?;
    let own = owners.iter().find(|status| status.owner == it.owner);
    ensure!(own.is_some_and(|status| status.alive), "the executor's own owner is not listed as alive: {owners:?}");
    let found = it.executor.reap(it.owner).await?.removed;
    ensure!(!found.is_empty(), "a script runs, and reap of its owner found nothing");
    it.nothing_left("after the reap of a running script").await?;
    it.nothing_of(it.owner, "after the reap of a running script").await?;
    let ended = async {
        loop {
            match spawned.script.next().await {
                ScriptEvent::Lost { .. } => return Ok(()),
                ScriptEvent::Exited(report) if report.exit == Exit::Signal(9) => return Ok(()),
                ScriptEvent::Output { .. } | ScriptEvent::Beat(_) => {}
                other @ ScriptEvent::Exited(_) => {
                    return Err(script_engine_core::Error::internal(format!("a reaped script reports {other:?}")));
                }
            }
        }
    };
    soon("the end of a reaped script", ended).await
}

pub(super) async fn ex_05(it: Arc<Bench>) -> Proof {
    let spawned = it.spawn(it.job("never", NEVER)?).await?;
    let other = it.spawn(it.job("never", NEVER)?).await?;
    let found = it.executor.reap(it.owner).await?.removed;
    ensure!(!found.is_empty(), "two scripts run, and reap of their owner found nothing");
    for _ in 0..2 {
        let found = it.executor.reap(it.owner).await?.removed;
        ensure!(found.is_empty(), "a second reap found {found:?}");
    }
    drop((spawned, other));
    let nobody = it.executor.reap(fresh_owner()).await?.removed;
    ensure!(nobody.is_empty(), "of an owner that never was, reap found {nobody:?}");
    let seen = it.see(it.job("exit 0", "exit 0")?).await?;
    ensure!(seen.exit.is_some(), "after a reap, nothing can be started any more");
    Ok(())
}

pub(super) async fn ex_06(it: Arc<Bench>) -> Proof {
    let mut job = it.job("cat", "cat")?;
    job.stdin = true;
    let mut spawned = it.spawn(job).await?;
    let other = fresh_owner();
    let neighbour = it.backend.executor(other).await?;
    let mut theirs = neighbour.spawn(it.job("never", NEVER)?, &mut Stopwatch::start(), Cancel::never()).await?;
    Seen::default().until(&mut *theirs.script, |it| it.says("ready")).await?;
    let owners = neighbour.owners().await?;
    for owner in [it.owner, other] {
        let alive = owners.iter().any(|status| status.owner == owner && status.alive);
        ensure!(alive, "an owner whose script runs is not listed as alive: {owners:?}");
    }
    let found = neighbour.reap(other).await?.removed;
    ensure!(!found.is_empty(), "a neighbour's reap of its own script found nothing");
    drop(theirs);
    let found = neighbour.reap(fresh_owner()).await?.removed;
    ensure!(found.is_empty(), "of an owner that never was, reap found {found:?}");
    neighbour.shutdown().await?;
    drop(neighbour);
    it.nothing_of(other, "after the neighbour has gone").await?;

    spawned.control.write_stdin(Bytes::from_static(b"still here")).await?;
    spawned.control.close_stdin().await?;
    let mut seen = Seen::default();
    let end = seen.watch(&mut *spawned.script).await;
    spawned.script.finish().await?;
    end?;
    ensure!(seen.says("still here"), "a neighbour's reap changed a script of ours: {}", seen.text());
    Ok(())
}

pub(super) async fn ex_16(it: Arc<Bench>) -> Proof {
    let script = "echo x > \"$3/file\"; mkdir -p \"$3/shut/deep\"; chmod 0 \"$3/shut\"; sh -c 'while :; do sleep 1000; done' \"$1\" & echo ready; ";
    let never = format!("{script} wait");
    for (name, script, wait) in [("leaves", script, true), ("never", &never, false)] {
        let mut spawned = it.spawn(it.job(name, script)?).await?;
        let mut seen = Seen::default();
        if wait {
            seen.watch(&mut *spawned.script).await?;
        } else {
            seen.until(&mut *spawned.script, |it| it.says("ready")).await?;
        }
        soon("finish", spawned.script.finish()).await?;
        let when = if wait { "after the finish" } else { "after the finish of a script that ran" };
        it.nothing_left(when).await?;
        it.nothing_of(it.owner, when).await?;
        if spawned.control.stop(script_engine_core::contract::Stop::Kill).await.is_err() {
            fail!("a stop of a script that is gone is not `Ok`");
        }
    }
    Ok(())
}
