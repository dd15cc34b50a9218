//! A fake sandbox that implements the contract directly, without an agent.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use script_engine_core::contract::{Posture, RunningScript, Sandbox, ScriptControl, ScriptEvent};
use script_engine_core::gateway::Gateway;
use script_engine_core::{
    ConnectionLog, EgressSettings, EnforcementReport, Error, ErrorKind, Job, JobFile, Limits, NetworkPolicy, OwnerId,
    Prime, Result,
};

use super::FakeHost;
use super::action::Left;
use super::backend::simulate;
use super::egress::FakeEgress;
use super::executor::fake_report;
use super::script::FakeScript;
use super::stdin::Pressure;
use crate::sandbox::SandboxSource;

/// Makes fake sandboxes of one owner.
#[derive(Debug)]
pub(super) struct FakeSource {
    pub(super) host: FakeHost,
    pub(super) owner: OwnerId,
}

#[async_trait]
impl SandboxSource for FakeSource {
    async fn sandbox(&self, _limits: Limits) -> Result<Box<dyn Sandbox>> {
        tokio::task::yield_now().await;
        let id = self.host.add(self.owner, Arc::new(Pressure::default()));
        Ok(Box::new(FakeSandbox {
            host: self.host.clone(),
            id,
            enforcement: fake_report(),
            files: Vec::new(),
            left: BTreeMap::new(),
            script: None,
            egress: FakeEgress::default(),
            primed: None,
        }))
    }

    async fn shutdown(&self) -> Result<()> {
        Ok(())
    }
}

#[derive(Debug)]
struct FakeSandbox {
    host: FakeHost,
    id: u64,
    enforcement: EnforcementReport,
    files: Vec<JobFile>,
    left: BTreeMap<String, Left>,
    script: Option<FakeScript>,
    /// The way out of the job that is started next.
    egress: FakeEgress,
    /// What waits for a job, the job it was primed for, and what it does, by the first line of its file.
    primed: Option<(Prime, Job, String)>,
}

impl FakeSandbox {
    fn script(&mut self) -> Result<&mut FakeScript> {
        self.script.as_mut().ok_or_else(|| Error::new(ErrorKind::Conflict, "no job was started; start one first"))
    }
}

#[async_trait]
impl Sandbox for FakeSandbox {
    fn enforcement(&self) -> &EnforcementReport {
        &self.enforcement
    }

    async fn put(&mut self, files: &[JobFile]) -> Result<()> {
        tokio::task::yield_now().await;
        for file in files {
            if self.files.iter().any(|it| it.path == file.path) {
                return Err(Error::new(ErrorKind::AlreadyExists, "the file is there already")
                    .with_context("path", file.path.as_str()));
            }
            self.files.push(file.clone());
        }
        Ok(())
    }

    async fn listen(
        &mut self,
        policy: &NetworkPolicy,
        settings: &EgressSettings,
        _gateway: &Gateway,
    ) -> Result<ConnectionLog> {
        tokio::task::yield_now().await;
        let log = ConnectionLog::default();
        self.egress = FakeEgress { policy: policy.canonical(), settings: settings.clone(), log: log.clone() };
        Ok(log)
    }

    async fn prime(&mut self, prime: &Prime, like: &Job) -> Result<()> {
        tokio::task::yield_now().await;
        if self.primed.is_some() || self.script.is_some() {
            return Err(Error::new(ErrorKind::Conflict, "the sandbox has something to do already"));
        }
        let text = prime.files.first().map(|it| String::from_utf8_lossy(&it.content).into_owned()).unwrap_or_default();
        let does = text.lines().next().and_then(|it| it.strip_prefix("# prime: ")).unwrap_or_default();
        if ["says first", "ends first", "starts more"].contains(&does) {
            return Err(Error::new(ErrorKind::Unavailable, "the program is not fit to wait").with_context("does", does));
        }
        self.host.start(self.id, prime.argv.join(" "));
        self.primed = Some((prime.clone(), like.clone(), does.to_owned()));
        Ok(())
    }

    async fn start(&mut self, job: &Job) -> Result<Arc<dyn ScriptControl>> {
        let mut job = job.clone();
        if let Some((prime, like, does)) = self.primed.take() {
            self.host.stop(self.id);
            if does == "faithful" && prime.can_serve(&like, &job) {
                job.env.insert(0, ("PRIMED".into(), b"yes".to_vec()));
            }
        }
        let job = &job;
        if self.script.as_ref().is_some_and(|it| it.end.is_none()) {
            return Err(Error::new(ErrorKind::Conflict, "a job runs already; one sandbox runs one at a time"));
        }
        let actions = simulate(job).ok_or_else(|| Error::invalid("argv", "the fake does not know this script"))?;
        let pressure = Arc::new(Pressure::new(job.stdin));
        let job = Arc::new(job.clone());
        let mut script = FakeScript::start(&self.host, self.id, job, actions.into(), Arc::clone(&pressure)).await?;
        // What the last script left is still there for the next one, unless there was a reset.
        script.left = match &mut self.script {
            Some(last) => std::mem::take(&mut last.left),
            None => std::mem::take(&mut self.left),
        };
        script.egress = std::mem::take(&mut self.egress);
        self.script = Some(script);
        Ok(pressure)
    }

    async fn next(&mut self) -> ScriptEvent {
        match self.script() {
            Ok(script) => script.next().await,
            Err(error) => ScriptEvent::lost(&error),
        }
    }

    async fn collect(&mut self, path: &str, max_bytes: u64) -> Result<Option<Bytes>> {
        self.script()?.collect(path, max_bytes).await
    }

    async fn reset(&mut self) -> Result<()> {
        tokio::task::yield_now().await;
        self.host.stop(self.id);
        self.script = None;
        self.primed = None;
        self.left.clear();
        self.egress = FakeEgress::default();
        Ok(())
    }

    async fn posture(&mut self) -> Result<Posture> {
        Ok(Posture::default())
    }

    async fn destroy(mut self: Box<Self>) -> Result<()> {
        tokio::task::yield_now().await;
        self.script = None;
        self.host.remove(self.id);
        Ok(())
    }
}
