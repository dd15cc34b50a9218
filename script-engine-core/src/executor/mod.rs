//! Core's own [`ScriptExecutor`]: boots a sandbox of a [`RuntimeManager`] for each job and drives
//! the agent in it.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::contract::{
    BootSpec, Booted, ExecutorInfo, OwnerStatus, Progress, ReapReport, RunningScript, RuntimeManager, Sandbox,
    ScriptControl, ScriptEvent, ScriptExecutor, Spawned, Unheard,
};
use crate::gateway::Gateway;
use crate::sandbox::{AgentSandbox, SessionSettings};
use crate::{
    Cancel, Capability, ConnectionLog, Digest, Error, ErrorKind, Job, NetworkPolicy, OwnerId, Result, RuntimeSpec,
    Stage, Stopwatch,
};

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

    /// Boots a machine for a job, or gets into the one that it names. Gives the digest of its runtime too.
    async fn machine(&self, job: &Job, stopwatch: &mut Stopwatch, cancel: &Cancel) -> Result<(Booted, Option<Digest>)> {
        let host_network = job.network == NetworkPolicy::Host;
        let spec = BootSpec { host_network, tenant: job.tenant.clone(), ..BootSpec::new(job.limits.clone()) };
        // Neither is broken off: only the manager knows what a half-made machine consists of, and on `Err` nothing is
        // left.
        if let Some(target) = &job.target {
            stopwatch.enter(Stage::Acquire);
            return Ok((self.manager.enter(target, &spec).await?, None));
        }
        // What a runtime that is half there consists of belongs to nobody's job.
        let lease = cancel.guard(self.manager.provide(&job.runtime, &Unheard)).await?;
        stopwatch.enter(Stage::Acquire);
        Ok((self.manager.boot(&lease, &spec).await?, lease.digest))
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

/// A machine of somebody else's without the program that runs the script is one that can't run it.
fn lacking(error: Error, job: &Job) -> Error {
    match (&job.target, job.argv.first()) {
        (Some(target), Some(program)) if error.kind() == ErrorKind::NotFound => {
            let message = format!(
                "{} can't start `{program}`: {error}; name one that has it, or use a language that is compiled into a \
                 program of its own",
                target.name
            );
            Error::new(ErrorKind::Unsupported, message)
        }
        _ => error,
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
        let name = self.info().name;
        let Some(capability) = self.capability.within(job.target.as_ref()) else {
            let message = format!("target: {name} gets into no machine of somebody else's");
            return Err(Error::new(ErrorKind::Unsupported, message));
        };
        if let Some(why) = capability.refuses(&job.network) {
            return Err(Error::new(ErrorKind::Unsupported, format!("network: {name} {why}")));
        }
        stopwatch.enter(Stage::Provision);
        let (booted, runtime) = self.machine(&job, stopwatch, &cancel).await?;
        let machine = Arc::clone(&booted.machine);
        match cancel.guard(self.start(booted, &job, stopwatch)).await {
            Ok((sandbox, control, connections)) => {
                let enforcement = sandbox.enforcement().clone();
                let script = Box::new(SandboxedScript { sandbox });
                Ok(Spawned { script, control, enforcement, runtime, connections })
            }
            Err(error) => {
                machine.destroy().await?;
                Err(lacking(error, &job))
            }
        }
    }

    async fn preload(&self, runtime: &RuntimeSpec, progress: &dyn Progress) -> Result<()> {
        self.manager.provide(runtime, progress).await.map(drop)
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
