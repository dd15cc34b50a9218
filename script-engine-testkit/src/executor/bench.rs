//! What a case of the executor suite works with, and the look afterwards.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use script_engine_core::contract::{OutputStream, RunEvent, RunningScript, ScriptExecutor, Spawned};
use script_engine_core::memory::UuidIds;
use script_engine_core::{
    Error, ErrorKind, ExitReport, Job, JobFile, Limits, OwnerId, RelPath, Result, Stopwatch, Timestamp,
    contract::IdSource,
};

use super::ExecutorBackend;
use crate::case::Case;
use crate::verdict::{Proof, Unproven, ensure, fail};

/// How long a script of the suite may keep a case waiting.
const PATIENCE: Duration = Duration::from_secs(60);
/// The most output that a case holds.
const MAX_SEEN: usize = 64 << 20;

/// An executor with an owner of its own.
#[derive(Debug)]
pub(super) struct Bench {
    pub(super) backend: Arc<dyn ExecutorBackend>,
    pub(super) owner: OwnerId,
    pub(super) executor: Arc<dyn ScriptExecutor>,
    /// Stands in the command line of every process that the case's scripts start.
    pub(super) marker: String,
}

/// Makes a case that gets a bench, and after which nothing may be left.
pub(super) fn bench_case<F>(
    id: &'static str,
    title: &'static str,
    backend: &Arc<dyn ExecutorBackend>,
    body: fn(Arc<Bench>) -> F,
) -> Case
where
    F: Future<Output = Proof> + 'static,
{
    let backend = Arc::clone(backend);
    Case::of(id, title, move || Box::pin(on_bench(Arc::clone(&backend), body)))
}

async fn on_bench<F: Future<Output = Proof>>(backend: Arc<dyn ExecutorBackend>, body: fn(Arc<Bench>) -> F) -> Proof {
    let bench = Arc::new(Bench::new(backend).await?);
    let proof = body(Arc::clone(&bench)).await;
    let left = bench.leave().await;
    match (proof, left) {
        (Err(Unproven::Failed(first)), Err(Unproven::Failed(second))) => fail!("{first}\nafterwards: {second}"),
        (proof, left) => proof.and(left),
    }
}

/// Gives a fresh owner.
pub(super) fn fresh_owner() -> OwnerId {
    OwnerId::from_bits(UuidIds.fresh())
}

impl Bench {
    async fn new(backend: Arc<dyn ExecutorBackend>) -> Result<Self> {
        let owner = fresh_owner();
        let executor = backend.executor(owner).await?;
        Ok(Self { backend, owner, executor, marker: format!("kit-{:032x}", owner.bits()) })
    }

    /// Makes a job of a script. The name is what a fake knows the script by. The script's arguments
    /// are the marker, and then `/scripts`, `/work`, `/tmp`.
    pub(super) fn job(&self, name: &str, script: &str) -> Result<Job> {
        self.job_with(name, script, &[])
    }

    /// Makes a job of a script, with further arguments.
    pub(super) fn job_with(&self, name: &str, script: &str, arguments: &[&str]) -> Result<Job> {
        let argv = ["/bin/sh", "/scripts/main.sh", &self.marker, "/scripts", "/work", "/tmp"];
        Ok(Job {
            runtime: self.backend.runtime(),
            files: vec![file("main.sh", format!("# scenario: {name}\n{script}\n").as_bytes())?],
            argv: argv.iter().chain(arguments).map(|it| (*it).to_owned()).collect(),
            env: vec![("PATH".into(), b"/usr/local/bin:/usr/bin:/bin".to_vec()), ("LC_ALL".into(), b"C".to_vec())],
            stdin: false,
            limits: Limits { memory_bytes: 256 << 20, pids: 64, work_bytes: 64 << 20, ..Limits::default() },
        })
    }

    pub(super) async fn spawn(&self, job: Job) -> Result<Spawned> {
        self.executor.spawn(job, &mut Stopwatch::start()).await
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

/// Makes a file of a job.
pub(super) fn file(path: &str, content: &[u8]) -> Result<JobFile> {
    Ok(JobFile { path: RelPath::parse(path)?, content: Bytes::copy_from_slice(content), executable: false })
}

/// What a script showed.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    /// When the first and the last output was printed.
    pub(super) times: Option<(Timestamp, Timestamp)>,
    pub(super) exit: Option<ExitReport>,
}

impl Seen {
    /// Takes events until the script's end.
    pub(super) async fn watch(&mut self, script: &mut dyn RunningScript) -> Proof {
        self.until(script, |_| false).await
    }

    /// Takes events until what was seen is enough, or the script's end.
    pub(super) async fn until(&mut self, script: &mut dyn RunningScript, enough: impl Fn(&Self) -> bool) -> Proof {
        let watching = async {
            while self.exit.is_none() && !enough(self) {
                match script.next().await {
                    RunEvent::Output { stream, time, bytes } => self.take(stream, time, &bytes)?,
                    RunEvent::Beat(_) => {}
                    RunEvent::Exited(report) => self.exit = Some(report),
                    RunEvent::Lost { reason, .. } => fail!("the sandbox was lost: {reason}"),
                }
            }
            Ok(())
        };
        match tokio::time::timeout(PATIENCE, watching).await {
            Ok(proof) => proof,
            Err(_) => fail!("nothing came for {PATIENCE:?}; until then {}", self.text()),
        }
    }

    fn take(&mut self, stream: OutputStream, time: Timestamp, bytes: &[u8]) -> Proof {
        ensure!(!bytes.is_empty(), "an empty piece of output");
        let seen = match stream {
            OutputStream::Stdout => &mut self.stdout,
            OutputStream::Stderr => &mut self.stderr,
        };
        seen.extend_from_slice(bytes);
        ensure!(seen.len() <= MAX_SEEN, "{} is longer than any script of the suite prints", stream.as_str());
        self.times = Some((self.times.map_or(time, |(first, _)| first), time));
        Ok(())
    }

    /// Whether stdout holds `text`.
    pub(super) fn says(&self, text: &str) -> bool {
        self.stdout.windows(text.len()).any(|it| it == text.as_bytes())
    }

    /// What was seen, for reports.
    pub(super) fn text(&self) -> String {
        let short = |it: &[u8]| String::from_utf8_lossy(&it[..it.len().min(500)]).into_owned();
        format!("{:?}, stdout {:?}, stderr {:?}", self.exit, short(&self.stdout), short(&self.stderr))
    }
}

/// Waits for a call that may not take long.
pub(super) async fn soon<T>(what: &str, call: impl Future<Output = Result<T>>) -> Result<T, Unproven> {
    match tokio::time::timeout(PATIENCE, call).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(Error::new(ErrorKind::Unavailable, format!("{what} did not return in {PATIENCE:?}")).into()),
    }
}
