//! What a backend author implements: making machines with a byte stream into each.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};

use super::ExecutorInfo;
use crate::wire::Landlock;
use crate::{Capability, Digest, EnforcementReport, Limits, OwnerId, Result, RuntimeSpec, TenantId, Usage};

/// Makes machines and the byte stream into each. Jobs, streams, resets and collection are the
/// agent's protocol, which core speaks.
#[async_trait]
pub trait RuntimeManager: fmt::Debug + Send + Sync + 'static {
    /// Who it is.
    fn info(&self) -> ExecutorInfo;

    /// Boots a real sandbox, compares how it finds itself with what was promised, and says what this
    /// machine can enforce. Fails with `Unsupported` that says what stands in the way.
    ///
    /// - [RM-01] Leaves nothing behind.
    async fn probe(&self) -> Result<Capability>;

    /// Gets a runtime in place and keeps it while the lease lives.
    ///
    /// - [RM-02] Two calls for one spec at the same time do the work once.
    async fn provide(&self, spec: &RuntimeSpec, progress: &dyn Progress) -> Result<RuntimeLease>;

    /// Boots a machine with the agent in it, or fails, in bounded time: nobody breaks it off who waits for
    /// what it makes to be gone. On `Err` nothing is left behind.
    ///
    /// - [RM-03] When the future is dropped, nothing is left behind that `reap` would not find.
    async fn boot(&self, lease: &RuntimeLease, spec: &BootSpec) -> Result<Booted>;

    /// Puts an agent into a machine that exists and is somebody else's, such as a container of the user's, and
    /// gives the way to it as [`boot`](Self::boot) does. Its program goes in over a stream into the target, is
    /// checked in there, and depends on nothing that the target has. What the guest's scripts can be kept from
    /// is little: the target's isolation is its owner's. So [`Booted::enforcement`] says what holds in there,
    /// to be compared with what is needed before anything is started; [`Booted::paths`] says where in the target
    /// the guest has its folders; the machine's `kill`, `usage` and `resize` mean the guest alone. A manager
    /// that has no machines of others fails with `Unsupported`.
    ///
    /// Ends in bounded time, as `boot` does; on `Err` nothing is left behind, and when the future is dropped,
    /// nothing that `reap` or the end of the agent's lease would not remove.
    ///
    /// - [RM-06] A target that is not there is `NotFound`; one that can't take a guest (it does not run, or has
    ///   no place to write to) is `Unsupported`, with the reason. Neither is changed, and nothing is made instead.
    /// - [RM-07] `destroy` takes the guest away, its processes and its files, and the target goes on as it was.
    /// - [RM-08] `reap` takes the guests of an owner, never a target, and never another owner's guest in it.
    async fn enter(&self, target: &Target, spec: &BootSpec) -> Result<Booted>;

    /// Lists the owners whose things are on this machine, the manager's own among them.
    async fn owners(&self) -> Result<Vec<OwnerStatus>>;

    /// Kills and removes all that `owner` left.
    ///
    /// - [RM-04] Idempotent, and never touches what another owner has.
    async fn reap(&self, owner: OwnerId) -> Result<ReapReport>;

    /// Removes runtimes that nobody holds until at most `budget_bytes` are used.
    async fn collect_garbage(&self, budget_bytes: u64) -> Result<GcReport>;

    /// Lets go of everything held ahead of time. Idempotent.
    async fn shutdown(&self) -> Result<()>;
}

/// Hears how far a long preparation is.
pub trait Progress: Send + Sync {
    /// `step` is under way; `done` of `total` units are done, where that is known.
    fn report(&self, step: &str, done: u64, total: Option<u64>, unit: Unit);
}

/// What progress is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// Steps, packages and the like.
    Items,
    /// Bytes.
    Bytes,
}

/// Hears of no preparation.
#[derive(Clone, Copy, Debug)]
pub struct Unheard;

impl Progress for Unheard {
    fn report(&self, _step: &str, _done: u64, _total: Option<u64>, _unit: Unit) {}
}

