//! Sandboxes that break one rule each: wrappers round the fake.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use script_engine_core::contract::{Posture, Sandbox, ScriptControl, ScriptEvent, Stop};
use script_engine_core::gateway::Gateway;
use script_engine_core::{
    ConnectionLog, EgressSettings, EnforcementReport, Job, JobFile, Limits, NetworkPolicy, OwnerId, Prime, Result,
    RuntimeSpec,
};

use super::Mutant;
use crate::case::Case;
use crate::fake::FakeBackend;
use crate::machine::TestMachine;
use crate::sandbox::{SandboxBackend, SandboxSource, sandbox};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Overwrites,
    StartsNothing,
    DoesNotReset,
    ForgetsToDestroy,
    KeepsListening,
    LosesArguments,
    LeavesTheHook,
    HandsOverAnyJob,
    TrustsAnyProgram,
}

use Fault as F;

pub(super) const MUTANTS: &[Mutant] = &[
    Mutant::new("SB-01", "overwrites files", || cases(F::Overwrites)),
    Mutant::new("SB-02", "says that a missing program was started", || cases(F::StartsNothing)),
    Mutant::new("SB-03", "says that it has reset and has not", || cases(F::DoesNotReset)),
    Mutant::new("SB-04", "forgets to destroy", || cases(F::ForgetsToDestroy)),
    Mutant::new("SB-05", "leaves a way out open for the next job", || cases(F::KeepsListening)),
    Mutant::new("SB-06", "hands a job over without its last argument", || cases(F::LosesArguments)),
    Mutant::new("SB-06", "leaves the hook among the scripts", || cases(F::LeavesTheHook)),
    Mutant::new("SB-07", "hands any job to the program that waits", || cases(F::HandsOverAnyJob)),
    Mutant::new("SB-08", "hands a job to a program that has ended", || cases(F::TrustsAnyProgram)),
];

fn cases(fault: Fault) -> Vec<Case> {
    sandbox(Arc::new(Broken { inner: FakeBackend::new(), fault }))
}

#[derive(Debug)]
struct Broken {
    inner: FakeBackend,
    fault: Fault,
}

#[async_trait]
impl TestMachine for Broken {
    fn runtime(&self) -> RuntimeSpec {
        self.inner.runtime()
    }

    async fn leftovers(&self, owner: OwnerId) -> Result<Vec<String>> {
        self.inner.leftovers(owner).await
    }

    async fn processes(&self, marker: &str) -> Result<Vec<String>> {
        self.inner.processes(marker).await
    }
}

#[async_trait]
impl SandboxBackend for Broken {
    async fn source(&self, owner: OwnerId) -> Result<Arc<dyn SandboxSource>> {
        Ok(Arc::new(BrokenSource { inner: self.inner.source(owner).await?, fault: self.fault }))
    }

    fn resets(&self) -> Result<(), String> {
        Ok(())
    }

    fn primes(&self) -> Result<(), String> {
        Ok(())
    }
}

#[derive(Debug)]
struct BrokenSource {
    inner: Arc<dyn SandboxSource>,
    fault: Fault,
}

#[async_trait]
impl SandboxSource for BrokenSource {
    async fn sandbox(&self, limits: Limits) -> Result<Box<dyn Sandbox>> {
        Ok(Box::new(BrokenSandbox {
            inner: self.inner.sandbox(limits).await?,
            fault: self.fault,
            listened: None,
            primed: None,
        }))
    }

    async fn shutdown(&self) -> Result<()> {
        self.inner.shutdown().await
    }
}

#[derive(Debug)]
struct BrokenSandbox {
    inner: Box<dyn Sandbox>,
    fault: Fault,
    listened: Option<(NetworkPolicy, EgressSettings, Gateway)>,
    primed: Option<Vec<JobFile>>,
}

#[async_trait]
impl Sandbox for BrokenSandbox {
    fn enforcement(&self) -> &EnforcementReport {
        self.inner.enforcement()
    }

    async fn put(&mut self, files: &[JobFile]) -> Result<()> {
        let done = self.inner.put(files).await;
        if self.fault == F::Overwrites { Ok(()) } else { done }
    }

    async fn listen(
        &mut self,
        policy: &NetworkPolicy,
        settings: &EgressSettings,
        gateway: &Gateway,
    ) -> Result<ConnectionLog> {
        self.listened = Some((policy.clone(), settings.clone(), gateway.clone()));
        self.inner.listen(policy, settings, gateway).await
    }

    async fn prime(&mut self, prime: &Prime, like: &Job) -> Result<()> {
        let done = self.inner.prime(prime, like).await;
        self.primed = Some(prime.files.clone());
        if self.fault == F::TrustsAnyProgram { Ok(()) } else { done }
    }

    async fn start(&mut self, job: &Job) -> Result<Arc<dyn ScriptControl>> {
        let mut job = job.clone();
        if let Some(hook) = self.primed.take() {
            match self.fault {
                F::LeavesTheHook => job.files.extend(hook),
                F::LosesArguments => drop(job.argv.pop()),
                F::HandsOverAnyJob | F::TrustsAnyProgram => job.env.push(("PRIMED".into(), b"yes".to_vec())),
                _ => {}
            }
        }
        let started = self.inner.start(&job).await;
        if self.fault == F::StartsNothing { started.or_else(|_| Ok(Arc::new(Nothing))) } else { started }
    }

    async fn next(&mut self) -> ScriptEvent {
        self.inner.next().await
    }

    async fn collect(&mut self, path: &str, max_bytes: u64) -> Result<Option<Bytes>> {
        self.inner.collect(path, max_bytes).await
    }

    async fn reset(&mut self) -> Result<()> {
        if self.fault == F::DoesNotReset {
            return Ok(());
        }
        self.inner.reset().await?;
        if let (F::KeepsListening, Some((policy, settings, gateway))) = (self.fault, &self.listened) {
            self.inner.listen(policy, settings, gateway).await?;
        }
        Ok(())
    }

    async fn posture(&mut self) -> Result<Posture> {
        self.inner.posture().await
    }

    async fn destroy(self: Box<Self>) -> Result<()> {
        if self.fault == F::ForgetsToDestroy { Ok(()) } else { self.inner.destroy().await }
    }
}

/// Controls nothing.
#[derive(Debug)]
struct Nothing;

#[async_trait]
impl ScriptControl for Nothing {
    async fn stop(&self, _stop: Stop) -> Result<()> {
        Ok(())
    }

    async fn write_stdin(&self, _bytes: Bytes) -> Result<()> {
        Ok(())
    }

    async fn close_stdin(&self) -> Result<()> {
        Ok(())
    }
}
