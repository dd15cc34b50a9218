//! Cgroup version 1: a folder per controller and sandbox. Where the unified hierarchy is mounted
//! beside it (a hybrid host) killing goes through that one, whose `cgroup.kill` works without any
//! controller; else the freezer keeps what is to be killed from forking on.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::v2::quota_us;
use super::{Bounds, Controllers, Stats, kill_unified, members, read_field, read_number, write};

/// How often the members of a cgroup are killed before it is given up, where the kernel can't kill all
/// at once.
const KILL_ROUNDS: usize = 64;

/// The folders below which sandboxes get theirs, by controller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parents {
    pub(crate) memory: Option<PathBuf>,
    pub(crate) pids: Option<PathBuf>,
    pub(crate) cpu: Option<PathBuf>,
    pub(crate) cpuacct: Option<PathBuf>,
    pub(crate) freezer: Option<PathBuf>,
    pub(crate) unified: Option<PathBuf>,
}

/// One sandbox's folders.
#[derive(Clone, Debug)]
pub(crate) struct Group(Parents);

impl Parents {
    /// Each folder once: `cpu` and `cpuacct` are often mounted together.
    pub(crate) fn folders(&self) -> Vec<PathBuf> {
        let all = [&self.memory, &self.pids, &self.cpu, &self.cpuacct, &self.freezer, &self.unified];
        let mut folders: Vec<PathBuf> = Vec::new();
        for folder in all.into_iter().flatten() {
            if !folders.contains(folder) {
                folders.push(folder.clone());
            }
        }
        folders
    }

    pub(crate) fn controllers(&self) -> Controllers {
        Controllers { memory: self.memory.is_some(), pids: self.pids.is_some(), cpu: self.cpu.is_some() }
    }

    /// The same with `change` applied to each folder.
    pub(crate) fn map(&self, change: impl Fn(&Path) -> Option<PathBuf>) -> Self {
        let apply = |it: &Option<PathBuf>| it.as_deref().and_then(&change);
        Self {
            memory: apply(&self.memory),
            pids: apply(&self.pids),
            cpu: apply(&self.cpu),
            cpuacct: apply(&self.cpuacct),
            freezer: apply(&self.freezer),
            unified: apply(&self.unified),
        }
    }

    pub(crate) fn create(&self, name: &str) -> io::Result<Group> {
        let group = Group(self.map(|it| Some(it.join(name))));
        let folders = group.folders();
        for (made, folder) in folders.iter().enumerate() {
            fs::create_dir(folder).inspect_err(|_| {
                // What was made before the failure goes with it, and nothing that was there already.
                drop(folders[..made].iter().try_for_each(|it| super::remove_folder(it)));
            })?;
        }
        Ok(group)
    }
}

impl Group {
    pub(crate) fn folders(&self) -> Vec<PathBuf> {
        self.0.folders()
    }

    pub(crate) fn unified(&self) -> Option<&Path> {
        self.0.unified.as_deref()
    }

    pub(crate) fn attach(&self, pid: u32) -> io::Result<()> {
        self.folders().iter().try_for_each(|it| write(&it.join("cgroup.procs"), pid.to_string()))
    }

    pub(crate) fn limit(&self, bounds: Bounds) -> io::Result<()> {
        if let Some(folder) = &self.0.memory {
            limit_memory(folder, bounds.memory)?;
        }
        if let Some(folder) = &self.0.pids {
            write(&folder.join("pids.max"), bounds.pids.to_string())?;
        }
        if let Some(folder) = &self.0.cpu {
            write(&folder.join("cpu.cfs_period_us"), "100000")?;
            write(&folder.join("cpu.cfs_quota_us"), quota_us(bounds.milli_cpus).to_string())?;
        }
        Ok(())
    }

    pub(crate) fn stats(&self) -> Stats {
        let number = |folder: &Option<PathBuf>, name: &str| folder.as_ref().map_or(0, |it| read_number(&it.join(name)));
        let field = |folder: &Option<PathBuf>, file: &str, name: &str| {
            folder.as_ref().map_or(0, |it| read_field(&it.join(file), name))
        };
        Stats {
            memory: number(&self.0.memory, "memory.usage_in_bytes"),
            memory_peak: number(&self.0.memory, "memory.max_usage_in_bytes"),
            cpu_us: number(&self.0.cpuacct, "cpuacct.usage") / 1000,
            pids: number(&self.0.pids, "pids.current"),
            oom_kills: field(&self.0.memory, "memory.oom_control", "oom_kill"),
            pids_refused: field(&self.0.pids, "pids.events", "max"),
        }
    }

    pub(crate) fn kill(&self) -> io::Result<()> {
        if let Some(folder) = &self.0.unified
            && kill_unified(folder).is_ok()
        {
            return Ok(());
        }
        self.kill_members()
    }

