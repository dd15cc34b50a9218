//! Cgroup version 2: one folder per sandbox, into which process 1 is cloned.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Bounds, Controllers, Stats, read_field, read_number, write};

/// The period of the cpu share in microseconds: the kernel's default.
const PERIOD_US: u64 = 100_000;

/// The folder below which sandboxes get theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parent {
    pub(crate) path: PathBuf,
    pub(crate) controllers: Controllers,
}

/// One sandbox's folder.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) path: PathBuf,
    controllers: Controllers,
}

impl Parent {
    /// Makes the folder `path` and hands the controllers down to it from the folder above.
    pub(crate) fn prepare(path: &Path) -> io::Result<Self> {
        if let Some(above) = path.parent() {
            enable(above)?;
        }
        if !path.is_dir() {
            fs::create_dir_all(path)?;
        }
        enable(path)?;
        let enabled = fs::read_to_string(path.join("cgroup.subtree_control"))?;
        let has = |name: &str| enabled.split_whitespace().any(|it| it == name);
        let controllers = Controllers { memory: has("memory"), pids: has("pids"), cpu: has("cpu") };
        Ok(Self { path: path.to_owned(), controllers })
    }

    pub(crate) fn create(&self, name: &str) -> io::Result<Group> {
        let path = self.path.join(name);
        fs::create_dir(&path)?;
        Ok(Group { path, controllers: self.controllers })
    }
}

/// Enables what the folder's parent hands down and is not enabled yet. A folder that has processes of
/// its own can't enable any.
fn enable(folder: &Path) -> io::Result<()> {
    let available = fs::read_to_string(folder.join("cgroup.controllers"))?;
    let file = folder.join("cgroup.subtree_control");
    let enabled = fs::read_to_string(&file)?;
    for name in ["memory", "pids", "cpu"] {
        let in_list = |list: &str| list.split_whitespace().any(|it| it == name);
        if in_list(&available) && !in_list(&enabled) {
            write(&file, format!("+{name}"))?;
        }
    }
    Ok(())
}

impl Group {
    pub(crate) fn at(path: &Path) -> Self {
        Self { path: path.to_owned(), controllers: Controllers::default() }
    }

    pub(crate) fn attach(&self, pid: u32) -> io::Result<()> {
        write(&self.path.join("cgroup.procs"), pid.to_string())
    }

    pub(crate) fn limit(&self, bounds: Bounds) -> io::Result<()> {
        let file = |name: &str| self.path.join(name);
        if self.controllers.memory {
            write(&file("memory.max"), bounds.memory.to_string())?;
            // Absent where the kernel has no swap. `memory.oom.group` stays off: the agent must
            // outlive the script that ran out of memory.
            optional(write(&file("memory.swap.max"), "0"))?;
        }
        if self.controllers.pids {
            write(&file("pids.max"), bounds.pids.to_string())?;
        }
        if self.controllers.cpu {
            write(&file("cpu.max"), format!("{} {PERIOD_US}", quota_us(bounds.milli_cpus)))?;
        }
        Ok(())
    }

    pub(crate) fn stats(&self) -> Stats {
        let file = |name: &str| self.path.join(name);
        Stats {
            memory: read_number(&file("memory.current")),
            memory_peak: read_number(&file("memory.peak")),
            cpu_us: read_field(&file("cpu.stat"), "usage_usec"),
            pids: read_number(&file("pids.current")),
            oom_kills: read_field(&file("memory.events"), "oom_kill"),
            pids_refused: read_field(&file("pids.events"), "max"),
        }
    }
}

/// The cpu time in microseconds that a share may use in each period. The kernel takes no less than 1 ms.
pub(crate) fn quota_us(milli_cpus: u32) -> u64 {
    (u64::from(milli_cpus) * PERIOD_US / 1000).max(1000)
}

fn optional(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    fn control_files(folder: &Path, names: &[&str]) {
        for name in names {
            fs::write(folder.join(name), "").unwrap();
        }
    }

    #[test]
    fn limits_are_written_as_the_kernel_reads_them() {
        let scratch = Scratch::new("cgroup-v2");
        let parent = Parent {
            path: scratch.path().to_owned(),
            controllers: Controllers { memory: true, pids: true, cpu: true },
        };
        let group = parent.create("own_1.1").unwrap();
        // The kernel makes these; a missing one must be an error and not a new file.
        assert!(group.limit(Bounds { memory: 1, pids: 1, milli_cpus: 1 }).is_err());
        control_files(&group.path, &["memory.max", "pids.max", "cpu.max"]);
        group.limit(Bounds { memory: 64 << 20, pids: 40, milli_cpus: 1500 }).unwrap();
        let read = |name: &str| fs::read_to_string(group.path.join(name)).unwrap();
        assert_eq!(read("memory.max"), "67108864");
        assert_eq!(read("pids.max"), "40");
        assert_eq!(read("cpu.max"), "150000 100000");
        assert!(!group.path.join("memory.swap.max").exists());
    }

    #[test]
    fn statistics_are_read_and_absent_ones_are_zero() {
        let scratch = Scratch::new("cgroup-v2-stats");
        let group = Group { path: scratch.path().to_owned(), controllers: Controllers::default() };
        assert_eq!(group.stats(), Stats::default());
        fs::write(scratch.path().join("memory.current"), "4096\n").unwrap();
        fs::write(scratch.path().join("memory.events"), "low 0\noom 3\noom_kill 2\noom_group_kill 1\n").unwrap();
        fs::write(scratch.path().join("cpu.stat"), "usage_usec 77\nuser_usec 70\n").unwrap();
        fs::write(scratch.path().join("pids.events"), "max 9\n").unwrap();
        let expected = Stats { memory: 4096, cpu_us: 77, oom_kills: 2, pids_refused: 9, ..Stats::default() };
        assert_eq!(group.stats(), expected);
    }

    #[test]
    fn controllers_are_handed_down_once() {
        let scratch = Scratch::new("cgroup-v2-parent");
        let path = scratch.path().join("script-engine");
        fs::create_dir(&path).unwrap();
        for folder in [scratch.path(), &path] {
            fs::write(folder.join("cgroup.controllers"), "cpuset cpu memory pids").unwrap();
            fs::write(folder.join("cgroup.subtree_control"), "cpu memory pids").unwrap();
        }
        let parent = Parent::prepare(&path).unwrap();
        assert_eq!(parent.controllers, Controllers { memory: true, pids: true, cpu: true });
        // What is enabled is not written again: a delegated user may lack the right to.
        assert_eq!(fs::read_to_string(path.join("cgroup.subtree_control")).unwrap(), "cpu memory pids");
    }

    #[test]
    fn a_share_is_a_quota_of_at_least_a_millisecond() {
        for (milli, quota) in [(0, 1000), (10, 1000), (250, 25_000), (1000, 100_000), (3500, 350_000)] {
            assert_eq!(quota_us(milli), quota);
        }
    }
}
