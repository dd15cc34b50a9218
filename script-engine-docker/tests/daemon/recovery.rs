//! Executions whose engine, stream, container or daemon goes away in the middle.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use script_engine_core::contract::{BootSpec, RuntimeManager as _, ScriptEvent, ScriptExecutor as _, Target, Verdict};
use script_engine_core::sandbox::AgentSandbox;
use script_engine_core::{Cancel, ErrorKind, Job, Limits, OwnerId, Stopwatch};
use script_engine_docker::{Config, Manager};
use script_engine_testkit::processes_here;

use crate::bench::{BASH, Ended, Folder, Heard, LEASE, config, executor, fresh_owner, job, run, session};
use crate::private::{Private, docker};

/// What this program is when it is an engine that is to be killed.
pub(crate) const VICTIM: &str = "victim";
/// A script that prints and then never ends.
const ENDLESS: &str = "echo ready; while :; do sleep 1000; done";
/// How long what ends by itself may take on a loaded machine, its lease included.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until no process has `mark` in its command line.
async fn gone(mark: &str) {
    let mut turns = tokio::time::interval(Duration::from_millis(20));
    let none = async {
        while !processes_here(mark).unwrap().is_empty() {
            turns.tick().await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, none).await.is_ok(), "alive are {:?}", processes_here(mark));
}

/// Waits until a process has `mark` in its command line.
async fn begun(mark: &str) {
    let mut turns = tokio::time::interval(Duration::from_millis(20));
    while processes_here(mark).unwrap().is_empty() {
        turns.tick().await;
    }
}

fn containers(endpoint: &str, owner: OwnerId) -> Vec<String> {
    let label = format!("label=script-engine.owner={owner}");
    let listed = docker(endpoint, &["ps", "--all", "--filter", &label, "--format", "{{.Names}} {{.Status}}"]);
    listed.lines().map(str::to_owned).collect()
}

/// The name of the one container that an owner has.
fn container(endpoint: &str, owner: OwnerId) -> String {
    let [container] = <[String; 1]>::try_from(containers(endpoint, owner)).unwrap();
    container.split(' ').next().unwrap().to_owned()
}

fn mark(owner: OwnerId) -> String {
    format!("mark-{:032x}", owner.bits().rotate_left(32))
}

