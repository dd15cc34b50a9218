//! Guests in machines of others: how they come, how they go, and that their hosts are left alone.

use std::sync::Arc;

use script_engine_core::contract::{BootSpec, Booted, Target, Verdict};
use script_engine_core::{Error, ErrorKind, Limits};

use super::TestTargets;
use super::manager::{Backend, Bench, POINTS};
use crate::interrupt::drop_at;
use crate::machine::gone_soon;
use crate::seen::soon;
use crate::verdict::{Proof, Unproven, ensure, fail};

/// A bench, and a target that is not its own.
struct Visit {
    bench: Bench,
    targets: Arc<dyn TestTargets>,
    target: Target,
    before: Vec<String>,
}

impl Visit {
    async fn new(backend: &Backend) -> Result<Self, Unproven> {
        let targets = backend.targets().map_err(Unproven::Skipped)?;
        let bench = Bench::new(backend).await?;
        let target = targets.make().await?;
        let before = targets.inside(&target).await?;
        Ok(Self { bench, targets, target, before })
    }

    /// Fails unless the target is as it was before anybody entered it.
    async fn unchanged(&self, when: &str) -> Proof {
        let now = self.targets.inside(&self.target).await?;
        ensure!(now == self.before, "{when}: in the target was {:?}, and now is {now:?}", self.before);
        Ok(())
    }

    /// Waits until the target is as it was: for what ends behind one's back.
    async fn unchanged_soon(&self, when: &str) -> Proof {
        let changed = gone_soon(async || {
            self.bench.manager.reap(self.bench.owner).await?;
            let now = self.targets.inside(&self.target).await?;
            Ok(if now == self.before { Vec::new() } else { now })
        });
        let changed = changed.await?;
        ensure!(changed.is_empty(), "{when}: in the target was {:?}, and now is {changed:?}", self.before);
        Ok(())
    }

    async fn leave(self, proof: Proof) -> Proof {
        self.targets.remove(&self.target).await?;
        self.bench.leave(proof).await
    }
}

async fn enter(bench: &Bench, target: &Target) -> Result<Booted, Error> {
    bench.manager.enter(target, &BootSpec::new(Limits::default())).await
}

/// Enters a target that can't be entered, and looks at how that is refused.
async fn refused(bench: &Bench, target: &Target, kind: ErrorKind) -> Proof {
    match soon("a refusal", async { Ok(enter(bench, target).await) }).await? {
        Ok(booted) => {
            booted.machine.destroy().await?;
            fail!("{target:?} was entered")
        }
        Err(error) if error.kind() == kind && error.to_string().contains(&target.name) => {}
        Err(error) => fail!("{target:?} was refused as {} without its name or kind: {error}", error.kind().as_str()),
    }
    bench.nothing_left("after a refusal").await
}

pub(super) async fn rm_06(backend: Backend) -> Proof {
    let nobody = Target { name: "no-such-target".into(), user: None };
    let Ok(targets) = backend.targets() else {
        let bench = Bench::new(&backend).await?;
        let proof = refused(&bench, &nobody, ErrorKind::Unsupported).await;
        return bench.leave(proof).await;
    };
    let bench = Bench::new(&backend).await?;
    let unfit = targets.make_unfit().await?;
    let check = async {
        refused(&bench, &nobody, ErrorKind::NotFound).await?;
        let before = targets.inside(&unfit).await?;
        refused(&bench, &unfit, ErrorKind::Unsupported).await?;
        let after = targets.inside(&unfit).await?;
        ensure!(before == after, "a refusal changed the target: before {before:?}, after {after:?}");
        Ok(())
    };
    let proof = check.await;
    targets.remove(&unfit).await?;
    bench.leave(proof).await
}

pub(super) async fn rm_07(backend: Backend) -> Proof {
    let visit = Visit::new(&backend).await?;
    let check = async {
        let first = enter(&visit.bench, &visit.target).await?;
        let second = enter(&visit.bench, &visit.target).await?;
        let inside = visit.targets.inside(&visit.target).await?;
        ensure!(inside != visit.before, "two guests are in the target, and nothing is seen of them: {inside:?}");
        let verdict = first.machine.verdict().await;
        ensure!(verdict == Verdict::Alive, "a guest that just came is {verdict:?}");
        first.machine.kill().await?;
        for _ in 0..2 {
            soon("a destruction", first.machine.destroy()).await?;
        }
        let verdict = second.machine.verdict().await;
        ensure!(verdict == Verdict::Alive, "with the first guest went the second: {verdict:?}");
        soon("a destruction", second.machine.destroy()).await?;
        visit.unchanged("after the destruction of its guests").await?;
        visit.bench.nothing_left("after the destruction of the guests").await
    };
    let proof = check.await;
    visit.leave(proof).await
}

pub(super) async fn rm_08(backend: Backend) -> Proof {
    let visit = Visit::new(&backend).await?;
    let neighbour = Bench::new(&backend).await?;
    let check = async {
        let theirs = enter(&neighbour, &visit.target).await?;
        let with_theirs = visit.targets.inside(&visit.target).await?;
        let _ours = enter(&visit.bench, &visit.target).await?;
        let found = visit.bench.manager.reap(visit.bench.owner).await?.removed;
        ensure!(!found.is_empty(), "reap did not find the guest of its owner");
        let now = visit.targets.inside(&visit.target).await?;
        ensure!(now == with_theirs, "after a reap in the target should be {with_theirs:?}, and is {now:?}");
        let verdict = theirs.machine.verdict().await;
        ensure!(verdict == Verdict::Alive, "a reap of ours ended a neighbour's guest: {verdict:?}");
        theirs.machine.destroy().await?;
        visit.unchanged("after a reap and the neighbour's end").await?;
        for point in 0..POINTS {
            let spec = BootSpec::new(Limits::default());
            if let Some(entered) = drop_at(point, visit.bench.manager.enter(&visit.target, &spec)).await {
                entered?.machine.destroy().await?;
                break;
            }
            visit.unchanged_soon(&format!("a guest that was dropped at wait {point} of its entry")).await?;
        }
        Ok(())
    };
    let proof = check.await;
    neighbour.leave(Ok(())).await?;
    visit.leave(proof).await
}
