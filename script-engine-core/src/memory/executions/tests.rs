//! What the conformance suite can't know: how many records are kept.

use std::collections::BTreeMap;

use semver::Version;
use serde_json::Map;

use super::*;
use crate::{
    Connections, Digest, Ending, Identity, LanguageId, Limits, NetworkPolicy, Outcome, OutputRecord, Priority,
    ScriptId, ScriptName, Timestamp, Timings, Usage, VersionId,
};

fn new(id: u128) -> NewExecution {
    NewExecution {
        id: ExecutionId::from_bits(id),
        owner: OwnerId::from_bits(1),
        script: ScriptId::from_bits(1),
        script_name: ScriptName::parse("a").unwrap(),
        version: VersionId(Digest::of(b"v")),
        version_number: Version::new(1, 0, 0),
        sha256: Digest::of(b"s"),
        language: LanguageId::parse("bash").unwrap(),
        parameters: Map::new(),
        identity: Identity::default(),
        priority: Priority::Normal,
        limits: Limits::default(),
        network: NetworkPolicy::Off,
        executor: "fake".into(),
        target: None,
        idempotency_key: Some(format!("key {id}")),
        created_at: Timestamp::from_micros(0),
        labels: BTreeMap::new(),
    }
}

fn finish() -> Transition {
    Transition::Finish(Box::new(Ending {
        at: Timestamp::from_micros(0),
        outcome: Outcome::Succeeded,
        exit_code: Some(0),
        signal: None,
        usage: Usage::default(),
        output: OutputRecord::default(),
        result: None,
        notes: Vec::new(),
        timings: Timings::default(),
        connections: Connections::default(),
    }))
}

#[tokio::test]
async fn the_first_to_end_goes_first_and_live_ones_stay() {
    let store = MemoryExecutions::new(2);
    for id in 1..=6 {
        store.create(new(id)).await.unwrap();
    }
    for id in [5, 2, 4, 3] {
        store.advance(ExecutionId::from_bits(id), Revision(1), Epoch(1), finish()).await.unwrap();
    }
    let kept = store.list(&ExecutionFilter::default(), None, 10).await.unwrap();
    assert_eq!(kept.iter().map(|it| it.id().bits()).collect::<Vec<_>>(), [1, 3, 4, 6]);
    // The key of a record that is gone is free again.
    let again = NewExecution { idempotency_key: Some("key 5".into()), ..new(7) };
    assert_eq!(store.create(again).await.unwrap().id().bits(), 7);
    assert_eq!(store.held().by_key.len(), 5);
}
