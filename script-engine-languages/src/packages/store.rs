//! Layers on disk: each in place whole or not at all, looked over whenever it is used, removed when room
//! is needed and nobody uses it. Engines may share the folder.
//!
//! ```text
//! layers/<key>.lock            held shared by whoever uses the layer, alone by whoever removes it
//! layers/<key>/tree/           the packages, which sandboxes see
//! layers/<key>/layer.json      what the tree was when it was made
//! layers/<key>/seen            the tree's fingerprint when its contents were last compared with that
//! making/<key>-<pid>-<n>/      a layer under way
//! ```

use std::collections::HashMap;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use script_engine_core::contract::DependencyLayer;
use script_engine_core::{Digest, Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use super::tree::{Tree, fingerprint};

/// The folder of layers.
#[derive(Debug)]
pub(super) struct LayerStore {
    layers: PathBuf,
    making: PathBuf,
    budget_bytes: u64,
    numbers: AtomicU64,
    known: Mutex<HashMap<Digest, Known>>,
}

/// What this process remembers of a layer that it has looked over, so that a description of thousands of
/// files is read once and not at each run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    lock: Digest,
    digest: Digest,
    tree: Digest,
    description: Identity,
}

/// What changes with a file that is written or replaced: its device, number, length and time of change.
type Identity = (u64, u64, u64, i64, i64);

/// Layers remembered at once; beyond that all are forgotten and looked over again.
const MAX_KNOWN: usize = 4096;

/// What is written down of a layer.
#[derive(Debug, Serialize, Deserialize)]
struct Made {
    format: u32,
    lock: Digest,
    digest: Digest,
    bytes: u64,
    tree: Tree,
}

const FORMAT: u32 = 1;

impl LayerStore {
    /// Opens the store in `folder`, which is made if it is not there, and removes what makers that died
    /// left. Fails with `Unavailable` if the folder can't be used or if sandboxes could not reach it.
    pub(super) fn open(folder: &Path, budget_bytes: u64) -> Result<Self> {
        let (layers, making) = (folder.join("layers"), folder.join("making"));
        for path in [&layers, &making] {
            DirBuilder::new().recursive(true).mode(0o755).create(path).map_err(|it| unusable(path, it))?;
        }
        reachable(&layers)?;
        let (numbers, known) = (AtomicU64::new(0), Mutex::default());
        let store = Self { layers, making, budget_bytes, numbers, known };
        store.clear_up()?;
        Ok(store)
    }

    /// Uses a layer that is in place and as it was made. `None` if there is none; one that has changed
    /// is removed first.
    pub(super) fn find(&self, key: Digest, lock: Digest) -> Result<Option<DependencyLayer>> {
        let guard = self.guard(&key.to_string())?;
        guard.lock_shared().map_err(|it| unusable(&self.layers, it))?;
        match self.seen(key, lock) {
            Ok(Some((digest, tree))) => {
                // What was used last is removed last.
                drop((&guard).write_all(b"\n"));
                Ok(Some(DependencyLayer { lock, digest, path: tree, hold: Arc::new(guard) }))
            }
            Ok(None) => Ok(None),
            Err(error) => {
                tracing::warn!(%error, %key, "a layer has changed and is made again");
                self.remove(&guard, key)?;
                Ok(None)
            }
        }
    }

