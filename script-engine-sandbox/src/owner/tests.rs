//! Owners on a temporary state folder.

use script_engine_core::ErrorKind;

use super::*;
use crate::scratch::Scratch;

fn nowhere() -> Place {
    Place::None("test".into())
}

fn id(bits: u128) -> OwnerId {
    OwnerId::from_bits(bits)
}

#[tokio::test]
async fn only_the_dead_are_reaped() {
    let scratch = Scratch::new("owners-reap");
    let owners = Owners::open(scratch.path()).unwrap();
    let own = owners.enter(id(1), &nowhere()).unwrap();
    let neighbour = owners.enter(id(2), &nowhere()).unwrap();
    let work = work_folder(&neighbour, 7);
    fs::create_dir(&work).unwrap();
    assert_eq!(owners.reap(id(2), &own, &nowhere()).await.unwrap_err().kind(), ErrorKind::Conflict);
    assert!(work.exists());
    drop(neighbour);
    let report = owners.reap(id(2), &own, &nowhere()).await.unwrap();
    assert_eq!(report.removed.len(), 2, "{report:?}");
    assert!(!work.exists());
    assert_eq!(owners.reap(id(2), &own, &nowhere()).await.unwrap(), ReapReport::default());
}

#[tokio::test]
async fn an_owner_reaps_what_it_has_and_lives_on() {
    let scratch = Scratch::new("owners-own");
    let owners = Owners::open(scratch.path()).unwrap();
    let own = owners.enter(id(1), &nowhere()).unwrap();
    fs::create_dir(work_folder(&own, 1)).unwrap();
    assert_eq!(owners.reap(id(1), &own, &nowhere()).await.unwrap().removed.len(), 1);
    assert_eq!(owners.list().unwrap(), [OwnerStatus { owner: id(1), alive: true }]);
    own.retire();
    drop(own);
    assert_eq!(owners.list().unwrap(), []);
}

#[test]
fn cgroups_are_found_by_the_whole_id() {
    let scratch = Scratch::new("owners-cgroups");
    for name in [id(1).to_string() + ".5", id(16).to_string() + ".5", "system.slice".into()] {
        fs::create_dir(scratch.path().join(name)).unwrap();
    }
    let found = cgroups_of(scratch.path(), id(1));
    assert_eq!(found, [scratch.path().join(format!("{}.5", id(1)))]);
}

#[test]
fn launchers_are_known_by_name_and_mark() {
    let mark = id(1).to_string();
    let command = |parts: &[&str]| parts.join("\0").into_bytes();
    assert!(is_launcher(&command(&["script-engine-agent", "launch", &mark, ""]), &mark));
    assert!(!is_launcher(&command(&["script-engine-agent", "launch", &id(2).to_string()]), &mark));
    assert!(!is_launcher(&command(&["less", &mark]), &mark));
    assert!(!is_launcher(b"", &mark));
}
