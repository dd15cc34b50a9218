//! Puts an engine together, and cleans up after engines that died.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::sync::Semaphore;

use super::Engine;
use super::admit::Admission;
use super::components::Components;
use super::configured::Configured;
use super::course::fault;
use super::known::Known;
use super::live::LiveTable;
use super::schemas::Schemas;
use crate::contract::{
    AccessPolicy, Clock, CompiledCache, DependencyResolver, EventSink, ExecutionFilter, ExecutionStore, IdSource,
    Language, OutputStore, ScriptExecutor, ScriptRegistry, ScriptStore, SecretProvider,
};
use crate::memory::{
    BroadcastEvents, MemoryCache, MemoryExecutions, MemoryOutput, MemoryScripts, MemorySecrets, NoDependencies,
    SystemClock, TenantPolicy, UuidIds,
};
use crate::{
    Connections, Ending, Error, ErrorKind, ExecutionRecord, ExecutionState, OutputRecord, OwnerId, Result, RetryAdvice,
    Settings, StoreRegistry, Timings, Transition, Usage,
};

/// Terminal executions, versions, and bytes of output and of compiled forms that the defaults keep.
const KEPT_EXECUTIONS: usize = 1000;
const KEPT_VERSIONS: usize = 10_000;
const KEPT_OUTPUT_BYTES: u64 = 256 << 20;
const KEPT_COMPILED_BYTES: u64 = 256 << 20;
/// Events that a slow subscriber may be behind.
const EVENTS: usize = 4096;
/// Records that recovery reads at once.
const PAGE: usize = 256;

/// Collects what an engine is made of.
#[derive(Debug)]
pub struct EngineBuilder {
    settings: Settings,
    owner: Option<OwnerId>,
    executors: Vec<Arc<dyn ScriptExecutor>>,
    languages: Vec<Arc<dyn Language>>,
    registry: Option<Arc<dyn ScriptRegistry>>,
    scripts: Option<Arc<dyn ScriptStore>>,
    executions: Option<Arc<dyn ExecutionStore>>,
    outputs: Option<Arc<dyn OutputStore>>,
    secrets: Option<Arc<dyn SecretProvider>>,
    access: Option<Arc<dyn AccessPolicy>>,
    cache: Option<Arc<dyn CompiledCache>>,
    packages: Arc<dyn DependencyResolver>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    sinks: Vec<Arc<dyn EventSink>>,
}

impl EngineBuilder {
    pub(super) fn new(executor: Arc<dyn ScriptExecutor>) -> Self {
        Self {
            settings: Settings::default(),
            owner: None,
            executors: vec![executor],
            languages: Vec::new(),
            registry: None,
            scripts: None,
            executions: None,
            outputs: None,
            secrets: None,
            access: None,
            cache: None,
            packages: Arc::new(NoDependencies),
            clock: Arc::new(SystemClock),
            ids: Arc::new(UuidIds),
            sinks: Vec::new(),
        }
    }

    /// Sets bounds and times.
    #[must_use]
    pub fn with_settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Sets the owner under which the executors create things; else a fresh one names this engine.
    #[must_use]
    pub fn with_owner(mut self, owner: OwnerId) -> Self {
        self.owner = Some(owner);
        self
    }

    /// Adds an executor. The first one that satisfies a request runs it.
    #[must_use]
    pub fn with_executor(mut self, executor: Arc<dyn ScriptExecutor>) -> Self {
        self.executors.push(executor);
        self
    }

    /// Adds a language. One with the name of an earlier one takes its place.
    #[must_use]
    pub fn with_language(mut self, language: Arc<dyn Language>) -> Self {
        self.languages.retain(|it| it.info().id != language.info().id);
        self.languages.push(language);
        self
    }

    /// Sets where scripts are found; else they are found in the script store.
    #[must_use]
    pub fn with_registry(mut self, registry: Arc<dyn ScriptRegistry>) -> Self {
        self.registry = Some(registry);
        self
    }

    /// Sets where versions are kept.
    #[must_use]
    pub fn with_script_store(mut self, scripts: Arc<dyn ScriptStore>) -> Self {
        self.scripts = Some(scripts);
        self
    }

    /// Sets where execution records are kept.
    #[must_use]
    pub fn with_execution_store(mut self, executions: Arc<dyn ExecutionStore>) -> Self {
        self.executions = Some(executions);
        self
    }

    /// Sets where output is kept.
    #[must_use]
    pub fn with_output_store(mut self, outputs: Arc<dyn OutputStore>) -> Self {
        self.outputs = Some(outputs);
        self
    }

    /// Sets where secrets come from.
    #[must_use]
    pub fn with_secret_provider(mut self, secrets: Arc<dyn SecretProvider>) -> Self {
        self.secrets = Some(secrets);
        self
    }

    /// Sets who may do what.
    #[must_use]
    pub fn with_access_policy(mut self, access: Arc<dyn AccessPolicy>) -> Self {
        self.access = Some(access);
        self
    }

    /// Sets where compiled forms are kept.
    #[must_use]
    pub fn with_compiled_cache(mut self, cache: Arc<dyn CompiledCache>) -> Self {
        self.cache = Some(cache);
        self
    }

    /// Sets who locks and fetches packages; else scripts have none.
    #[must_use]
    pub fn with_dependency_resolver(mut self, packages: Arc<dyn DependencyResolver>) -> Self {
        self.packages = packages;
        self
    }

