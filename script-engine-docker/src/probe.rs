//! Finds out what this daemon's containers enforce, by making one and asking in it. Only what that proved is
//! claimed.

use std::sync::Arc;

use bollard::models::{SystemInfo, SystemVersion};
use script_engine_core::contract::{BootSpec, Sandbox as _, SandboxPaths};
use script_engine_core::sandbox::{AgentSandbox, Promise, SessionSettings};
use script_engine_core::{Capability, Error, ErrorKind, Limits, Mechanism, Restriction, Result, RuntimeSpec};

use crate::error::DockerError;
use crate::flavour::Flavour;
use crate::guest;
use crate::runtime::Shared;

/// Facts about a daemon that containers are made by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Which engine it is.
    pub(crate) flavour: Flavour,
    /// Whether users of containers are other users outside, of which there are few.
    pub(crate) maps_users: bool,
    /// What the daemon's machine can't bound.
    no_memory: bool,
    no_pids: bool,
    no_cpu: bool,
    /// Cpus that it has; none if it does not say.
    cpus: Option<u32>,
}

impl Facts {
    pub(crate) fn of(version: &SystemVersion, info: &SystemInfo) -> Self {
        let secured = |name: &str| info.security_options.iter().flatten().any(|it| it.contains(name));
        // Podman says nothing of some: what is not told is asked for, and seen by inspection.
        let lacks = |it: Option<bool>| it == Some(false);
        Self {
            flavour: Flavour::of(version),
            maps_users: secured("name=userns") || secured("name=rootless"),
            no_memory: lacks(info.memory_limit),
            no_pids: lacks(info.pids_limit),
            no_cpu: lacks(info.cpu_cfs_quota),
            cpus: info.ncpu.and_then(|it| u32::try_from(it).ok()).filter(|it| *it > 0),
        }
    }

    /// Thousandths of cpus that a container may use.
    pub(crate) fn milli_cpus(&self) -> u32 {
        self.cpus.map_or(u32::MAX, |it| it.saturating_mul(1000))
    }

    /// What containers enforce, if the probe does not find otherwise.
    pub(crate) fn capability(&self) -> Capability {
        let mut claimed = Capability::all(Mechanism::Kernel);
        if self.no_memory {
            claimed = claimed.with(Restriction::Memory, Mechanism::Supervised);
        }
        if self.no_pids {
            claimed = claimed.with(Restriction::Pids, Mechanism::Supervised);
        }
        if self.no_cpu {
            claimed = claimed.without(Restriction::Cpu, "the daemon's machine has no control group for it");
        }
        claimed
    }
}

/// Asks the daemon about itself.
pub(crate) async fn facts(shared: &Shared) -> Result<Facts, DockerError> {
    let api = shared.daemon.api().await?;
    let info = shared.daemon.call("tell about itself", api.info()).await?;
    if info.os_type.as_deref().is_some_and(|it| it != "linux") {
        return Err(DockerError::Unsupported("the Docker Engine does not make Linux containers".to_owned()));
    }
    let version = shared.daemon.call("tell its version", api.version()).await?;
    Ok(Facts::of(&version, &info))
}

/// Makes a container of an empty image, compares how a script in it finds itself with what is promised, and says what
/// the backend can enforce. Fails with `Unsupported` if it breaks the promise.
pub(crate) async fn prove(shared: &Arc<Shared>) -> Result<(Facts, Capability)> {
    let facts = facts(shared).await?;
    let claimed = facts.capability();
    let spec = BootSpec::new(Limits::default());
    let runtime = RuntimeSpec { language: "probe".to_owned(), image: String::new(), layer: None };
    let image = shared.empty_image(&runtime).await?;
    let (booted, script_id) = shared.boot(&image, &runtime, &spec, &facts, &claimed).await?;
    let paths = booted.paths.clone();
    let mut sandbox = AgentSandbox::connect(booted, SessionSettings::default()).await?;
    let build = sandbox.build().to_owned();
    let egress = sandbox.egress().await;
    let seen = sandbox.posture().await;
    Box::new(sandbox).destroy().await?;
    let mut broken = promise(script_id, paths).broken(&seen?);
    if build != script_engine_agent::BUILD {
        broken.push(format!("the agent is {build} and should be {}", script_engine_agent::BUILD));
    }
    if !broken.is_empty() {
        return Err(unsupported(&broken));
    }
    let proved = claimed.with_egress(egress).with_guests(guest::capability());
    Ok((facts, if shared.config.allow_host_network { proved.with_host_network() } else { proved }))
}

/// What a script in a container is to find.
fn promise(script_id: u32, paths: SandboxPaths) -> Promise {
    Promise {
        script_id: (script_id, script_id),
        no_groups: true,
        namespaces: true,
        scratch: vec![paths.work, paths.tmp],
        writable: &["/dev/mqueue", "/dev/shm"],
        guarded: &["/dev", "/dev/console", "/dev/pts", "/scripts", "/sys/fs/cgroup"],
    }
}

fn unsupported(broken: &[String]) -> Error {
    let text = format!("the Docker Engine's containers are not as they should be: {}", broken.join("; "));
    Error::new(ErrorKind::Unsupported, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use script_engine_core::Enforced;

    #[test]
    fn what_the_machine_lacks_is_supervised_or_waived() {
        let whole = Facts::of(&SystemVersion::default(), &SystemInfo::default());
        assert_eq!(whole.capability(), Capability::all(Mechanism::Kernel));
        let bare = SystemInfo {
            memory_limit: Some(false),
            pids_limit: Some(false),
            cpu_cfs_quota: Some(false),
            security_options: Some(vec!["name=seccomp,profile=default".into(), "name=rootless".into()]),
            ..SystemInfo::default()
        };
        let bare = Facts::of(&SystemVersion::default(), &bare);
        assert!(bare.maps_users);
        let found = bare.capability();
        assert_eq!(found.of(Restriction::Memory), Enforced::By(Mechanism::Supervised));
        assert_eq!(found.of(Restriction::Pids), Enforced::By(Mechanism::Supervised));
        assert!(matches!(found.of(Restriction::Cpu), Enforced::Not(_)));
        assert_eq!(found.of(Restriction::Network), Enforced::By(Mechanism::Kernel));
    }
}
