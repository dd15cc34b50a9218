//! Who made what: a folder per owner with a locked file in it, which proves that the engine lives, and the names of
//! what a living one has. What else a backend marks with the owner's id, and how that is removed, is its own.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use crate::contract::OwnerStatus;
use crate::{Error, ErrorKind, OwnerId, Result, Retry};

const LOCK: &str = "lock";
/// What an owner's folder is called until it is locked.
const UNBORN: &str = "new-";

/// Keeps the records of the owners that share a state folder.
#[derive(Clone, Debug)]
pub struct OwnerRecords(PathBuf);

/// Is an engine's own record: alive for as long as it is held.
#[derive(Debug)]
pub struct Owner {
    id: OwnerId,
    folder: PathBuf,
    retired: AtomicBool,
    remove: fn(&Path) -> io::Result<()>,
    /// What this engine has and has not cleared up yet, by name.
    living: watch::Sender<BTreeSet<String>>,
    /// Counts how often all of it was told to end.
    end: watch::Sender<u64>,
    _lock: OwnerLock,
}

/// Proves that a record's owner lives, or that somebody removes what a dead one left.
#[derive(Debug)]
pub struct OwnerLock(File);

/// Is one thing that is not cleared up yet. Keeps its owner's record.
#[derive(Debug)]
pub struct Living {
    owner: Arc<Owner>,
    name: String,
}

impl OwnerRecords {
    /// Keeps records in a folder that is there.
    #[must_use]
    pub fn at(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// Gives the folder of an owner's record.
    #[must_use]
    pub fn folder(&self, owner: OwnerId) -> PathBuf {
        self.0.join(owner.to_string())
    }

    /// Records an owner. `make` makes the folder it is given, and all that is to be in it from the start; `remove`
    /// removes such a folder once its owner is retired. Fails with `Unavailable` if the folder can't be made; nothing is
    /// left of it then.
    pub fn enter(
        &self,
        id: OwnerId,
        make: impl FnOnce(&Path) -> io::Result<()>,
        remove: fn(&Path) -> io::Result<()>,
    ) -> Result<Owner> {
        let folder = self.folder(id);
        let unborn = self.0.join(format!("{UNBORN}{id}"));
        // Locked before it has its name: nobody ever sees an owner that seems dead and is about to live.
        let locked = make(&unborn).and_then(|()| {
            let lock = lock(&unborn, true)?.ok_or_else(|| io::Error::from(io::ErrorKind::ResourceBusy))?;
            fs::rename(&unborn, &folder)?;
            Ok(lock)
        });
        let lock = locked.map_err(|error| {
            // Locked by another one, it is about to be that one's record.
            if error.kind() != io::ErrorKind::ResourceBusy {
                drop(remove(&unborn));
            }
            unusable("can't record the owner", &folder, error)
        })?;
        Ok(Owner {
            id,
            folder,
            retired: AtomicBool::new(false),
            remove,
            living: watch::Sender::default(),
            end: watch::Sender::default(),
            _lock: lock,
        })
    }

    /// Lists all owners on record. One that died while it was starting a program counts as alive until that program
    /// has begun: it holds a copy of the lock up to there. Fails with `Unavailable` if the folder can't be read.
    pub fn list(&self) -> Result<Vec<OwnerStatus>> {
        let entries = fs::read_dir(&self.0).map_err(|it| unusable("can't list the owners", &self.0, it))?;
        let mut owners = Vec::new();
        for entry in entries.filter_map(io::Result::ok) {
            let Some(owner) = entry.file_name().to_str().and_then(|it| it.parse().ok()) else { continue };
            // What can't be told is taken for alive: nothing of it will be touched.
            let alive = !matches!(lock(&entry.path(), false), Ok(Some(_)));
            owners.push(OwnerStatus { owner, alive });
        }
        Ok(owners)
    }

    /// Locks a dead owner's record, so that two engines do not reap it at the same time. `None` if there is no record
    /// of it. Fails with `Conflict` if it lives.
    pub fn take_over(&self, owner: OwnerId) -> Result<Option<OwnerLock>> {
        let folder = self.folder(owner);
        match lock(&folder, false) {
            Ok(Some(lock)) => Ok(Some(lock)),
            Ok(None) => {
                let message = format!("owner {owner} lives: only its own engine may remove what it has");
                Err(Error::new(ErrorKind::Conflict, message))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unusable("can't lock the record", &folder, error)),
        }
    }
}

impl Owner {
    /// Gives the owner's id.
    #[must_use]
    pub fn id(&self) -> OwnerId {
        self.id
    }

    /// Gives the folder of its record.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Counts something as living until what is given is dropped. The receiver hears when it is to end.
    pub fn register(self: &Arc<Self>, name: &str) -> (Living, watch::Receiver<u64>) {
        let end = self.end.subscribe();
        self.living.send_modify(|it| {
            it.insert(name.to_owned());
        });
        (Living { owner: Arc::clone(self), name: name.to_owned() }, end)
    }

    /// Ends all that this engine has and waits until it is cleared up. Gives the names. Fails with `Unavailable` if
    /// something is left after `within`. Given up, what was told to end still does.
    pub async fn end_all(&self, within: Duration) -> Result<BTreeSet<String>> {
        let mut living = self.living.subscribe();
        let names = living.borrow().clone();
        self.end.send_modify(|it| *it += 1);
        let gone = living.wait_for(|it| it.is_disjoint(&names));
        if tokio::time::timeout(within, gone).await.is_ok() {
            return Ok(names);
        }
        let left: Vec<String> = self.living.borrow().intersection(&names).cloned().collect();
        let message = format!("something is left of {}: it does not end", left.join(", "));
        Err(Error::new(ErrorKind::Unavailable, message).with_retry(Retry::Maybe { after: None }))
    }

