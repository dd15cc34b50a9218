//! What a host calls. [`flow`] is where to start reading how it works.

mod accept;
mod admit;
mod builder;
mod compiled;
mod components;
mod configured;
mod course;
mod flow;
mod known;
mod live;
mod mounts;
mod output;
mod packages;
mod prepare;
mod progress;
mod provision;
mod route;
mod run;
mod save;
mod schedule;
mod schemas;
mod settle;
mod shutdown;
mod step;
mod step_runner;
mod supervise;
mod watch;

use std::sync::Arc;

use bytes::Bytes;

pub use builder::EngineBuilder;
pub use live::Vitals;
pub use shutdown::{Shutdown, ShutdownReport};
pub use step_runner::{StepPlace, StepRunner};

use accept::Submission;
use components::Components;

use crate::contract::{Check, LanguageInfo, OutputReader, ScriptExecutor, ScriptSummary, Toolchain};
use crate::memory::Subscription;
use crate::mounts::{MountRequest, Mounts};
use crate::output::OutputCursor;
use crate::{
    Cancel, CancelReason, Error, ErrorKind, ExecutionId, ExecutionRecord, ExecutionRequest, Identity, LanguageId,
    Result, ScriptDraft, ScriptName, ScriptVersion,
};

/// Runs scripts. A cheap handle: clones share one engine. Needs a tokio runtime.
#[derive(Clone, Debug)]
pub struct Engine {
    components: Arc<Components>,
}

impl Engine {
    /// Starts building an engine on an executor. All else has a default that keeps things in memory.
    #[must_use]
    pub fn builder(executor: Arc<dyn ScriptExecutor>) -> EngineBuilder {
        EngineBuilder::new(executor)
    }

    /// Checks a draft and keeps it as a version of its script. An identical one returns the version
    /// that exists.
    ///
    /// Fails with `InvalidRequest` that names every problem at once, syntax errors with line and
    /// column among them; nothing was kept then. Cancel-safe: either it was kept or it was not.
    pub async fn save(&self, identity: &Identity, draft: ScriptDraft) -> Result<Arc<ScriptVersion>> {
        self.components.save(identity, draft).await
    }

    /// Finds a script of the identity's tenant by its name.
    pub async fn find_script(&self, identity: &Identity, name: &ScriptName) -> Result<Option<ScriptSummary>> {
        self.components.scripts.find(&identity.tenant, name).await
    }

    /// Checks a draft as [`save`](Self::save) does and pins the packages that it names, and keeps nothing.
    /// `None` if it needs no packages. The lock that a later save makes is the same one.
    pub async fn lock(
        &self,
        identity: &Identity,
        draft: &ScriptDraft,
    ) -> Result<Option<Arc<crate::packages::DependencyLock>>> {
        self.components.lock(identity, draft).await
    }

    /// Does with a draft all that comes before its first run, and keeps nothing but what the caches keep: checks it as
    /// [`save`](Self::save) does, gets its packages, compiles it. Gives what its toolchain finds wrong with the source,
    /// nothing if it is sound; then a version saved from the same draft starts at once where the caches are the same.
    ///
    /// Fails with what is wrong with the draft besides its source, and where packages or a toolchain can't be had.
    pub async fn check(&self, identity: &Identity, draft: &ScriptDraft) -> Result<Check> {
        self.components.check(identity, draft).await
    }

    /// Makes what a container that is not the engine's mounts to run a version: its files, `args.json`, its packages, in
    /// the forms of Docker, Compose and Kubernetes. Parameters are bound and checked as at [`submit`](Self::submit);
    /// what is compiled is compiled now; nothing is run or recorded.
    ///
    /// Packages and compiled forms are those of the engine's own backend: an image whose toolchain is another one may
    /// not take them.
    pub async fn mounts(&self, request: MountRequest) -> Result<Mounts> {
        self.components.mounts(request).await
    }

    /// Accepts a request and returns at once with the execution's id.
    ///
    /// `Err` means that nothing was recorded and nothing will run: `InvalidRequest` names every
    /// problem at once, `Unsupported` says what no backend can enforce, `Overloaded` that the queue is
    /// full. After `Ok` every end is told by the record, never by an error. Not cancel-safe: a dropped
    /// call may have recorded the execution, which an idempotency key finds again.
    pub async fn submit(&self, request: ExecutionRequest) -> Result<ExecutionId> {
        match self.components.accept(request).await? {
            Submission::Existing(id) => Ok(id),
            Submission::New(accepted) => {
                let id = accepted.course.record.id();
                tokio::spawn(flow::drive(Arc::clone(&self.components), *accepted));
                Ok(id)
            }
        }
    }

    /// Gets an execution's record as it is now. Fails with `NotFound`.
    pub async fn get(&self, id: ExecutionId) -> Result<ExecutionRecord> {
        self.components.executions.get(id).await
    }

