//! Who made what: a locked file per owner in the state folder, which proves that the engine lives, labels
//! on all that the daemon has of it, and the removal of what dead ones left.
//!
//! The daemon may be shared by engines on several machines, and a lock proves nothing to another machine.
//! So containers carry the name of the state folder too: what is of another one counts as alive.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use script_engine_core::OwnerId;
use script_engine_core::contract::OwnerStatus;
use tokio::sync::watch;

use crate::error::DockerError;

const LOCK: &str = "lock";
const NAME: &str = "name";
const GUESTS: &str = "guests";
/// What an owner's folder is called until it is locked.
const UNBORN: &str = "new-";
/// How long the end of all of this engine's containers may take.
const END_ALL_WITHIN: Duration = Duration::from_secs(60);

/// The state folder.
#[derive(Clone, Debug)]
pub(crate) struct Owners {
    folder: PathBuf,
    /// The folder's own name, which containers carry.
    name: String,
}

/// This engine's own record: alive for as long as it is held.
#[derive(Debug)]
pub(crate) struct Owner {
    pub(crate) id: OwnerId,
    folder: PathBuf,
    retired: AtomicBool,
    /// The containers of this engine that are not cleared up yet, by name.
    living: watch::Sender<BTreeSet<String>>,
    /// Counts how often all of them were told to end.
    end: watch::Sender<u64>,
    _lock: File,
}

impl Owners {
    /// Takes `state_dir` as the state folder and makes it; `first` names it if it has no name yet. Others may pass
    /// through it, for packages lie in it too, but not into what is recorded here.
    pub(crate) fn open(state_dir: &Path, first: OwnerId) -> Result<Self, DockerError> {
        let folder = state_dir.join("docker").join("owners");
        let folders = |mode, path: &Path| DirBuilder::new().recursive(true).mode(mode).create(path);
        let made = folders(0o711, state_dir).and_then(|()| folders(0o700, &folder));
        made.map_err(DockerError::file("can't create the state folder", &folder))?;
        let path = state_dir.join("docker").join(NAME);
        let name = name(&path, first).map_err(DockerError::file("can't name the state folder in", &path))?;
        Ok(Self { folder, name })
    }

    /// The name that containers carry.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Enters an owner.
    pub(crate) fn enter(&self, id: OwnerId) -> Result<Owner, DockerError> {
        let folder = self.record(id);
        let unborn = self.folder.join(format!("{UNBORN}{id}"));
        // Locked before it has its name: nobody ever sees an owner that seems dead and is about to live.
        let lock = (|| {
            DirBuilder::new().recursive(true).mode(0o700).create(&unborn)?;
            let lock = lock(&unborn, true)?.ok_or_else(|| io::Error::from(io::ErrorKind::ResourceBusy))?;
            fs::rename(&unborn, &folder)?;
            Ok(lock)
        })()
        .map_err(DockerError::file("can't record the owner in", &folder))?;
        Ok(Owner {
            id,
            folder,
            retired: AtomicBool::new(false),
            living: watch::Sender::default(),
            end: watch::Sender::default(),
            _lock: lock,
        })
    }

    fn record(&self, owner: OwnerId) -> PathBuf {
        self.folder.join(owner.to_string())
    }

    /// Where the records of an owner's guests are.
    pub(crate) fn guests(&self, owner: OwnerId) -> PathBuf {
        self.record(owner).join(GUESTS)
    }

    /// Lists all owners on record.
    pub(crate) fn list(&self) -> Result<Vec<OwnerStatus>, DockerError> {
        let entries = fs::read_dir(&self.folder);
        let entries = entries.map_err(DockerError::file("can't list the owners in", &self.folder))?;
        let mut owners = Vec::new();
        for entry in entries.filter_map(Result::ok) {
            let Some(owner) = entry.file_name().to_str().and_then(|it| it.parse().ok()) else { continue };
            // What can't be told is taken for alive: nothing of it will be touched.
            let alive = !matches!(lock(&entry.path(), false), Ok(Some(_)));
            owners.push(OwnerStatus { owner, alive });
        }
        Ok(owners)
    }

    /// Locks a dead owner's record, so that two engines do not reap it at the same time. `None` if there is
    /// no record of it.
    pub(crate) fn take_over(&self, owner: OwnerId) -> Result<Option<File>, DockerError> {
        let record = self.record(owner);
        match lock(&record, false) {
            Ok(Some(lock)) => Ok(Some(lock)),
            Ok(None) => Err(DockerError::Alive(owner)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(DockerError::File { action: "can't lock the record", path: record, source }),
        }
    }

    /// Removes the record of an owner of which nothing is left. Says whether there was one.
    pub(crate) fn forget(&self, owner: OwnerId) -> Result<bool, DockerError> {
        let record = self.record(owner);
        match fs::remove_dir_all(&record) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(DockerError::File { action: "can't remove the record", path: record, source }),
        }
    }
}

