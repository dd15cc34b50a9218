//! Compares how a script finds itself in a probe sandbox with what is promised. Pure: from facts to
//! the list of broken promises. What the facts are called is the agent's to say (`guest/posture.rs`).

use std::collections::{BTreeMap, BTreeSet};

use script_engine_core::contract::SandboxPaths;

use crate::config::Isolation;
use crate::plan::SCRIPT_ID;

/// What is promised to hold.
#[derive(Clone, Debug)]
pub(crate) struct Promise {
    pub(crate) isolation: Isolation,
    /// The user and group id that the script has, as it sees them itself.
    pub(crate) script_id: (u32, u32),
    /// Whether the script's supplementary groups could be taken away.
    pub(crate) no_groups: bool,
    /// Where its folders are.
    pub(crate) paths: SandboxPaths,
}

const NO_CAPABILITIES: &str = "0000000000000000";
/// Mounts that may be written to besides the scratch folders and the process table: they guard
/// themselves.
const WRITABLE_MOUNTS: [&str; 8] =
    ["/dev/full", "/dev/mqueue", "/dev/null", "/dev/random", "/dev/shm", "/dev/urandom", "/dev/zero", "/proc"];

/// Names each promise that the facts break. A fact that is not told proves nothing, so it breaks its
/// promise too.
pub(crate) fn broken(promise: &Promise, facts: &BTreeMap<String, String>) -> Vec<String> {
    let mut check = Check { facts, broken: Vec::new() };
    check.is("uid", &promise.script_id.0.to_string());
    check.is("gid", &promise.script_id.1.to_string());
    if promise.no_groups {
        check.is("groups", "");
    }
    for set in ["cap_inh", "cap_prm", "cap_eff", "cap_amb"] {
        check.is(set, NO_CAPABILITIES);
    }
    check.is("no_new_privs", "1");
    check.is("seccomp", "2");
    check.is("descriptors", "0 1 2");
    check.is("core", "0");
    check.is("agent_memory", "closed");
    check.is("landlock", "enforced");
    match promise.isolation {
        Isolation::Namespaces => {
            check.is("cap_bnd", NO_CAPABILITIES);
            check.is("hostname", "sandbox");
            check.is("interfaces", "lo");
            check.is("routes", "");
            check.that("proc_pids", "a script sees other processes", |it| it.split(' ').count() <= 3);
            check.mounts(&promise.paths);
            check.writable(&promise.paths, &["/dev/shm", "/dev/mqueue"]);
        }
        Isolation::Process => {
            check.writable(&promise.paths, &[]);
        }
    }
    check.broken
}

impl Promise {
    /// What holds for scripts in namespaces.
    pub(crate) fn in_namespaces(no_groups: bool) -> Self {
        Self {
            isolation: Isolation::Namespaces,
            script_id: (SCRIPT_ID, SCRIPT_ID),
            no_groups,
            paths: SandboxPaths::default(),
        }
    }
}

struct Check<'a> {
    facts: &'a BTreeMap<String, String>,
    broken: Vec<String>,
}

impl Check<'_> {
    fn is(&mut self, fact: &str, expected: &str) {
        match self.facts.get(fact) {
            Some(found) if found == expected => {}
            Some(found) => self.broken.push(format!("{fact} is `{found}` and should be `{expected}`")),
            None => self.broken.push(format!("{fact} is not told")),
        }
    }

    fn that(&mut self, fact: &str, otherwise: &str, holds: impl FnOnce(&str) -> bool) {
        match self.facts.get(fact) {
            Some(found) if holds(found) => {}
            Some(found) => self.broken.push(format!("{otherwise}: {fact} is `{}`", found.replace('\n', "; "))),
            None => self.broken.push(format!("{fact} is not told")),
        }
    }

    fn mounts(&mut self, paths: &SandboxPaths) {
        match self.facts.get("mounts").map(|it| stray_mounts(it, paths)) {
            Some(stray) if stray.is_empty() => {}
            Some(stray) => self.broken.push(format!("a mount can be written to: `{}`", stray.join("`, `"))),
            None => self.broken.push("mounts is not told".to_owned()),
        }
    }

    /// Scratch folders can be written to, and nothing else.
    fn writable(&mut self, paths: &SandboxPaths, more: &[&str]) {
        let needed = BTreeSet::from([paths.work.as_str(), paths.tmp.as_str()]);
        let allowed: BTreeSet<&str> = needed.iter().copied().chain(more.iter().copied()).collect();
        self.that("writable", "a script can write where it may not, or not where it may", |it| {
            let found: BTreeSet<&str> = it.split(' ').filter(|it| !it.is_empty()).collect();
            found.is_superset(&needed) && found.is_subset(&allowed)
        });
    }
}

