//! Control groups: one per sandbox, whichever version the host has. Plain blocking files; callers in
//! async code go through a blocking thread. What limits to set is decided elsewhere.

pub(crate) mod detect;
mod removal;
pub(crate) mod v1;
pub(crate) mod v2;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What a cgroup bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Bytes, scratch space and the agent's reserve included.
    pub(crate) memory: u64,
    /// Processes and threads, the launcher's and the agent's included.
    pub(crate) pids: u32,
    /// Thousandths of a cpu.
    pub(crate) milli_cpus: u32,
}

/// What a cgroup has used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stats {
    /// Bytes in use now.
    pub(crate) memory: u64,
    /// The most bytes that were in use, 0 where the kernel does not keep it.
    pub(crate) memory_peak: u64,
    /// Microseconds of cpu time.
    pub(crate) cpu_us: u64,
    /// Processes and threads now.
    pub(crate) pids: u64,
    /// How often the kernel killed for lack of memory.
    pub(crate) oom_kills: u64,
    /// How often a fork was refused.
    pub(crate) pids_refused: u64,
}

/// Which limits a place for cgroups offers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Controllers {
    pub(crate) memory: bool,
    pub(crate) pids: bool,
    pub(crate) cpu: bool,
}

/// Where the cgroups of sandboxes are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// One folder per controller.
    V1(v1::Parents),
    /// One folder.
    V2(v2::Parent),
    /// Nowhere, for this reason.
    None(String),
}

/// One sandbox's cgroup.
#[derive(Clone, Debug)]
pub(crate) enum Cgroup {
    V1(v1::Group),
    V2(v2::Group),
}

impl Place {
    pub(crate) fn controllers(&self) -> Controllers {
        match self {
            Self::V1(parents) => parents.controllers(),
            Self::V2(parent) => parent.controllers,
            Self::None(_) => Controllers::default(),
        }
    }

    /// The folders below which cgroups are made, for the owner's record.
    pub(crate) fn folders(&self) -> Vec<PathBuf> {
        match self {
            Self::V1(parents) => parents.folders(),
            Self::V2(parent) => vec![parent.path.clone()],
            Self::None(_) => Vec::new(),
        }
    }

    /// Makes a cgroup; `None` where there is no place for one.
    pub(crate) fn create(&self, name: &str) -> io::Result<Option<Cgroup>> {
        match self {
            Self::V1(parents) => parents.create(name).map(|it| Some(Cgroup::V1(it))),
            Self::V2(parent) => parent.create(name).map(|it| Some(Cgroup::V2(it))),
            Self::None(_) => Ok(None),
        }
    }
}

impl Cgroup {
    /// The one folder at `path`, whatever its version: to be removed.
    pub(crate) fn at(path: &Path) -> Self {
        Self::V2(v2::Group::at(path))
    }

    /// Moves a process in. On an idle machine this takes 6 to 15 ms.
    pub(crate) fn attach(&self, pid: u32) -> io::Result<()> {
        match self {
            Self::V1(group) => group.attach(pid),
            Self::V2(group) => group.attach(pid),
        }
    }

    pub(crate) fn limit(&self, bounds: Bounds) -> io::Result<()> {
        match self {
            Self::V1(group) => group.limit(bounds),
            Self::V2(group) => group.limit(bounds),
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        match self {
            Self::V1(group) => group.stats(),
            Self::V2(group) => group.stats(),
        }
    }

    /// Kills every process in it.
    pub(crate) fn kill(&self) -> io::Result<()> {
        match self {
            Self::V1(group) => group.kill(),
            Self::V2(group) => kill_unified(&group.path),
        }
    }

    /// Removes its folders. `ResourceBusy` while a process is in it; no fault if it is gone.
    pub(crate) fn remove(&self) -> io::Result<()> {
        self.folders().iter().try_for_each(|it| remove_folder(it))
    }

    pub(crate) fn folders(&self) -> Vec<PathBuf> {
        match self {
            Self::V1(group) => group.folders(),
            Self::V2(group) => vec![group.path.clone()],
        }
    }

    /// The file whose change tells that the cgroup got empty, where the kernel has one.
    pub(crate) fn events(&self) -> Option<PathBuf> {
        match self {
            Self::V1(group) => group.unified().map(|it| it.join("cgroup.events")),
            Self::V2(group) => Some(group.path.join("cgroup.events")),
        }
    }

    /// The folder into which a process can be cloned.
    pub(crate) fn clone_target(&self) -> Option<&Path> {
        match self {
            Self::V1(_) => None,
            Self::V2(group) => Some(&group.path),
        }
    }
}

/// Kills what is in one folder of either version.
pub(crate) fn kill_folder(folder: &Path) -> io::Result<()> {
    match kill_unified(folder) {
        Ok(()) => Ok(()),
        Err(_) if !folder.exists() => Ok(()),
        Err(_) => v1::kill_all_in(folder),
    }
}

/// Kills through `cgroup.kill` of the unified hierarchy (Linux 5.14).
pub(crate) fn kill_unified(folder: &Path) -> io::Result<()> {
    write(&folder.join("cgroup.kill"), "1")
}

/// Removes one cgroup folder with what a script's own cgroup namespace could not have made in it.
pub(crate) fn remove_folder(folder: &Path) -> io::Result<()> {
    match fs::remove_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// The process ids in a cgroup folder.
pub(crate) fn members(folder: &Path) -> Vec<u32> {
    let text = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|it| it.parse().ok()).collect()
}

/// Writes a control file that must be there, naming it in the error.
pub(crate) fn write(path: &Path, value: impl AsRef<str>) -> io::Result<()> {
    let value = value.as_ref();
    let named =
        |error: io::Error| io::Error::new(error.kind(), format!("writing {value:?} to {}: {error}", path.display()));
    let mut file = fs::OpenOptions::new().write(true).open(path).map_err(named)?;
    io::Write::write_all(&mut file, value.as_bytes()).map_err(named)
}

/// Reads a control file that holds one number; `max` and what can't be read is 0.
pub(crate) fn read_number(path: &Path) -> u64 {
    fs::read_to_string(path).ok().and_then(|it| it.trim().parse().ok()).unwrap_or(0)
}

/// Reads one number of a control file made of `name number` lines.
pub(crate) fn read_field(path: &Path, name: &str) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    let value = text.lines().find_map(|it| it.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok());
    value.unwrap_or(0)
}
