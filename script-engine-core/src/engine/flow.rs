//! One execution from its acceptance to its end, in a straight line. Start reading here.
//!
//! ```text
//! accept   resolve, check, route, record QUEUED          the only stage that fails with an error
//! admit    wait for a permit                             QUEUED
//! prepare  secrets, compiled files, the job              PROVISIONING
//! run      a sandbox, the script, its output             RUNNING
//! settle   release, write the record, tell               COMPLETED | FAILED | TIMEOUT | CANCELLED
//! ```
//!
//! Each stage takes the value of the one before by value and owns what it built. A stage that can't
//! go on gives an [`Ended`], which only `settle` takes: there is one way to the end, and whoever
//! forgets to release something finds that it does not compile.

use std::sync::Arc;

use tracing::{Instrument, info_span};

use super::accept::Accepted;
use super::admit::Permit;
use super::components::Components;
use super::live::Live;
use super::output::CollectedOutput;
use crate::contract::ScriptExecutor;
use crate::parameters::Delivery;
use crate::{ExecutionRecord, ExecutionRequest, Exit, Outcome, ScriptVersion, Stopwatch, Usage};

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
}

impl Ended {
    /// An end before the script ran.
    pub(super) fn early(course: Course, permit: Option<Permit>, outcome: Outcome) -> Self {
        Self { course, permit, output: None, outcome, exit: None, usage: Usage::default(), notes: Vec::new() }
    }
}

/// Takes an accepted execution to its end.
pub(super) async fn drive(components: Arc<Components>, accepted: Accepted) {
    let it = &*components;
    let id = accepted.course.record.id();
    let stages = async {
        let ended = match it.admit(accepted).instrument(info_span!("admit")).await {
            Err(ended) => ended,
            Ok(admitted) => match it.prepare(admitted).instrument(info_span!("prepare")).await {
                Err(ended) => ended,
                Ok(prepared) => it.run(prepared).instrument(info_span!("run")).await,
            },
        };
        it.settle(*ended).instrument(info_span!("settle")).await;
    };
    stages.instrument(info_span!("execution", %id)).await;
}
