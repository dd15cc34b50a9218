//! Work of a language that needs an interpreter or a compiler: runs in a sandbox like a script, and
//! what comes of it is kept by content.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::SemaphorePermit;

use super::components::Components;
use super::prepare::runtime;
use super::step_runner::{StepPlace, StepRunner};
use super::{compiled, route};
use crate::contract::{
    Check, Compilation, DependencyLayer, Diagnostic, Language, ScriptExecutor, Source, Step, Toolchain, Work,
};
use crate::packages::LayerUse;
use crate::script::Manifest;
use crate::{Cancel, Digest, Error, ErrorKind, Needs, NetworkPolicy, Result};

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
        let key = key("check", language.as_ref(), source, &[]);
        if self.cache.find(key).await?.is_some() {
            return Ok(Check::new());
        }
        let asked = source.clone();
        let found = match self.asked(language, move |language| language.check(&asked)).await? {
            Work::Done(found) => found,
            Work::InSandbox(step) => self.step(executor, language.as_ref(), step, None, &Cancel::never()).await?,
        };
        if found.is_empty() {
            self.cache.put(key, Bytes::from_static(b"sound")).await?;
        }
        Ok(found)
    }

    /// Makes of a version what a sandbox can start, once for each content; or says what is wrong with its source. Called
    /// off, it ends when the sandbox of its step is gone.
    pub(super) async fn compiled(
        &self,
        executor: &Arc<dyn ScriptExecutor>,
        language: &Arc<dyn Language>,
        manifest: &Manifest,
        cancel: &Cancel,
    ) -> Result<(Compilation, Toolchain)> {
        let source = Source { entry_point: manifest.entry_point.clone(), bytes: manifest.source.clone() };
        let toolchain = self.toolchain(executor, language, Some(source.clone()), cancel).await?;
        let packages = manifest.lock.as_ref().map(|it| format!("{} {}", it.digest, self.packages.fingerprint()));
        let packages = packages.unwrap_or_default();
        let key = key("prepare", language.as_ref(), &source, &[&toolchain.to_string(), &toolchain.place, &packages]);
        if let Some(value) = cancel.guard(self.cache.find(key)).await?
            && let Ok(prepared) = compiled::decode(&value)
        {
            return Ok((Ok(prepared), toolchain));
        }
        if let Some(found) = self.refused.find(key) {
            return Ok((Err(found), toolchain));
        }
        let lock = manifest.lock.clone();
        let ask = move |language: &dyn Language| language.prepare(&source, lock.as_deref());
        let done = match cancel.guard(self.asked(language, ask)).await {
            Ok(Work::Done(compiled)) => Ok(compiled),
            Ok(Work::InSandbox(step)) => {
                let layer =
                    cancel.guard(self.layer(language.as_ref(), &toolchain, manifest, LayerUse::Compile, None)).await?;
                self.step(executor, language.as_ref(), step, layer.as_ref(), cancel).await
            }
            Err(error) => Err(error),
        };
        let compiled = match done {
            // Of the source as a whole. A limit that it broke may have more room another time: it is not remembered.
            Err(error) if error.kind() == ErrorKind::InvalidRequest => return Ok((Err(said(&error)), toolchain)),
            done => done?,
        };
        match &compiled {
            Ok(prepared) => cancel.guard(self.cache.put(key, compiled::encode(prepared))).await?,
            Err(found) => self.refused.keep(key, found.clone()),
        }
        Ok((compiled, toolchain))
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
        let toolchain = self.step(executor, language.as_ref(), step, None, cancel).await?;
        self.toolchains.keep(way, toolchain.clone());
        Ok(toolchain)
    }

    /// The executor for steps that no execution waits for.
    pub(super) fn step_executor(&self) -> Result<&Arc<dyn ScriptExecutor>> {
        let infos: Vec<_> = self.executors.iter().map(|it| (it.info(), it.capability())).collect();
        let wanted =
            route::Wanted { needs: &Needs::default(), network: &NetworkPolicy::Off, target: None, named: None };
        Ok(&self.executors[route::choose(&wanted, &infos)?])
    }

    /// Asks a language. Its own part may parse for long, so it has a thread of its own meanwhile; how
    /// many at once is bounded as steps are.
    pub(super) async fn asked<T: Send + 'static>(
        &self,
        language: &Arc<dyn Language>,
        ask: impl FnOnce(&dyn Language) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let _place = self.place().await?;
        let asked = Arc::clone(language);
        tokio::task::spawn_blocking(move || ask(asked.as_ref()))
            .await
            .map_err(|error| Error::internal("a language panicked").with_source(error))?
    }

    async fn step<T>(
        &self,
        executor: &Arc<dyn ScriptExecutor>,
        language: &dyn Language,
        step: Step<T>,
        layer: Option<&DependencyLayer>,
        cancel: &Cancel,
    ) -> Result<T> {
        let _place = cancel.guard(self.place()).await?;
        let info = language.info();
        let limits = info.limits_of_steps();
        let runtime = runtime(info, layer);
        cancel.guard(executor.preload(&runtime, &self.told(&info.id, None))).await?;
        let place = StepPlace { runtime, env: info.env.clone(), limits, network: NetworkPolicy::Off, field: "source" };
        StepRunner::new(Arc::clone(executor), &self.settings).carry_out(step, place, cancel).await
    }

    async fn place(&self) -> Result<SemaphorePermit<'_>> {
        let closed = |_| Error::new(ErrorKind::Closed, "the engine is shutting down");
        self.steps.acquire().await.map_err(closed)
    }
}

/// What is said of a source as a whole, by a compiler that found no place or by a limit that ended it.
fn said(error: &Error) -> Check {
    let whole = |message: String| Diagnostic { line: 1, column: 1, message };
    match error.problems() {
        [] => vec![whole(error.to_string())],
        problems => problems.iter().map(|it| whole(it.message.clone())).collect(),
    }
}

fn key(what: &str, language: &dyn Language, source: &Source, more: &[&str]) -> Digest {
    let parts = [what, language.info().id.as_str(), &language.fingerprint(), source.entry_point.as_str()];
    let parts = [&parts, more].concat();
    Digest::of(format!("{}\0{}", parts.join("\0"), Digest::of(&source.bytes)).as_bytes())
}
