//! Runtime managers that break one rule each: wrappers round the fake.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use script_engine_core::contract::{
    BootSpec, Booted, ExecutorInfo, GcReport, Machine, OwnerStatus, Progress, ReapReport, RuntimeLease, RuntimeManager,
    Target, Unheard, Verdict,
};
use script_engine_core::{Capability, Limits, OwnerId, Result, RuntimeSpec, Usage};

use super::Mutant;
use crate::case::Case;
use crate::fake::{FakeBackend, FakeHost};
use crate::machine::TestMachine;
use crate::sandbox::{RuntimeBackend, TestTargets, runtime_manager};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    LeavesTheProbe,
    ProvidesTwice,
    ForgetsHalfABoot,
    ReapsEverybody,
    LeavesTheMachine,
    MakesATarget,
    LeavesFilesInTheTarget,
    TakesTheTargetAlong,
    ReapsTheTarget,
    OverlooksGuests,
    IgnoresTheNetwork,
}

use Fault as F;

pub(super) const MUTANTS: &[Mutant] = &[
    Mutant::new("RM-01", "leaves the sandbox of its probe", || cases(F::LeavesTheProbe)),
    Mutant::new("RM-02", "does the work for each call", || cases(F::ProvidesTwice)),
    Mutant::new("RM-03", "forgets what a broken boot has made", || cases(F::ForgetsHalfABoot)),
    Mutant::new("RM-04", "reaps everybody", || cases(F::ReapsEverybody)),
    Mutant::new("RM-05", "kills a machine and leaves it there", || cases(F::LeavesTheMachine)),
    Mutant::new("RM-06", "makes a machine where the target is missing", || cases(F::MakesATarget)),
    Mutant::new("RM-07", "leaves files in the target", || cases(F::LeavesFilesInTheTarget)),
    Mutant::new("RM-07", "takes the target away with its guest", || cases(F::TakesTheTargetAlong)),
    Mutant::new("RM-08", "reaps the target with the guest", || cases(F::ReapsTheTarget)),
    Mutant::new("RM-08", "does not find guests", || cases(F::OverlooksGuests)),
    Mutant::new("RM-09", "boots without a word of the host's network", || cases(F::IgnoresTheNetwork)),
];

fn cases(fault: Fault) -> Vec<Case> {
    runtime_manager(Arc::new(Broken { inner: FakeBackend::new(), fault, state: Arc::default() }))
}

#[derive(Debug)]
struct Broken {
    inner: FakeBackend,
    fault: Fault,
    state: Arc<State>,
}

/// What only one who looks from outside sees.
#[derive(Debug, Default)]
struct State {
    work: AtomicU64,
    folders: Mutex<Vec<String>>,
    entered: Mutex<Vec<String>>,
}

