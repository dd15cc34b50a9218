//! One durable run of one version: its record, its states and the one table of their transitions.

use std::collections::BTreeMap;

use bytes::Bytes;
use semver::Version;
use serde_json::{Map, Value};

use crate::contract::Target;
use crate::{
    Connections, Digest, EnforcementReport, Epoch, Error, ErrorKind, ExecutionId, Identity, LanguageId, Limits,
    NetworkPolicy, Outcome, OwnerId, Priority, Result, Revision, ScriptId, ScriptName, Timestamp, Timings, Usage,
    VersionId,
};

/// Where an execution is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ExecutionState {
    /// It waits for its turn.
    Queued,
    /// Its runtime, files and sandbox are made ready.
    Provisioning,
    /// The script runs.
    Running,
    /// It succeeded.
    Completed,
    /// It failed, or the engine did.
    Failed,
    /// It took too long.
    Timeout,
    /// Somebody stopped it.
    Cancelled,
}

impl ExecutionState {
    /// The state in upper case, as records and wire formats carry it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "QUEUED",
            Self::Provisioning => "PROVISIONING",
            Self::Running => "RUNNING",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
            Self::Timeout => "TIMEOUT",
            Self::Cancelled => "CANCELLED",
        }
    }

    /// Whether the state is final: it never changes.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        match self {
            Self::Queued | Self::Provisioning | Self::Running => false,
            Self::Completed | Self::Failed | Self::Timeout | Self::Cancelled => true,
        }
    }

    /// The one table of legal moves. Stores call it; nobody else decides.
    pub fn apply(self, transition: &Transition) -> Result<Self> {
        match (self, transition) {
            (Self::Queued, Transition::Provision) => Ok(Self::Provisioning),
            (Self::Provisioning, Transition::Start(_)) => Ok(Self::Running),
            (Self::Queued | Self::Provisioning | Self::Running, Transition::Finish(ending)) => {
                Ok(Self::of(&ending.outcome))
            }
            (from, to) => Err(Error::new(ErrorKind::Conflict, "illegal transition")
                .with_context("from", from.as_str())
                .with_context("to", to.name())),
        }
    }

    /// The terminal state that belongs to an outcome.
    #[must_use]
    pub fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Succeeded => Self::Completed,
            Outcome::Failed(_) | Outcome::LimitExceeded(_) | Outcome::NotCompiled(_) | Outcome::EngineFault(_) => {
                Self::Failed
            }
            Outcome::TimedOut(_) => Self::Timeout,
            Outcome::Cancelled(_) => Self::Cancelled,
        }
    }
}

/// A step in an execution's life.
#[derive(Clone, Debug, PartialEq)]
pub enum Transition {
    /// Its turn has come.
    Provision,
    /// The script was started.
    Start(Started),
    /// It is over.
    Finish(Box<Ending>),
}

impl Transition {
    /// The transition's name in lower case.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Provision => "provision",
            Self::Start(_) => "start",
            Self::Finish(_) => "finish",
        }
    }
}

/// What is known once the script runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Started {
    /// When it started.
    pub at: Timestamp,
    /// What really holds.
    pub enforcement: EnforcementReport,
    /// The digest of the runtime it runs in.
    pub runtime: Option<Digest>,
    /// Name and version of what it was compiled or is interpreted by: `go 1.26.8`. Empty if that is not known.
    pub toolchain: String,
}

/// What is known once it is over.
#[derive(Clone, Debug, PartialEq)]
pub struct Ending {
    /// When it was over.
    pub at: Timestamp,
    /// How it ended.
    pub outcome: Outcome,
    /// The exit code, if the script exited by itself.
    pub exit_code: Option<i32>,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
    /// What it used.
    pub usage: Usage,
    /// What it printed, bounded.
    pub output: OutputRecord,
    /// What it returned.
    pub result: Option<Value>,
    /// Remarks: why a result could not be read, what was killed after the end.
    pub notes: Vec<String>,
    /// Where the time went.
    pub timings: Timings,
    /// What it connected to, and what it was refused.
    pub connections: Connections,
}

/// One stream of output, as a record keeps it: head and tail, and how much there was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamRecord {
    /// The bounded view of the masked bytes.
    pub bytes: Bytes,
    /// How many bytes the script printed.
    pub total: u64,
    /// How many of them the output store dropped.
    pub dropped: u64,
    /// Whether `bytes` is less than the whole.
    pub truncated: bool,
}

/// What an execution printed, as a record keeps it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OutputRecord {
    /// Standard output.
    pub stdout: StreamRecord,
    /// Standard error.
    pub stderr: StreamRecord,
    /// Structured records, the first ones up to a bound.
    pub structured: Vec<Value>,
    /// How many structured records there were beyond the bound.
    pub structured_dropped: u64,
}

