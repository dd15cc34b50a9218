//! The suite of [`ExecutionStore`].

use std::collections::BTreeSet;
use std::sync::Arc;

use script_engine_core::contract::{Diagnostic, ExecutionFilter, ExecutionStore};
use script_engine_core::{
    BrokenLimit, CancelReason, Epoch, ErrorKind, ExecutionId, ExecutionRecord, ExecutionState, Exit, Fault,
    NewExecution, Outcome, OwnerId, RetryAdvice, Revision, ScriptName, TimeoutCause, Transition,
};

use super::Factory;
use super::sample::{execution, finish, start, tenant};
use crate::case::{Case, on};
use crate::interrupt::join_all;
use crate::verdict::{Proof, Unproven, ensure, ensure_error, fail};

type Made = Factory<dyn ExecutionStore>;

/// The cases of an execution store.
#[must_use]
pub fn execution_store(make: Made) -> Vec<Case> {
    let make = Arc::new(make);
    vec![
        Case::new("ES-01", "a second create with one idempotency key gives the first record", on(&make, es_01)),
        Case::new("ES-02", "an id that exists is refused", on(&make, es_02)),
        Case::new("ES-03", "an id that does not exist is not found", on(&make, es_03)),
        Case::new("ES-04", "a stale revision or epoch changes nothing", on(&make, es_04)),
        Case::new("ES-05", "of many moves at once exactly one wins", on(&make, es_05)),
        Case::new("ES-06", "only the moves of the table are made", on(&make, es_06)),
        Case::new("ES-07", "what a move carries is what is read back", on(&make, es_07)),
        Case::new("ES-08", "who was relieved can't go on", on(&make, es_08)),
        Case::new("ES-09", "pages neither repeat nor skip", on(&make, es_09)),
    ]
}

async fn es_01(make: Arc<Made>) -> Proof {
    let store = make().await?;
    let keyed = |id: u128, key: &str| -> Result<NewExecution, Unproven> {
        Ok(NewExecution { idempotency_key: Some(key.into()), ..execution(id)? })
    };
    let first = store.create(keyed(1, "k")?).await?;
    ensure!(store.create(keyed(2, "k")?).await? == first, "the second create of a key gave another record");
    ensure!(store.create(keyed(1, "k")?).await? == first, "a create that was sent twice gave another record");
    ensure_error!(store.get(ExecutionId::from_bits(2)).await, NotFound, "the second create left a record");
    ensure!(store.create(keyed(3, "other")?).await?.id() != first.id(), "another key gave the same record");
    let mut foreign = keyed(4, "k")?;
    foreign.identity.tenant = tenant("globex")?;
    ensure!(store.create(foreign).await?.id() != first.id(), "another tenant's key gave the same record");

    let moved = store.advance(first.id(), first.revision, first.epoch, Transition::Provision).await?;
    ensure!(store.create(keyed(5, "k")?).await? == moved, "the record was not the one that is there by now");

    let many = (100..116).map(|id| keyed(id, "at once")).collect::<Result<Vec<_>, _>>()?;
    let records = join_all(many.into_iter().map(|it| store.create(it)).collect()).await;
    let ids = records.into_iter().map(|it| it.map(|it| it.id())).collect::<Result<BTreeSet<_>, _>>()?;
    ensure!(ids.len() == 1, "16 creates at once with one key made {} records", ids.len());
    Ok(())
}

async fn es_02(make: Arc<Made>) -> Proof {
    let store = make().await?;
    let first = store.create(execution(1)?).await?;
    ensure!(first == ExecutionRecord::begin(execution(1)?), "a new record is not as it was begun: {first:?}");
    ensure!(first.state == ExecutionState::Queued, "a new record is in state {}", first.state.as_str());
    let mut second = execution(1)?;
    second.executor = "another".into();
    ensure_error!(store.create(second).await, AlreadyExists, "a second create of an id");
    ensure!(store.get(first.id()).await? == first, "the second create changed the record");
    Ok(())
}

async fn es_03(make: Arc<Made>) -> Proof {
    let store = make().await?;
    store.create(execution(1)?).await?;
    let other = ExecutionId::from_bits(2);
    ensure_error!(store.get(other).await, NotFound, "get");
    let (revision, epoch) = (Revision(1), Epoch(1));
    ensure_error!(store.advance(other, revision, epoch, Transition::Provision).await, NotFound, "advance");
    ensure_error!(store.adopt(other, revision, OwnerId::from_bits(9)).await, NotFound, "adopt");
    Ok(())
}

