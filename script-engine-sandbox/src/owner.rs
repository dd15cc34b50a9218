//! The removal of what dead owners left. Everything that the backend creates carries the owner's id:
//! cgroup folders by name, launchers in their arguments, work folders by place.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{SIGKILL, kill};
use nix::unistd::Pid;
use script_engine_core::contract::{OwnerStatus, ReapReport};
use script_engine_core::sandbox::{Owner, OwnerRecords};
use script_engine_core::{OwnerId, Result};

use crate::cgroup::{self, Cgroup, Place};
use crate::error::SandboxError;
use crate::tree;

const CGROUPS: &str = "cgroups";
const WORK: &str = "work";

/// How long killed processes may take to be gone, and how often they are looked for: they are nobody's
/// children here, so nothing tells.
const GONE_WITHIN: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// How often launchers are looked for and killed.
const KILL_ROUNDS: usize = 8;
/// How long the end of all of this engine's sandboxes may take.
const END_ALL_WITHIN: Duration = Duration::from_secs(15);

/// The records of owners below a state folder, and the removal of what dead ones left.
#[derive(Clone, Debug)]
pub(crate) struct Owners(OwnerRecords);

/// What the cgroup of the sandbox with this number is called.
pub(crate) fn sandbox_name(owner: &Owner, number: u64) -> String {
    format!("{}.{number}", owner.id())
}

/// Where the folders of the sandbox with this number are, if it has no root of its own.
pub(crate) fn work_folder(owner: &Owner, number: u64) -> PathBuf {
    owner.folder().join(WORK).join(number.to_string())
}

impl Owners {
    /// Takes `state_dir` as the state folder and makes it. Others may pass through it (scripts without a
    /// root of their own have their folders below) but not look around.
    pub(crate) fn open(state_dir: &Path) -> Result<Self, SandboxError> {
        let path = state_dir.join("sandbox").join("owners");
        DirBuilder::new()
            .recursive(true)
            .mode(0o711)
            .create(&path)
            .map_err(SandboxError::file("can't create the state folder", &path))?;
        Ok(Self(OwnerRecords::at(path)))
    }

    /// Enters an owner, with the folders below which its cgroups will be.
    pub(crate) fn enter(&self, id: OwnerId, place: &Place) -> Result<Owner> {
        let make = |folder: &Path| {
            DirBuilder::new().recursive(true).mode(0o711).create(folder.join(WORK))?;
            let text: String = place.folders().iter().map(|it| format!("{}\n", it.display())).collect();
            fs::write(folder.join(CGROUPS), text)
        };
        self.0.enter(id, make, tree::remove)
    }

    /// Lists all owners on record.
    pub(crate) fn list(&self) -> Result<Vec<OwnerStatus>> {
        self.0.list()
    }

    /// Kills and removes what `owner` left. `own` is the caller's own record, whose lock it holds.
    pub(crate) async fn reap(&self, owner: OwnerId, own: &Owner, place: &Place) -> Result<ReapReport> {
        let folder = self.0.folder(owner);
        let held = if owner == own.id() { None } else { self.0.take_over(owner)? };
        let mut report = ReapReport::default();
        if owner == own.id() {
            let ended = own.end_all(END_ALL_WITHIN).await?;
            report.removed.extend(ended.into_iter().map(|it| format!("sandbox {it}")));
        }
        let mut parents = place.folders();
        if let Ok(text) = fs::read_to_string(folder.join(CGROUPS)) {
            parents.extend(text.lines().map(PathBuf::from));
        }
        parents.sort();
        parents.dedup();
        let cgroups: Vec<PathBuf> = parents.iter().flat_map(|it| cgroups_of(it, owner)).collect();
        for cgroup in &cgroups {
            cgroup::kill_folder(cgroup).map_err(SandboxError::Cgroup)?;
        }
        // A launcher may have cloned its process 1 after it was found; that one ends by itself, but later.
        for _ in 0..KILL_ROUNDS {
            let killed = kill_launchers(owner);
            if killed.is_empty() {
                break;
            }
            report.removed.extend(killed.iter().map(|it| format!("process {it}")));
            wait_for_end(&killed).await?;
        }
        for path in cgroups {
            Cgroup::at(&path)
                .remove_when_empty()
                .await
                .map_err(|source| SandboxError::Left { name: path.display().to_string(), what: source.to_string() })?;
            report.removed.push(format!("cgroup {}", path.display()));
        }
        self.remove_folders(&folder, owner == own.id(), &mut report)?;
        drop(held);
        Ok(report)
    }

