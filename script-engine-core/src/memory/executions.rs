//! Execution records in memory. Live ones are always kept; of those that are over, the last ones.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::contract::{ExecutionFilter, ExecutionStore};
use crate::{
    Epoch, Error, ErrorKind, ExecutionId, ExecutionRecord, NewExecution, OwnerId, Result, Revision, TenantId,
    Transition,
};

/// Keeps records in memory. The number of live ones is bounded by the engine's queue.
#[derive(Debug)]
pub struct MemoryExecutions {
    max_terminal: usize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    records: BTreeMap<ExecutionId, ExecutionRecord>,
    by_key: HashMap<(TenantId, String), ExecutionId>,
    /// Those that are over, in the order of their ends.
    terminal: VecDeque<ExecutionId>,
}

impl MemoryExecutions {
    /// Makes an empty store that keeps at most `max_terminal` records of executions that are over;
    /// the one that ended first is dropped first.
    #[must_use]
    pub fn new(max_terminal: usize) -> Self {
        Self { max_terminal, held: Mutex::default() }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryExecutions {
    /// Makes an empty store that keeps 1000 records of executions that are over.
    fn default() -> Self {
        Self::new(1000)
    }
}

#[async_trait]
impl ExecutionStore for MemoryExecutions {
    async fn create(&self, new: NewExecution) -> Result<ExecutionRecord> {
        let mut held = self.held();
        let key = new.idempotency_key.clone().map(|key| (new.identity.tenant.clone(), key));
        if let Some(first) = key.as_ref().and_then(|key| held.by_key.get(key)) {
            return held.get(*first).cloned();
        }
        if held.records.contains_key(&new.id) {
            return Err(Error::new(ErrorKind::AlreadyExists, "an execution has this id already; take a fresh one")
                .with_context("execution", new.id));
        }
        let record = ExecutionRecord::begin(new);
        if let Some(key) = key {
            held.by_key.insert(key, record.id());
        }
        held.records.insert(record.id(), record.clone());
        Ok(record)
    }

    async fn get(&self, id: ExecutionId) -> Result<ExecutionRecord> {
        self.held().get(id).cloned()
    }

    async fn advance(
        &self,
        id: ExecutionId,
        revision: Revision,
        epoch: Epoch,
        transition: Transition,
    ) -> Result<ExecutionRecord> {
        let mut held = self.held();
        let record = held.get(id)?;
        if record.revision != revision || record.epoch != epoch {
            return Err(stale(record).with_context("expected_epoch", epoch.0));
        }
        let next = record.advanced(transition)?;
        held.records.insert(id, next.clone());
        if next.state.is_terminal() {
            held.retire(id, self.max_terminal);
        }
        Ok(next)
    }

    async fn adopt(&self, id: ExecutionId, revision: Revision, owner: OwnerId) -> Result<ExecutionRecord> {
        let mut held = self.held();
        let record = held.get(id)?;
        if record.revision != revision {
            return Err(stale(record));
        }
        if record.state.is_terminal() {
            return Err(Error::new(ErrorKind::Conflict, "the execution is over; there is nothing to take over")
                .with_context("execution", id)
                .with_context("state", record.state.as_str()));
        }
        let mut next = record.clone();
        next.begun.owner = owner;
        next.epoch = Epoch(record.epoch.0 + 1);
        next.revision = Revision(record.revision.0 + 1);
        held.records.insert(id, next.clone());
        Ok(next)
    }

    async fn list(
        &self,
        filter: &ExecutionFilter,
        after: Option<ExecutionId>,
        limit: usize,
    ) -> Result<Vec<ExecutionRecord>> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let held = self.held();
        let records = held.records.range((from, Bound::Unbounded)).map(|(_, record)| record);
        Ok(records.filter(|it| fits(filter, it)).take(limit).cloned().collect())
    }
}

impl Held {
    fn get(&self, id: ExecutionId) -> Result<&ExecutionRecord> {
        self.records
            .get(&id)
            .ok_or_else(|| Error::new(ErrorKind::NotFound, "no such execution").with_context("execution", id))
    }

    /// Counts an execution among those that are over, and drops the first ones beyond the bound.
    fn retire(&mut self, id: ExecutionId, most: usize) {
        self.terminal.push_back(id);
        while self.terminal.len() > most {
            let Some(first) = self.terminal.pop_front() else { break };
            let Some(record) = self.records.remove(&first) else { continue };
            if let Some(key) = record.begun.idempotency_key {
                self.by_key.remove(&(record.begun.identity.tenant, key));
            }
        }
    }
}

fn stale(record: &ExecutionRecord) -> Error {
    Error::new(ErrorKind::Conflict, "the execution was changed by somebody else; read it again")
        .with_context("execution", record.id())
        .with_context("revision", record.revision.0)
        .with_context("epoch", record.epoch.0)
}

fn fits(filter: &ExecutionFilter, record: &ExecutionRecord) -> bool {
    filter.tenant.as_ref().is_none_or(|it| *it == record.begun.identity.tenant)
        && filter.script.as_ref().is_none_or(|it| *it == record.begun.script_name)
        && (filter.states.is_empty() || filter.states.contains(&record.state))
        && filter.owner.is_none_or(|it| it == record.begun.owner)
}

#[cfg(test)]
mod tests;
