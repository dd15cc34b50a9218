//! Compares how a script finds itself in a sandbox with what the backend promises. Pure: from facts to the list of
//! broken promises. What the facts are called is the agent's to say (`guest/posture.rs`).

use std::collections::BTreeSet;

use crate::contract::Posture;

const NO_CAPABILITIES: &str = "0000000000000000";

/// Is what a script is to find in a sandbox, in the words of [`Posture`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promise {
    /// The user and group id that the script has, as it sees them itself.
    pub script_id: (u32, u32),
    /// Whether it has no supplementary groups.
    pub no_groups: bool,
    /// Whether it is in namespaces of its own. Otherwise its mounts, processes and interfaces are the host's, and
    /// nothing is promised of them.
    pub namespaces: bool,
    /// The folders that it can write to.
    pub scratch: Vec<String>,
    /// More folders that it may be able to write to.
    pub writable: &'static [&'static str],
    /// Mounts that need not be read-only, for they guard themselves: root's, or devices. `/proc` and what is mounted
    /// below it are always among them.
    pub guarded: &'static [&'static str],
}

impl Promise {
    /// Names each promise that a posture breaks. A fact that is not told proves nothing, so it breaks its promise too.
    #[must_use]
    pub fn broken(&self, posture: &Posture) -> Vec<String> {
        let mut check = Check { posture, broken: Vec::new() };
        check.is("uid", &self.script_id.0.to_string());
        check.is("gid", &self.script_id.1.to_string());
        if self.no_groups {
            check.is("groups", "");
        }
        for set in ["cap_inh", "cap_prm", "cap_eff", "cap_amb"] {
            check.is(set, NO_CAPABILITIES);
        }
        check.is("no_new_privs", "1");
        check.is("seccomp", "2");
        check.is("landlock", "enforced");
        check.is("descriptors", "0 1 2");
        check.is("core", "0");
        check.is("agent_memory", "closed");
        check.that("writable", |it| self.misplaced(it));
        if self.namespaces {
            check.is("cap_bnd", NO_CAPABILITIES);
            check.is("hostname", "sandbox");
            check.is("interfaces", "lo");
            check.is("routes", "");
            check.that("proc_pids", |it| {
                (it.split(' ').count() > 3).then(|| format!("a script sees other processes: proc_pids is `{it}`"))
            });
            check.that("mounts", |it| self.stray_mounts(it));
        }
        check.broken
    }

    /// Complains if a script can write where it may not, or not where it may.
    fn misplaced(&self, folders: &str) -> Option<String> {
        let needed: BTreeSet<&str> = self.scratch.iter().map(String::as_str).collect();
        let found: BTreeSet<&str> = folders.split(' ').filter(|it| !it.is_empty()).collect();
        let allowed = |it: &&str| needed.contains(it) || self.writable.contains(it);
        let holds = found.is_superset(&needed) && found.iter().all(allowed);
        (!holds).then(|| format!("a script can write where it may not, or not where it may: writable is `{folders}`"))
    }

    /// Complains of mounts that can be written to and should not. Each is a line: mount point, type, options.
    fn stray_mounts(&self, mounts: &str) -> Option<String> {
        let is_stray = |line: &&str| {
            let mut fields = line.split(' ');
            let (point, options) = (fields.next().unwrap_or_default(), fields.nth(1).unwrap_or_default());
            let guarded = self.guarded.contains(&point) || point == "/proc" || point.starts_with("/proc/");
            let expected = guarded || self.writable.contains(&point) || self.scratch.iter().any(|it| it == point);
            !expected && !options.split(',').any(|it| it == "ro")
        };
        let stray: Vec<&str> = mounts.lines().filter(is_stray).collect();
        (!stray.is_empty()).then(|| format!("a mount can be written to: `{}`", stray.join("`, `")))
    }
}

struct Check<'a> {
    posture: &'a Posture,
    broken: Vec<String>,
}

