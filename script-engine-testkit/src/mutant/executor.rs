//! Executors that break one rule each: wrappers round the fake.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use script_engine_core::contract::{
    ExecutorInfo, OutputStream, OwnerStatus, Progress, ReapReport, RunningScript, ScriptControl, ScriptEvent,
    ScriptExecutor, Spawned, Stop,
};
use script_engine_core::{
    Cancel, Capability, ConnectionLog, Egress, Error, Exit, Job, NetworkPolicy, OwnerId, Restriction, Result,
    RuntimeSpec, Stopwatch,
};
use tokio::sync::{mpsc, oneshot};

use super::Mutant;
use crate::case::Case;
use crate::executor::{ExecutorBackend, script_executor};
use crate::fake::{FakeBackend, FakeHost};
use crate::machine::TestMachine;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    LeavesLitterOnError,
    LeavesLitterOnCancel,
    DoesNotHearACancel,
    ReportsMoreThanPromised,
    LetsMemoryGrow,
    ForgetsTheOwner,
    AddsAVariable,
    OpensMore,
    StartsWhatItCannotOpen,
    DropsEmptyArguments,
    FindsTheSameAgain,
    ReapsEverybody,
    SwallowsTheExitCode,
    AnswersOnce,
    LosesTheLastPiece,
    MixesTheStreams,
    HoardsOutput,
    LeavesAProcess,
    FollowsLinks,
    CutsLongFiles,
    ForgetsToDestroy,
    KeepsNoConnections,
    KillsWhenAsked,
    MissesTheDetached,
    ReversesStdin,
}

use Fault as F;

pub(super) const MUTANTS: &[Mutant] = &[
    Mutant::new("EX-01", "leaves something when a start fails", || cases(F::LeavesLitterOnError)),
    Mutant::new("EX-02", "reports what it did not promise", || cases(F::ReportsMoreThanPromised)),
    Mutant::new("EX-02", "claims to bound memory and does not", || cases(F::LetsMemoryGrow)),
    Mutant::new("EX-03", "makes things that carry another owner", || cases(F::ForgetsTheOwner)),
    Mutant::new("EX-04", "adds a variable of its own", || cases(F::AddsAVariable)),
    Mutant::new("EX-04", "drops empty arguments", || cases(F::DropsEmptyArguments)),
    Mutant::new("EX-05", "finds the same again at the second reap", || cases(F::FindsTheSameAgain)),
    Mutant::new("EX-06", "reaps everybody", || cases(F::ReapsEverybody)),
    Mutant::new("EX-07", "leaves something when a start is called off", || cases(F::LeavesLitterOnCancel)),
    Mutant::new("EX-07", "does not hear that a start is called off", || cases(F::DoesNotHearACancel)),
    Mutant::new("EX-08", "opens more than is allowed", || cases(F::OpensMore)),
    Mutant::new("EX-08", "starts what it can't open", || cases(F::StartsWhatItCannotOpen)),
    Mutant::new("EX-10", "swallows the exit code", || cases(F::SwallowsTheExitCode)),
    Mutant::new("EX-10", "says only once how it ended", || cases(F::AnswersOnce)),
    Mutant::new("EX-11", "loses the last piece", || cases(F::LosesTheLastPiece)),
    Mutant::new("EX-11", "mixes the streams", || cases(F::MixesTheStreams)),
    Mutant::new("EX-12", "hoards output that nobody fetches", || cases(F::HoardsOutput)),
    Mutant::new("EX-13", "leaves a process behind the end", || cases(F::LeavesAProcess)),
    Mutant::new("EX-14", "follows links", || cases(F::FollowsLinks)),
    Mutant::new("EX-15", "cuts files that are too long", || cases(F::CutsLongFiles)),
    Mutant::new("EX-16", "forgets to destroy the sandbox", || cases(F::ForgetsToDestroy)),
    Mutant::new("EX-17", "keeps no record of connections", || cases(F::KeepsNoConnections)),
    Mutant::new("EX-20", "kills when it is to ask", || cases(F::KillsWhenAsked)),
    Mutant::new("EX-21", "misses detached processes when it kills", || cases(F::MissesTheDetached)),
    Mutant::new("EX-22", "turns stdin round", || cases(F::ReversesStdin)),
];

fn cases(fault: Fault) -> Vec<Case> {
    script_executor(Arc::new(Broken { inner: FakeBackend::new(), fault }))
}

#[derive(Debug)]
struct Broken {
    inner: FakeBackend,
    fault: Fault,
}

#[async_trait]
impl TestMachine for Broken {
    fn runtime(&self) -> RuntimeSpec {
        self.inner.runtime()
    }

