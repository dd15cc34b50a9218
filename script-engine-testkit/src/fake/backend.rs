//! The fake as a backend of the executor suite: what each of the suite's scripts would do.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use script_engine_core::contract::{OutputStream, RuntimeManager, ScriptExecutor};
use script_engine_core::{ErrorKind, Job, OwnerId, Result, RuntimeSpec};

use super::action::{Action, Left};
use super::manager::{FakeManager, FakeTargets, Runtimes};
use super::sandbox::FakeSource;
use super::{FakeExecutor, FakeHost};
use crate::executor::{ExecutorBackend, numbers};
use crate::machine::TestMachine;
use crate::sandbox::{RuntimeBackend, SandboxBackend, SandboxSource, TestTargets};

/// A fake machine whose executors know the scripts of the suite by the names in their first lines.
#[derive(Clone, Debug, Default)]
pub struct FakeBackend {
    host: FakeHost,
    runtimes: Arc<Runtimes>,
}

impl FakeBackend {
    /// Makes a backend with a machine of its own.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The machine.
    #[must_use]
    pub fn host(&self) -> &FakeHost {
        &self.host
    }
}

#[async_trait]
impl ExecutorBackend for FakeBackend {
    async fn executor(&self, owner: OwnerId) -> Result<Arc<dyn ScriptExecutor>> {
        Ok(Arc::new(FakeExecutor::on(self.host.clone(), owner).with_scripts(simulate)))
    }
}

#[async_trait]
impl TestMachine for FakeBackend {
    fn runtime(&self) -> RuntimeSpec {
        RuntimeSpec { language: "bash".into(), image: "bash".into(), layer: None }
    }

    async fn leftovers(&self, owner: OwnerId) -> Result<Vec<String>> {
        Ok(self.host.leftovers(owner))
    }

    async fn processes(&self, marker: &str) -> Result<Vec<String>> {
        Ok(self.host.processes(marker))
    }
}

#[async_trait]
impl SandboxBackend for FakeBackend {
    async fn source(&self, owner: OwnerId) -> Result<Arc<dyn SandboxSource>> {
        Ok(Arc::new(FakeSource { host: self.host.clone(), owner }))
    }

    fn resets(&self) -> Result<(), String> {
        Ok(())
    }

    fn primes(&self) -> Result<(), String> {
        Ok(())
    }
}

#[async_trait]
impl RuntimeBackend for FakeBackend {
    async fn manager(&self, owner: OwnerId) -> Result<Arc<dyn RuntimeManager>> {
        Ok(Arc::new(FakeManager::new(self.host.clone(), owner, Arc::clone(&self.runtimes))))
    }

    fn provisions(&self) -> Result<u64, String> {
        Ok(self.runtimes.made.load(Ordering::Relaxed))
    }

    fn targets(&self) -> Result<Arc<dyn TestTargets>, String> {
        Ok(Arc::new(FakeTargets(self.host.clone())))
    }
}

