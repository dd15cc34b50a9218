//! How far long preparations are, as events.

use super::components::Components;
use crate::contract::{Progress, Unit};
use crate::{EngineEvent, ExecutionId, LanguageId};

/// Passes progress on as events.
pub(super) struct Told<'a> {
    components: &'a Components,
    language: &'a LanguageId,
    execution: Option<ExecutionId>,
}

impl Components {
    /// Tells of what is prepared for a language, and for an execution if one waits for it.
    pub(super) fn told<'a>(&'a self, language: &'a LanguageId, execution: Option<ExecutionId>) -> Told<'a> {
        Told { components: self, language, execution }
    }
}

impl Progress for Told<'_> {
    fn report(&self, step: &str, done: u64, total: Option<u64>, unit: Unit) {
        self.components.emit(&EngineEvent::Progress {
            execution: self.execution,
            language: self.language.clone(),
            step: step.to_owned(),
            done,
            total,
            unit,
            at: self.components.now(),
        });
    }
}