    async fn leftovers(&self, owner: OwnerId) -> Result<Vec<String>> {
        self.inner.leftovers(owner).await
    }

    async fn processes(&self, marker: &str) -> Result<Vec<String>> {
        self.inner.processes(marker).await
    }
}

#[async_trait]
impl ExecutorBackend for Broken {
    async fn executor(&self, owner: OwnerId) -> Result<Arc<dyn ScriptExecutor>> {
        let other = OwnerId::from_bits(owner.bits() ^ 1);
        let inner = self.inner.executor(if self.fault == F::ForgetsTheOwner { other } else { owner }).await?;
        Ok(Arc::new(BrokenExecutor { inner, host: self.inner.host().clone(), owner, fault: self.fault }))
    }
}

#[derive(Debug)]
struct BrokenExecutor {
    inner: Arc<dyn ScriptExecutor>,
    host: FakeHost,
    owner: OwnerId,
    fault: Fault,
}

#[async_trait]
impl ScriptExecutor for BrokenExecutor {
    fn info(&self) -> ExecutorInfo {
        self.inner.info()
    }

    fn capability(&self) -> Capability {
        match self.fault {
            F::StartsWhatItCannotOpen => self.inner.capability().with_egress(Egress::Nothing),
            F::ReportsMoreThanPromised => self.inner.capability().without(Restriction::Cpu, "no cgroup"),
            _ => self.inner.capability(),
        }
    }

    async fn spawn(&self, mut job: Job, stopwatch: &mut Stopwatch, mut cancel: Cancel) -> Result<Spawned> {
        let called_off = cancel.clone();
        if self.fault == F::DoesNotHearACancel {
            cancel = Cancel::never();
        }
        let command = job.argv.join(" ");
        match self.fault {
            F::AddsAVariable => job.env.push(("PWD".into(), b"/work".to_vec())),
            F::OpensMore => {
                let targets = job.argv.get(6..).unwrap_or_default().chunks_exact(2);
                let all = targets.map(|it| format!("{}:{}", it[0], it[1]));
                job.network = NetworkPolicy::allow(all)?;
            }
            F::DropsEmptyArguments => job.argv.retain(|it| !it.is_empty()),
            F::LetsMemoryGrow => {
                for file in &mut job.files {
                    if file.content.starts_with(b"# scenario: breaks memory") {
                        file.content = Bytes::from_static(b"# scenario: breaches\n");
                    }
                }
            }
            _ => {}
        }
        let spawned = self.inner.spawn(job, stopwatch, cancel).await;
        let Ok(Spawned { script, control, enforcement, runtime, connections }) = spawned else {
            let leaves = match self.fault {
                F::LeavesLitterOnError => true,
                F::LeavesLitterOnCancel => called_off.is_cancelled(),
                _ => false,
            };
            if leaves {
                self.host.litter(self.owner, "litter");
            }
            return spawned;
        };
        let litter = Litter { host: self.host.clone(), owner: self.owner, command };
        let script: Box<dyn RunningScript> = match self.fault {
            F::HoardsOutput => Box::new(Hoard::start(script)),
            fault => Box::new(BrokenScript { inner: script, fault, litter: litter.clone(), held: None, told: false }),
        };
        let control = Arc::new(BrokenControl { inner: control, fault: self.fault, litter });
        let connections = if self.fault == F::KeepsNoConnections { ConnectionLog::default() } else { connections };
        Ok(Spawned { script, control, enforcement, runtime, connections })
    }

    async fn preload(&self, runtime: &RuntimeSpec, progress: &dyn Progress) -> Result<()> {
        self.inner.preload(runtime, progress).await
    }

    async fn owners(&self) -> Result<Vec<OwnerStatus>> {
        self.inner.owners().await
    }

    async fn reap(&self, owner: OwnerId) -> Result<ReapReport> {
        let mut report = self.inner.reap(owner).await?;
        if self.fault == F::FindsTheSameAgain {
            report.removed.push("a folder that is not removed".into());
        }
        if self.fault == F::ReapsEverybody {
            for other in self.inner.owners().await? {
                report.removed.extend(self.inner.reap(other.owner).await?.removed);
            }
        }
        Ok(report)
    }

    async fn shutdown(&self) -> Result<()> {
        self.inner.shutdown().await
    }
}

/// What a mutant leaves lying about.
#[derive(Clone, Debug)]
struct Litter {
    host: FakeHost,
    owner: OwnerId,
    command: String,
}

impl Litter {
    fn leave(&self) {
        self.host.litter(self.owner, self.command.clone());
    }
}

#[derive(Debug)]
struct BrokenScript {
    inner: Box<dyn RunningScript>,
    fault: Fault,
    litter: Litter,
    held: Option<ScriptEvent>,
    told: bool,
}

