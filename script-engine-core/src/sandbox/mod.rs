//! Core's one implementation of [`Sandbox`]: the agent's protocol over any link.
//!
//! A pump (two tokio tasks) owns the link: it always drains it, answers for the lease by ping and
//! sorts what comes into the `inbox`, a script's connections into the `switchboard`. [`AgentSandbox`] is the thin side
//! that callers hold.
//! Dropping it closes the link, upon which the agent kills everything and exits.

mod egress;
mod flow;
mod inbox;
mod owner;
mod posture;
mod prime;
mod pump;
mod relay;
mod switchboard;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Semaphore;

use crate::contract::{Booted, Machine, Posture, Sandbox, SandboxPaths, ScriptControl, ScriptEvent, Stop, Verdict};
use crate::gateway::Gateway;
use crate::wire::{self, Place, Stream, ToAgent};
use crate::{
    ConnectionLog, EgressSettings, EnforcementReport, Error, ErrorKind, Job, JobFile, Limits, NetworkPolicy, Prime,
    Result, Retry,
};

pub use owner::{Living, Owner, OwnerLock, OwnerRecords};
pub use posture::Promise;

use egress::Connecting;
use inbox::{Inbox, Reply};
use prime::Primed;
use pump::{Outbox, Pump};

/// Times of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionSettings {
    /// Silence of the engine after which the agent ends everything. Pings go out four times as often.
    pub lease: Duration,
    /// How often the agent gives a sign of life while a script runs.
    pub heartbeat: Duration,
    /// How long the agent has to answer one request (hello, start, collect, reset, posture).
    pub answer: Duration,
    /// How long left-over processes may hold a script's output open.
    pub leak_timeout: Duration,
}

impl Default for SessionSettings {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(20),
            heartbeat: Duration::from_secs(2),
            answer: Duration::from_secs(30),
            leak_timeout: Duration::from_millis(500),
        }
    }
}

/// Bytes of each output stream that may be under way or wait to be fetched.
const WINDOW: u32 = 1 << 20;
/// Bytes by which a file may be longer than the folder it is in is large.
const FILE_MARGIN: u64 = 64 << 10;
/// Bytes of a file or of the environment in one frame; leaves room for the other fields.
const PIECE: usize = 48 << 10;
/// `SIGTERM` and `SIGKILL`, which have these numbers on every Linux.
const TERM: i32 = 15;
const KILL: i32 = 9;

/// A booted sandbox with the agent in it.
pub struct AgentSandbox {
    machine: Arc<dyn Machine>,
    enforcement: EnforcementReport,
    paths: SandboxPaths,
    supervise_memory: bool,
    supervise_pids: bool,
    settings: SessionSettings,
    inbox: Arc<Inbox>,
    outbox: Outbox,
    stdin_credit: Arc<Semaphore>,
    build: String,
    features: u32,
    /// The connections of the job that is started next, and of the one that is under way.
    next_connections: Option<Connecting>,
    connections: Option<Connecting>,
    // Dropping it ends the pump and so closes the link.
    _pump: Pump,
    execution: u32,
    /// Credit for what was fetched last, which the next call gives.
    owed: Option<(Stream, u32)>,
    primed: Option<Primed>,
}

impl fmt::Debug for AgentSandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentSandbox").field("machine", &self.machine).field("build", &self.build).finish()
    }
}

impl AgentSandbox {
    /// Takes over a booted machine: waits for the agent's hello, answers it, and sends the filters.
    /// Fails with `Unavailable` if the agent reports a fault or says nothing in time, with
    /// `Unsupported` if it lacks what the landlock domain needs; the machine is destroyed then.
    pub async fn connect(booted: Booted, settings: SessionSettings) -> Result<Self> {
        let Booted { link, machine, enforcement, filter, supervise_memory, supervise_pids, paths } = booted;
        let inbox = Arc::new(Inbox::new(u64::from(WINDOW)));
        let stdin_credit = Arc::new(Semaphore::new(0));
        let (pump, outbox) = pump::start(link, Arc::clone(&inbox), Arc::clone(&stdin_credit), settings.lease / 4);
        let mut sandbox = Self {
            machine,
            enforcement,
            paths,
            supervise_memory,
            supervise_pids,
            settings,
            inbox,
            outbox,
            stdin_credit,
            build: String::new(),
            features: 0,
            next_connections: None,
            connections: None,
            _pump: pump,
            execution: 0,
            owed: None,
            primed: None,
        };
        match sandbox.greet(&filter).await {
            Ok(()) => Ok(sandbox),
            Err(error) => {
                let error = sandbox.explained(error).await;
                Box::new(sandbox).destroy().await?;
                Err(error)
            }
        }
    }