pub(crate) async fn a_disk_that_is_full_is_said_and_leaves_nothing(endpoint: &str) {
    let private = Private::start_on_a_small_disk();
    private.load(endpoint, BASH);
    let (folder, owner) = (Folder::new(), fresh_owner());
    let executor = executor(config(&private.endpoint(), &folder.0), owner).await;
    private.fill_disk();
    let error = run(&executor, job("echo ran", &mark(owner))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let text = error.to_string();
    assert!(text.contains("no space left on device") && text.contains("free space where the daemon"), "{text}");
    assert_eq!(containers(&private.endpoint(), owner), Vec::<String>::new());
    private.free_disk();
    let ended = run(&executor, job("echo ran", &mark(owner))).await.unwrap();
    assert!(matches!(&ended, Ended::Exited(_, text) if text == "ran\n"), "{ended:?}");
    executor.shutdown().await.unwrap();
    assert_eq!(containers(&private.endpoint(), owner), Vec::<String>::new());
}

pub(crate) async fn a_registry_that_is_away_matters_only_where_there_is_no_copy(endpoint: &str) {
    let (folder, owner) = (Folder::new(), fresh_owner());
    // Nothing listens there, and the name is nobody else's.
    let image = format!("127.0.0.1:1/script-engine-test/{owner}:1");
    let mut config = config(endpoint, &folder.0);
    config.images.insert("bash".into(), image.clone());
    let executor = executor(config, owner).await;
    let error = run(&executor, job("echo ran", &mark(owner))).await.unwrap_err();
    assert!(error.kind() == ErrorKind::NotFound && error.to_string().contains(&image), "{error}");
    docker(endpoint, &["tag", BASH, &image]);
    let ended = run(&executor, job("echo ran", &mark(owner))).await;
    docker(endpoint, &["rmi", &image]);
    assert!(matches!(&ended, Ok(Ended::Exited(_, text)) if text == "ran\n"), "{ended:?}");
    executor.shutdown().await.unwrap();
    assert_eq!(containers(endpoint, owner), Vec::<String>::new());
}

pub(crate) async fn what_is_removed_underneath_ends_clearly(endpoint: &str) {
    let (folder, owner) = (Folder::new(), fresh_owner());
    let executor = executor(config(endpoint, &folder.0), owner).await;
    let mut spawned =
        executor.spawn(job(ENDLESS, &mark(owner)), &mut Stopwatch::start(), Cancel::never()).await.unwrap();
    while !matches!(spawned.script.next().await, ScriptEvent::Output { .. }) {}
    let name = container(endpoint, owner);
    let labels = docker(endpoint, &["inspect", "--format", "{{json .Config.Labels}}", &name]);
    for label in [format!("owner\":\"{owner}"), "tenant\":\"default".into(), "language\":\"bash".into()] {
        assert!(labels.contains(&format!("script-engine.{label}\"")), "{labels}");
    }
    docker(endpoint, &["rm", "--force", &name]);
    let event = loop {
        match spawned.script.next().await {
            ScriptEvent::Beat(_) => {}
            other => break other,
        }
    };
    assert!(matches!(event, ScriptEvent::Lost { out_of_memory: false, .. }), "{event:?}");
    spawned.script.finish().await.unwrap();

    // The image: a name of its own, so that nobody else's is removed.
    let image = format!("script-engine-test/{owner}:1");
    let container = docker(endpoint, &["create", "--label", "of=a-test", BASH, "true"]);
    docker(endpoint, &["commit", container.trim(), &image]);
    docker(endpoint, &["rm", container.trim()]);
    executor.shutdown().await.unwrap();
    let mut config = config(endpoint, &folder.0);
    config.images.insert("bash".into(), image.clone());
    let manager = Manager::open(config, fresh_owner()).unwrap();
    let runtime = job("", "").runtime;
    let lease = manager.provide(&runtime, &Heard::default()).await.unwrap();
    docker(endpoint, &["rmi", &image]);
    let spec = BootSpec::new(Limits::default());
    let error = manager.boot(&lease, &spec).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    let error = manager.provide(&runtime, &Heard::default()).await.unwrap_err();
    assert!(error.to_string().contains("is not there"), "{error}");
    manager.shutdown().await.unwrap();
}

pub(crate) async fn a_name_that_is_taken_is_said_and_left_to_its_owner(endpoint: &str) {
    let (folder, owner) = (Folder::new(), fresh_owner());
    let executor = executor(config(endpoint, &folder.0), owner).await;
    let spawned = executor.spawn(job(ENDLESS, &mark(owner)), &mut Stopwatch::start(), Cancel::never()).await.unwrap();
    let name = container(endpoint, owner);
    spawned.script.finish().await.unwrap();
    let (prefix, number) = name.rsplit_once('-').unwrap();
    let next = format!("{prefix}-{}", number.parse::<u64>().unwrap() + 1);
    docker(endpoint, &["create", "--name", &next, BASH, "true"]);
    let error = run(&executor, job("echo ran", &mark(owner))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert!(error.to_string().contains("remove the container that has the name"), "{error}");
    // Fails where the container is gone.
    docker(endpoint, &["rm", &next]);
    let ended = run(&executor, job("echo ran", &mark(owner))).await.unwrap();
    assert!(matches!(&ended, Ended::Exited(_, text) if text == "ran\n"), "{ended:?}");
    executor.shutdown().await.unwrap();
    assert_eq!(containers(endpoint, owner), Vec::<String>::new());
}

pub(crate) async fn a_daemon_that_hangs_is_not_waited_for(endpoint: &str) {
    let folder = Folder::new();
    let mut daemon = Private::start(false);
    daemon.load(endpoint, BASH);
    let config = Config { call_timeout: Duration::from_secs(2), ..config(&daemon.endpoint(), &folder.0) };
    let manager = Manager::open(config.clone(), fresh_owner()).unwrap();
    manager.probe().await.unwrap();
    let lease = manager.provide(&job("", "").runtime, &Heard::default()).await.unwrap();
    daemon.signal("-STOP");
    let spec = BootSpec::new(Limits::default());
    let error = tokio::time::timeout(PATIENCE, manager.owners()).await.unwrap().unwrap_err();
    assert!(error.kind() == ErrorKind::Unavailable && error.to_string().contains("within 2s"), "{error}");
    // A boot fails when what it began is cleared up, for which the daemon must be back.
    let boot = manager.boot(&lease, &spec);
    let back = async {
        let begun = Manager::open(config, fresh_owner()).unwrap();
        drop(begun.owners().await.unwrap_err());
        daemon.signal("-CONT");
        begun.shutdown().await.unwrap();
    };
    let (booted, ()) = tokio::join!(tokio::time::timeout(PATIENCE, boot), back);
    match booted.unwrap() {
        Ok(booted) => booted.machine.destroy().await.unwrap(),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}"),
    }
    manager.shutdown().await.unwrap();
}

/// Runs a script that never ends, in a container of somebody else's if one is named, and waits to be killed.
pub(crate) async fn be_the_victim(arguments: &[String]) {
    let [endpoint, state, owner, target @ ..] = arguments else { panic!("{arguments:?}") };
    let owner: OwnerId = owner.parse().unwrap();
    let executor = executor(config(endpoint, state.as_ref()), owner).await;
    let target = target.first().map(|name| Target { name: name.clone(), user: None });
    drop(run(&executor, Job { target, ..job(ENDLESS, &mark(owner)) }).await);
}

/// Starts an engine of its own, and waits until its script runs.
async fn victim(arguments: &[&str], mark: &str) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let victim = command.arg(VICTIM).args(arguments).stdin(Stdio::null()).spawn().unwrap();
    begun(mark).await;
    victim
}