/// A runtime that is in place for as long as this lives.
#[derive(Clone, Debug)]
pub struct RuntimeLease {
    /// What was asked for.
    pub spec: RuntimeSpec,
    /// The runtime's digest, where it has one.
    pub digest: Option<Digest>,
    /// Keeps the runtime from being collected.
    pub hold: Arc<dyn std::any::Any + Send + Sync>,
}

/// What a machine is to be like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootSpec {
    /// Its limits; scratch sizes are fixed at boot, the rest may be changed by [`Machine::resize`].
    pub limits: Limits,
    /// Whether it has the host's network in place of one of its own.
    ///
    /// - [RM-09] A manager that does not open it fails with `Unsupported`; one that does says in
    ///   [`Booted::enforcement`] that the network is not restricted.
    pub host_network: bool,
    /// For whom it is booted, where that is known: for a backend that labels what it makes.
    pub tenant: Option<TenantId>,
}

impl BootSpec {
    /// A machine with these limits and a network of its own.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, host_network: false, tenant: None }
    }
}

/// A machine that exists and is somebody else's, for a guest to enter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// Its name or id, as the backend's daemon knows it.
    pub name: String,
    /// Whose rights inside it the guest has, as name or `uid[:gid]`; the target's own if none is given.
    pub user: Option<String>,
}

/// The byte stream to an agent.
pub trait Link: AsyncRead + AsyncWrite + Send + Unpin + 'static {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Link for T {}

/// The filters that the agent gives every script: seccomp programs in the order of their
/// installation, and a landlock domain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Lists of 8-byte `sock_filter`.
    pub seccomp: Vec<Vec<u8>>,
    /// The landlock domain.
    pub landlock: Landlock,
}

/// A machine that was booted. The agent's hello is the first thing on the link.
pub struct Booted {
    /// The way to the agent.
    pub link: Box<dyn Link>,
    /// The machine, out of band.
    pub machine: Arc<dyn Machine>,
    /// What holds in it.
    pub enforcement: EnforcementReport,
    /// The filters for its scripts.
    pub filter: Arc<Filter>,
    /// Whether the agent must watch memory (the sum of its processes and scratch space).
    pub supervise_memory: bool,
    /// Whether the agent must count processes.
    pub supervise_pids: bool,
    /// The folder for scratch files as a script sees it, and the one for its files.
    pub paths: SandboxPaths,
}

/// Where things are inside a sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SandboxPaths {
    /// `/scripts`, but for isolations without a file system of their own.
    pub scripts: String,
    /// `/work`.
    pub work: String,
    /// `/tmp`.
    pub tmp: String,
}

impl Default for SandboxPaths {
    fn default() -> Self {
        Self { scripts: "/scripts".into(), work: "/work".into(), tmp: "/tmp".into() }
    }
}

impl fmt::Debug for Booted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Booted").field("machine", &self.machine).field("enforcement", &self.enforcement).finish()
    }
}

/// A machine's own verdict on its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It runs.
    Alive,
    /// It is gone.
    Gone,
    /// It is gone, or its script is, because memory ran out.
    OutOfMemory,
}

/// A booted machine, out of band: never through the agent.
#[async_trait]
pub trait Machine: fmt::Debug + Send + Sync + 'static {
    /// Kills everything in it at once. Idempotent.
    async fn kill(&self) -> Result<()>;

    /// What its scripts have used since boot, where that can be seen from outside.
    async fn usage(&self) -> Option<Usage>;

    /// Changes the limits of the booted machine. Scratch sizes are left as they are.
    async fn resize(&self, limits: &Limits) -> Result<()>;

    /// Says whether it is alive and whether memory ran out since the last `resize`.
    async fn verdict(&self) -> Verdict;

    /// Removes it.
    ///
    /// - [RM-05] After `Ok`, nothing of it is left. Idempotent.
    async fn destroy(&self) -> Result<()>;
}

/// An owner that something on this machine belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnerStatus {
    /// The owner.
    pub owner: OwnerId,
    /// Whether its engine lives, by proof (a held lock), not by guess.
    pub alive: bool,
}

/// What `reap` found and removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReapReport {
    /// What was removed, in words.
    pub removed: Vec<String>,
}

/// What garbage collection did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GcReport {
    /// Runtimes that were removed.
    pub removed: u64,
    /// Bytes that were freed.
    pub freed_bytes: u64,
}