impl Owner {
    /// What the container with this number is called.
    pub(crate) fn container_name(&self, number: u64) -> String {
        format!("script-engine-{}-{number}", self.id)
    }

    /// Counts a container as living until what is given is dropped. The receiver hears when it is to end.
    pub(crate) fn register(self: &Arc<Self>, name: &str) -> (Living, watch::Receiver<u64>) {
        let end = self.end.subscribe();
        self.living.send_modify(|it| {
            it.insert(name.to_owned());
        });
        (Living { owner: Arc::clone(self), name: name.to_owned() }, end)
    }

    /// Ends all containers of this engine and waits until they are cleared up. Gives their names.
    pub(crate) async fn end_all(&self) -> Result<BTreeSet<String>, DockerError> {
        let mut living = self.living.subscribe();
        let names = living.borrow().clone();
        self.end.send_modify(|it| *it += 1);
        let gone = living.wait_for(|it| it.is_disjoint(&names));
        match tokio::time::timeout(END_ALL_WITHIN, gone).await {
            Ok(_) => Ok(names),
            Err(_) => Err(DockerError::Left { name: format!("{names:?}"), what: "they do not end".to_owned() }),
        }
    }

    /// Has the record removed when nobody holds it any more: when nothing is left of what it stands for.
    pub(crate) fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }
}

/// One container that is not cleared up yet.
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
        // Not retired, or with guests, it stays for whoever reaps what may be left.
        let guests = fs::read_dir(self.folder.join(GUESTS)).is_ok_and(|mut it| it.next().is_some());
        if *self.retired.get_mut()
            && !guests
            && let Err(error) = fs::remove_dir_all(&self.folder)
        {
            tracing::warn!(owner = %self.id, %error, "the owner's record could not be removed");
        }
    }
}

/// Reads the name of a state folder, or gives it one.
fn name(path: &Path, first: OwnerId) -> io::Result<String> {
    let fresh = path.with_extension(first.to_string());
    File::create(&fresh)?.write_all(first.to_string().as_bytes())?;
    // A name that is there is never written over, and nobody ever reads half of one.
    let named = match fs::hard_link(&fresh, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => fs::read_to_string(path),
    };
    fs::remove_file(&fresh)?;
    named
}

/// Locks the file of an owner's folder; `None` if somebody else has it locked.
fn lock(folder: &Path, create: bool) -> io::Result<Option<File>> {
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create(create).truncate(false).mode(0o600).open(folder.join(LOCK))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            Self(std::env::temp_dir().join(format!("script-engine-docker-{name}-{}", std::process::id())))
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    fn owner(bits: u128) -> OwnerId {
        OwnerId::from_bits(bits)
    }

    #[test]
    fn a_state_folder_keeps_its_first_name() {
        let folder = Folder::new("name");
        let first = Owners::open(&folder.0, owner(1)).unwrap();
        let second = Owners::open(&folder.0, owner(2)).unwrap();
        assert_eq!(first.name(), owner(1).to_string());
        assert_eq!(second.name(), first.name());
        assert_eq!(fs::read_dir(folder.0.join("docker")).unwrap().count(), 2);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder.0), mode(&folder.0.join("docker"))), (0o711, 0o700));
    }

    #[test]
    fn a_held_record_is_alive_and_a_dropped_one_is_dead() {
        let folder = Folder::new("alive");
        let owners = Owners::open(&folder.0, owner(1)).unwrap();
        let held = owners.enter(owner(1)).unwrap();
        drop(owners.enter(owner(2)).unwrap());
        let retired = owners.enter(owner(3)).unwrap();
        retired.retire();
        drop(retired);
        let mut found: Vec<(OwnerId, bool)> = owners.list().unwrap().iter().map(|it| (it.owner, it.alive)).collect();
        found.sort();
        assert_eq!(found, [(owner(1), true), (owner(2), false)]);
        assert!(matches!(owners.take_over(owner(1)), Err(DockerError::Alive(_))));
        assert!(owners.take_over(owner(2)).unwrap().is_some());
        assert!(owners.take_over(owner(4)).unwrap().is_none());
        assert!(owners.forget(owner(2)).unwrap());
        assert!(!owners.forget(owner(2)).unwrap());
        drop(held);
    }
}