    /// Unpacks an archive where a layer is made. It is gone when the result is dropped.
    pub(super) fn stage(&self, key: Digest, archive: &[u8]) -> Result<Staged> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let stage = Stage(self.making.join(format!("{key}-{}-{number}", std::process::id())));
        let root = stage.0.join("tree");
        DirBuilder::new().recursive(true).mode(0o755).create(&root).map_err(|it| unusable(&stage.0, it))?;
        let tree = Tree::unpack(archive, &root)?;
        Ok(Staged { stage, root, tree })
    }

    /// Puts a layer in place. A layer that somebody else put there meanwhile stays.
    pub(super) fn put(&self, key: Digest, lock: Digest, staged: Staged) -> Result<()> {
        let Staged { stage, root, tree } = staged;
        let (digest, bytes) = (tree.digest()?, tree.bytes());
        let made = Made { format: FORMAT, lock, digest, bytes, tree };
        let text = serde_json::to_vec(&made)
            .map_err(|error| Error::internal("a layer can't be written down").with_source(error))?;
        let write = |name: &str, content: &[u8]| {
            let path = stage.0.join(name);
            fs::write(&path, content).map_err(|it| unusable(&path, it))
        };
        write("layer.json", &text)?;
        write("seen", fingerprint(&root)?.to_string().as_bytes())?;
        let place = self.layers.join(key.to_string());
        match fs::rename(&stage.0, &place) {
            Ok(()) => {}
            // Somebody was quicker. What is there may be in use, and is looked over when it is.
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
            Err(error) => return Err(unusable(&place, error)),
        }
        self.keep_within_budget(key)
    }

    /// Where a layer is, and its digest, if it is as it was made. Fails with what is wrong with it.
    fn seen(&self, key: Digest, lock: Digest) -> Result<Option<(Digest, PathBuf)>> {
        let place = self.layers.join(key.to_string());
        let description = match fs::metadata(place.join("layer.json")) {
            Ok(found) => (found.dev(), found.ino(), found.len(), found.ctime(), found.ctime_nsec()),
            Err(_) if !place.exists() => return Ok(None),
            Err(error) => return Err(unusable(&place, error)),
        };
        let tree = place.join("tree");
        let now = fingerprint(&tree)?;
        let known = self.known().get(&key).copied();
        if let Some(known) = known.filter(|it| (it.lock, it.tree, it.description) == (lock, now, description)) {
            return Ok(Some((known.digest, tree)));
        }
        let digest = look_over(&place, lock, now)?;
        let mut known = self.known();
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        known.insert(key, Known { lock, digest, tree: now, description });
        Ok(Some((digest, tree)))
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Digest, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes a layer that nobody uses but who has this guard. Waits for nobody: one in use by another engine stays there.
    fn remove(&self, guard: &File, key: Digest) -> Result<()> {
        // The lock that is held becomes one alone (flock(2)). A lock that was let go and taken again would meet itself in a
        // program that is just being started, which has a copy of every descriptor until it is.
        if guard.try_lock().is_err() {
            return Err(Error::new(ErrorKind::Corrupted, "a layer has changed while it is in use; end what uses it")
                .with_context("layer", key));
        }
        self.remove_locked(&key.to_string())
    }

    fn remove_locked(&self, name: &str) -> Result<()> {
        // Out of the way first, so that what is half removed is found in no layer's place.
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let away = Stage(self.making.join(format!("{name}-{}-{number}", std::process::id())));
        let place = self.layers.join(name);
        match fs::rename(&place, &away.0) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(unusable(&place, error)),
        }
    }

    /// Removes the layers that were used longest ago until the rest fits; never `fresh` and never one in
    /// use.
    fn keep_within_budget(&self, fresh: Digest) -> Result<()> {
        let mut found: Vec<(SystemTime, u64, String)> = Vec::new();
        for entry in fs::read_dir(&self.layers).map_err(|it| unusable(&self.layers, it))?.flatten() {
            let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
            let Ok(text) = fs::read(entry.path().join("layer.json")) else { continue };
            let Ok(made) = serde_json::from_slice::<Made>(&text) else { continue };
            let used = fs::metadata(self.layers.join(format!("{name}.lock"))).and_then(|it| it.modified());
            found.push((used.unwrap_or(SystemTime::UNIX_EPOCH), made.bytes, name));
        }
        found.sort();
        let mut total: u64 = found.iter().map(|it| it.1).sum();
        for (_, bytes, name) in found {
            if total <= self.budget_bytes {
                break;
            }
            if name == fresh.to_string() {
                continue;
            }
            let guard = self.guard(&name)?;
            if guard.try_lock().is_ok() {
                self.remove_locked(&name)?;
                total -= bytes;
            }
        }
        Ok(())
    }

    fn guard(&self, key: &str) -> Result<File> {
        let path = self.layers.join(format!("{key}.lock"));
        File::options().create(true).truncate(false).write(true).open(&path).map_err(|it| unusable(&path, it))
    }

    /// Removes what is under way by nobody: a maker's process is in the name.
    fn clear_up(&self) -> Result<()> {
        for entry in fs::read_dir(&self.making).map_err(|it| unusable(&self.making, it))?.flatten() {
            let name = entry.file_name();
            let maker = name.to_str().and_then(|it| it.split('-').nth(1)).and_then(|it| it.parse::<u32>().ok());
            let lives = maker.is_some_and(|it| Path::new(&format!("/proc/{it}")).exists());
            if !lives {
                fs::remove_dir_all(entry.path()).map_err(|it| unusable(&entry.path(), it))?;
            }
        }
        Ok(())
    }
}