    /// Says how an execution of this engine is while it runs: last heartbeat, missed ones, usage.
    /// `None` once it is over.
    #[must_use]
    pub fn vitals(&self, id: ExecutionId) -> Option<Vitals> {
        self.components.live.find(id).map(|it| it.vitals(self.components.settings.heartbeat))
    }

    /// Waits for the end of an execution and gets its record. Cancel-safe.
    pub async fn wait(&self, id: ExecutionId) -> Result<ExecutionRecord> {
        if let Some(live) = self.components.live.find(id) {
            let mut over = live.over.subscribe();
            // The sender lives in `live`.
            drop(over.wait_for(|over| *over).await);
        }
        self.get(id).await
    }

    /// Reads an execution's output from a position on, and follows it to its end. The output of an
    /// execution that is still queued begins when it does.
    pub async fn output(&self, id: ExecutionId, from: OutputCursor) -> Result<Box<dyn OutputReader>> {
        if let Some(live) = self.components.live.find(id) {
            live.output_opened().await;
        }
        match self.components.outputs.read(id, from).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // An execution that ended before it printed anything has an empty output.
                self.get(id).await?;
                Ok(Box::new(output::EmptyOutput))
            }
            read => read,
        }
    }

    /// Writes to the stdin of an execution that was submitted with [`Stdin::Open`](crate::Stdin). Waits
    /// until the script runs and while it does not read. What it does not read before its end is lost.
    pub async fn write_stdin(&self, id: ExecutionId, bytes: Bytes) -> Result<()> {
        match self.stdin(id).await? {
            Some(control) => control.write_stdin(bytes).await,
            None => Ok(()),
        }
    }

    /// Ends the stdin of an execution that was submitted with [`Stdin::Open`](crate::Stdin). Idempotent.
    pub async fn close_stdin(&self, id: ExecutionId) -> Result<()> {
        match self.stdin(id).await? {
            Some(control) => control.close_stdin().await,
            None => Ok(()),
        }
    }

    /// The control of a script that takes stdin, once it runs; `None` once it is over.
    async fn stdin(&self, id: ExecutionId) -> Result<Option<Arc<dyn crate::contract::ScriptControl>>> {
        let Some(live) = self.components.live.find(id) else {
            return self.get(id).await.map(|_| None);
        };
        if !live.takes_stdin {
            return Err(Error::invalid("stdin", "was not requested as open; submit with `Stdin::Open`"));
        }
        let mut control = live.control.subscribe();
        let mut over = live.over.subscribe();
        let control = tokio::select! {
            ready = control.wait_for(Option::is_some) => ready.ok().and_then(|it| it.clone()),
            _ = over.wait_for(|over| *over) => None,
        };
        Ok(control)
    }

    /// Asks for the end of an execution and returns at once. One that is over already is `Ok`.
    pub async fn cancel(&self, id: ExecutionId) -> Result<()> {
        match self.components.live.find(id) {
            Some(live) => {
                live.cancel(CancelReason::Requested);
                Ok(())
            }
            None => {
                let record = self.get(id).await?;
                if record.state.is_terminal() {
                    return Ok(());
                }
                Err(Error::new(ErrorKind::Unavailable, "another engine holds the execution; cancel it there")
                    .with_context("owner", record.begun.owner))
            }
        }
    }

    /// Subscribes to what happens from now on. Slow subscribers miss events and are told how many.
    #[must_use]
    pub fn events(&self) -> Subscription {
        self.components.events.subscribe()
    }

    /// The executors, in the order in which they are tried.
    #[must_use]
    pub fn executors(&self) -> &[Arc<dyn ScriptExecutor>] {
        &self.components.executors
    }

    /// Gets every executor ready for a language, so that its next script starts sooner.
    pub async fn preload(&self, language: &LanguageId) -> Result<()> {
        let runtime = prepare::runtime(self.components.language(language)?.info(), None);
        let progress = self.components.told(language, None);
        for executor in &self.components.executors {
            executor.preload(&runtime, &progress).await?;
        }
        Ok(())
    }

    /// Finds the toolchain of a language, as a script without wishes gets it. Fails with the reason why there is none.
    pub async fn toolchain(&self, language: &LanguageId) -> Result<Toolchain> {
        let language = self.components.language(language)?;
        self.components.toolchain(self.components.step_executor()?, language, None, &Cancel::never()).await
    }

    /// The languages that it was built with, as data.
    pub fn languages(&self) -> impl Iterator<Item = &LanguageInfo> {
        self.components.languages.iter().map(|it| it.info())
    }

    /// Looks packages of a language up by name or words, best first, at most `limit`. Fails with
    /// `Unsupported` where the language's index offers no search.
    pub async fn search_packages(
        &self,
        language: &LanguageId,
        text: &str,
        limit: usize,
    ) -> Result<Vec<crate::packages::PackageSummary>> {
        self.components.search_packages(language, text, limit).await
    }

    /// Accepts nothing more, waits for or cancels what is under way, and lets go of everything.
    /// Idempotent.
    pub async fn shutdown(&self, mode: Shutdown) -> ShutdownReport {
        self.components.shutdown(mode).await
    }
}
