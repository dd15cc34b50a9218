//! Says what works on this machine and how to mend what does not. What is so is read once; the findings
//! are a pure function of it.

use std::fs;

use script_engine_core::contract::RuntimeManager as _;
use script_engine_core::{Capability, Finding, Grade, OwnerId};

use crate::cgroup::Place;
use crate::config::{Agent, Config, Isolation};
use crate::host::Host;
use crate::runtime::Manager;

/// Looks at everything that sandboxes with these settings need. Opens the backend as `owner`, boots a
/// probe, and leaves nothing behind. Never fails: what can't be found out is a finding.
pub async fn examine(config: &Config, owner: OwnerId) -> Vec<Finding> {
    let system = System::of_this_machine(config);
    let (state, probe) = match Manager::open(config.clone(), owner) {
        Err(error) => (Err(error.to_string()), None),
        Ok(manager) => {
            let probed = manager.probe().await.map_err(|error| error.to_string());
            let closed = manager.shutdown().await;
            if let Err(error) = closed {
                tracing::warn!(%error, "the backend could not be shut down after its examination");
            }
            (Ok(()), Some(probed))
        }
    };
    findings(config, &system, &state, probe.as_ref())
}

/// What is so on a machine. Texts are those of the kernel's files, empty where there is none.
#[derive(Clone, Debug)]
struct System {
    host: Host,
    max_user_namespaces: String,
    unprivileged_userns_clone: String,
    apparmor_restriction: String,
    memfd_noexec: String,
    seccomp_actions: String,
    security_modules: String,
    in_container: bool,
}

impl System {
    fn of_this_machine(config: &Config) -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        Self {
            host: Host::examine(config),
            max_user_namespaces: read("/proc/sys/user/max_user_namespaces"),
            unprivileged_userns_clone: read("/proc/sys/kernel/unprivileged_userns_clone"),
            apparmor_restriction: read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
            memfd_noexec: read("/proc/sys/vm/memfd_noexec"),
            seccomp_actions: read("/proc/sys/kernel/seccomp/actions_avail"),
            security_modules: read("/sys/kernel/security/lsm"),
            in_container: ["/.dockerenv", "/run/.containerenv"].iter().any(|it| fs::exists(it).unwrap_or(false)),
        }
    }
}

type Probe = Result<Capability, String>;

fn findings(config: &Config, system: &System, state: &Result<(), String>, probe: Option<&Probe>) -> Vec<Finding> {
    let mut all = vec![state_folder(config, state), sandbox(probe)];
    if config.isolation == Isolation::Namespaces {
        all.push(namespaces(system));
        all.push(user_ids(system));
    }
    all.push(cgroups(system));
    all.push(landlock(system, probe));
    all.push(seccomp(system));
    all.push(programs_in_memory(config, system));
    if system.in_container {
        all.push(container(probe));
    }
    all
}

fn state_folder(config: &Config, state: &Result<(), String>) -> Finding {
    let path = config.state_dir.display();
    match state {
        Ok(()) => Finding::new("state folder", Grade::Ok, format!("{path} can be written"), ""),
        Err(error) => Finding::new(
            "state folder",
            Grade::Fail,
            error,
            format!("give this user the right to write {path}, or name another"),
        ),
    }
}

fn sandbox(probe: Option<&Probe>) -> Finding {
    const NAME: &str = "sandbox";
    match probe {
        Some(Ok(capability)) => {
            let waived = capability.report().waived;
            let why: Vec<String> = waived.iter().map(|it| format!("{}: {}", it.restriction, it.why)).collect();
            let grade = if why.is_empty() { Grade::Ok } else { Grade::Warn };
            let what = "one was booted and is as promised";
            let what = if why.is_empty() { what.to_owned() } else { format!("{what}, without {}", why.join("; ")) };
            Finding::new(NAME, grade, what, if grade == Grade::Ok { "" } else { "see the findings below" })
        }
        // The error says what usually mends it.
        Some(Err(error)) => Finding::new(NAME, Grade::Fail, error, "see the findings below"),
        None => Finding::new(NAME, Grade::Fail, "none could be tried", "mend the state folder first"),
    }
}

