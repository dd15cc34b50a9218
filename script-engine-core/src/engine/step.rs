//! Work of a language that needs an interpreter or a compiler: runs in a sandbox like a script, and
//! what comes of it is kept by content.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::SemaphorePermit;

use super::components::Components;
use super::prepare::{environment, runtime};
use super::provision::Unprovided;
use super::supervise::{End, Listener, supervise};
use super::watch::Bounds;
use super::{compiled, route};
use crate::contract::{
    Check, Language, OutputStream, Prepared, ScriptExecutor, Source, Spawned, Step, StepOutput, Toolchain, Work,
};
use crate::script::Manifest;
use crate::{
    BrokenLimit, Cancel, CancelReason, Digest, Error, ErrorKind, Exit, Job, LimitOverrides, Needs, Outcome, Result,
    Stdin, Stopwatch, Timestamp, Usage,
};

/// The most time that a step may take whose language says nothing of it.
const STEP_TIMEOUT: Duration = Duration::from_secs(120);
/// Bytes of each output stream of a step that are kept.
const STEP_OUTPUT: usize = 1 << 20;
/// Bytes of a file that a step may leave.
const STEP_FILE: u64 = 256 << 20;

impl Components {
    /// Looks for syntax errors. A source that was found sound once is not looked at again.
    pub(super) async fn checked(&self, language: &Arc<dyn Language>, source: &Source) -> Result<Check> {
        let (executor, never) = (self.step_executor()?, Cancel::never());
        // The next thing that a version needs after its check is to know its toolchain. If there is none, the check says so too.
        let wanted = Some(source.clone());
        let (found, _) =
            tokio::join!(self.found(executor, language, source), self.toolchain(executor, language, wanted, &never));
        found
    }

    async fn found(
        &self,
        executor: &Arc<dyn ScriptExecutor>,
        language: &Arc<dyn Language>,
        source: &Source,
    ) -> Result<Check> {
        let key = key("check", language.as_ref(), source, "");
        if self.cache.find(key).await?.is_some() {
            return Ok(Check::new());
        }
        let asked = source.clone();
        let found = self.done(executor, language, move |language| language.check(&asked), &Cancel::never()).await?;
        if found.is_empty() {
            self.cache.put(key, Bytes::from_static(b"sound")).await?;
        }
        Ok(found)
    }

    /// Makes of a version what a sandbox can start, once for each content. Called off, it ends when the sandbox
    /// of its step is gone.
    pub(super) async fn compiled(
        &self,
        executor: &Arc<dyn ScriptExecutor>,
        language: &Arc<dyn Language>,
        manifest: &Manifest,
        cancel: &Cancel,
    ) -> Result<(Prepared, Toolchain)> {
        let source = Source { entry_point: manifest.entry_point.clone(), bytes: manifest.source.clone() };
        let toolchain = self.toolchain(executor, language, Some(source.clone()), cancel).await?;
        let key = key("prepare", language.as_ref(), &source, &format!("{toolchain}\0{}", toolchain.place));
        if let Some(value) = cancel.guard(self.cache.find(key)).await?
            && let Ok(prepared) = compiled::decode(&value)
        {
            return Ok((prepared, toolchain));
        }
        let prepared = self.done(executor, language, move |language| language.prepare(&source), cancel).await?;
        cancel.guard(self.cache.put(key, compiled::encode(&prepared))).await?;
        Ok((prepared, toolchain))
    }

    /// The toolchain that a source gets, or one without wishes, looked for once for each way of looking.
    pub(super) async fn toolchain(
        &self,
        executor: &Arc<dyn ScriptExecutor>,
        language: &Arc<dyn Language>,
        source: Option<Source>,
        cancel: &Cancel,
    ) -> Result<Toolchain> {
        let ask = move |language: &dyn Language| language.toolchain(source.as_ref());
        let step = match cancel.guard(self.asked(language, ask)).await? {
            Work::Done(it) => return Ok(it),
            Work::InSandbox(step) => step,
        };
        let info = language.info();
        let files = step.files.iter().map(|it| Digest::of(&it.content).to_string());
        let way: Vec<String> = [executor.info().name, info.id.to_string(), info.image.clone()]
            .into_iter()
            .chain(step.argv.iter().cloned())
            .chain(files)
            .collect();
        let way = Digest::of(way.join("\0").as_bytes());
        if let Some(known) = self.toolchains.find(way) {
            return Ok(known);
        }
        let toolchain = self.carried_out(executor, language, step, cancel).await?;
        self.toolchains.keep(way, toolchain.clone());
        Ok(toolchain)
    }

    /// The executor for steps that no execution waits for.
    pub(super) fn step_executor(&self) -> Result<&Arc<dyn ScriptExecutor>> {
        let infos: Vec<_> = self.executors.iter().map(|it| (it.info(), it.capability())).collect();
        Ok(&self.executors[route::choose(&Needs::default(), None, &infos)?])
    }