    /// The digest of the agent's sources, as it says itself.
    #[must_use]
    pub fn build(&self) -> &str {
        &self.build
    }

    async fn greet(&mut self, filter: &crate::contract::Filter) -> Result<()> {
        self.send(&ToAgent::Hello { lease_ms: millis(self.settings.lease), beat_ms: millis(self.settings.heartbeat) })
            .await?;
        let landlock_abi = match self.reply("hello").await? {
            Reply::Hello { build, features, landlock_abi } => {
                (self.build, self.features) = (build, features);
                landlock_abi
            }
            other => return Err(other.unexpected("hello")),
        };
        if landlock_abi < filter.landlock.min_abi {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "the kernel has landlock ABI {landlock_abi}, the sandbox needs {}; use a newer kernel",
                    filter.landlock.min_abi
                ),
            ));
        }
        self.send(&ToAgent::Filter { seccomp: filter.seccomp.clone(), landlock: filter.landlock.clone() }).await
    }

    async fn send(&self, message: &ToAgent) -> Result<()> {
        self.outbox.send(message, self.execution).await
    }

    /// Waits for the agent's answer to the one request that is open.
    async fn reply(&self, operation: &'static str) -> Result<Reply> {
        match tokio::time::timeout(self.settings.answer, self.inbox.reply()).await {
            Ok(Reply::Fault(fault)) => Err(fault.error()),
            Ok(Reply::Lost(reason)) => Err(lost(&reason)),
            Ok(reply) => Ok(reply),
            Err(_) => Err(Error::new(ErrorKind::Unavailable, "the agent did not answer in time")
                .with_context("operation", operation)
                .with_retry(Retry::Maybe { after: None })),
        }
    }

    /// Adds the machine's own verdict to an error that a dead machine would explain.
    async fn explained(&self, error: Error) -> Error {
        match self.machine.verdict().await {
            Verdict::OutOfMemory => error.with_context("verdict", "out of memory; raise limits.memory_bytes"),
            Verdict::Gone | Verdict::Alive => error,
        }
    }

    fn start_message(&self, job: &Job) -> wire::Start {
        let limits = &job.limits;
        wire::Start {
            argv: job.argv.iter().map(|it| self.relocated(it.as_bytes())).collect(),
            env: Vec::new(),
            cwd: self.paths.work.clone().into_bytes(),
            stdin: job.stdin,
            open_files: limits.open_files,
            // The kernel counts a user's processes: where that would count others', the agent does.
            processes: if self.supervise_pids { 0 } else { limits.pids },
            // More than fits into the larger folder: who fills it hears that it is full, and is not ended by a signal.
            file_bytes: limits.work_bytes.max(limits.tmp_bytes).saturating_add(FILE_MARGIN),
            supervised_memory: self.supervised_memory(limits),
            supervised_processes: if self.supervise_pids { limits.pids } else { 0 },
            leak_ms: u32::try_from(self.settings.leak_timeout.as_millis()).unwrap_or(u32::MAX),
            window: WINDOW,
            primed_with: 0,
        }
    }

    /// Bytes of memory above which the agent ends a script; 0 if that is the kernel's to do. As the kernel would,
    /// the agent counts scratch space that lives in memory, so the sizes of it come on top.
    fn supervised_memory(&self, limits: &Limits) -> u64 {
        if !self.supervise_memory {
            return 0;
        }
        // Where they are elsewhere they are the host's folders, which are not in memory.
        let in_memory = self.paths == SandboxPaths::default();
        let scratch = limits.work_bytes.saturating_add(limits.tmp_bytes.saturating_mul(2));
        limits.memory_bytes.saturating_add(if in_memory { scratch } else { 0 })
    }

    /// Moves a path that begins with one of the usual folders to where this sandbox has them, which
    /// differs only in isolations without a file system of their own.
    fn relocated(&self, text: &[u8]) -> Vec<u8> {
        let usual = SandboxPaths::default();
        for (from, to) in
            [(&usual.scripts, &self.paths.scripts), (&usual.work, &self.paths.work), (&usual.tmp, &self.paths.tmp)]
        {
            if let Some(rest) = text.strip_prefix(from.as_bytes())
                && (rest.is_empty() || rest.starts_with(b"/"))
            {
                return [to.as_bytes(), rest].concat();
            }
        }
        text.to_vec()
    }

    async fn put_at(&self, place: Place, files: &[JobFile]) -> Result<()> {
        for file in files {
            let pieces = file.content.chunks(PIECE).count().max(1);
            for index in 0..pieces {
                let from = index * PIECE;
                let to = file.content.len().min(from + PIECE);
                self.send(&ToAgent::File {
                    place,
                    path: file.path.as_str().into(),
                    mode: if file.executable { 0o555 } else { 0o444 },
                    offset: from as u64,
                    last: index + 1 == pieces,
                    data: file.content.slice(from..to).to_vec(),
                })
                .await?;
            }
        }
        Ok(())
    }

    /// Sends the environment in as many frames as it takes.
    async fn send_environment(&self, env: &[(String, Vec<u8>)], given: &[String]) -> Result<()> {
        let mut vars: Vec<Vec<u8>> = Vec::new();
        let mut size = 0;
        for (name, value) in env {
            let value = if given.contains(name) { value.clone() } else { self.relocated(value) };
            let var = [name.as_bytes(), b"=", &value].concat();
            if size + var.len() > PIECE && !vars.is_empty() {
                self.send(&ToAgent::Env { vars: std::mem::take(&mut vars) }).await?;
                size = 0;
            }
            size += var.len() + 4;
            vars.push(var);
        }
        self.send(&ToAgent::Env { vars }).await
    }
}

