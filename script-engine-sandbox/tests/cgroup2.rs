//! Cgroup version 2, on a machine that has it with all controllers: `cargo xtask test-cgroup2` boots one.

#[cfg(test)]
#[path = "sandbox/harness.rs"]
#[allow(dead_code, reason = "each test program uses a part of it")]
mod harness;

use std::path::{Path, PathBuf};

use harness::Harness;
use script_engine_core::contract::Verdict;
use script_engine_core::{Enforced, Mechanism, Restriction};

/// The sandbox's cgroup, found as the only one that carries the owner's id and has a process.
fn group_of(harness: &Harness) -> PathBuf {
    let found = harness::left_of(harness.owner);
    let folders = found.iter().map(Path::new).filter(|it| it.is_absolute());
    let busy = folders.filter(|it| std::fs::read_to_string(it.join("cgroup.procs")).is_ok_and(|it| !it.is_empty()));
    let all: Vec<&Path> = busy.collect();
    assert_eq!(all.len(), 1, "{all:?}");
    all[0].to_owned()
}

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).expect(name).trim().to_owned()
}

#[ignore = "needs cgroup version 2: cargo xtask test-cgroup2"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_enforced_by_the_kernel() {
    let harness = Harness::new("v2-capability").await;
    for restriction in Restriction::ALL {
        assert_eq!(harness.capability.of(restriction), Enforced::By(Mechanism::Kernel), "{restriction}");
    }
    harness.assert_nothing_left().await;
}

#[ignore = "needs cgroup version 2: cargo xtask test-cgroup2"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn process_1_is_cloned_into_limits() {
    let mut harness = Harness::new("v2-limits").await;
    harness.limits.memory_bytes = 100 << 20;
    harness.limits.pids = 30;
    harness.limits.milli_cpus = 500;
    let (machine, running) = harness.start_keeping("sleep 1000").await;
    let group = group_of(&harness);
    let [launcher] = harness.launchers()[..] else { panic!("one launcher with a sandbox") };
    // The launcher was never moved: only what it cloned is inside.
    assert!(!read(&group, "cgroup.procs").lines().any(|it| it == launcher.to_string()));
    let memory: u64 = read(&group, "memory.max").parse().expect("a number");
    assert!(memory > harness.limits.memory_bytes && memory < 1 << 30, "{memory}");
    assert_eq!(read(&group, "cpu.max"), "50000 100000");
    assert!(read(&group, "pids.max").parse::<u32>().expect("a number") >= 30);
    harness.limits.milli_cpus = 250;
    machine.resize(&harness.limits).await.expect("resized");
    assert_eq!(read(&group, "cpu.max"), "25000 100000");
    running.destroy().await;
    assert!(!group.exists());
    harness.assert_nothing_left().await;
}

#[ignore = "needs cgroup version 2: cargo xtask test-cgroup2"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_runs_out_in_the_sandbox_and_the_agent_lives() {
    let mut harness = Harness::new("v2-memory").await;
    harness.limits.memory_bytes = 16 << 20;
    harness.limits.work_bytes = 1 << 20;
    harness.limits.tmp_bytes = 1 << 20;
    let (machine, mut running) = harness.start_keeping("head -c 300m /dev/zero | tail | wc -c").await;
    running.end().await;
    assert_eq!(machine.verdict().await, Verdict::OutOfMemory);
    assert!(machine.usage().await.expect("counted").peak_memory > 16 << 20);
    machine.resize(&harness.limits).await.expect("resized");
    assert_eq!(machine.verdict().await, Verdict::Alive);
    running.destroy().await;
    harness.assert_nothing_left().await;
}

#[ignore = "needs cgroup version 2: cargo xtask test-cgroup2"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_are_bounded_and_killed_at_once() {
    let mut harness = Harness::new("v2-pids").await;
    harness.limits.pids = 20;
    let running = harness.start("while :; do setsid sleep 1000 & done").await;
    let group = group_of(&harness);
    // Whether or not the bomb has reached its bound by now, it never is beyond it.
    let bound: u64 = read(&group, "pids.max").parse().expect("a number");
    assert!(read(&group, "pids.current").parse::<u64>().expect("a number") <= bound);
    std::fs::write(group.join("cgroup.kill"), "1").expect("killed");
    running.destroy().await;
    assert!(!group.exists());
    harness.assert_nothing_left().await;
}

#[ignore = "needs cgroup version 2: cargo xtask test-cgroup2"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cpu_share_holds() {
    let mut harness = Harness::new("v2-cpu").await;
    harness.limits.milli_cpus = 200;
    let (machine, mut running) = harness.start_keeping("timeout 2 sh -c 'while :; do :; done'").await;
    let before = std::time::Instant::now();
    running.end().await;
    let share = machine.usage().await.expect("counted").cpu.as_secs_f64() / before.elapsed().as_secs_f64();
    assert!(share < 0.4, "{share}");
    running.destroy().await;
    harness.assert_nothing_left().await;
}

#[ignore = "needs cgroup version 2: cargo xtask test-cgroup2"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_engine_left_is_reaped() {
    let harness = Harness::new("v2-reap").await;
    let dead = harness.another_engine_killed_while_it_runs("engine_that_will_be_killed", "sleep 1000").await;
    assert!(!harness::left_of(dead).is_empty());
    harness.manager_reaps(dead).await;
    assert_eq!(harness::left_of(dead), Vec::<String>::new());
    harness.assert_nothing_left().await;
}

/// What [`what_a_killed_engine_left_is_reaped`] starts and kills; no case by itself.
#[ignore = "needs cgroup version 2: cargo xtask test-cgroup2"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn engine_that_will_be_killed() {
    harness::be_the_engine_that_will_be_killed().await;
}
