//! The suites of [`Sandbox`] and [`RuntimeManager`]: for those who make machines with an agent in
//! them, and for those who implement a sandbox without one.

mod connect;
mod enter;
mod manager;
mod one;
mod primed;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use script_engine_core::contract::{BootSpec, RuntimeManager, Sandbox, Target, Unheard};
use script_engine_core::sandbox::{AgentSandbox, SessionSettings};
use script_engine_core::{Limits, OwnerId, Result, RuntimeSpec};

use crate::case::{Case, on};
use crate::machine::TestMachine;

/// A machine under test on which sandboxes are made.
#[async_trait]
pub trait SandboxBackend: TestMachine {
    /// Makes a source of sandboxes that belong to `owner`.
    async fn source(&self, owner: OwnerId) -> Result<Arc<dyn SandboxSource>>;

    /// Whether a sandbox can be made clean for a further script; if not, why.
    fn resets(&self) -> Result<(), String>;

    /// Whether a program can be started ahead of its job; if not, why.
    fn primes(&self) -> Result<(), String>;
}

/// Makes sandboxes of one owner.
#[async_trait]
pub trait SandboxSource: fmt::Debug + Send + Sync + 'static {
    /// Makes a sandbox with nothing in it.
    async fn sandbox(&self, limits: Limits) -> Result<Box<dyn Sandbox>>;

    /// Lets go of everything held ahead of time.
    async fn shutdown(&self) -> Result<()>;
}

/// A machine under test on which a runtime manager makes machines.
#[async_trait]
pub trait RuntimeBackend: TestMachine {
    /// Makes a manager for `owner`.
    async fn manager(&self, owner: OwnerId) -> Result<Arc<dyn RuntimeManager>>;

    /// How often a runtime was really got in place so far; or, where that is no work, why.
    fn provisions(&self) -> Result<u64, String>;

    /// Machines that are not the manager's, to be entered; or why there are none, in which case the manager must
    /// refuse to enter any.
    fn targets(&self) -> Result<Arc<dyn TestTargets>, String>;
}

/// Machines of somebody else's on the machine under test, made and seen without the manager.
#[async_trait]
pub trait TestTargets: fmt::Debug + Send + Sync + 'static {
    /// Makes one that takes guests.
    async fn make(&self) -> Result<Target>;

    /// Makes one that is there and can't take a guest.
    async fn make_unfit(&self) -> Result<Target>;

    /// Names what is in one: whether it runs, its processes, the files that have been made in it. Equal for as
    /// long as nobody does anything to it.
    async fn inside(&self, target: &Target) -> Result<Vec<String>>;

    /// Removes one, with what is in it.
    async fn remove(&self, target: &Target) -> Result<()>;
}

/// The cases of a sandbox.
#[must_use]
pub fn sandbox(backend: Arc<dyn SandboxBackend>) -> Vec<Case> {
    let it = &Arc::new(backend);
    vec![
        Case::new("SB-01", "a file that is there is not overwritten", on(it, one::sb_01)),
        Case::new("SB-02", "a start is a program that was executed", on(it, one::sb_02)),
        Case::new("SB-03", "after a reset nothing of the last script is left", on(it, one::sb_03)),
        Case::new("SB-04", "what is destroyed is gone", on(it, one::sb_04)),
        Case::new("SB-05", "a way out is for one job and no other", on(it, connect::sb_05)),
        Case::new("SB-06", "a job that a primed program is handed finds all as without it", on(it, primed::sb_06)),
        Case::new("SB-07", "a primed program serves once, and only jobs like its own", on(it, primed::sb_07)),
        Case::new("SB-08", "a primed program that does anything before its job serves none", on(it, primed::sb_08)),
    ]
}

/// The cases of a runtime manager.
#[must_use]
pub fn runtime_manager(backend: Arc<dyn RuntimeBackend>) -> Vec<Case> {
    let it = &Arc::new(backend);
    vec![
        Case::new("RM-01", "a probe leaves nothing", on(it, manager::rm_01)),
        Case::new("RM-02", "two calls for one runtime do the work once", on(it, manager::rm_02)),
        Case::new("RM-03", "a boot that is broken off leaves nothing that reap would miss", on(it, manager::rm_03)),
        Case::new("RM-04", "a second reap finds nothing, and none touches another owner's", on(it, manager::rm_04)),
        Case::new("RM-05", "a machine that is destroyed is gone", on(it, manager::rm_05)),
        Case::new("RM-06", "a target that can't be entered is refused, and left alone", on(it, enter::rm_06)),
        Case::new("RM-07", "a guest that is destroyed is gone, and its target is not", on(it, enter::rm_07)),
        Case::new("RM-08", "reap takes the guests of its owner and nothing else", on(it, enter::rm_08)),
        Case::new("RM-09", "the host's network is refused, or opened and said to be open", on(it, manager::rm_09)),
    ]
}

/// Sandboxes with the agent in them, made by a runtime manager.
#[derive(Debug)]
pub struct AgentSource {
    manager: Arc<dyn RuntimeManager>,
    runtime: RuntimeSpec,
}

impl AgentSource {
    /// Makes a source over `manager`, for sandboxes of `runtime`.
    #[must_use]
    pub fn new(manager: Arc<dyn RuntimeManager>, runtime: RuntimeSpec) -> Self {
        Self { manager, runtime }
    }
}

#[async_trait]
impl SandboxSource for AgentSource {
    async fn sandbox(&self, limits: Limits) -> Result<Box<dyn Sandbox>> {
        let lease = self.manager.provide(&self.runtime, &Unheard).await?;
        let booted = self.manager.boot(&lease, &BootSpec::new(limits)).await?;
        Ok(Box::new(AgentSandbox::connect(booted, SessionSettings::default()).await?))
    }

    async fn shutdown(&self) -> Result<()> {
        self.manager.shutdown().await
    }
}
