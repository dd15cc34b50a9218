//! The durable truth about executions.

use std::fmt;

use async_trait::async_trait;

use crate::{
    Epoch, ExecutionId, ExecutionRecord, ExecutionState, NewExecution, OwnerId, Result, Revision, ScriptName, TenantId,
    Transition,
};

/// Which records to list. An empty filter lists all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecutionFilter {
    /// Only this tenant's.
    pub tenant: Option<TenantId>,
    /// Only this script's.
    pub script: Option<ScriptName>,
    /// Only those in one of these states, if any is named.
    pub states: Vec<ExecutionState>,
    /// Only those of this engine.
    pub owner: Option<OwnerId>,
}

/// Keeps execution records.
#[async_trait]
pub trait ExecutionStore: fmt::Debug + Send + Sync + 'static {
    /// Begins a record in state QUEUED.
    ///
    /// - [ES-01] A second create of one tenant with the same idempotency key returns the first record.
    /// - [ES-02] An id that exists is `AlreadyExists`.
    async fn create(&self, new: NewExecution) -> Result<ExecutionRecord>;

    /// Gets a record.
    ///
    /// - [ES-03] An id that does not exist is `NotFound`.
    async fn get(&self, id: ExecutionId) -> Result<ExecutionRecord>;

    /// Moves a record along the transition table.
    ///
    /// - [ES-04] Applies only if the stored revision and epoch are the expected ones, else `Conflict`.
    /// - [ES-05] Of many calls at once with one revision, exactly one wins.
    /// - [ES-06] A move that the table forbids is `Conflict`, and the record stays as it was.
    /// - [ES-07] What a transition carries is what `get` gives back.
    async fn advance(
        &self,
        id: ExecutionId,
        revision: Revision,
        epoch: Epoch,
        transition: Transition,
    ) -> Result<ExecutionRecord>;

    /// Takes over a record that is not terminal for another engine: owner changes, the epoch is
    /// counted up.
    ///
    /// - [ES-08] The former owner's next `advance` is `Conflict`.
    async fn adopt(&self, id: ExecutionId, revision: Revision, owner: OwnerId) -> Result<ExecutionRecord>;

    /// Lists records by id, which is the order of their creation, after `after` and at most `limit`.
    ///
    /// - [ES-09] Pages neither repeat nor skip a record that was there when the first page was read.
    async fn list(
        &self,
        filter: &ExecutionFilter,
        after: Option<ExecutionId>,
        limit: usize,
    ) -> Result<Vec<ExecutionRecord>>;
}
