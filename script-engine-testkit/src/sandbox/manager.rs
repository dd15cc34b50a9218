//! Runtime managers: probes, runtimes, machines and whose they are.

use std::sync::Arc;

use script_engine_core::contract::{BootSpec, Booted, RuntimeManager, Unheard, Verdict};
use script_engine_core::{ErrorKind, Limits, NetworkPolicy, OwnerId, Restriction};

use super::RuntimeBackend;
use crate::interrupt::{drop_at, join_all};
use crate::machine;
use crate::seen::soon;
use crate::verdict::{Proof, Unproven, ensure, fail};

pub(super) type Backend = Arc<Arc<dyn RuntimeBackend>>;

/// The most points at which a boot is broken off.
pub(super) const POINTS: usize = 48;

/// A manager with an owner of its own.
pub(super) struct Bench {
    backend: Backend,
    pub(super) owner: OwnerId,
    pub(super) manager: Arc<dyn RuntimeManager>,
}

impl Bench {
    pub(super) async fn new(backend: &Backend) -> Result<Self, Unproven> {
        let owner = machine::fresh_owner();
        let manager = backend.manager(owner).await?;
        Ok(Self { backend: Arc::clone(backend), owner, manager })
    }

    async fn boot(&self) -> Result<Booted, Unproven> {
        let lease = self.manager.provide(&self.backend.runtime(), &Unheard).await?;
        Ok(self.manager.boot(&lease, &BootSpec::new(Limits::default())).await?)
    }

    async fn gone(&self, when: &str) -> Proof {
        let left = self.backend.leftovers(self.owner).await?;
        ensure!(left.is_empty(), "{when}: left over are {left:?}");
        Ok(())
    }

    /// Fails if `reap` finds something of the bench's owner, or something is left in spite of it.
    pub(super) async fn nothing_left(&self, when: &str) -> Proof {
        let found = self.manager.reap(self.owner).await?.removed;
        ensure!(found.is_empty(), "{when}: reap found {found:?}");
        self.gone(when).await
    }

    /// Fails unless everything of the bench's owner is gone after a reap.
    async fn reaped(&self, when: &str) -> Proof {
        let left = machine::gone_soon(async || {
            self.manager.reap(self.owner).await?;
            self.backend.leftovers(self.owner).await
        });
        let left = left.await?;
        ensure!(left.is_empty(), "{when}, and a reap: left over are {left:?}");
        self.nothing_left(when).await
    }

    pub(super) async fn leave(self, proof: Proof) -> Proof {
        self.manager.shutdown().await?;
        proof?;
        self.nothing_left("after the case").await?;
        let Self { backend, owner, manager } = self;
        drop(manager);
        let left = backend.leftovers(owner).await?;
        ensure!(left.is_empty(), "after the manager's end: left over are {left:?}");
        Ok(())
    }
}

pub(super) async fn rm_01(backend: Backend) -> Proof {
    let bench = Bench::new(&backend).await?;
    let first = bench.manager.probe().await?;
    let proof = bench.nothing_left("after a probe").await;
    let again = bench.manager.probe().await?;
    ensure!(first == again, "two probes found different things: {first:?} and {again:?}");
    bench.leave(proof).await
}

pub(super) async fn rm_02(backend: Backend) -> Proof {
    let before = backend.provisions().map_err(Unproven::Skipped)?;
    let bench = Bench::new(&backend).await?;
    let spec = backend.runtime();
    let leases = join_all((0..8).map(|_| bench.manager.provide(&spec, &Unheard)).collect()).await;
    let leases = leases.into_iter().collect::<Result<Vec<_>, _>>()?;
    let done = backend.provisions().map_err(Unproven::Skipped)? - before;
    let same = leases.windows(2).all(|it| it[0].digest == it[1].digest && it[0].spec == it[1].spec);
    let proof = match (done, same) {
        (1, true) => Ok(()),
        (_, false) => Err(Unproven::Failed("calls at once for one runtime got different ones".into())),
        (count, true) => Err(Unproven::Failed(format!("8 calls at once did the work {count} times"))),
    };
    drop(leases);
    bench.leave(proof).await
}