impl Check<'_> {
    fn is(&mut self, fact: &str, expected: &str) {
        self.that(fact, |it| (it != expected).then(|| format!("{fact} is `{it}` and should be `{expected}`")));
    }

    fn that(&mut self, fact: &str, complaint: impl FnOnce(&str) -> Option<String>) {
        match self.posture.0.get(fact) {
            Some(found) => self.broken.extend(complaint(found)),
            None => self.broken.push(format!("{fact} is not told")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn promise() -> Promise {
        Promise {
            script_id: (1000, 1000),
            no_groups: true,
            namespaces: true,
            scratch: vec!["/tmp".to_owned(), "/work".to_owned()],
            writable: &["/dev/mqueue", "/dev/shm"],
            guarded: &["/dev", "/dev/null"],
        }
    }

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
        (
            "mounts",
            "/ tmpfs ro,nosuid\n/usr ext4 ro,nosuid\n/dev tmpfs rw\n/tmp tmpfs rw,nosuid\n/dev/shm tmpfs rw\n\
             /dev/null devtmpfs rw\n/proc proc rw\n/proc/keys tmpfs rw\n/sys sysfs ro",
        ),
        ("writable", "/dev/shm /tmp /work"),
    ];

    fn posture(change: &[(&str, &str)]) -> Posture {
        Posture(GOOD.iter().chain(change).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[track_caller]
    fn check(change: (&str, &str), expected: &str) {
        let broken = promise().broken(&posture(&[change]));
        assert!(broken.len() == 1 && broken[0].contains(expected), "{broken:?}");
    }

    #[test]
    fn what_is_promised_breaks_nothing() {
        assert_eq!(promise().broken(&posture(&[])), Vec::<String>::new());
    }

    #[test]
    fn each_broken_promise_is_named() {
        check(("uid", "0"), "uid is `0` and should be `1000`");
        check(("groups", "27 44"), "groups is `27 44`");
        check(("cap_eff", "0000000000000020"), "cap_eff");
        check(("cap_bnd", "00000000a80425fb"), "cap_bnd");
        check(("no_new_privs", "0"), "no_new_privs");
        check(("seccomp", "0"), "seccomp is `0`");
        check(("landlock", "absent"), "landlock is `absent`");
        check(("descriptors", "0 1 2 7"), "descriptors is `0 1 2 7`");
        check(("interfaces", "eth0 lo"), "interfaces is `eth0 lo`");
        check(("routes", "eth0"), "routes is `eth0`");
        check(("agent_memory", "open"), "agent_memory");
        check(("proc_pids", "1 2 3 4"), "a script sees other processes: proc_pids is `1 2 3 4`");
        check(("mounts", "/ overlay rw,nosuid"), "a mount can be written to: `/ overlay rw,nosuid`");
        check(("mounts", "/data ext4 rw,relatime\n/x ext4 rw"), "`/data ext4 rw,relatime`, `/x ext4 rw`");
        check(("writable", "/etc /tmp /work"), "/etc /tmp /work");
        check(("writable", "/tmp"), "not where it may");
    }

    #[test]
    fn what_is_not_told_is_not_proved() {
        for (name, _) in GOOD {
            let mut posture = posture(&[]);
            posture.0.remove(name);
            assert_eq!(promise().broken(&posture), [format!("{name} is not told")]);
        }
    }

    #[test]
    fn without_namespaces_a_script_is_held_by_landlock() {
        let scratch = ["/state/1/work", "/state/1/tmp"].map(str::to_owned).to_vec();
        let script_id = (501, 20);
        let promise = Promise { script_id, no_groups: false, namespaces: false, scratch, ..promise() };
        let promise = Promise { writable: &[], ..promise };
        let ours = [
            ("uid", "501"),
            ("gid", "20"),
            ("groups", "20 27"),
            ("writable", "/state/1/tmp /state/1/work"),
            ("interfaces", "eth0 lo"),
        ];
        assert_eq!(promise.broken(&posture(&ours)), Vec::<String>::new());
        let absent = [ours.as_slice(), &[("landlock", "absent")]].concat();
        assert_eq!(promise.broken(&posture(&absent)).len(), 1);
        let leaky = [ours.as_slice(), &[("writable", "/state/1/tmp /state/1/work /tmp")]].concat();
        assert_eq!(promise.broken(&posture(&leaky)).len(), 1);
    }
}
