//! The folder that binds lead to: written aside and put in place by one step, closed to others of the machine and open
//! to whoever is in the container.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use super::Mounts;
use crate::{Error, ErrorKind, JobFile, Result};

/// Only the owner gets to what is in it; a bind leads past it.
const CLOSED: u32 = 0o700;
/// What anybody may read, by whatever user a container has.
const OPEN: u32 = 0o755;
const READ: u32 = 0o444;
const READ_AND_EXECUTE: u32 = 0o555;
/// Folders that calls at the same time may write aside.
const ASIDE: u32 = 1000;

/// The folder of the mounts `name` in `into`.
fn place(into: &Path, name: &str) -> PathBuf {
    into.join(name)
}

pub(super) fn scripts(into: &Path, name: &str) -> PathBuf {
    place(into, name).join("scripts")
}

pub(super) fn packages(into: &Path, name: &str) -> PathBuf {
    place(into, name).join("packages")
}

/// Writes the folder and gives its path. On `Err` nothing of it is left.
pub(super) fn write(of: &Mounts, into: &Path) -> Result<PathBuf> {
    let place = place(into, &of.name);
    let fail = |error: io::Error| {
        let message = format!("can't write the mounts into {}: {error}", into.display());
        Error::new(ErrorKind::Unavailable, message).with_source(error)
    };
    let parents = Parents::make(into).map_err(fail)?;
    let aside = Aside::make(into, &of.name).map_err(fail)?;
    fill(of, &aside.0).map_err(fail)?;
    match fs::rename(&aside.0, &place) {
        Ok(()) => {}
        Err(error) if matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotADirectory) => {
            if !same(&aside.0, &place).map_err(fail)? {
                let message = format!("into: {} is there and is something else; remove it", place.display());
                return Err(Error::new(ErrorKind::AlreadyExists, message));
            }
        }
        Err(error) => return Err(fail(error)),
    }
    parents.keep();
    Ok(place)
}

fn fill(of: &Mounts, folder: &Path) -> io::Result<()> {
    let scripts = folder.join("scripts");
    open_folder(&scripts)?;
    for JobFile { path, content, executable } in &of.files {
        let mut at = scripts.clone();
        let parts: Vec<&str> = path.as_str().split('/').collect();
        let (name, above) = parts.split_last().ok_or(io::ErrorKind::InvalidInput)?;
        for part in above {
            at.push(part);
            if !at.is_dir() {
                open_folder(&at)?;
            }
        }
        let mut file = new_file(&at.join(name))?;
        file.write_all(content)?;
        finish(&file, *executable)?;
    }
    match &of.packages {
        Some(packages) => copy(&packages.layer.path, &folder.join("packages")),
        None => Ok(()),
    }
}

/// Copies a tree. Links are copied as what they say; nothing is followed.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    open_folder(to)?;
    let mut ahead = vec![(from.to_owned(), to.to_owned())];
    while let Some((from, to)) = ahead.pop() {
        for entry in fs::read_dir(&from)? {
            let entry = entry?;
            let (source, target) = (entry.path(), to.join(entry.file_name()));
            let found = fs::symlink_metadata(&source)?;
            if found.is_dir() {
                open_folder(&target)?;
                ahead.push((source, target));
            } else if found.is_symlink() {
                symlink(fs::read_link(&source)?, &target)?;
            } else if found.is_file() {
                let mut file = new_file(&target)?;
                io::copy(&mut File::open(&source)?, &mut file)?;
                finish(&file, found.permissions().mode() & 0o111 != 0)?;
            } else {
                let text = format!("{} is neither a file nor a folder nor a link", source.display());
                return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
            }
        }
    }
    Ok(())
}

fn open_folder(path: &Path) -> io::Result<()> {
    fs::create_dir(path)?;
    // Whatever the host's mask is.
    fs::set_permissions(path, Permissions::from_mode(OPEN))
}

fn new_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn finish(file: &File, executable: bool) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(if executable { READ_AND_EXECUTE } else { READ }))
}

/// Whether a tree is what another is: the same owner, modes, names and bytes.
fn same(one: &Path, other: &Path) -> io::Result<bool> {
    let mut ahead = vec![(one.to_owned(), other.to_owned())];
    while let Some((one, other)) = ahead.pop() {
        let (a, b) = (fs::symlink_metadata(&one)?, fs::symlink_metadata(&other)?);
        if (a.mode(), a.uid()) != (b.mode(), b.uid()) {
            return Ok(false);
        }
        if a.is_dir() {
            let names = names(&one)?;
            if names != self::names(&other)? {
                return Ok(false);
            }
            ahead.extend(names.iter().map(|it| (one.join(it), other.join(it))));
        } else if a.is_symlink() {
            if fs::read_link(&one)? != fs::read_link(&other)? {
                return Ok(false);
            }
        } else if a.len() != b.len() || !same_bytes(&mut File::open(&one)?, &mut File::open(&other)?)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn names(folder: &Path) -> io::Result<Vec<std::ffi::OsString>> {
    let mut names: Vec<_> = fs::read_dir(folder)?.map(|it| Ok(it?.file_name())).collect::<io::Result<_>>()?;
    names.sort();
    Ok(names)
}

fn same_bytes(one: &mut impl Read, other: &mut impl Read) -> io::Result<bool> {
    const PIECE: u64 = 64 << 10;
    loop {
        let (mut a, mut b) = (Vec::new(), Vec::new());
        one.by_ref().take(PIECE).read_to_end(&mut a)?;
        other.by_ref().take(PIECE).read_to_end(&mut b)?;
        if a != b || a.is_empty() {
            return Ok(a == b);
        }
    }
}

/// A folder beside the place, which goes away unless it was put there.
struct Aside(PathBuf);

impl Aside {
    fn make(into: &Path, name: &str) -> io::Result<Self> {
        for number in 0..ASIDE {
            let path = into.join(format!(".{name}.{number}"));
            match DirBuilder::new().mode(CLOSED).create(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other(format!("{ASIDE} unfinished folders of {name} are in it; remove them")))
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // After the rename it is not there.
        drop(fs::remove_dir_all(&self.0));
    }
}

/// Folders that had to be made above the place; without `keep` they go away.
struct Parents(Vec<PathBuf>);

impl Parents {
    fn make(into: &Path) -> io::Result<Self> {
        let missing: Vec<&Path> = into.ancestors().take_while(|it| fs::symlink_metadata(it).is_err()).collect();
        let mut made = Self(Vec::new());
        for path in missing.into_iter().rev() {
            match DirBuilder::new().mode(CLOSED).create(path) {
                Ok(()) => made.0.push(path.to_owned()),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Ok(made)
    }

    fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for Parents {
    fn drop(&mut self) {
        for path in self.0.iter().rev() {
            // One that somebody else uses meanwhile stays.
            drop(fs::remove_dir(path));
        }
    }
}