pub(super) async fn rm_03(backend: Backend) -> Proof {
    let bench = Bench::new(&backend).await?;
    bench.manager.probe().await?;
    let lease = bench.manager.provide(&backend.runtime(), &Unheard).await?;
    let spec = BootSpec::new(Limits::default());
    let check = async {
        for point in 0..POINTS {
            if let Some(booted) = drop_at(point, bench.manager.boot(&lease, &spec)).await {
                booted?.machine.destroy().await?;
                break;
            }
            bench.reaped(&format!("a boot that was dropped at its wait {point}")).await?;
        }
        // A machine that nobody holds any more is found, or gone by itself.
        drop(bench.boot().await?);
        bench.reaped("a machine that was dropped").await
    };
    let proof = check.await;
    bench.leave(proof).await
}

pub(super) async fn rm_04(backend: Backend) -> Proof {
    let (bench, neighbour) = (Bench::new(&backend).await?, Bench::new(&backend).await?);
    let (ours, theirs) = (bench.boot().await?, neighbour.boot().await?);
    let check = async {
        let owners = bench.manager.owners().await?;
        for owner in [bench.owner, neighbour.owner] {
            let alive = owners.iter().any(|it| it.owner == owner && it.alive);
            ensure!(alive, "an owner with a machine is not listed as alive: {owners:?}");
        }
        let found = bench.manager.reap(bench.owner).await?.removed;
        ensure!(!found.is_empty(), "reap did not find the machine of its owner");
        bench.nothing_left("after a reap").await?;
        let verdict = theirs.machine.verdict().await;
        ensure!(verdict == Verdict::Alive, "a reap of ours ended a neighbour's machine: {verdict:?}");
        let found = neighbour.manager.reap(machine::fresh_owner()).await?.removed;
        ensure!(found.is_empty(), "of an owner that never was, reap found {found:?}");
        theirs.machine.destroy().await?;
        neighbour.nothing_left("a neighbour's machine was destroyed").await
    };
    let proof = check.await;
    ours.machine.destroy().await?;
    theirs.machine.destroy().await?;
    drop((ours, theirs));
    neighbour.leave(Ok(())).await?;
    bench.leave(proof).await
}

pub(super) async fn rm_05(backend: Backend) -> Proof {
    let bench = Bench::new(&backend).await?;
    let check = async {
        let booted = bench.boot().await?;
        let verdict = booted.machine.verdict().await;
        ensure!(verdict == Verdict::Alive, "a machine that was just booted is {verdict:?}");
        for _ in 0..2 {
            soon("a destruction", booted.machine.destroy()).await?;
            bench.nothing_left("after a destruction").await?;
        }
        if booted.machine.verdict().await == Verdict::Alive {
            fail!("a machine that was destroyed is alive");
        }
        booted.machine.kill().await?;
        let killed = bench.boot().await?;
        killed.machine.kill().await?;
        killed.machine.kill().await?;
        soon("the destruction of a killed machine", killed.machine.destroy()).await?;
        bench.nothing_left("after the destruction of a killed machine").await
    };
    let proof = check.await;
    bench.leave(proof).await
}

pub(super) async fn rm_09(backend: Backend) -> Proof {
    let bench = Bench::new(&backend).await?;
    let refuses = bench.manager.probe().await?.refuses(&NetworkPolicy::Host).is_some();
    let lease = bench.manager.provide(&backend.runtime(), &Unheard).await?;
    let spec = BootSpec { host_network: true, ..BootSpec::new(Limits::default()) };
    let check = async {
        match bench.manager.boot(&lease, &spec).await {
            Ok(booted) => {
                booted.machine.destroy().await?;
                ensure!(!refuses, "a machine with the host's network was booted by who does not open it");
                let waived = booted.enforcement.waived.iter().any(|it| it.restriction == Restriction::Network);
                ensure!(waived, "the report calls the host's network restricted: {:?}", booted.enforcement);
            }
            Err(error) => {
                ensure!(refuses, "who opens the host's network refused it: {error}");
                let kind = error.kind();
                ensure!(kind == ErrorKind::Unsupported, "the host's network was refused as {}", kind.as_str());
            }
        }
        bench.nothing_left("after the host's network was asked for").await
    };
    let proof = check.await;
    bench.leave(proof).await
}