    /// Has the record removed when nobody holds it any more: when nothing is left of what it stands for.
    pub fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // Not retired, it stays for whoever reaps what may be left.
        if *self.retired.get_mut()
            && let Err(error) = (self.remove)(&self.folder)
        {
            tracing::warn!(owner = %self.id, %error, "the owner's record could not be removed");
        }
    }
}

impl Drop for Living {
    fn drop(&mut self) {
        self.owner.living.send_modify(|it| {
            it.remove(&self.name);
        });
    }
}

impl Drop for OwnerLock {
    fn drop(&mut self) {
        // By name: a program that is just being started holds a copy of the descriptor, and with it the lock.
        if let Err(error) = self.0.unlock() {
            tracing::warn!(%error, "an owner's record could not be unlocked");
        }
    }
}

/// Locks the file of an owner's folder; `None` if somebody else has it locked.
fn lock(folder: &Path, create: bool) -> io::Result<Option<OwnerLock>> {
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create(create).truncate(false).mode(0o600).open(folder.join(LOCK))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(OwnerLock(file))),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn unusable(what: &str, path: &Path, error: io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, format!("{what} in {}: {error}", path.display()))
        .with_retry(Retry::Maybe { after: None })
        .with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("script-engine-owner-{name}-{}", std::process::id()));
            fs::create_dir(&folder).unwrap();
            Self(folder)
        }

        fn records(&self) -> OwnerRecords {
            OwnerRecords::at(self.0.clone())
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    fn id(bits: u128) -> OwnerId {
        OwnerId::from_bits(bits)
    }

    fn enter(records: &OwnerRecords, bits: u128) -> Owner {
        records.enter(id(bits), |it| fs::create_dir(it), |it| fs::remove_dir_all(it)).unwrap()
    }

    fn found(records: &OwnerRecords) -> Vec<(OwnerId, bool)> {
        let mut found: Vec<_> = records.list().unwrap().iter().map(|it| (it.owner, it.alive)).collect();
        found.sort();
        found
    }

    #[test]
    fn the_living_and_the_dead_are_told_apart() {
        let folder = Folder::new("alive");
        let records = folder.records();
        let held = enter(&records, 1);
        drop(enter(&records, 2));
        let retired = enter(&records, 3);
        retired.retire();
        drop(retired);
        // One that is not born yet is none.
        fs::create_dir(folder.0.join(format!("{UNBORN}{}", id(4)))).unwrap();
        assert_eq!(found(&records), [(id(1), true), (id(2), false)]);
        drop(held);
        assert_eq!(found(&records), [(id(1), false), (id(2), false)]);
    }

    #[test]
    fn one_takes_over_from_the_dead_alone() {
        let folder = Folder::new("heir");
        let records = folder.records();
        let held = enter(&records, 1);
        let error = records.take_over(id(1)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(error.to_string().contains("lives: only its own engine"), "{error}");
        drop(held);
        let heir = records.take_over(id(1)).unwrap().unwrap();
        assert_eq!(records.take_over(id(1)).unwrap_err().kind(), ErrorKind::Conflict);
        drop(heir);
        assert!(records.take_over(id(1)).unwrap().is_some());
        assert!(records.take_over(id(2)).unwrap().is_none());
    }

    #[test]
    fn who_can_not_be_recorded_is_told_why() {
        let folder = Folder::new("full");
        let records = folder.records();
        let refuse = |it: &Path| fs::create_dir(it).and(Err(io::Error::from(io::ErrorKind::StorageFull)));
        let error = records.enter(id(1), refuse, |it| fs::remove_dir_all(it)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains("can't record the owner in "), "{error}");
        assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 0);
    }

    #[test]
    fn one_that_is_being_born_is_left_alone() {
        let folder = Folder::new("twin");
        let records = folder.records();
        let unborn = folder.0.join(format!("{UNBORN}{}", id(1)));
        fs::create_dir(&unborn).unwrap();
        let twin = lock(&unborn, true).unwrap().unwrap();
        assert!(records.enter(id(1), |it| fs::create_dir_all(it), |it| fs::remove_dir_all(it)).is_err());
        assert!(unborn.join(LOCK).exists());
        drop(twin);
    }

    #[tokio::test(start_paused = true)]
    async fn all_that_lives_is_told_to_end_and_waited_for() {
        let folder = Folder::new("end");
        let owner = Arc::new(enter(&folder.records(), 1));
        let (living, mut end) = owner.register("first");
        let ended = tokio::spawn(async move {
            end.changed().await.unwrap();
            drop(living);
        });
        assert_eq!(owner.end_all(Duration::from_secs(1)).await.unwrap(), BTreeSet::from(["first".to_owned()]));
        ended.await.unwrap();
        let (_deaf, _end) = owner.register("second");
        let error = owner.end_all(Duration::from_secs(1)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains("something is left of second"), "{error}");
    }

    #[test]
    fn a_record_is_kept_by_what_lives() {
        let folder = Folder::new("kept");
        let records = folder.records();
        let owner = Arc::new(enter(&records, 1));
        let (living, _end) = owner.register("last");
        owner.retire();
        drop(owner);
        assert_eq!(found(&records), [(id(1), true)]);
        drop(living);
        assert_eq!(found(&records), []);
    }
}