#[async_trait]
impl Sandbox for AgentSandbox {
    fn enforcement(&self) -> &EnforcementReport {
        &self.enforcement
    }

    async fn put(&mut self, files: &[JobFile]) -> Result<()> {
        self.put_at(Place::Scripts, files).await
    }

    async fn prime(&mut self, prime: &Prime, like: &Job) -> Result<()> {
        self.start_waiting(prime, like).await
    }

    async fn listen(
        &mut self,
        policy: &NetworkPolicy,
        settings: &EgressSettings,
        gateway: &Gateway,
    ) -> Result<ConnectionLog> {
        self.open(policy, settings, gateway).await
    }

    async fn start(&mut self, job: &Job) -> Result<Arc<dyn ScriptControl>> {
        self.execution += 1;
        self.owed = None;
        self.end_connections().await;
        self.connections = self.next_connections.take();
        self.inbox.begin(self.execution, self.connections.as_ref().map(|it| Arc::clone(&it.0)));
        self.send_environment(&job.env, &job.given).await?;
        let mut start = self.start_message(job);
        start.primed_with = self.primed.take().map_or(0, |it| it.arguments_for(job));
        self.send(&ToAgent::Start(Box::new(start))).await?;
        match self.reply("start").await {
            Ok(Reply::Started) => Ok(Arc::new(AgentControl {
                inbox: Arc::clone(&self.inbox),
                outbox: self.outbox.clone(),
                stdin_credit: Arc::clone(&self.stdin_credit),
                execution: self.execution,
            })),
            Ok(other) => Err(other.unexpected("start")),
            Err(error) => Err(self.explained(error).await),
        }
    }

    async fn next(&mut self) -> ScriptEvent {
        // Before anything is taken: whoever stops to wait here has lost nothing.
        if let Some((stream, bytes)) = self.owed {
            // A link that is gone shows itself as the next event.
            drop(self.outbox.send(&ToAgent::Credit { stream, bytes }, self.execution).await);
        }
        self.owed = None;
        let (event, credit) = self.inbox.next().await;
        self.owed = credit;
        match event {
            ScriptEvent::Lost { reason, .. } => {
                ScriptEvent::Lost { reason, out_of_memory: self.machine.verdict().await == Verdict::OutOfMemory }
            }
            ScriptEvent::Exited(mut report) => {
                if let Some(usage) = self.machine.usage().await {
                    report.usage.peak_memory = report.usage.peak_memory.max(usage.peak_memory);
                    report.usage.cpu = report.usage.cpu.max(usage.cpu);
                }
                if report.broke.is_none() && self.machine.verdict().await == Verdict::OutOfMemory {
                    report.broke = Some(crate::BrokenLimit::Memory);
                }
                ScriptEvent::Exited(report)
            }
            event => event,
        }
    }

