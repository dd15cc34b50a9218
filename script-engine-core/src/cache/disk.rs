//! The compile cache's second level: a folder, bounded by bytes, verified on each read. Engines may
//! share it.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;

use crate::contract::CompiledCache;
use crate::{Digest, Error, ErrorKind, Result};

/// The length of a digest's text, which a file begins with.
const DIGEST: usize = 64;

/// Keeps each value in a file whose name is the key and which begins with the value's digest.
#[derive(Clone, Debug)]
pub struct DiskCache(Arc<Folder>);

#[derive(Debug)]
struct Folder {
    path: PathBuf,
    max_bytes: u64,
    numbers: AtomicU64,
}

impl DiskCache {
    /// Opens the cache in `folder`, which is made, for the engine's user alone, if it is not there. Fails
    /// with `Unavailable` if it can't be used.
    pub fn open(folder: impl Into<PathBuf>, max_bytes: u64) -> Result<Self> {
        let path = folder.into();
        DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(|it| unusable(&path, it))?;
        Ok(Self(Arc::new(Folder { path, max_bytes, numbers: AtomicU64::new(0) })))
    }

    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce(&Folder) -> Result<T> + Send + 'static) -> Result<T> {
        let folder = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || work(&folder))
            .await
            .map_err(|error| Error::internal("work on the compile cache did not end").with_source(error))?
    }
}

#[async_trait]
impl CompiledCache for DiskCache {
    async fn find(&self, key: Digest) -> Result<Option<Bytes>> {
        self.blocking(move |folder| folder.find(key)).await
    }

    async fn put(&self, key: Digest, value: Bytes) -> Result<()> {
        self.blocking(move |folder| folder.put(key, &value)).await
    }
}

impl Folder {
    fn find(&self, key: Digest) -> Result<Option<Bytes>> {
        let path = self.path.join(key.to_string());
        let content = match fs::read(&path) {
            Ok(content) => Bytes::from(content),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unusable(&path, error)),
        };
        let value = content.get(DIGEST..).map(|_| content.slice(DIGEST..));
        match value.filter(|it| content[..DIGEST] == *Digest::of(it).to_string().as_bytes()) {
            Some(value) => {
                touch(&path, &content[..DIGEST]);
                Ok(Some(value))
            }
            None => {
                tracing::warn!(path = %path.display(), "a compiled form has changed and is made again");
                fs::remove_file(&path).map_err(|it| unusable(&path, it))?;
                Ok(None)
            }
        }
    }

    fn put(&self, key: Digest, value: &[u8]) -> Result<()> {
        let path = self.path.join(key.to_string());
        if path.exists() || value.len() as u64 > self.max_bytes {
            return Ok(());
        }
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let stage = self.path.join(format!(".{key}-{}-{number}", std::process::id()));
        let content = [Digest::of(value).to_string().as_bytes(), value].concat();
        if let Err(error) = fs::write(&stage, content).and_then(|()| fs::rename(&stage, &path)) {
            // What is half written is found by nobody, and goes with the oldest if it can't be removed now.
            drop(fs::remove_file(&stage));
            return Err(unusable(&path, error));
        }
        self.keep_within(&path)
    }

    /// Removes the files that were used longest ago until the rest fits, never `fresh`.
    fn keep_within(&self, fresh: &Path) -> Result<()> {
        let mut found: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(|it| unusable(&self.path, it))?.flatten() {
            // One that is gone already was removed by another engine.
            if let Ok(about) = entry.metadata() {
                let used = about.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                found.push((used, about.len().saturating_sub(DIGEST as u64), entry.path()));
            }
        }
        found.sort();
        let mut total: u64 = found.iter().map(|it| it.1).sum();
        for (_, bytes, path) in found {
            if total <= self.max_bytes {
                break;
            }
            if path != fresh {
                match fs::remove_file(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unusable(&path, error)),
                    _ => total -= bytes,
                }
            }
        }
        Ok(())
    }
}

/// Marks a file as used: writing what is there already changes nothing but its time. One that can't be
/// marked goes sooner.
fn touch(path: &Path, beginning: &[u8]) {
    if let Ok(mut file) = File::options().write(true).open(path) {
        drop(file.write_all(beginning));
    }
}

fn unusable(path: &Path, error: io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "the folder of compiled forms can't be used; see to its room and rights")
        .with_context("path", path.display())
        .with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Self {
            Self(std::env::temp_dir().join(format!("script-engine-disk-cache-{name}-{}", std::process::id())))
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    fn key(n: u8) -> Digest {
        Digest::of(&[n])
    }

    #[tokio::test]
    async fn a_value_outlives_its_cache_and_a_changed_one_does_not() {
        let place = Place::new("keeps");
        let cache = DiskCache::open(&place.0, 1 << 20).unwrap();
        assert_eq!(cache.find(key(1)).await.unwrap(), None);
        for value in [&b"value"[..], b""] {
            cache.put(Digest::of(value), Bytes::copy_from_slice(value)).await.unwrap();
            let again = DiskCache::open(&place.0, 1 << 20).unwrap();
            assert_eq!(again.find(Digest::of(value)).await.unwrap().unwrap(), value);
        }
        let path = place.0.join(Digest::of(b"value").to_string());
        let whole = fs::read(&path).unwrap();
        for changed in [&whole[..whole.len() - 1], &whole[..40], b"", &[&whole[..], b"x"].concat()] {
            fs::write(&path, changed).unwrap();
            assert_eq!(cache.find(Digest::of(b"value")).await.unwrap(), None);
            assert!(!path.exists());
        }
    }

    #[tokio::test]
    async fn what_was_used_longest_ago_goes_first() {
        let place = Place::new("bounded");
        let cache = DiskCache::open(&place.0, 250).unwrap();
        for n in [1, 2] {
            cache.put(key(n), Bytes::from(vec![n; 100])).await.unwrap();
            let file = File::options().write(true).open(place.0.join(key(n).to_string())).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(n.into())).unwrap();
        }
        assert!(cache.find(key(1)).await.unwrap().is_some());
        cache.put(key(3), Bytes::from(vec![3; 100])).await.unwrap();
        assert_eq!(cache.find(key(2)).await.unwrap(), None);
        assert!(cache.find(key(1)).await.unwrap().is_some());
        cache.put(key(4), Bytes::from(vec![4; 300])).await.unwrap();
        assert_eq!(cache.find(key(4)).await.unwrap(), None);
    }
}
