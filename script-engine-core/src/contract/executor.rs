//! What the engine calls to run a job. Core's own implementation is the pooled executor; a host
//! that does not use the agent implements just this.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::{OwnerStatus, Progress, ReapReport};
use crate::{
    Cancel, Capability, ConnectionLog, Digest, EnforcementReport, Error, ExitReport, Job, OwnerId, Result, Stopwatch,
    Timestamp, Usage,
};

/// What separates a script from its host.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Isolation {
    /// Nothing: fakes.
    None,
    /// Landlock, seccomp and limits, in the host's own namespaces.
    Process,
    /// Namespaces of its own.
    Namespaces,
    /// A container of a daemon.
    Container,
}

impl Isolation {
    /// The isolation in lower case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Process => "process",
            Self::Namespaces => "namespaces",
            Self::Container => "container",
        }
    }
}

/// Who an executor is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutorInfo {
    /// Its name, by which requests choose it.
    pub name: String,
    /// What separates its scripts from the host.
    pub isolation: Isolation,
}

/// One of the two output streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OutputStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl OutputStream {
    /// The stream in lower case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// How to stop a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Ask every process of it to end (`SIGTERM`).
    Ask,
    /// End every process of it.
    Kill,
}

/// What happens to a running script.
#[derive(Clone, Debug)]
pub enum ScriptEvent {
    /// It printed something.
    Output {
        /// Where.
        stream: OutputStream,
        /// When.
        time: Timestamp,
        /// What: raw bytes.
        bytes: Bytes,
    },
    /// It is alive and has used this much.
    Beat(Usage),
    /// It is over, all output came before, and nothing of it is left in the sandbox.
    Exited(ExitReport),
    /// The sandbox is gone; the script may have done anything.
    Lost {
        /// Why, without secrets.
        reason: String,
        /// Whether it ran out of memory, as the machine's own verdict says.
        out_of_memory: bool,
    },
}

/// Runs jobs in one kind of isolation. Holds no policy: no timeouts, no retries, no queue.
#[async_trait]
pub trait ScriptExecutor: Any + fmt::Debug + Send + Sync {
    /// Who it is.
    fn info(&self) -> ExecutorInfo;

    /// What it can enforce, as proved when it was built.
    fn capability(&self) -> Capability;

    /// Starts `job` and returns as soon as its program runs. Moves `stopwatch` through the stages
    /// `Provision`, `Acquire` and `Start`. Whoever does not want it any more says so by `cancel` and waits
    /// for the end. Dropping the future kills what it made too, but a moment later and with nobody to tell;
    /// `reap` catches the rest.
    ///
    /// - [EX-01] On `Err`, nothing is left behind: no process, machine, file or mount.
    /// - [EX-02] What the report calls enforced is what `capability` promised.
    /// - [EX-03] Everything created carries the executor's owner, so that `reap` finds it.
    /// - [EX-04] The program sees exactly the job's files, arguments and environment, byte for byte.
    /// - [EX-07] Once `cancel` is given, the call ends soon and by itself: with `Err` and nothing left behind, or
    ///   with `Ok` if the program ran by then. Given before the call, it ends with an error of kind `Cancelled`.
    /// - [EX-08] The program reaches what the job's network policy allows, by TCP, and nothing else. A policy that
    ///   can't be opened is refused with `Unsupported`, and nothing is started.
    async fn spawn(&self, job: Job, stopwatch: &mut Stopwatch, cancel: Cancel) -> Result<Spawned>;

    /// Gets ready for jobs in this runtime, so that the next `spawn` is quicker, and tells how far that is. Idempotent,
    /// and no work where it is ready: it comes before each `spawn`. Cancel-safe.
    async fn preload(&self, runtime: &crate::RuntimeSpec, progress: &dyn Progress) -> Result<()>;

    /// Lists the owners that have left or hold something here, the executor's own among them.
    async fn owners(&self) -> Result<Vec<OwnerStatus>>;

    /// Kills and removes all that `owner` left.
    ///
    /// - [EX-05] Idempotent; finds nothing the second time.
    /// - [EX-06] Never touches what belongs to another owner.
    async fn reap(&self, owner: OwnerId) -> Result<ReapReport>;

    /// Lets go of everything held ahead of time. Idempotent. Running scripts are not its business.
    async fn shutdown(&self) -> Result<()>;
}

impl dyn ScriptExecutor {
    /// Lets a host reach an executor it knows.
    #[must_use]
    pub fn downcast_ref<E: ScriptExecutor>(&self) -> Option<&E> {
        (self as &dyn Any).downcast_ref()
    }
}

/// A script that runs. The two halves are apart so that one can wait while the other acts.
#[derive(Debug)]
pub struct Spawned {
    /// What happens to it.
    pub script: Box<dyn RunningScript>,
    /// What can be done to it.
    pub control: Arc<dyn ScriptControl>,
    /// What really holds.
    pub enforcement: EnforcementReport,
    /// The digest of the runtime it runs in, where there is one.
    pub runtime: Option<Digest>,
    /// What it connects to, complete when it is finished.
    pub connections: ConnectionLog,
}

/// The half of a running script that waits.
#[async_trait]
pub trait RunningScript: fmt::Debug + Send + 'static {
    /// Waits for the next thing to happen. Cancel-safe.
    ///
    /// - [EX-10] The exit code or signal is the script's own, and comes again when asked again.
    /// - [EX-11] Each stream's bytes are complete, in order and apart from the other's.
    /// - [EX-12] Output that nobody fetches blocks the script and costs bounded memory.
    /// - [EX-13] After `Exited` no process that the script started is left, whatever it did to escape.
    async fn next(&mut self) -> ScriptEvent;

    /// Fetches a plain file that the script left, an absolute path below `/work` or `/tmp`, after its
    /// end. `None` if there is none.
    ///
    /// - [EX-14] Links, FIFOs and devices in any part of the path are refused without being opened.
    /// - [EX-15] A file longer than `max_bytes` is an error, not a piece of it.
    async fn collect(&mut self, path: &str, max_bytes: u64) -> Result<Option<Bytes>>;

    /// Releases the sandbox.
    ///
    /// - [EX-16] After `Ok`, `reap` finds nothing of this run, and neither does the host.
    /// - [EX-17] After `Ok`, each connection that the script made is in [`Spawned::connections`], and each that it was
    ///   refused on the way to a host of its policy.
    async fn finish(self: Box<Self>) -> Result<()>;
}

/// The half of a running script that acts. Every call is `Ok` when the script is gone already.
#[async_trait]
pub trait ScriptControl: fmt::Debug + Send + Sync + 'static {
    /// Stops the script.
    ///
    /// - [EX-20] `Ask` reaches every process, and one that traps it may end in its own way.
    /// - [EX-21] `Kill` ends every process, stopped and detached ones too.
    async fn stop(&self, stop: Stop) -> Result<()>;

    /// Writes to stdin and returns when the bytes are under way; waits while the script does not read.
    ///
    /// - [EX-22] Bytes arrive in order; `close_stdin` is end-of-file after the last one.
    async fn write_stdin(&self, bytes: Bytes) -> Result<()>;

    /// Ends stdin. Idempotent.
    async fn close_stdin(&self) -> Result<()>;
}

impl ScriptEvent {
    /// A `Lost` for a fault of our own side.
    #[must_use]
    pub fn lost(error: &Error) -> Self {
        Self::Lost { reason: error.to_string(), out_of_memory: false }
    }
}
