//! Owners on a temporary state folder.

use super::*;
use crate::scratch::Scratch;

fn nowhere() -> Place {
    Place::None("test".into())
}

fn id(bits: u128) -> OwnerId {
    OwnerId::from_bits(bits)
}

#[test]
fn the_living_and_the_dead_are_told_apart() {
    let scratch = Scratch::new("owners");
    let owners = Owners::open(scratch.path()).unwrap();
    let alive = owners.enter(id(1), &nowhere()).unwrap();
    drop(owners.enter(id(2), &nowhere()).unwrap());
    fs::create_dir(owners.0.join("new-own_00000000000000000000000000000003")).unwrap();
    let mut found = owners.list().unwrap();
    found.sort_by_key(|it| it.owner);
    assert_eq!(found, [OwnerStatus { owner: id(1), alive: true }, OwnerStatus { owner: id(2), alive: false }]);
    drop(alive);
    assert!(owners.list().unwrap().iter().all(|it| !it.alive));
}

#[tokio::test]
async fn only_the_dead_are_reaped() {
    let scratch = Scratch::new("owners-reap");
    let owners = Owners::open(scratch.path()).unwrap();
    let own = owners.enter(id(1), &nowhere()).unwrap();
    let neighbour = owners.enter(id(2), &nowhere()).unwrap();
    fs::create_dir(neighbour.work_folder(7)).unwrap();
    assert!(matches!(owners.reap(id(2), &own, &nowhere()).await, Err(SandboxError::Alive(it)) if it == id(2)));
    assert!(neighbour.work_folder(7).exists());
    let work = neighbour.work_folder(7);
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
    fs::create_dir(own.work_folder(1)).unwrap();
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