    async fn collect(&mut self, path: &str, max_bytes: u64) -> Result<Option<Bytes>> {
        self.inbox.begin_collect(max_bytes);
        let path = self.relocated(path.as_bytes());
        self.send(&ToAgent::Collect { path, max_bytes }).await?;
        match self.reply("collect").await? {
            Reply::File(content) => Ok(content),
            other => Err(other.unexpected("collect")),
        }
    }

    async fn reset(&mut self) -> Result<()> {
        self.next_connections = None;
        self.end_connections().await;
        self.send(&ToAgent::Reset).await?;
        match self.reply("reset").await? {
            Reply::Reset(findings) if findings.is_empty() => Ok(()),
            Reply::Reset(findings) => Err(Error::new(ErrorKind::Internal, "the sandbox is not clean after its reset")
                .with_context("findings", findings.join(", "))),
            other => Err(other.unexpected("reset")),
        }
    }

    async fn posture(&mut self) -> Result<Posture> {
        self.send(&ToAgent::Posture).await?;
        match self.reply("posture").await? {
            Reply::Posture(facts) => Ok(Posture(facts.into_iter().collect())),
            other => Err(other.unexpected("posture")),
        }
    }

    async fn destroy(mut self: Box<Self>) -> Result<()> {
        self.end_connections().await;
        let machine = Arc::clone(&self.machine);
        drop(self);
        machine.destroy().await
    }
}

fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}

fn lost(reason: &str) -> Error {
    Error::new(ErrorKind::Unavailable, format!("the sandbox is lost: {reason}"))
        .with_retry(Retry::Maybe { after: None })
}

/// The acting half of a script that runs under an agent.
#[derive(Debug)]
struct AgentControl {
    inbox: Arc<Inbox>,
    outbox: Outbox,
    stdin_credit: Arc<Semaphore>,
    execution: u32,
}

impl AgentControl {
    /// Tells the agent something. A script whose sandbox is gone is gone: nothing is left to be done to it.
    async fn tell(&self, message: &ToAgent) -> Result<()> {
        match self.outbox.send(message, self.execution).await {
            Err(error) if error.kind() == ErrorKind::Unavailable => Ok(()),
            sent => sent,
        }
    }
}

#[async_trait]
impl ScriptControl for AgentControl {
    async fn stop(&self, stop: Stop) -> Result<()> {
        if self.inbox.is_over(self.execution) {
            return Ok(());
        }
        let signal = match stop {
            Stop::Ask => TERM,
            Stop::Kill => KILL,
        };
        self.tell(&ToAgent::Signal { signal }).await
    }

    async fn write_stdin(&self, mut bytes: Bytes) -> Result<()> {
        while !bytes.is_empty() && !self.inbox.is_over(self.execution) {
            // Wait for any credit, then take as much of it as this piece can use.
            let first = tokio::select! {
                first = self.stdin_credit.acquire() => first,
                () = self.inbox.over(self.execution) => return Ok(()),
            };
            let Ok(first) = first else { return Ok(()) };
            let wanted = bytes.len().min(PIECE);
            let more = self.stdin_credit.available_permits().min(wanted - 1);
            let more = u32::try_from(more).unwrap_or(0);
            let taken = match self.stdin_credit.try_acquire_many(more) {
                Ok(permits) => {
                    permits.forget();
                    more as usize + 1
                }
                Err(_) => 1,
            };
            first.forget();
            let piece = bytes.split_to(taken);
            let message = ToAgent::Data { stream: Stream::Stdin, time_us: 0, bytes: piece.to_vec() };
            self.tell(&message).await?;
        }
        Ok(())
    }

    async fn close_stdin(&self) -> Result<()> {
        if self.inbox.is_over(self.execution) {
            return Ok(());
        }
        self.tell(&ToAgent::End { stream: Stream::Stdin }).await
    }
}

#[cfg(test)]
mod tests;
