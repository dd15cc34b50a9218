//! What passes from stage to stage: the course of one execution, and the one form that every end has.

use std::sync::Arc;

use super::admit::Permit;
use super::live::Live;
use super::output::CollectedOutput;
use crate::contract::ScriptExecutor;
use crate::parameters::Delivery;
use crate::{
    Connections, ErrorKind, ExecutionRecord, ExecutionRequest, Exit, Fault, Outcome, RetryAdvice, ScriptVersion,
    Stopwatch, Usage,
};

/// What every stage carries along.
#[derive(Debug)]
pub(super) struct Course {
    pub(super) record: ExecutionRecord,
    pub(super) version: Arc<ScriptVersion>,
    pub(super) request: ExecutionRequest,
    pub(super) delivery: Delivery,
    pub(super) parameter_secrets: Vec<Vec<u8>>,
    pub(super) executor: Arc<dyn ScriptExecutor>,
    pub(super) live: Arc<Live>,
    pub(super) stopwatch: Stopwatch,
}

/// An execution that is over but for its record.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) course: Course,
    pub(super) permit: Option<Permit>,
    pub(super) output: Option<CollectedOutput>,
    pub(super) outcome: Outcome,
    pub(super) exit: Option<Exit>,
    pub(super) usage: Usage,
    pub(super) notes: Vec<String>,
    pub(super) connections: Connections,
}

impl Ended {
    /// An end before the script ran.
    pub(super) fn early(course: Course, permit: Option<Permit>, outcome: Outcome) -> Self {
        Self {
            course,
            permit,
            output: None,
            outcome,
            exit: None,
            usage: Usage::default(),
            notes: Vec::new(),
            connections: Connections::default(),
        }
    }
}

/// An engine fault as an outcome.
pub(super) fn fault(kind: ErrorKind, message: String, retry: RetryAdvice) -> Outcome {
    Outcome::EngineFault(Fault { kind, message, retry })
}
