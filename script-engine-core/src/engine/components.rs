//! What an engine is made of. Shared by all its stages, never changed once built.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::sync::Semaphore;

use super::admit::Admission;
use super::known::Known;
use super::live::LiveTable;
use super::schemas::Schemas;
use crate::contract::{
    AccessPolicy, Check, Clock, CompiledCache, DependencyResolver, EventSink, ExecutionStore, IdSource, Language,
    OutputStore, ScriptExecutor, ScriptRegistry, ScriptStore, SecretProvider, Toolchain,
};
use crate::memory::BroadcastEvents;
use crate::{EngineEvent, Error, LanguageId, OwnerId, Result, Settings, Timestamp};

#[derive(Debug)]
pub(super) struct Components {
    pub(super) settings: Settings,
    pub(super) owner: OwnerId,
    pub(super) executors: Vec<Arc<dyn ScriptExecutor>>,
    pub(super) languages: Vec<Arc<dyn Language>>,
    pub(super) registry: Arc<dyn ScriptRegistry>,
    pub(super) scripts: Arc<dyn ScriptStore>,
    pub(super) executions: Arc<dyn ExecutionStore>,
    pub(super) outputs: Arc<dyn OutputStore>,
    pub(super) secrets: Arc<dyn SecretProvider>,
    pub(super) access: Arc<dyn AccessPolicy>,
    pub(super) cache: Arc<dyn CompiledCache>,
    pub(super) packages: Arc<dyn DependencyResolver>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) ids: Arc<dyn IdSource>,
    pub(super) sinks: Vec<Arc<dyn EventSink>>,
    pub(super) events: BroadcastEvents,
    pub(super) admission: Arc<Admission>,
    pub(super) live: LiveTable,
    /// Bounds the checks and compilations that run beside the queue.
    pub(super) steps: Semaphore,
    pub(super) toolchains: Known<Toolchain>,
    /// What is wrong with sources that do not compile.
    pub(super) refused: Known<Check>,
    pub(super) schemas: Schemas,
    pub(super) closed: AtomicBool,
}

impl Components {
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Tells an event to whoever listens.
    pub(super) fn emit(&self, event: &EngineEvent) {
        for sink in &self.sinks {
            sink.emit(event);
        }
        self.events.emit(event);
    }

    /// The language of that name. Fails with `InvalidRequest` that lists what there is, or that says that it is switched off.
    pub(super) fn language(&self, id: &LanguageId) -> Result<&Arc<dyn Language>> {
        let enabled = |id: &LanguageId| self.settings.languages.get(id.as_str()).is_none_or(|it| it.enabled);
        if !enabled(id) {
            let message =
                format!("{id} is switched off here: settings.languages.{id}.enabled is false; use another language");
            return Err(Error::invalid("language", message));
        }
        self.languages.iter().find(|it| it.info().id == *id).ok_or_else(|| {
            let names = self.languages.iter().map(|it| &it.info().id).filter(|it| enabled(it));
            let names: Vec<&str> = names.map(LanguageId::as_str).collect();
            Error::invalid("language", format!("{id} is not known here; there are {}", names.join(", ")))
        })
    }
}
