//! Says how a daemon stands and how to mend what is not as it should be. What is so is asked once; the findings
//! are a pure function of it.

use bollard::models::{SystemInfo, SystemVersion};
use script_engine_core::contract::RuntimeManager as _;
use script_engine_core::{Capability, Finding, Grade, OwnerId};

use crate::config::Config;
use crate::daemon::Daemon;
use crate::flavour::{self, Flavour};
use crate::runtime::Manager;

/// A version of a component from which on an escape is mended.
struct Escape {
    component: &'static str,
    /// Per line of releases: the line's first two numbers, and the first that is mended.
    mended: &'static [(u32, u32, u32)],
    advisory: &'static str,
    does: &'static str,
}

/// What is known of escapes out of containers, by the makers' advisories. The newest mended lines come last: a
/// line that is newer than all is mended.
const ESCAPES: &[Escape] = &[
    Escape {
        component: "runc",
        mended: &[(1, 0, 0)],
        advisory: "CVE-2019-5736",
        does: "lets a container write over the host's runc",
    },
    Escape {
        component: "runc",
        mended: &[(1, 0, 0)],
        advisory: "CVE-2021-30465",
        does: "lets an image mount a folder of the host",
    },
    Escape {
        component: "runc",
        mended: &[(1, 1, 12)],
        advisory: "CVE-2024-21626",
        does: "leaves a descriptor of the host open to a container",
    },
    Escape {
        component: "runc",
        mended: &[(1, 2, 8), (1, 3, 3), (1, 4, 0)],
        advisory: "CVE-2025-31133, CVE-2025-52565, CVE-2025-52881",
        does: "lets an image write to files in /proc of the host",
    },
    Escape {
        component: "Engine",
        mended: &[(29, 5, 1)],
        advisory: "CVE-2026-41567",
        does: "starts programs of a container as root for a compressed archive; none is sent here",
    },
];

/// Looks at everything that containers with these settings need. Opens the backend as `owner`, makes a probe,
/// and leaves nothing behind. Never fails: what can't be found out is a finding.
pub async fn examine(config: &Config, owner: OwnerId) -> Vec<Finding> {
    let daemon = Daemon::new(&config.endpoint, config.call_timeout);
    let told = async {
        let api = daemon.api().await?;
        let version = daemon.call("tell its version", api.version()).await?;
        Ok((version, daemon.call("tell about itself", api.info()).await?))
    };
    let told: Result<_, crate::error::DockerError> = told.await;
    let (version, info) = match told {
        Ok(told) => told,
        Err(error) => {
            let mend =
                "install and start Docker Engine 20.10 or Podman 4 or newer, or name the one there is in DOCKER_HOST";
            return vec![Finding::new("docker engine", Grade::Fail, error.to_string(), mend)];
        }
    };
    let mut findings = findings(&version, &info);
    findings.push(match probe(config, owner).await {
        Ok(_) => Finding::new("docker probe", Grade::Ok, "a container is as it should be", ""),
        Err(error) => Finding::new("docker probe", Grade::Fail, error, "mend what is named here"),
    });
    findings
}

async fn probe(config: &Config, owner: OwnerId) -> Result<Capability, String> {
    let manager = Manager::open(config.clone(), owner).map_err(|error| error.to_string())?;
    let probed = manager.probe().await.map_err(|error| error.to_string());
    let left = manager.reap(owner).await;
    let closed = manager.shutdown().await;
    if let Some(error) = left.err().or(closed.err()) {
        tracing::warn!(%error, "the backend could not be shut down after its examination");
    }
    probed
}

fn findings(version: &SystemVersion, info: &SystemInfo) -> Vec<Finding> {
    let text = |it: &Option<String>| it.clone().unwrap_or_default();
    let name = match Flavour::of(version) {
        Flavour::Docker => "Docker Engine",
        Flavour::Podman => "Podman",
    };
    let what = format!("{name} {}, API {}", text(&version.version), text(&version.api_version));
    let mut findings = vec![Finding::new("docker engine", Grade::Ok, what, "")];
    findings.extend(escapes(version));
    findings.push(users(info));
    findings.push(system_calls(info));
    findings.push(limits(info));
    findings
}

fn escapes(version: &SystemVersion) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, version) in flavour::parts(version) {
        let known = ESCAPES.iter().filter(|it| it.component == name);
        for escape in known.filter(|it| is_open(it, version)) {
            findings.push(Finding::new(
                "docker escapes",
                Grade::Warn,
                format!("{name} {version} {} ({})", escape.does, escape.advisory),
                format!(
                    "use {} {} or newer, unless your distribution has mended its own",
                    name,
                    escape.mended.last().map(|(a, b, c)| format!("{a}.{b}.{c}")).unwrap_or_default()
                ),
            ));
        }
    }
    if findings.is_empty() {
        findings.push(Finding::new("docker escapes", Grade::Ok, "none known of these versions", ""));
    }
    findings
}

