//! Finds where this host lets us make cgroups, from the kernel's own lists. The lists are parsed as
//! text, so that every kind of host can be tested on any.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::Place;
use super::v1::Parents;
use super::v2::Parent;

/// One mounted hierarchy: its controllers (empty for version 2) and where this process is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Hierarchy {
    controllers: Vec<String>,
    mount: PathBuf,
    own: PathBuf,
}

/// The mounted hierarchies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hierarchies {
    v1: Vec<Hierarchy>,
    v2: Option<Hierarchy>,
}

impl Hierarchies {
    /// Reads them from this process's `/proc`.
    pub(crate) fn of_this_process() -> io::Result<Self> {
        Ok(Self::parse(&fs::read_to_string("/proc/self/mountinfo")?, &fs::read_to_string("/proc/self/cgroup")?))
    }

    /// Reads them from the texts of `mountinfo` and `cgroup` in `/proc/self`.
    pub(crate) fn parse(mounts: &str, memberships: &str) -> Self {
        let mut found = Self::default();
        for line in mounts.lines() {
            let Some((left, right)) = line.split_once(" - ") else { continue };
            let left: Vec<&str> = left.split(' ').collect();
            let right: Vec<&str> = right.split(' ').collect();
            let ([_, _, _, root, mount, ..], [kind, _, options, ..]) = (&left[..], &right[..]) else { continue };
            let controllers: Vec<String> = options.split(',').map(str::to_owned).collect();
            let own = membership(memberships, *kind == "cgroup2", &controllers);
            // Seen from a container, the mount's root is deep in the host's tree.
            let below = Path::new(own).strip_prefix(root).unwrap_or(Path::new(""));
            let hierarchy = Hierarchy { own: Path::new(mount).join(below), mount: mount.into(), controllers };
            match *kind {
                "cgroup" => found.v1.push(hierarchy),
                "cgroup2" if found.v2.is_none() => found.v2 = Some(Hierarchy { controllers: Vec::new(), ..hierarchy }),
                _ => {}
            }
        }
        found
    }

    fn v1(&self, controller: &str) -> Option<&Hierarchy> {
        self.v1.iter().find(|it| it.controllers.iter().any(|it| it == controller))
    }

    /// Chooses a place below `name` and makes its folders. Where it is for the operator to say, `parent`
    /// is the version 2 folder that was delegated to us.
    pub(crate) fn place(&self, name: &str, parent: Option<&Path>) -> Place {
        if let Some(parent) = parent {
            return match Parent::prepare(parent) {
                Ok(parent) => Place::V2(parent),
                Err(error) => Place::None(format!("the cgroup {} can't be used: {error}", parent.display())),
            };
        }
        if self.v1("memory").is_some() || self.v1("pids").is_some() {
            return self.place_v1(name);
        }
        let Some(v2) = &self.v2 else {
            return Place::None("no cgroup hierarchy is mounted".to_owned());
        };
        let mut why = Vec::new();
        for folder in candidates(v2, name) {
            match Parent::prepare(&folder).and_then(|it| usable(&folder, &v2.own).map(|()| it)) {
                Ok(parent) => return Place::V2(parent),
                Err(error) => why.push(format!("{}: {error}", folder.display())),
            }
        }
        Place::None(format!("no cgroup folder may be made ({}); have one delegated and name it", why.join("; ")))
    }

    /// Below this process's own cgroups, so that what bounds the host program bounds its scripts too.
    fn place_v1(&self, name: &str) -> Place {
        let folder = |controller: &str| self.v1(controller).map(|it| it.own.join(name));
        let wanted = Parents {
            memory: folder("memory"),
            pids: folder("pids"),
            cpu: folder("cpu"),
            cpuacct: folder("cpuacct"),
            freezer: folder("freezer"),
            unified: self.v2.as_ref().map(|it| it.own.join(name)),
        };
        // A controller whose folder can't be made is not claimed.
        let made = wanted.map(|it| fs::create_dir_all(it).and_then(|()| writable(it)).ok().map(|()| it.to_owned()));
        if made.folders().is_empty() {
            Place::None("this user may make no cgroup folder, and version 1 can't delegate one".to_owned())
        } else {
            Place::V1(made)
        }
    }
}

/// Whether cgroups can be made in a folder, which may be there by somebody else's doing.
fn writable(folder: &Path) -> io::Result<()> {
    let trial = folder.join(format!("trial.{}", std::process::id()));
    fs::create_dir(&trial)?;
    fs::remove_dir(&trial)
}

