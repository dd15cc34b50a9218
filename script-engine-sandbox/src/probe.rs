//! Finds out what this machine and user can enforce, by booting a real sandbox and asking in it. Only
//! what that proved is claimed: on some systems a namespace can be made and everything in it is denied.

use std::sync::Arc;

use script_engine_core::contract::{BootSpec, Posture, Sandbox as _, SandboxPaths};
use script_engine_core::sandbox::{AgentSandbox, Promise, SessionSettings};
use script_engine_core::{Capability, Egress, Error, ErrorKind, Limits, Mechanism, Restriction, Result};

use crate::cgroup::{Controllers, Place};
use crate::config::{Isolation, Root};
use crate::plan::SCRIPT_ID;
use crate::process;
use crate::runtime::Shared;

/// Boots a sandbox, compares how a script in it finds itself with what is promised, and says what the
/// backend can enforce. Fails with `Unsupported` if no sandbox can be made, or one that breaks the
/// promise.
pub(crate) async fn prove(shared: &Arc<Shared>) -> Result<Capability> {
    let claimed = capability(shared.config.isolation, &shared.host.place);
    let (facts, promise, egress) = look(shared, &claimed).await?;
    let broken = promise.broken(&facts);
    if broken.is_empty() {
        return Ok(claimed.with_egress(egress));
    }
    Err(unsupported(format!("in a sandbox made as a probe, {}", broken.join("; "))))
}

/// What a script in the sandbox with this number is to find.
fn promise(shared: &Shared, number: u64, paths: SandboxPaths) -> Promise {
    let namespaces = shared.config.isolation == Isolation::Namespaces;
    let script_id = match shared.config.isolation {
        Isolation::Namespaces => (SCRIPT_ID, SCRIPT_ID),
        Isolation::Process => {
            process::script_id(shared.ids(number)).map_or((shared.host.uid, shared.host.gid), |it| (it, it))
        }
    };
    Promise {
        script_id,
        no_groups: shared.host.may_map_ids,
        namespaces,
        scratch: vec![paths.work, paths.tmp],
        writable: if namespaces { &["/dev/mqueue", "/dev/shm"] } else { &[] },
        guarded: &["/dev/full", "/dev/null", "/dev/random", "/dev/urandom", "/dev/zero"],
    }
}

/// Boots a probe, asks, and removes it. Gives the facts, what was promised for it, and how much of an allow-list it
/// could open.
async fn look(shared: &Arc<Shared>, claimed: &Capability) -> Result<(Posture, Promise, Egress)> {
    // The host's own programs need no root folder to be there, which `provide` looks after.
    let spec = BootSpec::new(Limits::default());
    let (booted, number) = shared.boot(&Root::default(), None, &spec, claimed).await?;
    let promise = promise(shared, number, booted.paths.clone());
    let mut sandbox = AgentSandbox::connect(booted, SessionSettings::default()).await.map_err(|it| explain(&it))?;
    let egress = sandbox.egress().await;
    let facts = sandbox.posture().await;
    Box::new(sandbox).destroy().await?;
    Ok((facts?, promise, egress))
}

/// What sandboxes of this kind enforce, if the probe does not find otherwise.
fn capability(isolation: Isolation, place: &Place) -> Capability {
    match isolation {
        Isolation::Namespaces => in_namespaces(place),
        Isolation::Process => in_process(place),
    }
}

fn in_namespaces(place: &Place) -> Capability {
    let kernel = Capability::all(Mechanism::Kernel);
    let Controllers { memory, pids: _, cpu } = place.controllers();
    // Processes are counted per user namespace by the kernel even where there is no cgroup.
    let kernel = if memory { kernel } else { kernel.with(Restriction::Memory, Mechanism::Supervised) };
    if cpu { kernel } else { kernel.without(Restriction::Cpu, no_share(place)) }
}

fn in_process(place: &Place) -> Capability {
    let Controllers { memory, pids, cpu } = place.controllers();
    let by = |kernel: bool| if kernel { Mechanism::Kernel } else { Mechanism::Supervised };
    let found = Capability::default()
        .without(Restriction::Namespaces, "the isolation `process` has none; let the host program make namespaces")
        .with(Restriction::FileSystem, Mechanism::Kernel)
        .with(Restriction::Network, Mechanism::Kernel)
        .with(Restriction::SystemCalls, Mechanism::Kernel)
        .with(Restriction::Privileges, Mechanism::Kernel)
        .with(Restriction::Memory, by(memory))
        .with(Restriction::Pids, by(pids))
        .without(Restriction::Scratch, "the isolation `process` has no file systems of its own to bound")
        .with(Restriction::OpenFiles, Mechanism::Kernel);
    if cpu { found.with(Restriction::Cpu, Mechanism::Kernel) } else { found.without(Restriction::Cpu, no_share(place)) }
}

