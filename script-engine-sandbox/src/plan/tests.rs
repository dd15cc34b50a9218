//! Plans as tables.

use script_engine_core::Digest;

use super::*;
use crate::cgroup::Place;

fn host(may_map_ids: bool) -> Host {
    Host {
        uid: 501,
        gid: 20,
        may_map_ids,
        place: Place::None("test".into()),
        toolchain_settings: vec!["python3".into()],
    }
}

fn make(root: &Root, root_has_etc: bool, ids: Ids) -> Plan {
    plan(&Limits::default(), &host(true), Tree { root, has_etc: root_has_etc, layer: None }, ids, None)
}

#[test]
fn ids_are_the_sandbox_s_own_where_they_can_be() {
    let own = make(&Root::default(), false, Ids::Own { base: 0x7000_0000 });
    assert_eq!(own.uids[0], IdRange { inside: 0, outside: 0x7000_0000, count: 1 });
    assert_eq!(own.uids[1], IdRange { inside: 1000, outside: 0x7000_0001, count: 1 });
    assert_eq!((own.agent_id, own.script_id, own.setgroups), (0, 1000, true));
    let shared = make(&Root::default(), false, Ids::Shared { uid: 501, gid: 20 });
    assert_eq!(shared.uids, [IdRange { inside: 1000, outside: 501, count: 1 }]);
    assert_eq!(shared.gids, [IdRange { inside: 1000, outside: 20, count: 1 }]);
    assert_eq!((shared.agent_id, shared.script_id, shared.setgroups), (1000, 1000, false));
}

#[test]
fn neighbours_have_different_ids_within_the_range() {
    let range = (100, 108);
    let base = |number: u64| match Ids::choose(&host(true), range, 3, number) {
        Ids::Own { base } => base,
        Ids::Shared { .. } => 0,
    };
    let mut bases: Vec<u32> = (0..4).map(base).collect();
    bases.sort_unstable();
    assert_eq!(bases, [100, 102, 104, 106]);
    assert_eq!(base(4), base(0));
    assert!(matches!(Ids::choose(&host(true), range, u64::MAX, 1), Ids::Own { base: 100 }));
    assert_eq!(Ids::choose(&host(false), range, 0, 0), Ids::Shared { uid: 501, gid: 20 });
}

#[test]
fn bounds_leave_room_for_scratch_space_and_the_agent() {
    let limits =
        Limits { memory_bytes: 100, work_bytes: 10, tmp_bytes: 5, pids: 7, milli_cpus: 250, ..Limits::default() };
    let scratch = scratch_bytes(&limits);
    assert_eq!(scratch, 20 + SCRIPTS_BYTES);
    let expected = Bounds { memory: 100 + scratch + AGENT_RESERVE, pids: 7 + AGENT_PIDS, milli_cpus: 250 };
    assert_eq!(bounds(&limits, scratch), expected);
    assert_eq!(bounds(&Limits { memory_bytes: u64::MAX, ..limits }, scratch).memory, u64::MAX);
}

#[test]
fn a_root_folder_keeps_its_settings_but_not_ours() {
    let plan = make(&Root::Folder("/srv/python/".into()), true, Ids::Own { base: 1 });
    let children: Vec<_> = plan
        .entries
        .iter()
        .filter_map(|it| match it {
            Entry::Children { source, path, except } => Some((source.as_str(), path.as_str(), except)),
            _ => None,
        })
        .collect();
    assert_eq!(children.len(), 2);
    assert_eq!((children[0].0, children[0].1), ("/srv/python", "/"));
    assert!(["etc", "proc", "dev", "work"].iter().all(|it| children[0].2.contains(&(*it).to_owned())));
    assert_eq!((children[1].0, children[1].1), ("/srv/python/etc", "/etc"));
    assert!(["passwd", "shadow", "resolv.conf"].iter().all(|it| children[1].2.contains(&(*it).to_owned())));
    let without = make(&Root::Folder("/srv/go".into()), false, Ids::Own { base: 1 });
    assert_eq!(without.entries.iter().filter(|it| matches!(it, Entry::Children { .. })).count(), 1);
}

#[test]
fn a_host_root_has_programs_and_no_homes() {
    let plan = make(&Root::Host { more: vec!["/opt/jdk".into()] }, false, Ids::Own { base: 1 });
    let bound = |path: &str| {
        plan.entries.iter().find_map(|it| match it {
            Entry::Bind { source, optional, .. } if source == path => Some(*optional),
            _ => None,
        })
    };
    assert_eq!(bound("/usr"), Some(false));
    assert_eq!(bound("/etc/python3"), Some(true));
    assert_eq!(bound("/opt/jdk"), Some(false));
    for secret in ["/", "/root", "/home", "/etc", "/var", "/etc/shadow", "/run", "/tmp"] {
        assert_eq!(bound(secret), None, "{secret}");
    }
}

#[test]
fn scratch_space_is_bounded_and_belongs_to_the_script() {
    let limits = Limits { work_bytes: 1, tmp_bytes: 2, files: 3, ..Limits::default() };
    let layer = LayerMount { digest: Digest::of(b""), source: "/srv/layer".into(), at: "/packages".into() };
    let root = Root::default();
    let tree = Tree { root: &root, has_etc: false, layer: Some(&layer) };
    let plan = plan(&limits, &host(true), tree, Ids::Own { base: 1 }, Some(Path::new("/c")));
    assert_eq!(plan.cgroup, "/c");
    let memory = |wanted: &str| {
        plan.entries.iter().find_map(|it| match it {
            Entry::Memory { path, bytes, inodes, script, .. } if path == wanted => Some((*bytes, *inodes, *script)),
            _ => None,
        })
    };
    assert_eq!(memory("/work"), Some((1, 3, true)));
    assert_eq!(memory("/tmp"), Some((2, 3, true)));
    assert_eq!(memory("/dev/shm"), Some((2, 3, true)));
    assert_eq!(memory("/scripts"), Some((SCRIPTS_BYTES, SCRIPTS_FILES, false)));
    assert!(plan.encode().is_ok());
    let bind = Entry::Bind { source: "/srv/layer".into(), path: "/packages".into(), optional: false };
    assert!(plan.entries.contains(&bind));
}
