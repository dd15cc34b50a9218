//! What differs between the engines that speak this interface. Everything else asks no engine for its name.

use bollard::models::{ContainerState, HostConfig, Mount, SystemVersion};

/// What an engine is made of, by plain name and version. Podman writes `OCI Runtime (runc)`, and more than a version.
pub(crate) fn parts(version: &SystemVersion) -> impl Iterator<Item = (&str, &str)> {
    version.components.iter().flatten().map(|it| {
        let name = it.name.strip_prefix("OCI Runtime (").and_then(|it| it.strip_suffix(')')).unwrap_or(&it.name);
        let number = it.version.split_whitespace().find(|it| it.starts_with(|c: char| c.is_ascii_digit()));
        (name, number.unwrap_or(&it.version))
    })
}

/// Which engine it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Flavour {
    /// Docker Engine, and whatever does not say that it is another.
    #[default]
    Docker,
    /// Podman's service, version 4 or newer.
    Podman,
}

impl Flavour {
    /// Reads what an engine tells of its parts.
    pub(crate) fn of(version: &SystemVersion) -> Self {
        let is_podman = version.components.iter().flatten().any(|it| it.name.starts_with("Podman"));
        if is_podman { Self::Podman } else { Self::Docker }
    }

    /// Whether folders in memory have to be volumes: Podman takes neither a bound for the files of others nor an owner.
    pub(crate) fn has_folders_as_volumes(self) -> bool {
        self == Self::Podman
    }

    /// Processes of one user that a container is given by the engine itself unless another bound is asked for, which may
    /// be more than its machine lets it give: Podman gives all that the kernel knows.
    pub(crate) fn asks_for_processes(self) -> bool {
        self == Self::Podman
    }

    /// Folders in which a container whose root is read-only can write unless something else is mounted there.
    pub(crate) fn writable_besides(self) -> &'static [&'static str] {
        match self {
            Self::Docker => &[],
            Self::Podman => &["/run", "/var/tmp"],
        }
    }

    /// What it tells of a container, in the words in which it was asked.
    pub(crate) fn in_words_of(self, asked: &HostConfig, mut told: HostConfig) -> HostConfig {
        if self == Self::Docker {
            return told;
        }
        // One of its own, in which other containers could ask to be; none of ours does.
        if told.ipc_mode.as_deref() == Some("shareable") {
            told.ipc_mode = Some("private".to_owned());
        }
        // It tells of these elsewhere, as a sum; the probe sees them from inside.
        if told.cap_add.as_ref().is_none_or(Vec::is_empty) {
            told.cap_add.clone_from(&asked.cap_add);
        }
        // It adds options of its own, and tells of volumes as of folders of its machine.
        for options in told.tmpfs.iter_mut().flat_map(|it| it.values_mut()) {
            let own = |it: &&str| !matches!(*it, "rprivate" | "tmpcopyup");
            *options = options.split(',').filter(own).collect::<Vec<_>>().join(",");
        }
        let mounts = asked.mounts.iter().flatten();
        let access = |it: &Mount| if it.read_only == Some(true) { "ro" } else { "rw" };
        let known: Vec<String> = mounts
            .filter_map(|it| Some(format!("{}:{}:{},", it.source.as_deref()?, it.target.as_deref()?, access(it))))
            .collect();
        if let Some(binds) = &mut told.binds {
            binds.retain(|it| !known.iter().any(|known| it.starts_with(known.as_str())));
        }
        told
    }

    /// Whether a container that ended by itself ran out of memory.
    pub(crate) fn ran_out_of_memory(self, state: &ContainerState) -> bool {
        /// A shell's word for `SIGKILL`: 128 and 9.
        const KILLED: i64 = 137;
        match self {
            Self::Docker => state.oom_killed == Some(true),
            // It does not tell; but nobody else kills the agent.
            Self::Podman => state.oom_killed == Some(true) || state.exit_code == Some(KILLED),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bollard::models::SystemVersionComponents;

    #[test]
    fn an_engine_is_known_by_its_parts() {
        let of = |name: &str| {
            let part = SystemVersionComponents { name: name.into(), version: "4.3.1".into(), details: None };
            Flavour::of(&SystemVersion { components: Some(vec![part]), ..SystemVersion::default() })
        };
        assert_eq!([of("Podman Engine"), of("Engine")], [Flavour::Podman, Flavour::Docker]);
        assert_eq!(Flavour::of(&SystemVersion::default()), Flavour::Docker);
    }

    #[test]
    fn parts_have_plain_names() {
        let part = |name: &str, version: &str| SystemVersionComponents {
            name: name.into(),
            version: version.into(),
            details: None,
        };
        let told =
            vec![part("OCI Runtime (runc)", "runc version 1.1.5+ds1\ncommit: 1"), part("Engine", "20.10.24+dfsg1")];
        let version = SystemVersion { components: Some(told), ..SystemVersion::default() };
        assert!(parts(&version).eq([("runc", "1.1.5+ds1"), ("Engine", "20.10.24+dfsg1")]));
    }

    #[test]
    fn what_podman_tells_is_what_it_was_asked_and_nothing_more_is_forgiven() {
        let folder = |options: &str| Some([("/work".to_owned(), options.to_owned())].into());
        let asked = HostConfig {
            ipc_mode: Some("private".into()),
            cap_add: Some(vec!["KILL".into()]),
            tmpfs: folder("rw,size=1"),
            mounts: Some(vec![Mount {
                source: Some("agent".into()),
                target: Some("/a".into()),
                read_only: Some(true),
                ..Mount::default()
            }]),
            ..HostConfig::default()
        };
        let told = HostConfig {
            ipc_mode: Some("shareable".into()),
            cap_add: Some(Vec::new()),
            tmpfs: folder("rw,size=1,rprivate,tmpcopyup"),
            binds: Some(vec!["agent:/a:ro,rbind".into(), "agent:/a:rw,rbind".into(), "/:/host:ro".into()]),
            ..HostConfig::default()
        };
        let same = Flavour::Podman.in_words_of(&asked, told.clone());
        assert_eq!((&same.ipc_mode, &same.cap_add, &same.tmpfs), (&asked.ipc_mode, &asked.cap_add, &asked.tmpfs));
        assert_eq!(same.binds.unwrap(), ["agent:/a:rw,rbind", "/:/host:ro"]);
        let more = HostConfig { ipc_mode: Some("host".into()), ..told.clone() };
        assert_eq!(Flavour::Podman.in_words_of(&asked, more).ipc_mode.as_deref(), Some("host"));
        assert_eq!(Flavour::Docker.in_words_of(&asked, told.clone()), told);
    }
}