    fn kill_members(&self) -> io::Result<()> {
        let freezer = self.0.freezer.as_ref().map(|it| it.join("freezer.state"));
        if let Some(state) = &freezer {
            write(state, "FROZEN")?;
        }
        let killed = self.folders().first().map_or(Ok(()), |it| kill_all_in(it));
        // A frozen process is killed only once it is thawed.
        if let Some(state) = &freezer {
            write(state, "THAWED")?;
        }
        killed
    }
}

/// Kills what is listed until nothing new is: a frozen group in one round, one that forks on in few.
pub(crate) fn kill_all_in(folder: &Path) -> io::Result<()> {
    let mut killed = Vec::new();
    for _ in 0..KILL_ROUNDS {
        let alive: Vec<u32> = members(folder).into_iter().filter(|it| !killed.contains(it)).collect();
        if alive.is_empty() {
            return Ok(());
        }
        for pid in alive {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.cast_signed()), nix::sys::signal::SIGKILL);
            killed.push(pid);
        }
    }
    Err(io::Error::other(format!("processes in {} fork faster than they are killed", folder.display())))
}

/// The bound with swap may not be below the one without, so the order depends on the direction.
fn limit_memory(folder: &Path, bytes: u64) -> io::Result<()> {
    let (memory, with_swap) = (folder.join("memory.limit_in_bytes"), folder.join("memory.memsw.limit_in_bytes"));
    let value = bytes.to_string();
    if !with_swap.exists() {
        // Without swap accounting the script's memory is kept from being swapped at all.
        drop(write(&folder.join("memory.swappiness"), "0"));
        return write(&memory, value);
    }
    if read_number(&with_swap) < bytes {
        write(&with_swap, &value)?;
        write(&memory, &value)
    } else {
        write(&memory, &value)?;
        write(&with_swap, &value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    fn parents(scratch: &Scratch) -> Parents {
        let folder = |name: &str| {
            let path = scratch.path().join(name);
            fs::create_dir_all(&path).unwrap();
            Some(path)
        };
        Parents {
            memory: folder("memory"),
            pids: folder("pids"),
            cpu: folder("cpu"),
            cpuacct: folder("cpu"),
            ..Parents::default()
        }
    }

    #[test]
    fn limits_go_to_each_controller() {
        let scratch = Scratch::new("cgroup-v1");
        let group = parents(&scratch).create("own_1.1").unwrap();
        assert_eq!(group.folders().len(), 3);
        for file in ["memory/own_1.1/memory.limit_in_bytes", "memory/own_1.1/memory.memsw.limit_in_bytes"] {
            fs::write(scratch.path().join(file), "0").unwrap();
        }
        for file in ["pids/own_1.1/pids.max", "cpu/own_1.1/cpu.cfs_period_us", "cpu/own_1.1/cpu.cfs_quota_us"] {
            fs::write(scratch.path().join(file), "").unwrap();
        }
        group.limit(Bounds { memory: 1 << 30, pids: 12, milli_cpus: 500 }).unwrap();
        let read = |file: &str| fs::read_to_string(scratch.path().join(file)).unwrap();
        assert_eq!(read("memory/own_1.1/memory.limit_in_bytes"), "1073741824");
        assert_eq!(read("memory/own_1.1/memory.memsw.limit_in_bytes"), "1073741824");
        assert_eq!(read("pids/own_1.1/pids.max"), "12");
        assert_eq!(read("cpu/own_1.1/cpu.cfs_quota_us"), "50000");
    }

    #[test]
    fn a_name_that_is_taken_is_refused_and_leaves_nothing() {
        let scratch = Scratch::new("cgroup-v1-taken");
        let parents = parents(&scratch);
        fs::create_dir(scratch.path().join("pids/own_1.1")).unwrap();
        assert!(parents.create("own_1.1").is_err());
        assert!(!scratch.path().join("memory/own_1.1").exists());
        assert!(scratch.path().join("pids/own_1.1").exists());
    }

    #[test]
    fn statistics_come_from_several_controllers() {
        let scratch = Scratch::new("cgroup-v1-stats");
        let group = parents(&scratch).create("s").unwrap();
        fs::write(scratch.path().join("memory/s/memory.usage_in_bytes"), "10\n").unwrap();
        fs::write(scratch.path().join("memory/s/memory.max_usage_in_bytes"), "20\n").unwrap();
        fs::write(scratch.path().join("memory/s/memory.oom_control"), "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n")
            .unwrap();
        fs::write(scratch.path().join("cpu/s/cpuacct.usage"), "5000\n").unwrap();
        let expected = Stats { memory: 10, memory_peak: 20, cpu_us: 5, oom_kills: 1, ..Stats::default() };
        assert_eq!(group.stats(), expected);
    }
}
