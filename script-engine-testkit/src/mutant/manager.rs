//! Runtime managers that break one rule each: wrappers round the fake.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use script_engine_core::contract::{
    BootSpec, Booted, ExecutorInfo, GcReport, Machine, OwnerStatus, Progress, ReapReport, RuntimeLease, RuntimeManager,
    Verdict,
};
use script_engine_core::{Capability, Limits, OwnerId, Result, RuntimeSpec, Usage};

use super::Mutant;
use crate::case::Case;
use crate::fake::FakeBackend;
use crate::machine::TestMachine;
use crate::sandbox::{RuntimeBackend, runtime_manager};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    LeavesTheProbe,
    ProvidesTwice,
    ForgetsHalfABoot,
    ReapsEverybody,
    LeavesTheMachine,
}

use Fault as F;

pub(super) const MUTANTS: &[Mutant] = &[
    Mutant::new("RM-01", "leaves the sandbox of its probe", || cases(F::LeavesTheProbe)),
    Mutant::new("RM-02", "does the work for each call", || cases(F::ProvidesTwice)),
    Mutant::new("RM-03", "forgets what a broken boot has made", || cases(F::ForgetsHalfABoot)),
    Mutant::new("RM-04", "reaps everybody", || cases(F::ReapsEverybody)),
    Mutant::new("RM-05", "kills a machine and leaves it there", || cases(F::LeavesTheMachine)),
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
        let mut booted = self.inner.boot(lease, spec).await?;
        self.state.folders().clear();
        if self.fault == F::LeavesTheMachine {
            booted.machine = Arc::new(BrokenMachine(booted.machine));
        }
        Ok(booted)
    }

    async fn owners(&self) -> Result<Vec<OwnerStatus>> {
        self.inner.owners().await
    }

    async fn reap(&self, owner: OwnerId) -> Result<ReapReport> {
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
