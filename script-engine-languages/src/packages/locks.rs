//! Locks by what they were decided from, so that the same wish gives the same packages without asking an
//! index again.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use script_engine_core::packages::DependencyLock;
use script_engine_core::{Digest, Error, ErrorKind, Result};

/// Locks that are kept.
const MOST: usize = 10_000;

/// The folder of locks: a file for each, its name the key, its first line the digest of the rest.
#[derive(Debug)]
pub(super) struct LockCache {
    folder: PathBuf,
    numbers: AtomicU64,
}

impl LockCache {
    pub(super) fn open(folder: &Path) -> Result<Self> {
        let folder = folder.join("locks");
        DirBuilder::new().recursive(true).mode(0o755).create(&folder).map_err(|it| unusable(&folder, it))?;
        Ok(Self { folder, numbers: AtomicU64::new(0) })
    }

    /// Finds a lock. One that can't be read, or is not as it was written, is none.
    pub(super) fn find(&self, key: Digest) -> Option<DependencyLock> {
        let content = fs::read(self.path(key)).ok()?;
        let (digest, text) = content.split_at_checked(64)?;
        let lock = DependencyLock::from_json(text.strip_prefix(b"\n")?).ok()?;
        (lock.digest.to_string().as_bytes() == digest).then_some(lock)
    }

    /// Keeps a lock, and forgets old ones where there are too many.
    pub(super) fn put(&self, key: Digest, lock: &DependencyLock) -> Result<()> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let stage = self.folder.join(format!(".{key}-{}-{number}", std::process::id()));
        let content = format!("{}\n{}", lock.digest, lock.to_json()?);
        let written = fs::write(&stage, content).and_then(|()| fs::rename(&stage, self.path(key)));
        if let Err(error) = written {
            drop(fs::remove_file(&stage));
            return Err(unusable(&self.folder, error));
        }
        self.forget_old();
        Ok(())
    }

    fn path(&self, key: Digest) -> PathBuf {
        self.folder.join(key.to_string())
    }

    /// Losing one costs another look at the index, so what can't be removed stays.
    fn forget_old(&self) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        let mut found: Vec<_> =
            entries.flatten().filter_map(|it| Some((it.metadata().ok()?.modified().ok()?, it.path()))).collect();
        if found.len() > MOST {
            found.sort();
            for (_, path) in &found[..found.len() - MOST] {
                drop(fs::remove_file(path));
            }
        }
    }
}

fn unusable(path: &Path, error: io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "the folder of the locks can't be used; see to its room and rights")
        .with_context("path", path.display())
        .with_source(error)
}

#[cfg(test)]
mod tests {
    use script_engine_core::LanguageId;

    use super::*;

    #[test]
    fn a_lock_is_found_again_and_a_torn_one_is_not() {
        let folder = std::env::temp_dir().join(format!("script-engine-locks-{}", std::process::id()));
        let cache = LockCache::open(&folder).unwrap();
        let lock = DependencyLock::new(LanguageId::parse("go").unwrap(), "x".into(), vec![], vec![]).unwrap();
        let key = Digest::of(b"wish");
        assert_eq!(cache.find(key), None);
        cache.put(key, &lock).unwrap();
        assert_eq!(cache.find(key), Some(lock.clone()));
        let path = folder.join("locks").join(key.to_string());
        let whole = fs::read(&path).unwrap();
        for torn in [&whole[..whole.len() - 1], &whole[..64], b"", &[&whole[..], b" "].concat()[..64]] {
            fs::write(&path, torn).unwrap();
            assert_eq!(cache.find(key), None);
        }
        cache.put(key, &lock).unwrap();
        assert_eq!(cache.find(key), Some(lock));
        fs::remove_dir_all(&folder).unwrap();
    }
}
