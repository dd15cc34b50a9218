//! Compares how a script finds itself in a probe container with what is promised. Pure: from facts to the
//! list of broken promises. What the facts are called is the agent's to say.

use std::collections::{BTreeMap, BTreeSet};

const NO_CAPABILITIES: &str = "0000000000000000";
/// Where scripts can write, and nowhere else.
const WRITABLE: [&str; 4] = ["/dev/mqueue", "/dev/shm", "/tmp", "/work"];
/// Mounts that are not read-only and guard themselves: root's, or devices.
const GUARDED: [&str; 6] = ["/dev", "/dev/console", "/dev/pts", "/proc", "/scripts", "/sys/fs/cgroup"];

/// Names each promise that the facts break. A fact that is not told proves nothing, so it breaks its promise
/// too.
pub(crate) fn broken(script_id: u32, facts: &BTreeMap<String, String>) -> Vec<String> {
    let mut check = Check { facts, broken: Vec::new() };
    let id = script_id.to_string();
    check.is("uid", &id);
    check.is("gid", &id);
    check.is("groups", "");
    for set in ["cap_inh", "cap_prm", "cap_eff", "cap_bnd", "cap_amb"] {
        check.is(set, NO_CAPABILITIES);
    }
    check.is("no_new_privs", "1");
    check.is("seccomp", "2");
    check.is("landlock", "enforced");
    check.is("descriptors", "0 1 2");
    check.is("core", "0");
    check.is("agent_memory", "closed");
    check.is("hostname", "sandbox");
    check.is("interfaces", "lo");
    check.is("routes", "");
    check.that("proc_pids", "a script sees other processes", |it| it.split(' ').count() <= 3);
    check.that("mounts", "a mount can be written to", |it| stray_mounts(it).is_empty());
    check.that("writable", "a script can write where it may not, or not where it may", |it| {
        let found: BTreeSet<&str> = it.split(' ').filter(|it| !it.is_empty()).collect();
        found.is_superset(&BTreeSet::from(["/tmp", "/work"])) && found.iter().all(|it| WRITABLE.contains(it))
    });
    check.broken
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
}

/// The mounts that can be written to and should not. Each is a line: mount point, type, options.
fn stray_mounts(mounts: &str) -> Vec<&str> {
    let is_stray = |line: &&str| {
        let mut fields = line.split(' ');
        let (point, options) = (fields.next().unwrap_or_default(), fields.nth(1).unwrap_or_default());
        let expected = WRITABLE.contains(&point) || GUARDED.contains(&point) || point.starts_with("/proc/");
        !expected && !options.split(',').any(|it| it == "ro")
    };
    mounts.lines().filter(is_stray).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [(&str, &str); 20] = [
        ("uid", "7001"),
        ("gid", "7001"),
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
        ("proc_pids", "1 7"),
        ("mounts", "/ overlay ro,nosuid\n/dev tmpfs rw\n/work tmpfs rw,nosuid\n/proc/keys tmpfs rw\n/sys sysfs ro"),
        ("writable", "/dev/mqueue /dev/shm /tmp /work"),
    ];

    fn facts(change: &[(&str, &str)]) -> BTreeMap<String, String> {
        GOOD.iter().chain(change).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[track_caller]
    fn check(change: (&str, &str), expected: &str) {
        let broken = broken(7001, &facts(&[change]));
        assert!(broken.len() == 1 && broken[0].contains(expected), "{broken:?}");
    }

    #[test]
    fn what_is_promised_breaks_nothing() {
        assert_eq!(broken(7001, &facts(&[])), Vec::<String>::new());
    }

    #[test]
    fn each_broken_promise_is_named() {
        check(("uid", "0"), "uid is `0` and should be `7001`");
        check(("groups", "27"), "groups is `27`");
        check(("cap_bnd", "00000000a80425fb"), "cap_bnd");
        check(("no_new_privs", "0"), "no_new_privs");
        check(("interfaces", "lo eth0"), "interfaces is `lo eth0`");
        check(("routes", "eth0"), "routes");
        check(("agent_memory", "open"), "agent_memory");
        check(("proc_pids", "1 2 3 4"), "sees other processes");
        check(("mounts", "/ overlay rw"), "a mount can be written to");
        check(("mounts", "/data ext4 rw,relatime"), "/data ext4 rw");
        check(("writable", "/etc /tmp /work"), "/etc /tmp /work");
        check(("writable", "/tmp"), "not where it may");
    }

    #[test]
    fn what_is_not_told_is_not_proved() {
        for (name, _) in GOOD {
            let mut facts = facts(&[]);
            facts.remove(name);
            assert_eq!(broken(7001, &facts), [format!("{name} is not told")]);
        }
    }
}