/// The digest of the layer at `place`, whose tree has the fingerprint `now`, if the layer is what its
/// description says: by the fingerprint of the last comparison, or else by its contents.
fn look_over(place: &Path, lock: Digest, now: Digest) -> Result<Digest> {
    let changed = |what| Error::new(ErrorKind::Corrupted, what).with_context("path", place.display());
    let text = fs::read(place.join("layer.json")).map_err(|it| unusable(place, it))?;
    let made: Made = serde_json::from_slice(&text)
        .map_err(|error| changed("the layer's description can't be read").with_source(error))?;
    if made.format != FORMAT || made.lock != lock || made.digest != made.tree.digest()? {
        return Err(changed("the layer's description is not its own"));
    }
    if fs::read_to_string(place.join("seen")).is_ok_and(|it| it == now.to_string()) {
        return Ok(made.digest);
    }
    if Tree::read(&place.join("tree"))? != made.tree {
        return Err(changed("the layer's files are not those that were put there"));
    }
    // Losing it costs another comparison.
    drop(fs::write(place.join("seen"), now.to_string()));
    Ok(made.digest)
}

/// A tree that has not got its place as a layer yet.
pub(super) struct Staged {
    stage: Stage,
    root: PathBuf,
    tree: Tree,
}

impl Staged {
    /// Where the tree is.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Adds what another archive has.
    pub(super) fn with(mut self, archive: &[u8]) -> Result<Self> {
        self.tree = self.tree.with(archive, &self.root)?;
        Ok(self)
    }
}

/// A folder that is removed unless it was moved into its place.
struct Stage(PathBuf);

impl Drop for Stage {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, path = %self.0.display(), "a layer under way could not be removed");
        }
    }
}

/// Sandboxes enter the folder as users of their own, where the host program is root.
fn reachable(folder: &Path) -> Result<()> {
    let own = fs::metadata(folder).map_err(|it| unusable(folder, it))?.uid();
    if own != 0 {
        return Ok(());
    }
    let folder = fs::canonicalize(folder).map_err(|it| unusable(folder, it))?;
    let closed = folder.ancestors().find(|it| fs::metadata(it).is_ok_and(|found| found.mode() & 0o001 == 0));
    match closed {
        None => Ok(()),
        Some(closed) => Err(Error::new(
            ErrorKind::Unavailable,
            format!(
                "sandboxes can't enter {}, so they could not read packages in {}; give a state folder that others may \
                 enter, such as one below /var/lib",
                closed.display(),
                folder.display()
            ),
        )),
    }
}

fn unusable(path: &Path, error: io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "the folder of the packages can't be used; see to its room and rights")
        .with_context("path", path.display())
        .with_source(error)
}

#[cfg(test)]
mod tests;
