//! What a case of the executor suite works with, and the look afterwards.

use std::future::Future;
use std::sync::Arc;

use script_engine_core::contract::{ScriptExecutor, Spawned};
use script_engine_core::{Cancel, Job, OwnerId, Result, Stopwatch};

use super::ExecutorBackend;
use crate::case::Proving;
use crate::machine;
use crate::seen::Seen;
use crate::verdict::{Proof, Unproven, ensure, fail};

/// An executor with an owner of its own.
#[derive(Debug)]
pub(super) struct Bench {
    pub(super) backend: Arc<dyn ExecutorBackend>,
    pub(super) owner: OwnerId,
    pub(super) executor: Arc<dyn ScriptExecutor>,
    /// Stands in the command line of every process that the case's scripts start.
    pub(super) marker: String,
}

/// Makes the function of a case: it gets a bench, and after it nothing may be left.
pub(super) fn on_bench<F: Future<Output = Proof> + 'static>(
    backend: &Arc<dyn ExecutorBackend>,
    body: fn(Arc<Bench>) -> F,
) -> impl Fn() -> Proving + Send + Sync + 'static {
    let backend = Arc::clone(backend);
    move || Box::pin(carry_out(Arc::clone(&backend), body))
}

async fn carry_out<F: Future<Output = Proof>>(backend: Arc<dyn ExecutorBackend>, body: fn(Arc<Bench>) -> F) -> Proof {
    let bench = Arc::new(Bench::new(backend).await?);
    let proof = body(Arc::clone(&bench)).await;
    let left = bench.leave().await;
    match (proof, left) {
        (Err(Unproven::Failed(first)), Err(Unproven::Failed(second))) => fail!("{first}\nafterwards: {second}"),
        (proof, left) => proof.and(left),
    }
}

impl Bench {
    async fn new(backend: Arc<dyn ExecutorBackend>) -> Result<Self> {
        let owner = machine::fresh_owner();
        let executor = backend.executor(owner).await?;
        Ok(Self { backend, owner, executor, marker: machine::marker(owner) })
    }

    /// Makes a job of a script. The name is what a fake knows the script by. The script's arguments
    /// are the marker, and then `/scripts`, `/work`, `/tmp`.
    pub(super) fn job(&self, name: &str, script: &str) -> Result<Job> {
        self.job_with(name, script, &[])
    }

    /// Makes a job of a script, with further arguments.
    pub(super) fn job_with(&self, name: &str, script: &str, arguments: &[&str]) -> Result<Job> {
        machine::job(self.backend.runtime(), &self.marker, name, script, arguments)
    }

    pub(super) async fn spawn(&self, job: Job) -> Result<Spawned> {
        self.executor.spawn(job, &mut Stopwatch::start(), Cancel::never()).await
    }

    /// Starts a job, watches it to its end, and finishes it.
    pub(super) async fn see(&self, job: Job) -> Result<Seen, Unproven> {
        let mut spawned = self.spawn(job).await?;
        let mut seen = Seen::default();
        let end = seen.watch(&mut *spawned.script).await;
        spawned.script.finish().await?;
        end.map(|()| seen)
    }

    /// Fails if a process of this case's scripts is alive.
    pub(super) async fn no_process(&self, when: &str) -> Proof {
        let alive = self.backend.processes(&self.marker).await?;
        ensure!(alive.is_empty(), "{when}: alive are {alive:?}");
        Ok(())
    }

    /// Fails if something of `owner` is on the machine.
    pub(super) async fn nothing_of(&self, owner: OwnerId, when: &str) -> Proof {
        let left = self.backend.leftovers(owner).await?;
        ensure!(left.is_empty(), "{when}: left over are {left:?}");
        Ok(())
    }

    /// Fails if something of this case is there that its executor should have removed by itself.
    pub(super) async fn nothing_left(&self, when: &str) -> Proof {
        let found = self.executor.reap(self.owner).await?.removed;
        ensure!(found.is_empty(), "{when}: reap found {found:?}");
        self.no_process(when).await
    }

    /// Closes the case: nothing may be left, as the executor sees it and as one sees it from outside.
    async fn leave(self: Arc<Self>) -> Proof {
        self.executor.shutdown().await?;
        self.nothing_left("after the case").await?;
        let Some(bench) = Arc::into_inner(self) else { fail!("the case still holds its bench") };
        let Self { backend, owner, executor, .. } = bench;
        drop(executor);
        let left = backend.leftovers(owner).await?;
        ensure!(left.is_empty(), "after the case: left over are {left:?}");
        Ok(())
    }
}
