//! The fake executor: chooses a list of actions for a job and starts it.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use script_engine_core::contract::{
    Clock, ExecutorInfo, Isolation, OwnerStatus, Progress, ReapReport, ScriptExecutor, Spawned, Unit,
};
use script_engine_core::memory::SystemClock;
use script_engine_core::{
    Cancel, Capability, ConnectionLog, Egress, EnforcementReport, Error, ErrorKind, Job, Mechanism, OwnerId, Result,
    RuntimeSpec, Stage, Stopwatch,
};

use super::action::Action;
use super::egress::FakeEgress;
use super::host::FakeHost;
use super::script::{FakeScript, HEARTBEAT};
use super::stdin::Pressure;

/// Jobs that are remembered for [`FakeExecutor::jobs`].
const REMEMBERED: usize = 10_000;

type Script = Box<dyn Fn(&Job) -> Option<Vec<Action>> + Send + Sync>;

/// A [`ScriptExecutor`] whose scripts are lists of actions. A job that none is given for is refused.
pub struct FakeExecutor {
    name: String,
    host: FakeHost,
    owner: OwnerId,
    capability: Capability,
    heartbeat: Duration,
    clock: Arc<dyn Clock>,
    scripts: Vec<Script>,
    preparation: Vec<(String, u64, Option<u64>, Unit)>,
    jobs: Mutex<VecDeque<Arc<Job>>>,
}

impl FakeExecutor {
    /// Makes a fake on a machine of its own that claims to enforce everything and beats every two
    /// seconds.
    #[must_use]
    pub fn new() -> Self {
        Self::on(FakeHost::new(), OwnerId::from_bits(1))
    }

    /// Makes a fake on `host` for `owner`.
    #[must_use]
    pub fn on(host: FakeHost, owner: OwnerId) -> Self {
        host.enter(owner);
        Self {
            name: "fake".into(),
            host,
            owner,
            capability: Capability::all(Mechanism::Kernel).with_egress(Egress::Addresses),
            heartbeat: HEARTBEAT,
            clock: Arc::new(SystemClock),
            scripts: Vec::new(),
            preparation: Vec::new(),
            jobs: Mutex::default(),
        }
    }

    /// Does `actions` for each job that `matcher` accepts; the first one that accepts it is taken.
    #[must_use]
    pub fn with_script(self, matcher: impl Fn(&Job) -> bool + Send + Sync + 'static, actions: Vec<Action>) -> Self {
        self.with_scripts(move |job| matcher(job).then(|| actions.clone()))
    }

    /// Does what the function makes of a job, if it makes something of it.
    #[must_use]
    pub fn with_scripts(mut self, script: impl Fn(&Job) -> Option<Vec<Action>> + Send + Sync + 'static) -> Self {
        self.scripts.push(Box::new(script));
        self
    }

    /// Does `actions` for each job one of whose files holds `text`, which is how tests name scripts.
    #[must_use]
    pub fn with_source(self, text: &str, actions: Vec<Action>) -> Self {
        let text = text.as_bytes().to_vec();
        // An empty window panics.
        let holds = move |content: &[u8]| text.is_empty() || content.windows(text.len()).any(|it| it == text);
        self.with_script(move |job| job.files.iter().any(|it| holds(&it.content)), actions)
    }

    /// Sets the name.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets what it claims to enforce.
    #[must_use]
    pub fn with_capability(mut self, capability: Capability) -> Self {
        self.capability = capability;
        self
    }

    /// Tells of this step each time that a runtime is got in place.
    #[must_use]
    pub fn with_preparation(mut self, step: impl Into<String>, done: u64, total: Option<u64>, unit: Unit) -> Self {
        self.preparation.push((step.into(), done, total, unit));
        self
    }

    /// Sets how often a script gives a sign of life.
    #[must_use]
    pub fn with_heartbeat(mut self, heartbeat: Duration) -> Self {
        self.heartbeat = heartbeat;
        self
    }

    /// Sets the clock that stamps output.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The machine it is on.
    #[must_use]
    pub fn host(&self) -> &FakeHost {
        &self.host
    }

    /// Whose its sandboxes are.
    #[must_use]
    pub fn owner(&self) -> OwnerId {
        self.owner
    }

    /// The jobs that it was given, first to last, those that failed too; the last 10000 at most.
    #[must_use]
    pub fn jobs(&self) -> Vec<Arc<Job>> {
        self.remembered().iter().cloned().collect()
    }

    fn remembered(&self) -> MutexGuard<'_, VecDeque<Arc<Job>>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn actions(&self, job: &Job) -> Result<VecDeque<Action>> {
        self.scripts.iter().find_map(|it| it(job)).map(VecDeque::from).ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidRequest,
                "the fake was given no script for this job; add one with `with_script`",
            )
            .with_context("argv", job.argv.join(" "))
        })
    }
}