/// What a script of the suite does, by the name in its first line.
pub(super) fn simulate(job: &Job) -> Option<Vec<Action>> {
    let name = job.files.iter().find_map(|it| {
        let line = it.content.split(|it| *it == b'\n').next()?;
        std::str::from_utf8(line).ok()?.strip_prefix("# scenario: ")
    })?;
    let ready = || Action::say("ready\n");
    let print = Action::Print;
    Some(match name.split_once(' ').unwrap_or((name, "")) {
        ("fails", _) => vec![Action::FailSpawn(ErrorKind::InvalidRequest, "no such program".into())],
        ("never", _) => vec![ready(), Action::Never],
        ("exit", code) => vec![Action::Exit(code.parse().ok()?)],
        ("die", signal) => vec![Action::Die(signal.parse().ok()?)],
        ("cat", _) => vec![Action::EchoStdin],
        ("empty", _) => vec![Action::EchoStdin, Action::say("end\n")],
        ("does", _) => vec![Action::Wait(Duration::from_millis(20)), Action::say("end\n")],
        ("arguments", _) => vec![Action::Answer(OutputStream::Stdout, Arc::new(arguments))],
        ("environment", _) => vec![Action::Answer(OutputStream::Stdout, Arc::new(environment))],
        ("files", _) => vec![Action::Answer(OutputStream::Stdout, Arc::new(files))],
        ("prints", _) => {
            let all = job.files.iter().find(|it| it.path.as_str() == "all.bin")?;
            let mut actions = alternate(numbers().into());
            actions.push(print(OutputStream::Stdout, all.content.clone()));
            actions.push(print(OutputStream::Stderr, Bytes::from_static(b"no newline")));
            actions
        }
        ("flood", bytes) => vec![Action::Flood(OutputStream::Stdout, bytes.parse().ok()?)],
        ("escapes", _) => vec![background("orphan"), background("session"), ready(), Action::Exit(5)],
        ("traps", _) => {
            let answer = vec![Action::say("child\n"), Action::say("parent\n"), Action::Exit(3)];
            vec![Action::OnAsk(answer), ready(), Action::Never]
        }
        ("deaf", _) => vec![Action::IgnoreAsk, background("orphan"), ready(), Action::Never],
        ("leaves", "links") => [links(), vec![ready()]].concat(),
        ("leaves", "long") => {
            let long: Vec<u8> = (0..25_000).flat_map(|it| format!("{it:07}\n").into_bytes()).collect();
            vec![Action::Leave("/work/long".into(), Left::File(long.into())), ready()]
        }
        ("leaves", _) => vec![background("child"), plain("/work/file", "x\n"), ready()],
        ("soils", _) => vec![background("orphan"), plain("/work/file", "x"), plain("/dev/shm/x", "x"), ready()],
        ("tells", _) => {
            let sign = |job: &Job| if is_primed(job) { "yes\n".into() } else { "cold\n".into() };
            let tell = |job: &Job| {
                let all = [arguments(job), environment(job), files(job)].concat();
                all.iter().map(|it| if *it == 0 { b' ' } else { *it }).collect()
            };
            let (tell, sign) = (Arc::new(tell), Arc::new(sign));
            vec![
                Action::Answer(OutputStream::Stdout, tell),
                Action::Answer(OutputStream::Stderr, sign),
                Action::Exit(7),
            ]
        }
        ("looks", _) => vec![Action::ListLeft, Action::say("looked\n")],
        ("connects", _) => {
            let targets = job.argv.get(6..).unwrap_or_default().chunks_exact(2);
            targets.filter_map(|it| Some(Action::Connect(it[0].clone(), it[1].parse().ok()?))).collect()
        }
        ("breaks", "memory") => vec![Action::ExhaustMemory],
        ("breaks", _) => Vec::new(),
        // What a mutant makes of a script that a sound executor stops.
        ("breaches", _) => vec![Action::say("BREACHED\n")],
        ("keeps", _) => vec![Action::say("begin\n"), Action::say("FINE\n")],
        _ => return None,
    })
}

fn background(name: &str) -> Action {
    Action::Background(name.into())
}

fn plain(path: &str, content: &'static str) -> Action {
    Action::Leave(path.into(), Left::File(content.into()))
}

fn links() -> Vec<Action> {
    let special = ["link", "linked", "etc", "passwd", "root", "chain", "fifo"];
    let special = special.map(|it| Action::Leave(format!("/work/{it}"), Left::Special));
    let files = [plain("/work/folder/file", "plain\n"), plain("/tmp/file", "tmp\n"), plain("/work/empty", "")];
    let folder = Action::Leave("/work/folder".into(), Left::Folder);
    special.into_iter().chain(files).chain([folder]).collect()
}

/// Prints the same on both streams, in turns.
fn alternate(mut bytes: Bytes) -> Vec<Action> {
    let mut actions = Vec::new();
    while !bytes.is_empty() {
        let piece = bytes.split_to(bytes.len().min(40_009));
        actions.push(Action::Print(OutputStream::Stderr, piece.clone()));
        actions.push(Action::Print(OutputStream::Stdout, piece));
    }
    actions
}

/// The arguments after the suite's own.
fn arguments(job: &Job) -> Bytes {
    job.argv.iter().skip(6).flat_map(|it| [it.as_bytes(), b"\0"].concat()).collect()
}

fn environment(job: &Job) -> Bytes {
    job.env.iter().flat_map(|(name, value)| [name.as_bytes(), b"=", value, b"\0"].concat()).collect()
}

/// Whether it was handed to the suite's primed program.
fn is_primed(job: &Job) -> bool {
    job.env.iter().any(|(name, _)| name == "PRIMED")
}

/// The names of all files in order, and the content of those below `data`.
fn files(job: &Job) -> Bytes {
    let mut names: Vec<String> = job.files.iter().map(|it| format!("./{}\n", it.path.as_str())).collect();
    names.sort();
    let data = job.files.iter().filter(|it| it.path.as_str().starts_with("data/"));
    names.concat().into_bytes().into_iter().chain(data.flat_map(|it| it.content.clone())).collect()
}