impl State {
    fn folders(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.folders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl TestMachine for Broken {
    fn runtime(&self) -> RuntimeSpec {
        self.inner.runtime()
    }

    async fn leftovers(&self, owner: OwnerId) -> Result<Vec<String>> {
        let mut left = self.inner.leftovers(owner).await?;
        left.extend(self.state.folders().iter().cloned());
        Ok(left)
    }

    async fn processes(&self, marker: &str) -> Result<Vec<String>> {
        self.inner.processes(marker).await
    }
}

#[async_trait]
impl RuntimeBackend for Broken {
    async fn manager(&self, owner: OwnerId) -> Result<Arc<dyn RuntimeManager>> {
        let inner = self.inner.manager(owner).await?;
        let (backend, state) = (self.inner.clone(), Arc::clone(&self.state));
        Ok(Arc::new(BrokenManager { inner, backend, owner, fault: self.fault, state }))
    }

    fn provisions(&self) -> Result<u64, String> {
        Ok(self.inner.provisions()? + self.state.work.load(Ordering::Relaxed))
    }

    fn targets(&self) -> Result<Arc<dyn TestTargets>, String> {
        self.inner.targets()
    }
}

#[derive(Debug)]
struct BrokenManager {
    inner: Arc<dyn RuntimeManager>,
    backend: FakeBackend,
    owner: OwnerId,
    fault: Fault,
    state: Arc<State>,
}

#[async_trait]
impl RuntimeManager for BrokenManager {
    fn info(&self) -> ExecutorInfo {
        self.inner.info()
    }

    async fn probe(&self) -> Result<Capability> {
        if self.fault == F::LeavesTheProbe {
            self.backend.host().litter(self.owner, "probe");
        }
        self.inner.probe().await
    }

    async fn provide(&self, spec: &RuntimeSpec, progress: &dyn Progress) -> Result<RuntimeLease> {
        if self.fault == F::ProvidesTwice {
            self.state.work.fetch_add(1, Ordering::Relaxed);
        }
        self.inner.provide(spec, progress).await
    }

    async fn boot(&self, lease: &RuntimeLease, spec: &BootSpec) -> Result<Booted> {
        if self.fault == F::ForgetsHalfABoot {
            self.state.folders().push("a folder that nobody knows".into());
        }
        let host_network = spec.host_network && self.fault != F::IgnoresTheNetwork;
        let spec = BootSpec { host_network, ..spec.clone() };
        let mut booted = self.inner.boot(lease, &spec).await?;
        self.state.folders().clear();
        if self.fault == F::LeavesTheMachine {
            booted.machine = Arc::new(BrokenMachine(booted.machine));
        }
        Ok(booted)
    }

    async fn enter(&self, target: &Target, spec: &BootSpec) -> Result<Booted> {
        match self.inner.enter(target, spec).await {
            Ok(mut booted) => {
                self.state.entered.lock().unwrap_or_else(PoisonError::into_inner).push(target.name.clone());
                let (host, fault) = (self.backend.host().clone(), self.fault);
                booted.machine =
                    Arc::new(BrokenGuest { inner: booted.machine, host, target: target.name.clone(), fault });
                Ok(booted)
            }
            Err(_) if self.fault == F::MakesATarget => {
                let lease = self.inner.provide(&self.backend.runtime(), &Unheard).await?;
                self.inner.boot(&lease, spec).await
            }
            Err(error) => Err(error),
        }
    }

    async fn owners(&self) -> Result<Vec<OwnerStatus>> {
        self.inner.owners().await
    }

    async fn reap(&self, owner: OwnerId) -> Result<ReapReport> {
        let entered = self.state.entered.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if self.fault == F::OverlooksGuests && !entered.is_empty() {
            return Ok(ReapReport::default());
        }
        if self.fault == F::ReapsTheTarget {
            entered.iter().for_each(|it| self.backend.host().remove_target(it));
        }
        let mut report = self.inner.reap(owner).await?;
        if self.fault == F::ReapsEverybody {
            for other in self.inner.owners().await? {
                report.removed.extend(self.inner.reap(other.owner).await?.removed);
            }
        }
        Ok(report)
    }

    async fn collect_garbage(&self, budget_bytes: u64) -> Result<GcReport> {
        self.inner.collect_garbage(budget_bytes).await
    }

    async fn shutdown(&self) -> Result<()> {
        self.inner.shutdown().await
    }
}

#[derive(Debug)]
struct BrokenGuest {
    inner: Arc<dyn Machine>,
    host: FakeHost,
    target: String,
    fault: Fault,
}

#[async_trait]
impl Machine for BrokenGuest {
    async fn kill(&self) -> Result<()> {
        self.inner.kill().await
    }

    async fn usage(&self) -> Option<Usage> {
        self.inner.usage().await
    }

    async fn resize(&self, limits: &Limits) -> Result<()> {
        self.inner.resize(limits).await
    }

    async fn verdict(&self) -> Verdict {
        self.inner.verdict().await
    }

    async fn destroy(&self) -> Result<()> {
        match self.fault {
            F::LeavesFilesInTheTarget => self.host.soil(&self.target, "/tmp/guest"),
            F::TakesTheTargetAlong => self.host.remove_target(&self.target),
            _ => {}
        }
        self.inner.destroy().await
    }
}

#[derive(Debug)]
struct BrokenMachine(Arc<dyn Machine>);

#[async_trait]
impl Machine for BrokenMachine {
    async fn kill(&self) -> Result<()> {
        self.0.kill().await
    }

    async fn usage(&self) -> Option<Usage> {
        self.0.usage().await
    }

    async fn resize(&self, limits: &Limits) -> Result<()> {
        self.0.resize(limits).await
    }

    async fn verdict(&self) -> Verdict {
        self.0.verdict().await
    }

    async fn destroy(&self) -> Result<()> {
        self.0.kill().await
    }
}
