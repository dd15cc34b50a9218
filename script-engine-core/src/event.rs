//! What can be told about executions while it happens.

use crate::contract::Unit;
use crate::{ErrorKind, ExecutionId, ExecutionState, LanguageId, TenantId, Timestamp};

/// Something that happened. The truth is in the execution store; events may get lost.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EngineEvent {
    /// An execution went into a state. The first one is QUEUED.
    State {
        /// The execution.
        execution: ExecutionId,
        /// Whose it is.
        tenant: TenantId,
        /// The state it is in now.
        state: ExecutionState,
        /// The outcome's class, once it is over.
        outcome: Option<&'static str>,
        /// When.
        at: Timestamp,
    },
    /// A long preparation moved on.
    Progress {
        /// The execution that waits for it, if one does.
        execution: Option<ExecutionId>,
        /// The language it is for.
        language: LanguageId,
        /// What is under way, in words.
        step: String,
        /// Units that are done.
        done: u64,
        /// Units in all, where that is known.
        total: Option<u64>,
        /// What they are.
        unit: Unit,
        /// When.
        at: Timestamp,
    },
    /// Something of the engine's own went wrong and was dealt with.
    Trouble {
        /// What kind.
        kind: ErrorKind,
        /// What happened, without secrets.
        message: String,
        /// When.
        at: Timestamp,
    },
}
