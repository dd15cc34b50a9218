//! Core's own [`ScriptExecutor`]: boots a sandbox of a [`RuntimeManager`] for each job and drives
//! the agent in it.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::contract::{
    BootSpec, Booted, ExecutorInfo, OwnerStatus, Progress, ReapReport, RunningScript, RuntimeManager, Sandbox,
    ScriptControl, ScriptEvent, ScriptExecutor, Spawned,
};
use crate::gateway::Gateway;
use crate::sandbox::{AgentSandbox, SessionSettings};
use crate::{Cancel, Capability, ConnectionLog, Error, ErrorKind, Job, OwnerId, Result, RuntimeSpec, Stage, Stopwatch};

/// Runs each job in a fresh sandbox, which is destroyed afterwards.
#[derive(Debug)]
pub struct PooledExecutor {
    manager: Arc<dyn RuntimeManager>,
    capability: Capability,
    session: SessionSettings,
    gateway: Gateway,
}

impl PooledExecutor {
    /// Probes the backend and makes an executor of it. Fails with the probe's error if the backend
    /// can't make a sandbox that is as it promises.
    pub async fn new(manager: Arc<dyn RuntimeManager>, session: SessionSettings) -> Result<Self> {
        let capability = manager.probe().await?;
        Ok(Self { manager, capability, session, gateway: Gateway::default() })
    }

    /// Sets what connects scripts to what they may reach.
    #[must_use]
    pub fn with_gateway(mut self, gateway: Gateway) -> Self {
        self.gateway = gateway;
        self
    }

    /// Starts a job in a booted machine. The machine is the caller's to destroy on `Err`.
    async fn start(
        &self,
        booted: Booted,
        job: &Job,
        stopwatch: &mut Stopwatch,
    ) -> Result<(Box<AgentSandbox>, Arc<dyn ScriptControl>, ConnectionLog)> {
        let mut sandbox = Box::new(AgentSandbox::connect(booted, self.session).await?);
        stopwatch.enter(Stage::Start);
        sandbox.put(&job.files).await?;
        let connections = sandbox.listen(&job.network, &job.egress, &self.gateway).await?;
        let control = sandbox.start(job).await?;
        Ok((sandbox, control, connections))
    }
}

/// Tells of long preparations in the log.
struct TracedProgress;

impl Progress for TracedProgress {
    fn report(&self, step: &str, done: u64, total: Option<u64>) {
        tracing::debug!(step, done, total, "preparing a runtime");
    }
}

#[async_trait]
impl ScriptExecutor for PooledExecutor {
    fn info(&self) -> ExecutorInfo {
        self.manager.info()
    }

    fn capability(&self) -> Capability {
        self.capability.clone()
    }

    async fn spawn(&self, job: Job, stopwatch: &mut Stopwatch, cancel: Cancel) -> Result<Spawned> {
        if let Some(why) = self.capability.refuses(&job.network) {
            return Err(Error::new(ErrorKind::Unsupported, format!("network: {} {why}", self.info().name)));
        }
        stopwatch.enter(Stage::Provision);
        // What a runtime that is half there consists of belongs to nobody's job.
        let lease = cancel.guard(self.manager.provide(&job.runtime, &TracedProgress)).await?;
        stopwatch.enter(Stage::Acquire);
        // Not broken off: only the manager knows what a half-made machine consists of, and on `Err` nothing is left.
        let booted = self.manager.boot(&lease, &BootSpec { limits: job.limits.clone() }).await?;
        let machine = Arc::clone(&booted.machine);
        match cancel.guard(self.start(booted, &job, stopwatch)).await {
            Ok((sandbox, control, connections)) => {
                let enforcement = sandbox.enforcement().clone();
                let script = Box::new(SandboxedScript { sandbox });
                Ok(Spawned { script, control, enforcement, runtime: lease.digest, connections })
            }
            Err(error) => {
                machine.destroy().await?;
                Err(error)
            }
        }
    }

    async fn preload(&self, runtime: &RuntimeSpec) -> Result<()> {
        self.manager.provide(runtime, &TracedProgress).await.map(drop)
    }

    async fn owners(&self) -> Result<Vec<OwnerStatus>> {
        self.manager.owners().await
    }

    async fn reap(&self, owner: OwnerId) -> Result<ReapReport> {
        self.manager.reap(owner).await
    }

    async fn shutdown(&self) -> Result<()> {
        self.manager.shutdown().await
    }
}

/// A script in a sandbox of its own.
#[derive(Debug)]
struct SandboxedScript {
    sandbox: Box<AgentSandbox>,
}

#[async_trait]
impl RunningScript for SandboxedScript {
    async fn next(&mut self) -> ScriptEvent {
        self.sandbox.next().await
    }

    async fn collect(&mut self, path: &str, max_bytes: u64) -> Result<Option<Bytes>> {
        self.sandbox.collect(path, max_bytes).await
    }

    async fn finish(self: Box<Self>) -> Result<()> {
        self.sandbox.destroy().await
    }
}