/// The mounts that can be written to and should not. Each is a line: mount point, type, options.
fn stray_mounts<'a>(mounts: &'a str, paths: &SandboxPaths) -> Vec<&'a str> {
    let writable = |line: &str| {
        let mut fields = line.split(' ');
        let (point, options) = (fields.next().unwrap_or_default(), fields.nth(1).unwrap_or_default());
        let guarded = WRITABLE_MOUNTS.contains(&point) || point == "/proc" || point.starts_with("/proc/");
        let expected = guarded || point == paths.work || point == paths.tmp;
        !expected && !options.split(',').any(|it| it == "ro")
    };
    mounts.lines().filter(|it| writable(it)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [(&str, &str); 20] = [
        ("uid", "1000"),
        ("gid", "1000"),
        ("groups", ""),
        ("cap_inh", NO_CAPABILITIES),
        ("cap_prm", NO_CAPABILITIES),
        ("cap_eff", NO_CAPABILITIES),
        ("cap_bnd", NO_CAPABILITIES),
        ("cap_amb", NO_CAPABILITIES),
        ("no_new_privs", "1"),
        ("seccomp", "2"),
        ("landlock", "enforced"),
        ("descriptors", "0 1 2"),
        ("core", "0"),
        ("agent_memory", "closed"),
        ("hostname", "sandbox"),
        ("interfaces", "lo"),
        ("routes", ""),
        ("proc_pids", "1 2"),
        ("mounts", "/ tmpfs ro,nosuid\n/usr ext4 ro,nosuid\n/tmp tmpfs rw,nosuid\n/dev/null devtmpfs rw"),
        ("writable", "/dev/shm /tmp /work"),
    ];

    fn facts(change: &[(&str, &str)]) -> BTreeMap<String, String> {
        GOOD.iter().chain(change).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[track_caller]
    fn check(change: (&str, &str), expected: &str) {
        let broken = broken(&Promise::in_namespaces(true), &facts(&[change]));
        assert_eq!(broken.len(), 1, "{broken:?}");
        assert!(broken[0].contains(expected), "{broken:?}");
    }

    #[test]
    fn what_is_promised_breaks_nothing() {
        assert_eq!(broken(&Promise::in_namespaces(true), &facts(&[])), Vec::<String>::new());
    }

    #[test]
    fn each_broken_promise_is_named() {
        check(("uid", "0"), "uid is `0` and should be `1000`");
        check(("groups", "27 44"), "groups is `27 44`");
        check(("cap_bnd", "000001ffffffffff"), "cap_bnd");
        check(("no_new_privs", "0"), "no_new_privs");
        check(("seccomp", "0"), "seccomp is `0`");
        check(("descriptors", "0 1 2 7"), "descriptors is `0 1 2 7`");
        check(("interfaces", "lo eth0"), "interfaces is `lo eth0`");
        check(("routes", "eth0"), "routes is `eth0`");
        check(("agent_memory", "open"), "agent_memory");
        check(("proc_pids", "1 2 3 4"), "sees other processes");
        check(("mounts", "/ tmpfs rw,nosuid"), "a mount can be written to");
        check(("mounts", "/usr ext4 rw,relatime"), "/usr ext4 rw");
        check(("writable", "/etc /tmp /work"), "/etc /tmp /work");
        check(("writable", "/tmp"), "not where it may");
    }

    #[test]
    fn what_is_not_told_is_not_proved() {
        let promise = Promise::in_namespaces(false);
        for (name, _) in GOOD.iter().filter(|(name, _)| *name != "groups") {
            let mut facts = facts(&[]);
            facts.remove(*name);
            assert_eq!(broken(&promise, &facts), [format!("{name} is not told")]);
        }
    }

    #[test]
    fn a_process_is_held_by_landlock() {
        let folder = |name: &str| format!("/state/1/{name}");
        let promise = Promise {
            isolation: Isolation::Process,
            script_id: (501, 20),
            no_groups: false,
            paths: SandboxPaths { scripts: folder("scripts"), work: folder("work"), tmp: folder("tmp") },
        };
        let ours =
            [("uid", "501"), ("gid", "20"), ("writable", "/state/1/tmp /state/1/work"), ("interfaces", "eth0 lo")];
        assert_eq!(broken(&promise, &facts(&ours)), Vec::<String>::new());
        let absent = [ours.as_slice(), &[("landlock", "absent")]].concat();
        assert_eq!(broken(&promise, &facts(&absent)).len(), 1);
        let leaky = [ours.as_slice(), &[("writable", "/state/1/tmp /state/1/work /tmp")]].concat();
        assert_eq!(broken(&promise, &facts(&leaky)).len(), 1);
    }
}