pub(crate) async fn an_engine_that_is_killed_leaves_nothing_that_lives(endpoint: &str) {
    let (folder, owner) = (Folder::new(), fresh_owner());
    let mark = mark(owner);
    let mut victim = victim(&[endpoint, folder.0.to_str().unwrap(), &owner.to_string()], &mark).await;
    let next = Manager::open(config(endpoint, &folder.0), fresh_owner()).unwrap();
    let alive =
        |owners: &[script_engine_core::contract::OwnerStatus]| owners.iter().any(|it| it.owner == owner && it.alive);
    assert!(alive(&next.owners().await.unwrap()));
    assert_eq!(next.reap(owner).await.unwrap_err().kind(), ErrorKind::Conflict);
    victim.kill().unwrap();
    victim.wait().unwrap();
    gone(&mark).await;
    assert!(!alive(&next.owners().await.unwrap()));
    let report = next.reap(owner).await.unwrap();
    assert!(!report.removed.is_empty());
    assert!(containers(endpoint, owner).is_empty());
    assert_eq!(next.reap(owner).await.unwrap().removed, Vec::<String>::new());
    next.shutdown().await.unwrap();
}

pub(crate) async fn an_engine_that_is_killed_leaves_nothing_in_a_container_of_the_users(endpoint: &str) {
    let (folder, owner) = (Folder::new(), fresh_owner());
    let mark = mark(owner);
    let target = docker(endpoint, &["run", "--detach", "--network", "none", BASH, "sleep", "infinity"]);
    let target = target.trim();
    let inside = || docker(endpoint, &["exec", target, "find", "/tmp", "/var/tmp", "/dev/shm", "/run"]);
    let before = inside();
    let mut victim = victim(&[endpoint, folder.0.to_str().unwrap(), &owner.to_string(), target], &mark).await;
    assert_ne!(inside(), before);
    victim.kill().unwrap();
    victim.wait().unwrap();
    gone(&mark).await;
    let next = Manager::open(config(endpoint, &folder.0), fresh_owner()).unwrap();
    next.reap(owner).await.unwrap();
    assert_eq!(inside(), before);
    // It is the user's: it runs as before.
    docker(endpoint, &["rm", "--force", target]);
    next.shutdown().await.unwrap();
}