async fn es_04(make: Arc<Made>) -> Proof {
    let store = make().await?;
    let begun = store.create(execution(1)?).await?;
    let now = store.advance(begun.id(), begun.revision, begun.epoch, Transition::Provision).await?;
    ensure!(now.revision > begun.revision, "a move did not count up the revision");
    let (revision, epoch) = (now.revision, now.epoch);
    for (revision, epoch, what) in [
        (begun.revision, epoch, "an old revision"),
        (Revision(revision.0 + 1), epoch, "a revision to come"),
        (revision, Epoch(epoch.0 + 1), "an epoch to come"),
        (revision, Epoch(epoch.0 - 1), "an old epoch"),
    ] {
        ensure_error!(store.advance(now.id(), revision, epoch, start()).await, Conflict, what);
        ensure!(store.get(now.id()).await? == now, "{what} changed the record");
    }
    ensure_error!(store.adopt(now.id(), begun.revision, OwnerId::from_bits(9)).await, Conflict, "adopt, old revision");
    ensure!(store.get(now.id()).await? == now, "a stale adopt changed the record");
    store.advance(now.id(), revision, epoch, start()).await?;
    Ok(())
}

async fn es_05(make: Arc<Made>) -> Proof {
    let store = make().await?;
    let begun = store.create(execution(1)?).await?;
    let ends = (0..32).map(|code| finish(Outcome::Failed(Exit::Code(code))));
    let moves = ends.map(|it| store.advance(begun.id(), begun.revision, begun.epoch, it)).collect();
    let mut won = Vec::new();
    for moved in join_all(moves).await {
        match moved {
            Ok(record) => won.push(record),
            Err(error) => ensure!(error.kind() == ErrorKind::Conflict, "a loser was told {error:?}"),
        }
    }
    ensure!(won.len() == 1, "{} of 32 moves at once won", won.len());
    ensure!(won.first() == Some(&store.get(begun.id()).await?), "the record is not the winner's");
    Ok(())
}

/// Every outcome class, each with what belongs to it.
fn outcomes() -> [Outcome; 9] {
    [
        Outcome::Succeeded,
        Outcome::Failed(Exit::Code(255)),
        Outcome::Failed(Exit::Signal(11)),
        Outcome::LimitExceeded(BrokenLimit::Memory),
        Outcome::NotCompiled(vec![Diagnostic { line: 3, column: 7, message: "no such — ü".into() }]),
        Outcome::TimedOut(TimeoutCause::Limit),
        Outcome::TimedOut(TimeoutCause::Silence),
        Outcome::Cancelled(CancelReason::Shutdown),
        Outcome::EngineFault(Fault {
            kind: ErrorKind::Unavailable,
            message: "the sandbox was lost — ü".into(),
            retry: RetryAdvice::Unsafe,
        }),
    ]
}

fn transitions() -> Vec<Transition> {
    let mut all = vec![Transition::Provision, start()];
    all.extend(outcomes().into_iter().map(finish));
    all
}

/// Brings a new record into each state there is.
async fn in_every_state(store: &dyn ExecutionStore, from: u128) -> Result<Vec<ExecutionRecord>, Unproven> {
    let mut ways = vec![vec![], vec![Transition::Provision], vec![Transition::Provision, start()]];
    ways.extend(outcomes().map(|it| vec![finish(it)]));
    let mut records = Vec::new();
    for (id, way) in (from..).zip(ways) {
        let mut record = store.create(execution(id)?).await?;
        for step in way {
            record = store.advance(record.id(), record.revision, record.epoch, step).await?;
        }
        records.push(record);
    }
    Ok(records)
}

async fn es_06(make: Arc<Made>) -> Proof {
    let store = make().await?;
    for (round, transition) in (0_u128..).zip(transitions()) {
        for record in in_every_state(&*store, round * 1000 + 1).await? {
            let what = format!("{} in state {}", transition.name(), record.state.as_str());
            let moved = store.advance(record.id(), record.revision, record.epoch, transition.clone()).await;
            match (record.advanced(transition.clone()), moved) {
                (Ok(expected), Ok(moved)) => ensure!(moved == expected, "{what}: {moved:?}, expected {expected:?}"),
                (Err(_), Err(error)) => {
                    ensure!(error.kind() == ErrorKind::Conflict, "{what}: {error:?}, expected a conflict");
                    ensure!(store.get(record.id()).await? == record, "{what} was refused and changed the record");
                }
                (Err(_), Ok(_)) => fail!("{what} was made; the table forbids it"),
                (Ok(_), Err(error)) => fail!("{what} was refused: {error}"),
            }
        }
    }
    let over = store.create(execution(999_999)?).await?;
    let over = store.advance(over.id(), over.revision, over.epoch, finish(Outcome::Succeeded)).await?;
    ensure_error!(store.adopt(over.id(), over.revision, OwnerId::from_bits(9)).await, Conflict, "adopt after the end");
    Ok(())
}