/// Whether processes from `own` can be moved to below `folder` (version 2): that takes the right to
/// write to what both are below.
fn usable(folder: &Path, own: &Path) -> io::Result<()> {
    writable(folder)?;
    let common: PathBuf =
        folder.components().zip(own.components()).take_while(|(a, b)| a == b).map(|(a, _)| a).collect();
    Ok(nix::unistd::access(&common.join("cgroup.procs"), nix::unistd::AccessFlags::W_OK)?)
}

/// This process's path in the hierarchy, from the lines `id:controllers:path`.
fn membership<'a>(memberships: &'a str, unified: bool, controllers: &[String]) -> &'a str {
    let own = memberships.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (id, names, path) = (parts.next()?, parts.next()?, parts.next()?);
        let matches = if unified {
            id == "0"
        } else {
            !names.is_empty() && names.split(',').any(|name| controllers.iter().any(|it| it == name))
        };
        matches.then_some(path)
    });
    own.unwrap_or("/")
}

/// Version 2 folders that may work, best first: below the top (a whole host), beside this process's own
/// (what a session manager delegates). Never below its own: a cgroup with processes in it hands no
/// controller down.
fn candidates(v2: &Hierarchy, name: &str) -> Vec<PathBuf> {
    let mut folders = vec![v2.mount.join(name)];
    if v2.own != v2.mount
        && let Some(above) = v2.own.parent()
        && above != v2.mount
    {
        folders.push(above.join(name));
    }
    folders
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    const HYBRID: &str = "\
30 1 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
31 30 0:27 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct
32 30 0:28 / /sys/fs/cgroup/memory rw,relatime shared:4 - cgroup cgroup rw,memory
33 30 0:29 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
34 30 0:30 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
35 30 0:31 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";

    #[track_caller]
    fn check(mounts: &str, memberships: &str, own: &[(&str, &str)]) {
        let found = Hierarchies::parse(mounts, memberships);
        for (controller, expected) in own {
            let hierarchy = if controller.is_empty() { found.v2.as_ref() } else { found.v1(controller) };
            assert_eq!(hierarchy.map(|it| it.own.as_path()), Some(Path::new(expected)), "{controller}");
        }
    }

    #[test]
    fn own_folders_are_found_on_every_kind_of_host() {
        check(
            HYBRID,
            "9:cpu,cpuacct:/\n4:memory:/a/b\n3:pids:/\n1:name=systemd:/x\n0::/u\n",
            &[
                ("memory", "/sys/fs/cgroup/memory/a/b"),
                ("cpuacct", "/sys/fs/cgroup/cpu"),
                ("pids", "/sys/fs/cgroup/pids"),
                ("", "/sys/fs/cgroup/unified/u"),
            ],
        );
        let unified = "30 1 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n";
        check(unified, "0::/user.slice/u.service/app\n", &[("", "/sys/fs/cgroup/user.slice/u.service/app")]);
        // In a container the mount shows only its own part of the host's tree.
        let inside = "30 1 0:26 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";
        check(inside, "4:memory:/docker/abc\n", &[("memory", "/sys/fs/cgroup/memory")]);
    }

    #[test]
    fn a_folder_of_version_two_is_usable_with_its_common_ancestor() {
        let scratch = Scratch::new("detect-usable");
        let (folder, own) = (scratch.path().join("a/se"), scratch.path().join("a/b/c"));
        fs::create_dir_all(&folder).unwrap();
        assert!(usable(&folder, &own).is_err());
        fs::write(scratch.path().join("a/cgroup.procs"), "").unwrap();
        usable(&folder, &own).unwrap();
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    }

    #[test]
    fn no_hierarchy_is_no_place() {
        assert!(matches!(Hierarchies::parse("", "").place("x", None), Place::None(_)));
        let scratch = Scratch::new("detect");
        let missing = scratch.path().join("not/there");
        assert!(
            matches!(Hierarchies::default().place("x", Some(&missing)), Place::None(why) if why.contains("not/there"))
        );
    }

    #[test]
    fn version_two_tries_the_top_and_then_beside_its_own() {
        let hierarchy = |own: &str| Hierarchy { controllers: vec![], mount: "/c".into(), own: own.into() };
        let paths = |own: &str| candidates(&hierarchy(own), "se");
        assert_eq!(paths("/c"), [PathBuf::from("/c/se")]);
        assert_eq!(paths("/c/init"), [PathBuf::from("/c/se")]);
        assert_eq!(paths("/c/user/app"), [PathBuf::from("/c/se"), PathBuf::from("/c/user/se")]);
    }
}
