//! Compares what the daemon says a container is with what it was asked for. Pure. A daemon may leave out what
//! its machine can't do, and says so only in a warning.

use std::collections::BTreeSet;
use std::fmt::Debug;

use bollard::models::HostConfig;

/// Names each setting that is not as it was asked for.
pub(crate) fn differences(asked: &HostConfig, found: &HostConfig) -> Vec<String> {
    let mut check = Check(Vec::new());
    check.same("memory", asked.memory, found.memory);
    check.same("memory with swap", asked.memory_swap, found.memory_swap);
    check.same("cpu share", asked.nano_cpus, found.nano_cpus);
    check.same("processes", asked.pids_limit, found.pids_limit);
    check.same("network", asked.network_mode.as_deref(), found.network_mode.as_deref());
    check.same("ipc", asked.ipc_mode.as_deref(), found.ipc_mode.as_deref());
    check.same("read-only root", asked.readonly_rootfs, found.readonly_rootfs);
    check.same("privileged", Some(false), found.privileged.or(Some(false)));
    check.same("capabilities", names(asked.cap_add.as_ref()), names(found.cap_add.as_ref()));
    check.same("folders in memory", asked.tmpfs.as_ref(), found.tmpfs.as_ref());
    check.same("mounts of the host", &[] as &[String], found.binds.as_deref().unwrap_or_default());
    let private = |it: Option<&String>| it.is_none_or(|it| it.is_empty() || it == "private");
    check.same("process table of its own", true, private(found.pid_mode.as_ref()));
    let secured = found.security_opt.iter().flatten().any(|it| it.starts_with("no-new-privileges"));
    check.same("no new privileges", true, secured);
    check.0
}

struct Check(Vec<String>);

impl Check {
    fn same<T: Debug + PartialEq>(&mut self, name: &str, asked: T, found: T) {
        if asked != found {
            self.0.push(format!("{name}: asked for {asked:?}, got {found:?}"));
        }
    }
}

/// A list's names, in whatever order and however they are written.
fn names(list: Option<&Vec<String>>) -> BTreeSet<String> {
    let plain = |it: &String| it.trim_start_matches("CAP_").to_ascii_uppercase();
    list.into_iter().flatten().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> HostConfig {
        HostConfig {
            memory: Some(1 << 28),
            pids_limit: Some(64),
            network_mode: Some("none".into()),
            readonly_rootfs: Some(true),
            cap_add: Some(vec!["KILL".into(), "SETUID".into()]),
            security_opt: Some(vec!["no-new-privileges".into()]),
            ..HostConfig::default()
        }
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut HostConfig), expected: &str) {
        let mut found = asked();
        change(&mut found);
        let named = differences(&asked(), &found);
        assert!(named.len() == 1 && named[0].starts_with(expected), "{named:?}");
    }

    #[test]
    fn what_is_as_asked_is_not_named() {
        let found = HostConfig {
            cap_add: Some(vec!["CAP_SETUID".into(), "CAP_KILL".into()]),
            pid_mode: Some(String::new()),
            privileged: Some(false),
            ..asked()
        };
        assert_eq!(differences(&asked(), &found), Vec::<String>::new());
    }

    #[test]
    fn each_difference_is_named() {
        check(|it| it.memory = Some(0), "memory: asked for Some(268435456), got Some(0)");
        check(|it| it.pids_limit = None, "processes");
        check(|it| it.network_mode = Some("host".into()), "network");
        check(|it| it.readonly_rootfs = Some(false), "read-only root");
        check(|it| it.privileged = Some(true), "privileged");
        check(|it| it.pid_mode = Some("host".into()), "process table");
        check(|it| it.security_opt = None, "no new privileges");
        check(|it| it.binds = Some(vec!["/:/host".into()]), "mounts of the host");
        check(|it| it.cap_add.as_mut().unwrap().push("SYS_ADMIN".into()), "capabilities");
    }
}
