//! Who made what: one folder per owner with a locked file in it, which proves that the engine lives,
//! and the removal of what dead ones left. Everything that the backend creates carries the owner's id:
//! cgroup folders by name, launchers in their arguments, work folders by place.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{SIGKILL, kill};
use nix::unistd::Pid;
use script_engine_core::OwnerId;
use script_engine_core::contract::{OwnerStatus, ReapReport};
use tokio::sync::watch;

use crate::cgroup::{self, Cgroup, Place};
use crate::error::SandboxError;
use crate::tree;

const LOCK: &str = "lock";
const CGROUPS: &str = "cgroups";
const WORK: &str = "work";
/// What an owner's folder is called until it is locked.
const UNBORN: &str = "new-";

/// How long killed processes may take to be gone, and how often they are looked for: they are nobody's
/// children here, so nothing tells.
const GONE_WITHIN: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// How often launchers are looked for and killed.
const KILL_ROUNDS: usize = 8;
/// How long the end of all of this engine's sandboxes may take.
const END_ALL_WITHIN: Duration = Duration::from_secs(15);

/// The folder of owners below a state folder.
#[derive(Clone, Debug)]
pub(crate) struct Owners(PathBuf);

/// This engine's own record: alive for as long as it is held.
#[derive(Debug)]
pub(crate) struct Owner {
    pub(crate) id: OwnerId,
    folder: PathBuf,
    retired: AtomicBool,
    /// The sandboxes of this engine that are not cleared up yet, by name.
    living: watch::Sender<BTreeSet<String>>,
    /// Counts how often all of them were told to end.
    end: watch::Sender<u64>,
    _lock: Flock<File>,
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
        Ok(Self(path))
    }

    /// Enters an owner, with the folders below which its cgroups will be.
    pub(crate) fn enter(&self, id: OwnerId, place: &Place) -> Result<Owner, SandboxError> {
        let folder = self.0.join(id.to_string());
        let unborn = self.0.join(format!("{UNBORN}{id}"));
        let failed = |source| SandboxError::File { action: "can't record the owner in", path: folder.clone(), source };
        // Locked before it has its name: nobody ever sees an owner that seems dead and is about to live.
        let lock = (|| {
            DirBuilder::new().recursive(true).mode(0o711).create(unborn.join(WORK))?;
            let text: String = place.folders().iter().map(|it| format!("{}\n", it.display())).collect();
            fs::write(unborn.join(CGROUPS), text)?;
            let lock = lock(&unborn, true)?.ok_or_else(|| io::Error::from(io::ErrorKind::ResourceBusy))?;
            fs::rename(&unborn, &folder)?;
            Ok(lock)
        })()
        .map_err(failed)?;
        Ok(Owner {
            id,
            folder,
            retired: AtomicBool::new(false),
            living: watch::Sender::default(),
            end: watch::Sender::default(),
            _lock: lock,
        })
    }

    /// Lists all owners on record.
    pub(crate) fn list(&self) -> Result<Vec<OwnerStatus>, SandboxError> {
        let unreadable = SandboxError::file("can't list the owners in", &self.0);
        let mut owners = Vec::new();
        for entry in fs::read_dir(&self.0).map_err(unreadable)?.filter_map(Result::ok) {
            let Some(owner) = entry.file_name().to_str().and_then(|it| it.parse().ok()) else { continue };
            // What can't be told is taken for alive: nothing of it will be touched.
            let alive = !matches!(lock(&entry.path(), false), Ok(Some(_)));
            owners.push(OwnerStatus { owner, alive });
        }
        Ok(owners)
    }

    /// Kills and removes what `owner` left. `own` is the caller's own record, whose lock it holds.
    pub(crate) async fn reap(&self, owner: OwnerId, own: &Owner, place: &Place) -> Result<ReapReport, SandboxError> {
        let folder = self.0.join(owner.to_string());
        let held = if owner == own.id { None } else { self.take_over(&folder, owner)? };
        let mut report = ReapReport::default();
        if owner == own.id {
            let ended = own.end_all().await?;
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
        self.remove_folders(&folder, owner == own.id, &mut report)?;
        drop(held);
        Ok(report)
    }

    /// Locks a dead owner's record, so that two engines do not reap it at the same time.
    fn take_over(&self, folder: &Path, owner: OwnerId) -> Result<Option<Flock<File>>, SandboxError> {
        match lock(folder, false) {
            Ok(Some(lock)) => Ok(Some(lock)),
            Ok(None) => Err(SandboxError::Alive(owner)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(SandboxError::File { action: "can't lock the record", path: folder.to_owned(), source }),
        }
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

impl Owner {
    /// What the cgroup of the sandbox with this number is called.
    pub(crate) fn sandbox_name(&self, number: u64) -> String {
        format!("{}.{number}", self.id)
    }

    /// Where the folders of the sandbox with this number are, if it has no root of its own.
    pub(crate) fn work_folder(&self, number: u64) -> PathBuf {
        self.folder.join(WORK).join(number.to_string())
    }

    /// Counts a sandbox as living until what is given is dropped. The receiver hears when it is to end.
    pub(crate) fn register(self: &Arc<Self>, name: &str) -> (Living, watch::Receiver<u64>) {
        let end = self.end.subscribe();
        self.living.send_modify(|it| {
            it.insert(name.to_owned());
        });
        (Living { owner: Arc::clone(self), name: name.to_owned() }, end)
    }

    /// Ends all sandboxes of this engine and waits until they are cleared up. Gives their names.
    async fn end_all(&self) -> Result<BTreeSet<String>, SandboxError> {
        let mut living = self.living.subscribe();
        let names = living.borrow().clone();
        self.end.send_modify(|it| *it += 1);
        let gone = living.wait_for(|it| it.is_disjoint(&names));
        match tokio::time::timeout(END_ALL_WITHIN, gone).await {
            Ok(_) => Ok(names),
            Err(_) => Err(SandboxError::Left { name: format!("{names:?}"), what: "they do not end".to_owned() }),
        }
    }

    /// Has the record removed when nobody holds it any more: when nothing is left of what it stands for.
    pub(crate) fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }
}

/// One sandbox that is not cleared up yet.
#[derive(Debug)]
pub(crate) struct Living {
    owner: Arc<Owner>,
    name: String,
}

impl Drop for Living {
    fn drop(&mut self) {
        self.owner.living.send_modify(|it| {
            it.remove(&self.name);
        });
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // Not retired, it stays for whoever reaps what may be left.
        if *self.retired.get_mut()
            && let Err(error) = tree::remove(&self.folder)
        {
            tracing::warn!(owner = %self.id, %error, "the owner's record could not be removed");
        }
    }
}

/// Locks the file of an owner's folder; `None` if somebody else has it locked.
fn lock(folder: &Path, create: bool) -> io::Result<Option<Flock<File>>> {
    let file =
        OpenOptions::new().read(true).write(true).create(create).truncate(false).mode(0o600).open(folder.join(LOCK))?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(Some(lock)),
        Err((_, Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, error)) => Err(error.into()),
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