/// Whether a version has an escape. One that can't be read is taken to have it.
fn is_open(escape: &Escape, version: &str) -> bool {
    let Some(found) = numbers(version) else { return true };
    let line = escape.mended.iter().find(|it| (it.0, it.1) == (found.0, found.1));
    let least = line.or(escape.mended.last());
    least.is_some_and(|least| found < *least)
}

/// The three numbers that a version begins with.
fn numbers(version: &str) -> Option<(u32, u32, u32)> {
    let plain = version.trim_start_matches('v');
    let mut parts = plain.splitn(3, '.');
    let (major, minor, rest) = (parts.next()?, parts.next()?, parts.next().unwrap_or("0"));
    let patch: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some((major.parse().ok()?, minor.parse().ok()?, patch.parse().ok()?))
}

fn secured(info: &SystemInfo, name: &str) -> bool {
    info.security_options.iter().flatten().any(|it| it.contains(name))
}

fn users(info: &SystemInfo) -> Finding {
    if secured(info, "name=userns") || secured(info, "name=rootless") {
        Finding::new("docker users", Grade::Ok, "root in a container is an ordinary user outside", "")
    } else {
        let what = "root in a container is root outside; the agent is root with four capabilities, scripts are not";
        Finding::new(
            "docker users",
            Grade::Warn,
            what,
            "set `userns-remap` in the daemon's settings, or run it rootless",
        )
    }
}

fn system_calls(info: &SystemInfo) -> Finding {
    if secured(info, "name=seccomp") {
        Finding::new("docker system calls", Grade::Ok, "filtered by the daemon and by the agent", "")
    } else {
        let what = "filtered by the agent only";
        Finding::new("docker system calls", Grade::Warn, what, "let the daemon use seccomp")
    }
}

fn limits(info: &SystemInfo) -> Finding {
    let known = [
        ("memory", info.memory_limit),
        ("swap", info.swap_limit),
        ("processes", info.pids_limit),
        ("cpu share", info.cpu_cfs_quota),
    ];
    let missing: Vec<&str> = known.iter().filter(|(_, it)| *it == Some(false)).map(|(name, _)| *name).collect();
    if missing.is_empty() {
        return Finding::new("docker limits", Grade::Ok, "memory, processes and cpu share are bounded", "");
    }
    let what = format!("the daemon's machine can't bound: {}", missing.join(", "));
    Finding::new("docker limits", Grade::Warn, what, "switch on the control groups of its kernel")
}

#[cfg(test)]
mod tests {
    use super::*;
    use bollard::models::SystemVersionComponents;

    fn version(name: &str, version: &str) -> SystemVersion {
        let component = SystemVersionComponents { name: name.into(), version: version.into(), details: None };
        SystemVersion { components: Some(vec![component]), ..SystemVersion::default() }
    }

    #[track_caller]
    fn check(component: &str, found: &str, open: &[&str]) {
        let findings = escapes(&version(component, found));
        let named: Vec<&Finding> = findings.iter().filter(|it| it.grade == Grade::Warn).collect();
        assert_eq!(named.len(), open.len(), "{component} {found}: {findings:?}");
        for advisory in open {
            assert!(named.iter().any(|it| it.what.contains(advisory)), "{component} {found}: {named:?}");
        }
    }

    #[test]
    fn versions_with_known_escapes_are_warned_of() {
        check("runc", "1.0.0-rc93", &["CVE-2024-21626", "CVE-2025-31133"]);
        check("runc", "1.1.5+ds1", &["CVE-2024-21626", "CVE-2025-31133"]);
        check("runc", "1.1.12", &["CVE-2025-31133"]);
        check("runc", "1.2.8", &[]);
        check("runc", "1.3.2", &["CVE-2025-31133"]);
        check("runc", "1.4.0", &[]);
        check("runc", "2.0.0", &[]);
        check("runc", "nonsense", &["CVE-2019-5736", "CVE-2021-30465", "CVE-2024-21626", "CVE-2025-31133"]);
        check("Engine", "20.10.24+dfsg1", &["CVE-2026-41567"]);
        check("Engine", "29.5.1", &[]);
        check("containerd", "1.6.20", &[]);
    }

    #[test]
    fn what_a_daemon_lacks_is_named_with_its_remedy() {
        let info = SystemInfo { swap_limit: Some(false), ..SystemInfo::default() };
        let found = findings(&SystemVersion::default(), &info);
        let warned: Vec<&str> = found.iter().filter(|it| it.grade == Grade::Warn).map(|it| it.name.as_ref()).collect();
        assert_eq!(warned, ["docker users", "docker system calls", "docker limits"]);
        assert!(found.iter().filter(|it| it.grade == Grade::Warn).all(|it| !it.mend.is_empty()));
        let options = vec!["name=seccomp,profile=default".into(), "name=userns".into()];
        let good = SystemInfo { security_options: Some(options), memory_limit: Some(true), ..SystemInfo::default() };
        assert!(findings(&SystemVersion::default(), &good).iter().all(|it| it.grade == Grade::Ok));
    }
}
