//! An engine that is killed in the middle of its work: what the next one finds, and removes.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Stdio, id};

use script_engine_core::OwnerId;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use crate::bench::{Bench, Who};
use crate::case::{Hostile, cases};
use crate::{leftovers, user};

/// Makes this program an engine that is going to be killed.
pub(crate) const MODE: &str = "--victim";
const EXECUTIONS: usize = 10;

pub(crate) fn cases() -> Vec<Hostile> {
    cases![killed_in_the_middle_of_ten]
}

/// Ten scripts that hold on by all means, then SIGKILL for the engine, then another engine on the same state folder.
async fn killed_in_the_middle_of_ten(bench: &Bench) {
    let state = std::env::temp_dir().join(format!("script-engine-hostile-crash-{}", id()));
    let ids = bench.more_ids();
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .arg(MODE)
        .arg(bench.who.name())
        .arg(&state)
        .arg(ids.start.to_string())
        .env_remove(user::ALONE)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    let owner: OwnerId = lines.next_line().await.unwrap().expect("it says its owner").parse().unwrap();
    let all = lines.next_line().await.unwrap();
    assert_eq!(all.as_deref(), Some("all run"));
    let before = processes(&owner, &state, &ids, bench.who);
    assert!(before.len() >= EXECUTIONS, "{before:?}");
    victim.kill().await.unwrap();
    leftovers::await_death(owner, bench.who.owners(&state)).await;

    let next = Bench::on(bench.who, &state, ids.clone()).await;
    let own_only = user::uid()..user::uid() + 1;
    leftovers::await_orphans(if bench.who.has_ids() { &ids } else { &own_only }).await;
    let mut left = leftovers::of_owner(owner, &state.join("no mount is below"));
    if bench.who.has_ids() {
        left.extend(leftovers::of_users(&ids));
    }
    assert!(left.is_empty(), "the next engine has left: {left:?}");
    assert!(!bench.who.owners(&state).join(owner.to_string()).exists());
    next.finish().await;
}

fn processes(owner: &OwnerId, state: &Path, ids: &Range<u32>, who: Who) -> Vec<String> {
    match who {
        Who::Root | Who::Containers => leftovers::of_users(ids),
        Who::User => leftovers::of_owner(*owner, state),
    }
}

/// Is the engine that will be killed.
pub(crate) async fn be_the_victim(who: Who, state: PathBuf, first_id: u32) {
    let bench = Bench::on(who, &state, first_id..first_id + Bench::IDS_EACH).await;
    println!("{}", bench.owner);
    let source =
        "trap '' TERM INT HUP; setsid sh -c 'sleep 1000 & sleep 1000' & echo ready; while :; do sleep 1000; done";
    let mut running = Vec::new();
    for _ in 0..EXECUTIONS {
        running.push(bench.submit("bash", source, |request| request).await);
    }
    for id in running {
        bench.await_text(id, "ready").await;
    }
    println!("all run");
    std::future::pending::<()>().await;
}