fn namespaces(system: &System) -> Finding {
    const NAME: &str = "user namespaces";
    let ordinary = system.host.uid != 0;
    if system.max_user_namespaces == "0" {
        return Finding::new(
            NAME,
            Grade::Fail,
            "user.max_user_namespaces is 0",
            "sysctl user.max_user_namespaces=15000",
        );
    }
    if ordinary && system.unprivileged_userns_clone == "0" {
        let mend = "sysctl kernel.unprivileged_userns_clone=1";
        return Finding::new(
            NAME,
            Grade::Fail,
            "ordinary users may make none (kernel.unprivileged_userns_clone is 0)",
            mend,
        );
    }
    if ordinary && system.apparmor_restriction == "1" {
        let what = "AppArmor lets ordinary users make them and then denies everything in them, but for programs with \
                    a profile that says `userns,`";
        let mend = "write the agent to a fixed path, load such a profile for it and name the path with `Config::agent`; \
                    or sysctl kernel.apparmor_restrict_unprivileged_userns=0";
        return Finding::new(NAME, Grade::Warn, what, mend);
    }
    Finding::new(NAME, Grade::Ok, "may be made", "")
}

fn user_ids(system: &System) -> Finding {
    const NAME: &str = "user ids";
    if system.host.may_map_ids {
        return Finding::new(NAME, Grade::Ok, "each sandbox gets two that nobody else has", "");
    }
    let what = "an ordinary user can map its own alone: agent and script share it, and are kept apart otherwise";
    Finding::new(NAME, Grade::Warn, what, "run the engine as root, or with CAP_SETUID and CAP_SETGID")
}

fn cgroups(system: &System) -> Finding {
    const NAME: &str = "cgroups";
    const DELEGATE: &str = "have a cgroup version 2 folder delegated and name it with `Config::cgroups`: for example \
        systemd-run --user --scope -p Delegate=yes";
    let version = match &system.host.place {
        Place::None(why) => {
            let what = format!("none: {why}; memory is supervised by the agent, the cpu share is not bounded");
            return Finding::new(NAME, Grade::Warn, what, DELEGATE);
        }
        Place::V1(_) => "version 1",
        Place::V2(_) => "version 2",
    };
    let controllers = system.host.place.controllers();
    let all = [("memory", controllers.memory), ("pids", controllers.pids), ("cpu", controllers.cpu)];
    let missing: Vec<&str> = all.iter().filter(|(_, there)| !there).map(|(name, _)| *name).collect();
    if missing.is_empty() {
        Finding::new(NAME, Grade::Ok, format!("{version} with memory, pids and cpu"), "")
    } else {
        Finding::new(NAME, Grade::Warn, format!("{version} without {}", missing.join(", ")), DELEGATE)
    }
}

fn landlock(system: &System, probe: Option<&Probe>) -> Finding {
    const NAME: &str = "landlock";
    if matches!(probe, Some(Ok(_))) {
        // The posture of the probe includes it.
        return Finding::new(NAME, Grade::Ok, "is enforced in the probe", "");
    }
    let mend = "use Linux 5.13 or later with `landlock` in the list of security modules (lsm= on its command line)";
    match system.security_modules.as_str() {
        "" => Finding::new(NAME, Grade::Warn, "can't be seen from here", mend),
        list if list.split(',').any(|it| it == "landlock") => Finding::new(NAME, Grade::Ok, "the kernel has it", ""),
        _ => Finding::new(NAME, Grade::Fail, "the kernel has not got it", mend),
    }
}

fn seccomp(system: &System) -> Finding {
    if system.seccomp_actions.split(' ').any(|it| it == "errno") {
        Finding::new("seccomp", Grade::Ok, "the kernel filters system calls", "")
    } else {
        Finding::new(
            "seccomp",
            Grade::Fail,
            "the kernel can't filter system calls",
            "use a kernel with CONFIG_SECCOMP_FILTER",
        )
    }
}

fn programs_in_memory(config: &Config, system: &System) -> Finding {
    const NAME: &str = "programs in memory";
    match &config.agent {
        Agent::Path(path) => Finding::new(NAME, Grade::Ok, format!("not needed: the agent is {}", path.display()), ""),
        Agent::Embedded if system.memfd_noexec == "2" => Finding::new(
            NAME,
            Grade::Fail,
            "vm.memfd_noexec is 2, so the embedded agent can't be started",
            "write the agent to a file and name it with `Config::agent`, or sysctl vm.memfd_noexec=1",
        ),
        Agent::Embedded => Finding::new(NAME, Grade::Ok, "may be started", ""),
    }
}

