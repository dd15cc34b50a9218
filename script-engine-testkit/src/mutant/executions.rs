//! Execution stores that break one rule each: wrappers round the one in memory.

use std::sync::Arc;

use async_trait::async_trait;
use script_engine_core::contract::{ExecutionFilter, ExecutionStore};
use script_engine_core::memory::MemoryExecutions;
use script_engine_core::{
    Epoch, Error, ErrorKind, ExecutionId, ExecutionRecord, NewExecution, OwnerId, Result, Revision, Transition,
};

use super::Mutant;
use crate::case::Case;
use crate::store::{execution_store, made};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    ForgetsKeys,
    CreatesTwice,
    MissesAnotherWay,
    IgnoresTheRevision,
    EverybodyWins,
    KnowsNoTable,
    DropsTheNotes,
    IgnoresTheEpoch,
    RepeatsTheLast,
}

use Fault as F;

pub(super) const MUTANTS: &[Mutant] = &[
    Mutant::new("ES-01", "forgets idempotency keys", || cases(F::ForgetsKeys)),
    Mutant::new("ES-02", "creates an id that exists", || cases(F::CreatesTwice)),
    Mutant::new("ES-03", "calls a missing id a bug of its own", || cases(F::MissesAnotherWay)),
    Mutant::new("ES-04", "ignores the expected revision", || cases(F::IgnoresTheRevision)),
    Mutant::new("ES-05", "tells everybody that they won", || cases(F::EverybodyWins)),
    Mutant::new("ES-06", "calls a forbidden move `Ok`", || cases(F::KnowsNoTable)),
    Mutant::new("ES-07", "drops the notes of an end", || cases(F::DropsTheNotes)),
    Mutant::new("ES-08", "lets the former owner go on", || cases(F::IgnoresTheEpoch)),
    Mutant::new("ES-09", "repeats the last record on the next page", || cases(F::RepeatsTheLast)),
];

fn cases(fault: Fault) -> Vec<Case> {
    execution_store(made(move || Arc::new(Broken { inner: MemoryExecutions::default(), fault }) as _))
}

#[derive(Debug)]
struct Broken {
    inner: MemoryExecutions,
    fault: Fault,
}

#[async_trait]
impl ExecutionStore for Broken {
    async fn create(&self, mut new: NewExecution) -> Result<ExecutionRecord> {
        if self.fault == F::ForgetsKeys {
            new.idempotency_key = None;
        }
        let id = new.id;
        match self.inner.create(new).await {
            Err(_) if self.fault == F::CreatesTwice => self.inner.get(id).await,
            created => created,
        }
    }

    async fn get(&self, id: ExecutionId) -> Result<ExecutionRecord> {
        match (self.fault, self.inner.get(id).await) {
            (F::MissesAnotherWay, Err(_)) => Err(Error::internal("no row")),
            (F::DropsTheNotes, Ok(mut record)) => {
                if let Some(ending) = &mut record.ending {
                    ending.notes.clear();
                }
                Ok(record)
            }
            (_, found) => found,
        }
    }

    async fn advance(
        &self,
        id: ExecutionId,
        revision: Revision,
        epoch: Epoch,
        transition: Transition,
    ) -> Result<ExecutionRecord> {
        let now = self.inner.get(id).await?;
        let forbidden = now.revision == revision && now.epoch == epoch && now.state.apply(&transition).is_err();
        match self.fault {
            F::IgnoresTheRevision => self.inner.advance(id, now.revision, epoch, transition).await,
            F::IgnoresTheEpoch => self.inner.advance(id, revision, now.epoch, transition).await,
            F::KnowsNoTable if forbidden => Ok(now),
            fault => match self.inner.advance(id, revision, epoch, transition).await {
                Err(error) if fault == F::EverybodyWins && error.kind() == ErrorKind::Conflict => Ok(now),
                moved => moved,
            },
        }
    }

    async fn adopt(&self, id: ExecutionId, revision: Revision, owner: OwnerId) -> Result<ExecutionRecord> {
        self.inner.adopt(id, revision, owner).await
    }

    async fn list(
        &self,
        filter: &ExecutionFilter,
        after: Option<ExecutionId>,
        limit: usize,
    ) -> Result<Vec<ExecutionRecord>> {
        let before = |it: ExecutionId| ExecutionId::from_bits(it.bits() - 1);
        let after = if self.fault == F::RepeatsTheLast { after.map(before) } else { after };
        self.inner.list(filter, after, limit).await
    }
}