async fn es_07(make: Arc<Made>) -> Proof {
    let store = make().await?;
    for (id, outcome) in (1..).zip(outcomes()) {
        let mut expected = ExecutionRecord::begin(execution(id)?);
        store.create(execution(id)?).await?;
        for transition in [Transition::Provision, start(), finish(outcome)] {
            let moved = store.advance(expected.id(), expected.revision, expected.epoch, transition.clone()).await?;
            expected = expected.advanced(transition)?;
            ensure!(moved == expected, "the move gave {moved:?}, expected {expected:?}");
            let read = store.get(expected.id()).await?;
            ensure!(read == expected, "read back {read:?}, expected {expected:?}");
        }
    }
    Ok(())
}

async fn es_08(make: Arc<Made>) -> Proof {
    let store = make().await?;
    let mut record = store.create(execution(1)?).await?;
    let heir = OwnerId::from_bits(99);
    for step in [Transition::Provision, start(), finish(Outcome::Succeeded)] {
        let adopted = store.adopt(record.id(), record.revision, heir).await?;
        ensure!(adopted.begun.owner == heir, "the owner is {} after the adoption", adopted.begun.owner);
        ensure!(adopted.epoch > record.epoch, "the epoch was not counted up");
        ensure!(adopted.state == record.state, "the adoption changed the state");
        for revision in [record.revision, adopted.revision] {
            let moved = store.advance(record.id(), revision, record.epoch, step.clone()).await;
            ensure_error!(moved, Conflict, "a move of the former owner");
        }
        ensure!(store.get(record.id()).await? == adopted, "the former owner changed the record");
        record = store.advance(adopted.id(), adopted.revision, adopted.epoch, step).await?;
    }
    Ok(())
}

async fn es_09(make: Arc<Made>) -> Proof {
    let store = make().await?;
    for id in (10..=100).step_by(10) {
        let mut new = execution(id)?;
        if id % 20 == 0 {
            new.identity.tenant = tenant("globex")?;
            new.script_name = ScriptName::parse("other")?;
            new.owner = OwnerId::from_bits(99);
        }
        store.create(new).await?;
    }
    let ended = store.get(ExecutionId::from_bits(50)).await?;
    store.advance(ended.id(), ended.revision, ended.epoch, finish(Outcome::Succeeded)).await?;

    let mut seen = Vec::new();
    let mut after = None;
    for round in 0.. {
        ensure!(round < 100, "the pages have no end");
        let page = store.list(&ExecutionFilter::default(), after, 3).await?;
        ensure!(page.len() <= 3, "a page of 3 has {} records", page.len());
        let Some(last) = page.last() else { break };
        after = Some(last.id());
        seen.extend(page.iter().map(|it| it.id().bits()));
        // What comes and moves meanwhile neither shifts nor hides what was there.
        if round < 9 {
            store.create(execution(5 + 10 * round)?).await?;
            store.create(execution(1005 + 10 * round)?).await?;
        }
        let moved = store.get(ExecutionId::from_bits(100)).await?;
        if moved.state == ExecutionState::Queued {
            store.advance(moved.id(), moved.revision, moved.epoch, Transition::Provision).await?;
        }
    }
    let old: Vec<u128> = seen.iter().copied().filter(|it| it % 10 == 0 && *it <= 100).collect();
    ensure!(old == (10..=100).step_by(10).collect::<Vec<_>>(), "the pages had {seen:?}");
    ensure!(seen.is_sorted_by(|a, b| a < b), "the pages are not in the order of ids: {seen:?}");

    let by = |filter: ExecutionFilter| {
        let store = Arc::clone(&store);
        async move { store.list(&filter, None, 1000).await }
    };
    let states = vec![ExecutionState::Completed, ExecutionState::Provisioning];
    for (filter, expected, what) in [
        (
            ExecutionFilter { tenant: Some(tenant("globex")?), ..ExecutionFilter::default() },
            vec![20, 40, 60, 80, 100],
            "tenant",
        ),
        (
            ExecutionFilter { script: Some(ScriptName::parse("other")?), ..ExecutionFilter::default() },
            vec![20, 40, 60, 80, 100],
            "script",
        ),
        (
            ExecutionFilter { owner: Some(OwnerId::from_bits(99)), ..ExecutionFilter::default() },
            vec![20, 40, 60, 80, 100],
            "owner",
        ),
        (ExecutionFilter { states: states.clone(), ..ExecutionFilter::default() }, vec![50, 100], "states"),
        (
            ExecutionFilter { states, tenant: Some(tenant("globex")?), ..ExecutionFilter::default() },
            vec![100],
            "states and tenant",
        ),
    ] {
        let found: Vec<u128> = by(filter).await?.iter().map(|it| it.id().bits()).collect();
        ensure!(found == expected, "filtered by {what}: {found:?}, expected {expected:?}");
    }
    Ok(())
}