    /// Removes work folders, and the whole record of an owner other than the caller. The processes that
    /// could write there are dead, and the removal follows no links.
    fn remove_folders(&self, folder: &Path, keep: bool, report: &mut ReapReport) -> Result<(), SandboxError> {
        for entry in fs::read_dir(folder.join(WORK)).into_iter().flatten().filter_map(Result::ok) {
            let path = entry.path();
            tree::remove(&path).map_err(SandboxError::file("can't remove the work folder", &path))?;
            report.removed.push(format!("folder {}", path.display()));
        }
        if !keep && folder.exists() {
            tree::remove(folder).map_err(SandboxError::file("can't remove the record", folder))?;
            report.removed.push(format!("record {}", folder.display()));
        }
        Ok(())
    }
}

/// The cgroup folders below `parent` that carry the owner's id.
fn cgroups_of(parent: &Path, owner: OwnerId) -> Vec<PathBuf> {
    let prefix = format!("{owner}.");
    let entries = fs::read_dir(parent).into_iter().flatten().filter_map(Result::ok);
    entries
        .filter(|it| it.file_name().to_str().is_some_and(|name| name.starts_with(&prefix)))
        .map(|it| it.path())
        .collect()
}

/// The processes that were started as the owner's launchers, process 1 of sandboxes included: it is a
/// copy of its launcher.
fn launchers_of(owner: OwnerId) -> Vec<Pid> {
    let mark = owner.to_string();
    let entries = fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    let pids = entries.filter_map(|it| it.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|it| is_launcher(&it, &mark)))
        .map(Pid::from_raw)
        .collect()
}

/// Kills the processes that were started as the owner's launchers.
fn kill_launchers(owner: OwnerId) -> Vec<Pid> {
    let killed = |pid: &Pid| match kill(*pid, SIGKILL) {
        Ok(()) => true,
        Err(Errno::ESRCH) => false,
        Err(error) => {
            tracing::warn!(%owner, %pid, %error, "a launcher that was left can't be killed");
            false
        }
    };
    launchers_of(owner).into_iter().filter(killed).collect()
}

/// Whether a process still runs or is about to end. One that has ended and waits for its parent is the
/// parent's business: with a process 1, its namespace is empty by then.
fn has_not_ended(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name in parentheses may hold anything; the state follows it.
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    state.is_some_and(|it| !matches!(it, 'Z' | 'X'))
}

/// Waits until killed processes are gone: with a process 1 everything in its namespace.
pub(crate) async fn wait_for_end(pids: &[Pid]) -> Result<(), SandboxError> {
    let gone = async {
        let mut look = tokio::time::interval(LOOK_EVERY);
        while pids.iter().any(|it| has_not_ended(*it)) {
            look.tick().await;
        }
    };
    tokio::time::timeout(GONE_WITHIN, gone)
        .await
        .map_err(|_| SandboxError::Left { name: format!("processes {pids:?}"), what: "they do not end".to_owned() })
}

/// Whether a command line is that of an owner's launcher. Whoever imitates one asks to be killed.
fn is_launcher(command: &[u8], mark: &str) -> bool {
    let mut arguments = command.split(|it| *it == 0);
    arguments.next() == Some(crate::launcher::NAME.as_bytes()) && arguments.any(|it| it == mark.as_bytes())
}

#[cfg(test)]
mod tests;
