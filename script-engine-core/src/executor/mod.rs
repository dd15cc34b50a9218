//! Core's own [`ScriptExecutor`]: boots a sandbox of a [`RuntimeManager`] for each job and drives
//! the agent in it.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::contract::{
    BootSpec, ExecutorInfo, OwnerStatus, Progress, ReapReport, RunningScript, RuntimeManager, Sandbox, ScriptEvent,
    ScriptExecutor, Spawned,
};
use crate::sandbox::{AgentSandbox, SessionSettings};
use crate::{Capability, Job, OwnerId, Result, RuntimeSpec, Stage, Stopwatch};

/// Runs each job in a fresh sandbox, which is destroyed afterwards.
#[derive(Debug)]
pub struct PooledExecutor {
    manager: Arc<dyn RuntimeManager>,
    capability: Capability,
    session: SessionSettings,
}

impl PooledExecutor {
    /// Probes the backend and makes an executor of it. Fails with the probe's error if the backend
    /// can't make a sandbox that is as it promises.
    pub async fn new(manager: Arc<dyn RuntimeManager>, session: SessionSettings) -> Result<Self> {
        let capability = manager.probe().await?;
        Ok(Self { manager, capability, session })
    }

    async fn acquire(
        &self,
        job: &Job,
        stopwatch: &mut Stopwatch,
    ) -> Result<(Box<AgentSandbox>, Option<crate::Digest>)> {
        stopwatch.enter(Stage::Provision);
        let lease = self.manager.provide(&job.runtime, &TracedProgress).await?;
        stopwatch.enter(Stage::Acquire);
        let booted = self.manager.boot(&lease, &BootSpec { limits: job.limits.clone() }).await?;
        let sandbox = AgentSandbox::connect(booted, self.session).await?;
        Ok((Box::new(sandbox), lease.digest))
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

    async fn spawn(&self, job: Job, stopwatch: &mut Stopwatch) -> Result<Spawned> {
        let (mut sandbox, runtime) = self.acquire(&job, stopwatch).await?;
        stopwatch.enter(Stage::Start);
        let enforcement = sandbox.enforcement().clone();
        let started = match sandbox.put(&job.files).await {
            Ok(()) => sandbox.start(&job).await,
            Err(error) => Err(error),
        };
        match started {
            Ok(control) => Ok(Spawned { script: Box::new(SandboxedScript { sandbox }), control, enforcement, runtime }),
            Err(error) => {
                sandbox.destroy().await?;
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