impl Default for FakeExecutor {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for FakeExecutor {
    fn drop(&mut self) {
        self.host.leave(self.owner);
    }
}

impl fmt::Debug for FakeExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeExecutor").field("name", &self.name).field("owner", &self.owner).finish_non_exhaustive()
    }
}

/// Real executors get jobs from an engine that has checked them; the fake checks the engine.
fn refuse_malformed(job: &Job) -> Result<()> {
    let mut paths: Vec<&str> = job.files.iter().map(|it| it.path.as_str()).collect();
    paths.sort_unstable();
    if job.argv.is_empty() {
        return Err(Error::invalid("argv", "is empty; give a program"));
    }
    if let Some(twice) = paths.windows(2).find(|it| it[0] == it[1]) {
        return Err(Error::invalid("files", format!("has `{}` twice", twice[0])));
    }
    let mut names: Vec<&str> = job.env.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|it| it[0] == it[1]) {
        return Err(Error::invalid("env", format!("has `{}` twice", twice[0])));
    }
    Ok(())
}

/// Lets others go on for a moment.
async fn pause() -> Result<()> {
    tokio::task::yield_now().await;
    Ok(())
}

/// A sandbox that is removed unless its start succeeds, dropped futures included.
struct Booting<'a> {
    host: &'a FakeHost,
    sandbox: Option<u64>,
}

impl Drop for Booting<'_> {
    fn drop(&mut self) {
        if let Some(sandbox) = self.sandbox {
            self.host.remove(sandbox);
        }
    }
}

#[async_trait]
impl ScriptExecutor for FakeExecutor {
    fn info(&self) -> ExecutorInfo {
        ExecutorInfo { name: self.name.clone(), isolation: Isolation::None }
    }

    fn capability(&self) -> Capability {
        self.capability.clone()
    }

    async fn spawn(&self, job: Job, stopwatch: &mut Stopwatch, cancel: Cancel) -> Result<Spawned> {
        let job = Arc::new(job);
        {
            let mut jobs = self.remembered();
            jobs.push_back(Arc::clone(&job));
            if jobs.len() > REMEMBERED {
                jobs.pop_front();
            }
        }
        let Some(capability) = self.capability.within(job.target.as_ref()) else {
            return Err(Error::new(ErrorKind::Unsupported, format!("target: {} gets into none", self.name)));
        };
        if let Some(why) = capability.refuses(&job.network) {
            return Err(Error::new(ErrorKind::Unsupported, format!("network: {} {why}", self.name)));
        }
        let enforcement = capability.report();
        stopwatch.enter(Stage::Provision);
        cancel.guard(pause()).await?;
        refuse_malformed(&job)?;
        let mut actions = self.actions(&job)?;
        stopwatch.enter(Stage::Acquire);
        let pressure = Arc::new(Pressure::new(job.stdin));
        let id = self.host.add(self.owner, Arc::clone(&pressure) as Arc<_>);
        let mut booting = Booting { host: &self.host, sandbox: Some(id) };
        if let Some(Action::StuckSpawn(time)) = actions.front() {
            tokio::time::sleep(*time).await;
            actions.pop_front();
        }
        cancel.guard(pause()).await?;
        stopwatch.enter(Stage::Start);
        let start = FakeScript::start(&self.host, id, job, actions, Arc::clone(&pressure));
        let started = match cancel.guard(start).await {
            Ok(script) => Ok(script),
            // A real one takes a moment to remove what it has made, and must not tell of its end before that.
            Err(error) => pause().await.and(Err(error)),
        };
        let mut script = started?;
        booting.sandbox = None;
        script.clock = Arc::clone(&self.clock);
        script.beat_every(self.heartbeat);
        script.egress = FakeEgress {
            policy: script.job.network.clone(),
            settings: script.job.egress.clone(),
            log: ConnectionLog::default(),
        };
        let connections = script.egress.log.clone();
        Ok(Spawned { script: Box::new(script), control: pressure, enforcement, runtime: None, connections })
    }

    async fn preload(&self, _runtime: &RuntimeSpec, progress: &dyn Progress) -> Result<()> {
        tokio::task::yield_now().await;
        for (step, done, total, unit) in &self.preparation {
            progress.report(step, *done, *total, *unit);
        }
        Ok(())
    }

    async fn owners(&self) -> Result<Vec<OwnerStatus>> {
        tokio::task::yield_now().await;
        Ok(self.host.owners())
    }

    async fn reap(&self, owner: OwnerId) -> Result<ReapReport> {
        tokio::task::yield_now().await;
        Ok(ReapReport { removed: self.host.reap(owner) })
    }

    async fn shutdown(&self) -> Result<()> {
        tokio::task::yield_now().await;
        Ok(())
    }
}

/// What every fake sandbox enforces: nothing gets out of it.
pub(super) fn fake_report() -> EnforcementReport {
    Capability::all(Mechanism::Kernel).report()
}