/// What a store needs to begin an execution.
#[derive(Clone, Debug, PartialEq)]
pub struct NewExecution {
    /// The execution's id.
    pub id: ExecutionId,
    /// Which engine's it is.
    pub owner: OwnerId,
    /// The pinned script.
    pub script: ScriptId,
    /// Its name.
    pub script_name: ScriptName,
    /// The pinned version.
    pub version: VersionId,
    /// Its number.
    pub version_number: Version,
    /// The digest of its source.
    pub sha256: Digest,
    /// Its language.
    pub language: LanguageId,
    /// The bound parameters, secrets masked.
    pub parameters: Map<String, Value>,
    /// On whose behalf.
    pub identity: Identity,
    /// How urgent.
    pub priority: Priority,
    /// Its limits.
    pub limits: Limits,
    /// What it may reach.
    pub network: NetworkPolicy,
    /// Which executor was chosen.
    pub executor: String,
    /// The machine of somebody else's that it runs in, if it does.
    pub target: Option<Target>,
    /// The key under which a second submit finds it.
    pub idempotency_key: Option<String>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// Free text that a host attaches, by name.
    pub labels: BTreeMap<String, String>,
}

/// The durable truth about one execution.
#[derive(Clone, Debug, PartialEq)]
pub struct ExecutionRecord {
    /// What it began with.
    pub begun: NewExecution,
    /// How often the record was written.
    pub revision: Revision,
    /// The lease of the engine that holds it.
    pub epoch: Epoch,
    /// Where it is.
    pub state: ExecutionState,
    /// What is known once it runs.
    pub started: Option<Started>,
    /// What is known once it is over.
    pub ending: Option<Box<Ending>>,
}

impl ExecutionRecord {
    /// Begins a record: state QUEUED, revision and epoch 1.
    #[must_use]
    pub fn begin(new: NewExecution) -> Self {
        Self {
            begun: new,
            revision: Revision(1),
            epoch: Epoch(1),
            state: ExecutionState::Queued,
            started: None,
            ending: None,
        }
    }

    /// The execution's id.
    #[must_use]
    pub fn id(&self) -> ExecutionId {
        self.begun.id
    }

    /// How it ended, once it has.
    #[must_use]
    pub fn outcome(&self) -> Option<&Outcome> {
        self.ending.as_ref().map(|it| &it.outcome)
    }

    /// What it returned, once it has: the content of its result file, or its last line of stdout if
    /// that is a JSON object.
    #[must_use]
    pub fn result(&self) -> Option<&Value> {
        self.ending.as_ref().and_then(|it| it.result.as_ref())
    }

    /// The record after `transition`. Fails with `Conflict` if the table forbids it, and the record
    /// stays as it was.
    pub fn advanced(&self, transition: Transition) -> Result<Self> {
        let mut next = self.clone();
        next.state = self.state.apply(&transition)?;
        next.revision = Revision(self.revision.0 + 1);
        match transition {
            Transition::Provision => {}
            Transition::Start(started) => next.started = Some(started),
            Transition::Finish(ending) => next.ending = Some(ending),
        }
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CancelReason, Exit, TimeoutCause};

    fn finish(outcome: Outcome) -> Transition {
        Transition::Finish(Box::new(Ending {
            at: Timestamp::from_micros(0),
            outcome,
            exit_code: None,
            signal: None,
            usage: Usage::default(),
            output: OutputRecord::default(),
            result: None,
            notes: Vec::new(),
            timings: Timings::default(),
            connections: Connections::default(),
        }))
    }

    #[test]
    fn only_the_table_moves_a_state_and_terminal_states_never_move() {
        use ExecutionState as S;
        let start = Transition::Start(Started {
            at: Timestamp::from_micros(0),
            enforcement: EnforcementReport::default(),
            runtime: None,
            toolchain: String::new(),
        });
        let all = [S::Queued, S::Provisioning, S::Running, S::Completed, S::Failed, S::Timeout, S::Cancelled];
        for from in all {
            let expect = |legal: bool, to: S| legal.then_some(to);
            assert_eq!(from.apply(&Transition::Provision).ok(), expect(from == S::Queued, S::Provisioning));
            assert_eq!(from.apply(&start).ok(), expect(from == S::Provisioning, S::Running));
            for (outcome, to) in [
                (Outcome::Succeeded, S::Completed),
                (Outcome::Failed(Exit::Code(1)), S::Failed),
                (Outcome::TimedOut(TimeoutCause::Limit), S::Timeout),
                (Outcome::Cancelled(CancelReason::Requested), S::Cancelled),
            ] {
                assert_eq!(from.apply(&finish(outcome)).ok(), expect(!from.is_terminal(), to));
            }
        }
    }
}