pub(crate) async fn a_stream_that_is_lost_ends_the_script(endpoint: &str) {
    let (folder, owner) = (Folder::new(), fresh_owner());
    let manager = Manager::open(config(endpoint, &folder.0), owner).unwrap();
    let lease = manager.provide(&job("", "").runtime, &Heard::default()).await.unwrap();
    let booted = manager.boot(&lease, &BootSpec::new(Limits::default())).await.unwrap();
    let machine = Arc::clone(&booted.machine);
    let mut sandbox = AgentSandbox::connect(booted, session()).await.unwrap();
    let job = job(ENDLESS, &mark(owner));
    script_engine_core::contract::Sandbox::put(&mut sandbox, &job.files).await.unwrap();
    drop(script_engine_core::contract::Sandbox::start(&mut sandbox, &job).await.unwrap());
    assert!(!processes_here(&mark(owner)).unwrap().is_empty());
    // With it goes the stream, and nothing else: the machine is still held.
    drop(sandbox);
    gone(&mark(owner)).await;
    let mut turns = tokio::time::interval(Duration::from_millis(20));
    while machine.verdict().await == Verdict::Alive {
        turns.tick().await;
    }
    machine.destroy().await.unwrap();
    assert!(containers(endpoint, owner).is_empty());
    manager.shutdown().await.unwrap();
}

pub(crate) async fn twenty_executions_outlive_the_death_of_the_daemon(endpoint: &str) {
    let (folder, owner) = (Folder::new(), fresh_owner());
    let mut daemon = Private::start(false);
    daemon.load(endpoint, BASH);
    let executor = Arc::new(executor(config(&daemon.endpoint(), &folder.0), owner).await);
    let mark = mark(owner);
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (executor, mark) = (Arc::clone(&executor), mark.clone());
        all.spawn(async move { run(executor.as_ref(), job(ENDLESS, &mark)).await });
    }
    let mut turns = tokio::time::interval(Duration::from_millis(20));
    while processes_here(&mark).unwrap().len() < 10 {
        turns.tick().await;
    }
    daemon.signal("-KILL");
    // Without the daemon, the agents end the scripts when their lease is over.
    gone(&mark).await;
    daemon.start_again();
    let mut ends = 0;
    while let Some(ended) = all.join_next().await {
        match ended.unwrap() {
            Ok(Ended::Lost) => ends += 1,
            Err(error) if error.kind() == ErrorKind::Unavailable => ends += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(ends, 20);
    executor.reap(owner).await.unwrap();
    assert_eq!(containers(&daemon.endpoint(), owner), Vec::<String>::new());
    let again = run(executor.as_ref(), job("echo again", &mark)).await.unwrap();
    assert!(matches!(&again, Ended::Exited(_, text) if text == "again\n"), "{again:?}");
    executor.shutdown().await.unwrap();
}

pub(crate) async fn a_daemon_that_stops_or_dies_ends_what_it_carries(endpoint: &str) {
    for live_restore in [false, true] {
        let folder = Folder::new();
        let mut daemon = Private::start(live_restore);
        daemon.load(endpoint, BASH);
        for signal in ["-TERM", "-KILL"] {
            let owner = fresh_owner();
            let executor = Arc::new(executor(config(&daemon.endpoint(), &folder.0), owner).await);
            let mark = mark(owner);
            let ended = tokio::spawn({
                let (executor, mark) = (Arc::clone(&executor), mark.clone());
                async move { run(executor.as_ref(), job(ENDLESS, &mark)).await }
            });
            begun(&mark).await;
            daemon.signal(signal);
            tokio::time::timeout(PATIENCE + LEASE, gone(&mark)).await.unwrap();
            daemon.start_again();
            let ended = ended.await.unwrap();
            assert!(matches!(ended, Ok(Ended::Lost)), "{live_restore}, {signal}: {ended:?}");
            executor.reap(owner).await.unwrap();
            assert_eq!(containers(&daemon.endpoint(), owner), Vec::<String>::new());
            executor.shutdown().await.unwrap();
        }
    }
}