fn container(probe: Option<&Probe>) -> Finding {
    const NAME: &str = "container";
    if matches!(probe, Some(Ok(_))) {
        return Finding::new(NAME, Grade::Ok, "this is one, and it allows sandboxes", "");
    }
    let mend = "run it with --security-opt seccomp=unconfined and --security-opt systempaths=unconfined, choose the \
                isolation `process`, or use the Docker backend";
    Finding::new(NAME, Grade::Warn, "this is one, and containers forbid namespaces by default", mend)
}

#[cfg(test)]
mod tests {
    use super::*;
    use script_engine_core::{Mechanism, Restriction};

    fn healthy() -> System {
        let parents = crate::cgroup::v1::Parents {
            memory: Some("/m".into()),
            pids: Some("/p".into()),
            cpu: Some("/c".into()),
            ..Default::default()
        };
        System {
            host: Host {
                uid: 1000,
                gid: 1000,
                may_map_ids: true,
                place: Place::V1(parents),
                toolchain_settings: vec![],
            },
            max_user_namespaces: "9".into(),
            unprivileged_userns_clone: "1".into(),
            apparmor_restriction: "0".into(),
            memfd_noexec: "0".into(),
            seccomp_actions: "kill errno allow".into(),
            security_modules: "capability,landlock".into(),
            in_container: false,
        }
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut System), probe: &Probe, name: &str, grade: Grade, mend: &str) {
        let mut system = healthy();
        change(&mut system);
        let all = findings(&Config::new("/state"), &system, &Ok(()), Some(probe));
        let found = all.iter().find(|it| it.name == name).unwrap();
        assert_eq!(found.grade, grade, "{found:?}");
        assert!(found.mend.contains(mend), "{found:?}");
        assert_eq!(found.grade == Grade::Ok, found.mend.is_empty(), "{found:?}");
    }

    #[test]
    fn a_healthy_machine_has_nothing_to_mend() {
        let probe = Ok(Capability::all(Mechanism::Kernel));
        let all = findings(&Config::new("/state"), &healthy(), &Ok(()), Some(&probe));
        assert_eq!(all.len(), 8);
        assert!(all.iter().all(|it| it.grade == Grade::Ok && it.mend.is_empty()), "{all:?}");
    }

    #[test]
    fn each_fault_is_found_with_its_remedy() {
        let (good, bad): (Probe, Probe) = (Ok(Capability::all(Mechanism::Kernel)), Err("no".into()));
        check(|it| it.max_user_namespaces = "0".into(), &bad, "user namespaces", Grade::Fail, "max_user_namespaces");
        check(|it| it.unprivileged_userns_clone = "0".into(), &bad, "user namespaces", Grade::Fail, "userns_clone=1");
        check(|it| it.apparmor_restriction = "1".into(), &bad, "user namespaces", Grade::Warn, "Config::agent");
        check(|it| it.host.may_map_ids = false, &good, "user ids", Grade::Warn, "root");
        check(|it| it.host.place = Place::None("v1".into()), &good, "cgroups", Grade::Warn, "Delegate=yes");
        check(|it| it.host.place = Place::V1(Default::default()), &good, "cgroups", Grade::Warn, "Delegate=yes");
        check(|it| it.security_modules = "yama".into(), &bad, "landlock", Grade::Fail, "lsm=");
        check(|it| it.security_modules.clear(), &bad, "landlock", Grade::Warn, "5.13");
        check(|it| it.seccomp_actions.clear(), &good, "seccomp", Grade::Fail, "SECCOMP_FILTER");
        check(|it| it.memfd_noexec = "2".into(), &bad, "programs in memory", Grade::Fail, "Config::agent");
        check(|it| it.in_container = true, &bad, "container", Grade::Warn, "systempaths=unconfined");
        check(|_| {}, &bad, "sandbox", Grade::Fail, "findings");
    }

    #[test]
    fn what_is_waived_is_named() {
        let probe = Ok(Capability::all(Mechanism::Kernel).without(Restriction::Cpu, "no cgroup"));
        let found = sandbox(Some(&probe));
        assert_eq!(found.grade, Grade::Warn);
        assert!(found.what.ends_with("without cpu: no cgroup"), "{found:?}");
        assert_eq!(state_folder(&Config::new("/s"), &Err("denied".into())).grade, Grade::Fail);
        assert_eq!(sandbox(None).grade, Grade::Fail);
    }
}