impl BrokenScript {
    /// Hands each piece out when the next one is there, so that the last one never is.
    async fn late(&mut self) -> ScriptEvent {
        loop {
            let event = self.inner.next().await;
            if !matches!(event, ScriptEvent::Output { .. }) {
                return event;
            }
            if let Some(held) = self.held.replace(event) {
                return held;
            }
        }
    }
}

#[async_trait]
impl RunningScript for BrokenScript {
    async fn next(&mut self) -> ScriptEvent {
        if self.fault == F::LosesTheLastPiece {
            return self.late().await;
        }
        match (self.fault, self.inner.next().await) {
            (F::SwallowsTheExitCode, ScriptEvent::Exited(mut report)) => {
                report.exit = Exit::Code(0);
                ScriptEvent::Exited(report)
            }
            (F::AnswersOnce, ScriptEvent::Exited(report)) if !std::mem::replace(&mut self.told, true) => {
                ScriptEvent::Exited(report)
            }
            (F::AnswersOnce, ScriptEvent::Exited(_)) => ScriptEvent::lost(&Error::internal("it was told already")),
            (F::MixesTheStreams, ScriptEvent::Output { time, bytes, .. }) => {
                ScriptEvent::Output { stream: OutputStream::Stdout, time, bytes }
            }
            (F::LeavesAProcess, event @ ScriptEvent::Exited(_)) => {
                self.litter.leave();
                event
            }
            (_, event) => event,
        }
    }

    async fn collect(&mut self, path: &str, max_bytes: u64) -> Result<Option<Bytes>> {
        let found = self.inner.collect(path, max_bytes).await;
        match self.fault {
            F::FollowsLinks if found.is_err() => Ok(Some(Bytes::from_static(b"root:x:0:0"))),
            F::CutsLongFiles if found.is_err() => {
                let whole = self.inner.collect(path, u64::MAX).await?;
                let most = usize::try_from(max_bytes).unwrap_or(usize::MAX);
                Ok(whole.map(|it| it.slice(..it.len().min(most))))
            }
            _ => found,
        }
    }

    async fn finish(self: Box<Self>) -> Result<()> {
        match self.fault {
            F::ForgetsToDestroy => Ok(()),
            _ => self.inner.finish().await,
        }
    }
}

#[derive(Debug)]
struct BrokenControl {
    inner: Arc<dyn ScriptControl>,
    fault: Fault,
    litter: Litter,
}

#[async_trait]
impl ScriptControl for BrokenControl {
    async fn stop(&self, stop: Stop) -> Result<()> {
        match (self.fault, stop) {
            (F::KillsWhenAsked, Stop::Ask) => self.inner.stop(Stop::Kill).await,
            (F::MissesTheDetached, Stop::Kill) => {
                self.litter.leave();
                self.inner.stop(Stop::Kill).await
            }
            _ => self.inner.stop(stop).await,
        }
    }

    async fn write_stdin(&self, bytes: Bytes) -> Result<()> {
        match self.fault {
            F::ReversesStdin => self.inner.write_stdin(bytes.iter().rev().copied().collect()).await,
            _ => self.inner.write_stdin(bytes).await,
        }
    }

    async fn close_stdin(&self) -> Result<()> {
        self.inner.close_stdin().await
    }
}

/// Fetches everything at once, whether anybody wants it or not.
#[derive(Debug)]
struct Hoard {
    events: mpsc::UnboundedReceiver<ScriptEvent>,
    script: oneshot::Receiver<Box<dyn RunningScript>>,
}

impl Hoard {
    fn start(mut script: Box<dyn RunningScript>) -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        let (back, receiver) = oneshot::channel();
        drop(tokio::spawn(async move {
            loop {
                let event = script.next().await;
                let end = matches!(event, ScriptEvent::Exited(_) | ScriptEvent::Lost { .. });
                if sender.send(event).is_err() || end {
                    break;
                }
            }
            drop(back.send(script));
        }));
        Self { events, script: receiver }
    }
}

#[async_trait]
impl RunningScript for Hoard {
    async fn next(&mut self) -> ScriptEvent {
        let event = self.events.recv().await;
        event.unwrap_or_else(|| ScriptEvent::lost(&Error::internal("it was told already")))
    }

    async fn collect(&mut self, _path: &str, _max_bytes: u64) -> Result<Option<Bytes>> {
        Ok(None)
    }

    async fn finish(self: Box<Self>) -> Result<()> {
        let Self { events, script } = *self;
        drop(events);
        match tokio::time::timeout(Duration::from_secs(5), script).await {
            Ok(Ok(script)) => script.finish().await,
            _ => Err(Error::internal("the hoard was not given back")),
        }
    }
}