    /// Does what a language says is to be done.
    async fn done<T: Send + 'static>(
        &self,
        executor: &Arc<dyn ScriptExecutor>,
        language: &Arc<dyn Language>,
        ask: impl FnOnce(&dyn Language) -> Result<Work<T>> + Send + 'static,
        cancel: &Cancel,
    ) -> Result<T> {
        match cancel.guard(self.asked(language, ask)).await? {
            Work::Done(it) => Ok(it),
            Work::InSandbox(step) => self.carried_out(executor, language, step, cancel).await,
        }
    }

    /// Asks a language what is to be done. Its own part may parse for long, so it has a thread of its own meanwhile; how
    /// many at once is bounded as steps are.
    async fn asked<T: Send + 'static>(
        &self,
        language: &Arc<dyn Language>,
        ask: impl FnOnce(&dyn Language) -> Result<Work<T>> + Send + 'static,
    ) -> Result<Work<T>> {
        let _place = self.place().await?;
        let asked = Arc::clone(language);
        tokio::task::spawn_blocking(move || ask(asked.as_ref()))
            .await
            .map_err(|error| Error::internal("a language panicked").with_source(error))?
    }

    async fn carried_out<T>(
        &self,
        executor: &Arc<dyn ScriptExecutor>,
        language: &Arc<dyn Language>,
        step: Step<T>,
        cancel: &Cancel,
    ) -> Result<T> {
        let info = language.info();
        let Step { files, argv, env, collect, read } = step;
        let usual =
            LimitOverrides { timeout: Some(STEP_TIMEOUT.min(info.limits.timeout)), ..LimitOverrides::default() };
        let limits = info.limits.with(&usual).with(&info.step_limits);
        let env = environment(info, &env);
        let job = Job { runtime: runtime(info), files, argv, env, stdin: false, limits };
        read(self.run_step(executor.as_ref(), job, &collect, cancel).await?)
    }

    async fn place(&self) -> Result<SemaphorePermit<'_>> {
        let closed = |_| Error::new(ErrorKind::Closed, "the engine is shutting down");
        self.steps.acquire().await.map_err(closed)
    }

    async fn run_step(
        &self,
        executor: &dyn ScriptExecutor,
        job: Job,
        collect: &[String],
        cancel: &Cancel,
    ) -> Result<StepOutput> {
        let _place = cancel.guard(self.place()).await?;
        let bounds = Bounds::new(&job.limits, &self.settings);
        let mut stopwatch = Stopwatch::start();
        let given_up = async {
            cancel.cancelled().await;
            Outcome::Cancelled(CancelReason::Requested)
        };
        let Spawned { mut script, control, .. } =
            match self.spawn_in_time(given_up, executor, job, &mut stopwatch).await {
                Ok(spawned) => spawned,
                Err(Unprovided { outcome: Outcome::EngineFault(fault), .. }) => {
                    return Err(Error::new(fault.kind, fault.message));
                }
                Err(Unprovided { note: Some(note), .. }) => return Err(Error::new(ErrorKind::Unavailable, note)),
                Err(Unprovided { note: None, .. }) => return Err(Cancel::error()),
            };
        let mut kept = KeptOutput::default();
        let watched = async {
            let never = std::future::pending();
            let (end, cause) =
                supervise(script.as_mut(), control.as_ref(), bounds, Stdin::Empty, never, &mut kept).await?;
            let mut files = Vec::new();
            if let (End::Exited(_), None) = (&end, cause) {
                for path in collect {
                    files.push(script.collect(path, STEP_FILE).await?);
                }
            }
            Ok((end, cause, files))
        };
        let watched = cancel.guard(watched).await;
        // Whatever came of it, its sandbox is gone before it is told.
        script.finish().await?;
        let (end, cause, files) = watched?;
        let exit_code = match (end, cause) {
            (_, Some(_)) => {
                return Err(Error::invalid("source", "took longer than the language's timeout to check or compile"));
            }
            (End::Exited(report), None) => match (report.broke, report.exit) {
                (Some(limit), _) => return Err(broke(limit)),
                (None, Exit::Code(code)) => Some(code),
                (None, Exit::Signal(_)) => None,
            },
            (End::Lost { out_of_memory: true, .. }, None) => return Err(broke(BrokenLimit::Memory)),
            (End::Lost { reason, .. }, None) => {
                return Err(Error::new(ErrorKind::Unavailable, format!("the sandbox was lost: {reason}")));
            }
        };
        let [stdout, stderr] = kept.0.map(BytesMut::freeze);
        Ok(StepOutput { exit_code, stdout, stderr, files })
    }
}

fn broke(limit: BrokenLimit) -> Error {
    Error::invalid("source", format!("broke its limit of {} while it was checked or compiled", limit.as_str()))
}

fn key(what: &str, language: &dyn Language, source: &Source, toolchain: &str) -> Digest {
    let parts = [what, language.info().id.as_str(), &language.fingerprint(), toolchain, source.entry_point.as_str()];
    Digest::of(format!("{}\0{}", parts.join("\0"), Digest::of(&source.bytes)).as_bytes())
}

/// The first bytes of each stream.
#[derive(Default)]
struct KeptOutput([BytesMut; 2]);

impl Listener for KeptOutput {
    async fn output(&mut self, stream: OutputStream, _time: Timestamp, bytes: Bytes) -> Result<bool> {
        let kept = &mut self.0[stream as usize];
        let room = STEP_OUTPUT - kept.len();
        kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
        Ok(true)
    }

    fn life(&mut self, _usage: Option<Usage>) {}
}
