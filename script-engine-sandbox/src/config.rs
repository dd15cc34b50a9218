//! What a host decides about this backend. Plain data; what the machine can do is found by the probe.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use script_engine_core::LanguageId;

/// Settings of the backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The name by which requests choose the backend.
    pub name: String,
    /// Where the backend keeps its records of what it made, in a folder of its own. Engines that share
    /// it clean up after each other.
    pub state_dir: PathBuf,
    /// What separates scripts from the host.
    pub isolation: Isolation,
    /// The root of sandboxes whose language has none of its own in `roots`.
    pub root: Root,
    /// Roots by language.
    pub roots: BTreeMap<String, Root>,
    /// Where cgroups are made.
    pub cgroups: Cgroups,
    /// The agent that is started.
    pub agent: Agent,
    /// How many launchers are kept started (and in a cgroup) ahead of need.
    pub spare_launchers: usize,
    /// The lowest of the user ids that sandboxes get where the host program may choose them, and the one
    /// after the highest. The default lies above what system managers give to containers.
    pub id_range: (u32, u32),
}

impl Config {
    /// Makes the default settings with the records in `state_dir`.
    #[must_use]
    pub fn new(state_dir: impl Into<PathBuf>) -> Self {
        Self {
            name: "linux".to_owned(),
            state_dir: state_dir.into(),
            isolation: Isolation::Namespaces,
            root: Root::default(),
            roots: BTreeMap::new(),
            cgroups: Cgroups::default(),
            agent: Agent::Embedded,
            spare_launchers: 2,
            // systemd hands out 0x0008_0000 to 0x6fff_ffff and 0x7ffe_0000 to 0x7ffe_ffff
            // (https://systemd.io/UIDS-GIDS/).
            id_range: (0x7000_0000, 0x7ffe_0000),
        }
    }
}

impl Config {
    /// Takes every folder in `folder` as the root of the language whose id is its name, as far as `roots` says nothing of
    /// that language. No fault if `folder` is not there.
    #[must_use]
    pub fn with_roots_in(mut self, folder: &Path) -> Self {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        for entry in entries.filter(|it| it.path().is_dir()) {
            if let Ok(name) = entry.file_name().into_string()
                && LanguageId::parse(&name).is_ok()
            {
                self.roots.entry(name).or_insert_with(|| Root::Folder(entry.path()));
            }
        }
        self
    }

    /// Says which of these settings can't be had together, if any can't.
    pub(crate) fn contradiction(&self) -> Option<String> {
        let folder = |root: &Root| matches!(root, Root::Folder(_));
        let any = folder(&self.root) || self.roots.values().any(folder);
        (self.isolation == Isolation::Process && any).then(|| {
            "a root folder needs `Isolation::Namespaces`: without namespaces scripts see the host's programs; leave \
             `root` and `roots` as they are"
                .to_owned()
        })
    }
}

/// What separates scripts from the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// Namespaces, a root of their own, cgroups where possible, seccomp, landlock.
    Namespaces,
    /// Seccomp, landlock and limits in the host's own namespaces: for hosts that run in a container
    /// which forbids namespaces. Scripts see the host's processes, and what landlock lets them read.
    Process,
}

/// Where the root of a sandbox comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Root {
    /// The host's own programs and libraries, read-only: `/usr`, `/bin`, `/lib` and the few files of
    /// `/etc` that programs need; and more paths, each of which must be there and hold no secret.
    Host {
        /// Further absolute paths.
        more: Vec<PathBuf>,
    },
    /// A folder that holds a root file system, read-only. Everybody must be allowed to read it.
    Folder(PathBuf),
}

impl Default for Root {
    fn default() -> Self {
        Self::Host { more: Vec::new() }
    }
}

/// Where cgroups are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cgroups {
    /// In a folder of this name where the machine and the user allow one.
    Auto {
        /// The folder's name.
        name: String,
    },
    /// In this cgroup version 2 folder, which was delegated to the host program.
    Delegated(PathBuf),
    /// Nowhere: memory is supervised by the agent, the cpu share is not bounded.
    Off,
}

impl Default for Cgroups {
    fn default() -> Self {
        Self::Auto { name: "script-engine".to_owned() }
    }
}

/// The agent that is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Agent {
    /// The one in this program, from a sealed file in memory.
    Embedded,
    /// The one at this path: where the kernel or an AppArmor profile lets only files at known paths be
    /// started.
    Path(PathBuf),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_roots_of_the_languages_they_are_named_for() {
        let folder = std::env::temp_dir().join(format!("script-engine-roots-{}", std::process::id()));
        for name in ["go", ".base", "csharp"] {
            std::fs::create_dir_all(folder.join(name)).unwrap();
        }
        std::fs::write(folder.join("java"), "").unwrap();
        let mut config = Config::new("/srv/state");
        config.roots.insert("go".into(), Root::default());
        let roots = config.with_roots_in(&folder).with_roots_in(&folder.join("none")).roots;
        std::fs::remove_dir_all(&folder).unwrap();
        let expect = [("csharp".to_owned(), Root::Folder(folder.join("csharp"))), ("go".to_owned(), Root::default())];
        assert_eq!(roots, BTreeMap::from(expect));
    }

    #[test]
    fn a_root_folder_without_namespaces_is_a_contradiction() {
        let mut config = Config::new("/srv/state");
        config.roots.insert("bash".into(), Root::Folder("/srv/root".into()));
        assert_eq!(config.contradiction(), None);
        config.isolation = Isolation::Process;
        assert!(config.contradiction().is_some());
        config.roots.clear();
        assert_eq!(config.contradiction(), None);
    }
}
