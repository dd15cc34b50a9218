//! The tree of a layer as data: what an archive says, what lies on disk, and whether the two are the same.
//!
//! Everything in an archive is hostile: it comes out of a sandbox that ran an ecosystem's tools over
//! packages. Nothing is written outside the tree, and what lies there later is only ever read.

use std::collections::BTreeMap;
use std::fs::{self, DirEntry, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use script_engine_core::{Digest, Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use tar::{Archive, EntryType};

/// Entries of one tree, bytes of one path, and bytes of all files.
const MAX_ENTRIES: usize = 300_000;
const MAX_PATH: usize = 1024;
const MAX_BYTES: u64 = 4 << 30;
const PIECE: usize = 64 << 10;
/// When all files are said to have been made, so that what is made of one tree fits another like it: a day that every
/// format has, in seconds after 1970.
const MADE: Duration = Duration::from_secs(365 * 24 * 60 * 60 * 10);

/// What is at one path of a tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Node {
    Folder,
    File { bytes: u64, executable: bool, sha256: Digest },
    Link { target: PathBuf },
}

/// A tree by relative path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tree(pub(super) BTreeMap<PathBuf, Node>);

impl Tree {
    /// Names, modes and contents of everything as one digest.
    pub(super) fn digest(&self) -> Result<Digest> {
        serde_json::to_vec(self)
            .map(|it| Digest::of(&it))
            .map_err(|error| Error::internal("a tree can't be written down").with_source(error))
    }

    /// Bytes of all files.
    pub(super) fn bytes(&self) -> u64 {
        self.0.values().map(|it| if let Node::File { bytes, .. } = it { *bytes } else { 0 }).sum()
    }

    /// Unpacks an uncompressed tar archive into the empty folder `root`. On `Err` the folder may hold
    /// a part of it.
    pub(super) fn unpack(archive: impl Read, root: &Path) -> Result<Self> {
        Self::default().with(archive, root)
    }

    /// Unpacks one archive more into the folder `root`, which holds this tree, and nothing over what is there.
    pub(super) fn with(mut self, archive: impl Read, root: &Path) -> Result<Self> {
        let tree = &mut self;
        let mut total = tree.bytes();
        for entry in Archive::new(archive).entries().map_err(unreadable)? {
            let mut entry = entry.map_err(unreadable)?;
            let kind = entry.header().entry_type();
            let path = plain(&entry.path().map_err(unreadable)?)?;
            if path.as_os_str().is_empty() {
                continue;
            }
            tree.admit(&path)?;
            tree.make_folders(path.parent(), root)?;
            let at = root.join(&path);
            let node = match kind {
                EntryType::Directory => {
                    if tree.0.get(&path) == Some(&Node::Folder) {
                        continue;
                    }
                    make_folder(&at)?;
                    Node::Folder
                }
                _ if tree.0.contains_key(&path) => return Err(refused(&path, "is a folder, and something else too")),
                EntryType::Regular | EntryType::Continuous => {
                    total += entry.size();
                    if total > MAX_BYTES {
                        return Err(refused(&path, "is beyond the size that a layer may have"));
                    }
                    let executable = entry.header().mode().map_err(unreadable)? & 0o111 != 0;
                    write_file(&mut entry, &at, executable)?
                }
                EntryType::Link => {
                    let target = entry.link_name().map_err(unreadable)?.map(|it| plain(&it)).transpose()?;
                    let target = target.filter(|it| matches!(tree.0.get(it), Some(Node::File { .. })));
                    let target = target.ok_or_else(|| refused(&path, "is a hard link to no file of the archive"))?;
                    let executable = matches!(tree.0.get(&target), Some(Node::File { executable: true, .. }));
                    let mut source = File::open(root.join(&target)).map_err(|it| unwritten(&at, it))?;
                    total += source.metadata().map_or(0, |it| it.len());
                    write_file(&mut source, &at, executable)?
                }
                EntryType::Symlink => {
                    let target = entry.link_name().map_err(unreadable)?.unwrap_or_default().into_owned();
                    if !stays_within(&path, &target) {
                        return Err(refused(&path, "is a link that leads out of the tree"));
                    }
                    symlink(&target, &at).map_err(|it| unwritten(&at, it))?;
                    Node::Link { target }
                }
                _ => return Err(refused(&path, "is neither file, folder nor link")),
            };
            tree.0.insert(path, node);
        }
        Ok(self)
    }

    /// Refuses what would come on top of something else, and too much.
    fn admit(&self, path: &Path) -> Result<()> {
        if self.0.len() >= MAX_ENTRIES {
            return Err(refused(path, "is one file more than a layer may have"));
        }
        match self.0.get(path) {
            None | Some(Node::Folder) => Ok(()),
            Some(Node::File { .. } | Node::Link { .. }) => Err(refused(path, "is there twice")),
        }
    }

    /// Makes the folders above an entry. None of them may be a link: it could lead anywhere by now.
    fn make_folders(&mut self, above: Option<&Path>, root: &Path) -> Result<()> {
        let Some(above) = above.filter(|it| !it.as_os_str().is_empty()) else { return Ok(()) };
        match self.0.get(above) {
            Some(Node::Folder) => return Ok(()),
            Some(Node::File { .. } | Node::Link { .. }) => return Err(refused(above, "is no folder, and used as one")),
            None => {}
        }
        self.make_folders(above.parent(), root)?;
        make_folder(&root.join(above))?;
        self.0.insert(above.to_owned(), Node::Folder);
        Ok(())
    }

    /// Reads the tree that lies at `root`. Fails with `Corrupted` at what no layer has.
    pub(super) fn read(root: &Path) -> Result<Self> {
        let mut tree = Self::default();
        walk(root, &mut |path, found| {
            let at = root.join(path);
            let node = if found.is_dir() {
                Node::Folder
            } else if found.is_symlink() {
                Node::Link { target: fs::read_link(&at)? }
            } else {
                let mut file = File::open(&at)?;
                let (bytes, sha256) = copy(&mut file, &mut io::sink())?;
                Node::File { bytes, executable: found.mode() & 0o111 != 0, sha256 }
            };
            tree.0.insert(path.to_owned(), node);
            Ok(())
        })
        .map_err(|error| unreadable_tree(root, error))?;
        Ok(tree)
    }
}

/// What the file system says of everything below `root`, contents apart, as one digest: as long as it
/// stays the same nothing was written there, for a change of contents changes `ctime`.
pub(super) fn fingerprint(root: &Path) -> Result<Digest> {
    let mut seen = Vec::new();
    walk(root, &mut |path, found| {
        seen.extend_from_slice(path.as_os_str().as_encoded_bytes());
        seen.push(0);
        for number in [u64::from(found.mode()), found.size(), found.ino(), found.nlink()] {
            seen.extend_from_slice(&number.to_le_bytes());
        }
        for number in [found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec()] {
            seen.extend_from_slice(&number.to_le_bytes());
        }
        Ok(())
    })
    .map_err(|error| unreadable_tree(root, error))?;
    Ok(Digest::of(&seen))
}

/// Visits everything below `root` in the order of names, links unfollowed.
fn walk(root: &Path, visit: &mut dyn FnMut(&Path, &fs::Metadata) -> io::Result<()>) -> io::Result<()> {
    let mut ahead = vec![PathBuf::new()];
    let mut count = 0;
    while let Some(folder) = ahead.pop() {
        // Asked through the folder: a run looks at each of thousands of files.
        let look = |it: DirEntry| it.metadata().map(|found| (it.file_name(), found));
        let mut entries: Vec<_> =
            fs::read_dir(root.join(&folder))?.map(|it| it.and_then(look)).collect::<io::Result<_>>()?;
        entries.sort_by(|one, other| one.0.cmp(&other.0));
        for (name, found) in entries {
            count += 1;
            if count > 2 * MAX_ENTRIES {
                return Err(io::Error::other("more files than a layer may have"));
            }
            let path = folder.join(name);
            visit(&path, &found)?;
            if found.is_dir() {
                ahead.push(path);
            } else if !found.is_file() && !found.is_symlink() {
                return Err(io::Error::other("something that is neither file, folder nor link"));
            }
        }
    }
    Ok(())
}

/// The path of an entry without a leading `./`; refuses everything that is not plain.
fn plain(path: &Path) -> Result<PathBuf> {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::Normal(name) => clean.push(name),
            _ => return Err(refused(path, "leads out of the tree")),
        }
    }
    if clean.as_os_str().len() > MAX_PATH || clean.to_str().is_none_or(|it| it.contains('\0')) {
        return Err(refused(path, "is too long or no text"));
    }
    Ok(clean)
}

