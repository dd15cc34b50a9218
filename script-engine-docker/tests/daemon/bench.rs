//! Engines and jobs on a daemon, with a state folder that goes away.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use script_engine_core::contract::{IdSource as _, Progress, ScriptEvent, ScriptExecutor, Unit};
use script_engine_core::executor::PooledExecutor;
use script_engine_core::memory::UuidIds;
use script_engine_core::sandbox::SessionSettings;
use script_engine_core::{
    Cancel, ExitReport, Job, JobFile, Limits, OwnerId, RelPath, Result, RuntimeSpec, Stopwatch, TenantId,
};
use script_engine_docker::{Config, Manager};

/// The image that scripts run in.
pub(crate) const BASH: &str = "stella-runtime/bash:base";
/// How long a script may outlive the engine's word.
pub(crate) const LEASE: Duration = Duration::from_secs(3);

/// A folder that goes away.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("script-engine-daemon-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

pub(crate) fn fresh_owner() -> OwnerId {
    OwnerId::from_bits(UuidIds.fresh())
}

pub(crate) fn config(endpoint: &str, state: &Path) -> Config {
    Config { endpoint: endpoint.to_owned(), call_timeout: Duration::from_secs(20), ..Config::new(state) }
}

pub(crate) fn session() -> SessionSettings {
    SessionSettings { lease: LEASE, heartbeat: Duration::from_millis(500), ..SessionSettings::default() }
}

pub(crate) async fn executor(config: Config, owner: OwnerId) -> PooledExecutor {
    let manager = Arc::new(Manager::open(config, owner).unwrap());
    PooledExecutor::new(manager, session()).await.unwrap()
}

/// A job of a Bash script. What stands in `mark` stands in the command line of its processes.
pub(crate) fn job(script: &str, mark: &str) -> Job {
    let path = RelPath::parse("main.sh").unwrap();
    Job {
        runtime: RuntimeSpec { language: "bash".into(), image: String::new(), layer: None },
        files: vec![JobFile { path, content: Bytes::copy_from_slice(script.as_bytes()), executable: false }],
        argv: ["/bin/bash", "/scripts/main.sh", mark].map(str::to_owned).to_vec(),
        env: vec![("PATH".into(), b"/usr/bin:/bin".to_vec())],
        stdin: false,
        network: script_engine_core::NetworkPolicy::Off,
        target: None,
        tenant: Some(TenantId::default()),
        given: Vec::new(),
        egress: script_engine_core::EgressSettings::default(),
        limits: Limits { work_bytes: 8 << 20, tmp_bytes: 8 << 20, ..Limits::default() },
    }
}

/// How a job ended, and what it printed.
#[derive(Debug)]
pub(crate) enum Ended {
    Exited(ExitReport, String),
    Lost,
}

/// Runs a job to its end.
pub(crate) async fn run(executor: &dyn ScriptExecutor, job: Job) -> Result<Ended> {
    let mut spawned = executor.spawn(job, &mut Stopwatch::start(), Cancel::never()).await?;
    let mut text = String::new();
    let ended = loop {
        match spawned.script.next().await {
            ScriptEvent::Output { bytes, .. } => text.push_str(&String::from_utf8_lossy(&bytes)),
            ScriptEvent::Exited(report) => break Ended::Exited(report, text),
            ScriptEvent::Lost { .. } => break Ended::Lost,
            ScriptEvent::Beat(_) => {}
        }
    };
    // What can't be removed now, for the daemon is away, is removed when it is back.
    if spawned.script.finish().await.is_err() {
        return Ok(Ended::Lost);
    }
    Ok(ended)
}

/// What was told of a preparation: steps, and how far each was.
#[derive(Debug, Default)]
pub(crate) struct Heard(Mutex<Vec<(String, Far)>>);

/// How far a step was: units that were done and units in all, and what they are.
type Far = (u64, Option<u64>, Unit);

impl Heard {
    /// Whether a step that begins like this was told of.
    pub(crate) fn has(&self, step: &str) -> bool {
        self.most(step).is_some()
    }

    /// How far a step that begins like this got at most.
    pub(crate) fn most(&self, step: &str) -> Option<Far> {
        let heard = self.0.lock().unwrap();
        heard.iter().filter(|it| it.0.starts_with(step)).map(|it| it.1).max_by_key(|it| (it.0, it.1))
    }
}

impl Progress for Heard {
    fn report(&self, step: &str, done: u64, total: Option<u64>, unit: Unit) {
        self.0.lock().unwrap().push((step.to_owned(), (done, total, unit)));
    }
}