fn no_share(place: &Place) -> String {
    match place {
        Place::None(why) => format!("the cpu share needs a cgroup: {why}"),
        Place::V1(_) | Place::V2(_) => "the cpu controller of the cgroups is not available".to_owned(),
    }
}

/// Adds to a failed boot what usually mends it.
fn explain(error: &Error) -> Error {
    let text = error.to_string();
    let hint = hint(&text);
    unsupported(if hint.is_empty() { text } else { format!("{text}; {hint}") })
}

/// What to do about a step that failed, by the step's name.
pub(crate) fn hint(failure: &str) -> &'static str {
    const DENIED_LATER: &str = "user namespaces are restricted by AppArmor here: allow the agent at a fixed path \
        (`Config::agent` and a profile with `userns,`), or set kernel.apparmor_restrict_unprivileged_userns=0";
    const NO_NAMESPACES: &str = "namespaces are forbidden here: in a container, run it with --security-opt \
        seccomp=unconfined and --security-opt systempaths=unconfined; on a host, set user.max_user_namespaces and \
        kernel.unprivileged_userns_clone; or choose the isolation `process`";
    const MASKED_PROC: &str = "the process table is masked in this container: run it with --security-opt \
        systempaths=unconfined, or choose the isolation `process`";
    const OLD_KERNEL: &str = "the kernel lacks a call that sandboxes are made with: Linux 5.12 or later is needed";
    let denied = failure.contains("os error 13") || failure.contains("os error 1)");
    match failure {
        it if it.contains("os error 38") => OLD_KERNEL,
        it if it.starts_with("create the namespaces") => NO_NAMESPACES,
        it if it.starts_with("mount the process table") => MASKED_PROC,
        _ if denied => DENIED_LATER,
        _ => "",
    }
}

pub(crate) fn unsupported(why: String) -> Error {
    Error::new(ErrorKind::Unsupported, format!("no sandbox can be made on this machine: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::{v1, v2};
    use script_engine_core::Enforced;

    fn place(memory: bool, cpu: bool) -> Place {
        Place::V2(v2::Parent { path: "/c".into(), controllers: Controllers { memory, pids: true, cpu } })
    }

    #[track_caller]
    fn check(capability: &Capability, restriction: Restriction, expected: Option<Mechanism>) {
        match (capability.of(restriction), expected) {
            (Enforced::By(found), Some(expected)) => assert_eq!(found, expected, "{restriction}"),
            (Enforced::Not(why), None) => assert!(!why.is_empty()),
            (found, expected) => panic!("{restriction}: {found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn what_has_no_cgroup_is_supervised_or_waived() {
        let full = capability(Isolation::Namespaces, &place(true, true));
        assert_eq!(full, Capability::all(Mechanism::Kernel));
        let nowhere = capability(Isolation::Namespaces, &Place::None("version 1".into()));
        check(&nowhere, Restriction::Memory, Some(Mechanism::Supervised));
        check(&nowhere, Restriction::Pids, Some(Mechanism::Kernel));
        check(&nowhere, Restriction::Cpu, None);
        check(&nowhere, Restriction::Scratch, Some(Mechanism::Kernel));
        check(&capability(Isolation::Namespaces, &place(true, false)), Restriction::Cpu, None);
        let empty = Place::V1(v1::Parents::default());
        check(&capability(Isolation::Namespaces, &empty), Restriction::Memory, Some(Mechanism::Supervised));
    }

    #[test]
    fn a_process_claims_no_namespaces_and_no_bounded_scratch_space() {
        let found = capability(Isolation::Process, &place(true, true));
        check(&found, Restriction::Namespaces, None);
        check(&found, Restriction::Scratch, None);
        check(&found, Restriction::Memory, Some(Mechanism::Kernel));
        let nowhere = capability(Isolation::Process, &Place::None("off".into()));
        check(&nowhere, Restriction::Pids, Some(Mechanism::Supervised));
    }

    #[test]
    fn each_failure_has_its_remedy() {
        for (failure, remedy) in [
            ("create the namespaces: Operation not permitted (os error 1)", "seccomp=unconfined"),
            ("mount the process table at /proc: Operation not permitted (os error 1)", "systempaths=unconfined"),
            ("make the mounts private: Permission denied (os error 13)", "AppArmor"),
            ("bind /usr: Function not implemented (os error 38)", "Linux 5.12"),
            ("bind /srv: No such file or directory (os error 2)", ""),
        ] {
            assert!(hint(failure).contains(remedy), "{failure}");
        }
    }
}