/// Whether a link at `path` leads to a place in the tree, whatever is there.
fn stays_within(path: &Path, target: &Path) -> bool {
    if target.as_os_str().is_empty() || target.as_os_str().len() > MAX_PATH || target.to_str().is_none() {
        return false;
    }
    let mut depth = path.components().count().saturating_sub(1);
    for component in target.components() {
        match component {
            Component::CurDir => {}
            Component::Normal(_) => depth += 1,
            Component::ParentDir if depth > 0 => depth -= 1,
            _ => return false,
        }
    }
    true
}

fn make_folder(at: &Path) -> Result<()> {
    fs::create_dir(at)
        .and_then(|()| fs::set_permissions(at, Permissions::from_mode(0o755)))
        .map_err(|it| unwritten(at, it))
}

fn write_file(content: &mut impl Read, at: &Path, executable: bool) -> Result<Node> {
    let mode = if executable { 0o755 } else { 0o644 };
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(mode).open(at).map_err(|it| unwritten(at, it))?;
    let (bytes, sha256) = copy(content, &mut file).map_err(|it| unwritten(at, it))?;
    file.set_permissions(Permissions::from_mode(mode)).map_err(|it| unwritten(at, it))?;
    file.set_modified(UNIX_EPOCH + MADE).map_err(|it| unwritten(at, it))?;
    Ok(Node::File { bytes, executable, sha256 })
}

fn copy(from: &mut impl Read, to: &mut impl Write) -> io::Result<(u64, Digest)> {
    let mut hasher = Digest::hasher();
    let mut piece = vec![0; PIECE];
    let mut bytes = 0;
    loop {
        let count = from.read(&mut piece)?;
        if count == 0 {
            return Ok((bytes, hasher.finish()));
        }
        bytes += count as u64;
        hasher.update(&piece[..count]);
        to.write_all(&piece[..count])?;
    }
}

fn refused(path: &Path, problem: &str) -> Error {
    let shown: String = path.display().to_string().escape_debug().take(200).collect();
    Error::new(ErrorKind::InvalidRequest, format!("the packages hold a file that no layer may have: {shown} {problem}"))
}

fn unreadable(error: io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "the archive of the packages can't be read").with_source(error)
}

fn unwritten(at: &Path, error: io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "a file of the packages can't be written; see to room and rights in the folder")
        .with_context("path", at.display())
        .with_source(error)
}

fn unreadable_tree(root: &Path, error: io::Error) -> Error {
    Error::new(ErrorKind::Corrupted, "the folder with the packages can't be read")
        .with_context("path", root.display())
        .with_source(error)
}

#[cfg(test)]
mod tests;