    /// Sets the clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Sets where ids come from.
    #[must_use]
    pub fn with_id_source(mut self, ids: Arc<dyn IdSource>) -> Self {
        self.ids = ids;
        self
    }

    /// Adds somebody who hears what happens.
    #[must_use]
    pub fn with_event_sink(mut self, sink: Arc<dyn EventSink>) -> Self {
        self.sinks.push(sink);
        self
    }

    /// Checks everything, removes what dead engines left on this machine, closes their records, and
    /// gives the engine. Fails with `InvalidRequest` that names the settings out of range, or with the
    /// error of an executor or a store.
    pub async fn build(self) -> Result<Engine> {
        self.settings.validate()?;
        let mut names: Vec<String> = self.executors.iter().map(|it| it.info().name).collect();
        names.sort();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Error::invalid("executors", "two have one name; give each a name of its own"));
        }
        let scripts = self.scripts.unwrap_or_else(|| Arc::new(MemoryScripts::new(KEPT_VERSIONS)));
        let settings = self.settings;
        let languages = configured(self.languages, &settings)?;
        let components = Components {
            owner: self.owner.unwrap_or_else(|| OwnerId::from_bits(self.ids.fresh())),
            executors: self.executors,
            languages,
            registry: self.registry.unwrap_or_else(|| Arc::new(StoreRegistry::new(Arc::clone(&scripts)))),
            scripts,
            executions: self.executions.unwrap_or_else(|| Arc::new(MemoryExecutions::new(KEPT_EXECUTIONS))),
            outputs: self.outputs.unwrap_or_else(|| Arc::new(MemoryOutput::new(KEPT_EXECUTIONS, KEPT_OUTPUT_BYTES))),
            secrets: self.secrets.unwrap_or_else(|| Arc::new(MemorySecrets::new())),
            access: self.access.unwrap_or_else(|| Arc::new(TenantPolicy)),
            cache: self
                .cache
                .unwrap_or_else(|| Arc::new(MemoryCache::new(settings.cache_entries, KEPT_COMPILED_BYTES))),
            packages: self.packages,
            clock: self.clock,
            ids: self.ids,
            sinks: self.sinks,
            events: BroadcastEvents::new(EVENTS),
            admission: Arc::new(Admission::new(&settings)),
            live: LiveTable::default(),
            steps: Semaphore::new(settings.max_concurrent),
            // A few for each language, more where scripts ask for versions.
            toolchains: Known::new(256),
            // Each may be long.
            refused: Known::new(64),
            schemas: Schemas::new(settings.schema_entries),
            closed: AtomicBool::new(false),
            settings,
        };
        components.recover().await?;
        Ok(Engine { components: Arc::new(components) })
    }
}

/// The languages as the settings have them. Fails with what is out of range in that.
fn configured(languages: Vec<Arc<dyn Language>>, settings: &Settings) -> Result<Vec<Arc<dyn Language>>> {
    let mut problems = Vec::new();
    let each = |language: Arc<dyn Language>| -> Arc<dyn Language> {
        match settings.languages.get(language.info().id.as_str()) {
            None => language,
            Some(changed) => {
                problems.extend(changed.problems(language.info()));
                Arc::new(Configured::new(language, changed))
            }
        }
    };
    let languages = languages.into_iter().map(each).collect();
    if problems.is_empty() { Ok(languages) } else { Err(Error::invalid_all(problems)) }
}

impl Components {
    /// Removes what dead owners left and closes the records they held.
    async fn recover(&self) -> Result<()> {
        for executor in &self.executors {
            for status in executor.owners().await? {
                if status.alive || status.owner == self.owner {
                    continue;
                }
                let reaped = executor.reap(status.owner).await?;
                tracing::info!(owner = %status.owner, removed = reaped.removed.len(), "reaped a dead engine");
                self.close_records(status.owner).await?;
            }
        }
        Ok(())
    }

    async fn close_records(&self, dead: OwnerId) -> Result<()> {
        let states = vec![ExecutionState::Queued, ExecutionState::Provisioning, ExecutionState::Running];
        let filter = ExecutionFilter { owner: Some(dead), states, ..ExecutionFilter::default() };
        let mut after = None;
        loop {
            let page = self.executions.list(&filter, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.id());
            for record in page {
                self.close_record(record).await?;
            }
        }
    }

    async fn close_record(&self, record: ExecutionRecord) -> Result<()> {
        let retry = match record.state {
            ExecutionState::Queued | ExecutionState::Provisioning => RetryAdvice::Safe,
            _ => RetryAdvice::Unsafe,
        };
        let mut adopted = match self.executions.adopt(record.id(), record.revision, self.owner).await {
            Ok(adopted) => adopted,
            // Another engine was quicker.
            Err(error) if error.kind() == ErrorKind::Conflict => return Ok(()),
            Err(error) => return Err(error),
        };
        let ending = Ending {
            at: self.now(),
            outcome: fault(ErrorKind::Unavailable, "the engine that held the execution died".into(), retry),
            exit_code: None,
            signal: None,
            usage: Usage::default(),
            output: OutputRecord::default(),
            result: None,
            notes: Vec::new(),
            timings: Timings::default(),
            connections: Connections::default(),
        };
        self.advance(&mut adopted, Transition::Finish(Box::new(ending))).await
    }
}
