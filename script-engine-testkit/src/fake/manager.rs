//! A fake runtime manager: its machines have nobody at the other end of the link.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use script_engine_core::contract::{
    BootSpec, Booted, ExecutorInfo, Filter, GcReport, Isolation, Machine, OwnerStatus, Progress, ReapReport,
    RuntimeLease, RuntimeManager, SandboxPaths, Target, Unit, Verdict,
};
use script_engine_core::{
    Capability, Digest, Error, ErrorKind, Limits, Mechanism, OwnerId, Result, RuntimeSpec, Usage,
};
use tokio::io::DuplexStream;

use super::FakeHost;
use super::executor::fake_report;
use super::stdin::Pressure;
use crate::sandbox::TestTargets;

/// The runtimes that are in place on a fake machine, and how often one was got there.
#[derive(Debug, Default)]
pub(super) struct Runtimes {
    ready: tokio::sync::Mutex<Vec<RuntimeSpec>>,
    pub(super) made: AtomicU64,
}

#[derive(Debug)]
pub(super) struct FakeManager {
    pub(super) host: FakeHost,
    pub(super) owner: OwnerId,
    pub(super) runtimes: Arc<Runtimes>,
}

impl FakeManager {
    pub(super) fn new(host: FakeHost, owner: OwnerId, runtimes: Arc<Runtimes>) -> Self {
        host.enter(owner);
        Self { host, owner, runtimes }
    }
}

impl Drop for FakeManager {
    fn drop(&mut self) {
        self.host.leave(self.owner);
    }
}

#[async_trait]
impl RuntimeManager for FakeManager {
    fn info(&self) -> ExecutorInfo {
        ExecutorInfo { name: "fake".into(), isolation: Isolation::None }
    }

    async fn probe(&self) -> Result<Capability> {
        let id = self.host.add(self.owner, Arc::new(Pressure::default()));
        self.host.remove(id);
        Ok(Capability::all(Mechanism::Kernel))
    }

    async fn provide(&self, spec: &RuntimeSpec, progress: &dyn Progress) -> Result<RuntimeLease> {
        let mut ready = self.runtimes.ready.lock().await;
        if !ready.contains(spec) {
            progress.report("fetch", 0, Some(1), Unit::Items);
            tokio::task::yield_now().await;
            self.runtimes.made.fetch_add(1, Ordering::Relaxed);
            ready.push(spec.clone());
        }
        Ok(RuntimeLease { spec: spec.clone(), digest: Some(Digest::of(spec.image.as_bytes())), hold: Arc::new(()) })
    }

    async fn boot(&self, _lease: &RuntimeLease, spec: &BootSpec) -> Result<Booted> {
        if spec.host_network {
            return Err(Error::new(ErrorKind::Unsupported, "a fake has no network"));
        }
        Ok(self.machine(None).await)
    }

    async fn enter(&self, target: &Target, _spec: &BootSpec) -> Result<Booted> {
        tokio::task::yield_now().await;
        match self.host.target_runs(&target.name) {
            Some(true) => Ok(self.machine(Some(&target.name)).await),
            Some(false) => Err(Error::new(
                ErrorKind::Unsupported,
                format!("the target {} does not run; start it first", target.name),
            )),
            None => {
                let text = format!("there is no target {}; name one that runs", target.name);
                Err(Error::new(ErrorKind::NotFound, text))
            }
        }
    }

    async fn owners(&self) -> Result<Vec<OwnerStatus>> {
        Ok(self.host.owners())
    }

    async fn reap(&self, owner: OwnerId) -> Result<ReapReport> {
        tokio::task::yield_now().await;
        Ok(ReapReport { removed: self.host.reap(owner) })
    }

    async fn collect_garbage(&self, _budget_bytes: u64) -> Result<GcReport> {
        Ok(GcReport::default())
    }

    async fn shutdown(&self) -> Result<()> {
        Ok(())
    }
}

impl FakeManager {
    /// Makes a machine, or a guest of a target.
    async fn machine(&self, target: Option<&str>) -> Booted {
        let (link, far) = tokio::io::duplex(1024);
        let id = self.host.add(self.owner, Arc::new(Pressure::default()));
        if let Some(target) = target {
            self.host.settle_in(id, target);
        }
        let machine = FakeMachine { host: self.host.clone(), id, far: Mutex::new(Some(far)) };
        for _ in 0..3 {
            // Dropped here, what is begun is left for the reaper.
            tokio::task::yield_now().await;
        }
        Booted {
            link: Box::new(link),
            machine: Arc::new(machine),
            enforcement: fake_report(),
            filter: Arc::new(Filter::default()),
            supervise_memory: false,
            supervise_pids: false,
            paths: SandboxPaths::default(),
        }
    }
}

/// Targets on a fake machine.
#[derive(Debug)]
pub(super) struct FakeTargets(pub(super) FakeHost);

#[async_trait]
impl TestTargets for FakeTargets {
    async fn make(&self) -> Result<Target> {
        Ok(Target { name: self.0.add_target(true), user: None })
    }

    async fn make_unfit(&self) -> Result<Target> {
        Ok(Target { name: self.0.add_target(false), user: None })
    }

    async fn inside(&self, target: &Target) -> Result<Vec<String>> {
        Ok(self.0.inside(&target.name))
    }

    async fn remove(&self, target: &Target) -> Result<()> {
        self.0.remove_target(&target.name);
        Ok(())
    }
}

#[derive(Debug)]
struct FakeMachine {
    host: FakeHost,
    id: u64,
    /// The agent's end of the link; gone with the machine.
    far: Mutex<Option<DuplexStream>>,
}

#[async_trait]
impl Machine for FakeMachine {
    async fn kill(&self) -> Result<()> {
        drop(self.far.lock().unwrap_or_else(PoisonError::into_inner).take());
        Ok(())
    }

    async fn usage(&self) -> Option<Usage> {
        None
    }

    async fn resize(&self, _limits: &Limits) -> Result<()> {
        Ok(())
    }

    async fn verdict(&self) -> Verdict {
        let far = self.far.lock().unwrap_or_else(PoisonError::into_inner);
        if far.is_some() && self.host.has(self.id) { Verdict::Alive } else { Verdict::Gone }
    }

    async fn destroy(&self) -> Result<()> {
        self.kill().await?;
        self.host.remove(self.id);
        Ok(())
    }
}
