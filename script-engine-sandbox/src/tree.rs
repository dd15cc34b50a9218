//! Removes a tree that a script made, whatever it is like: folders that nobody may enter, and folders
//! in folders a hundred thousand deep. The standard library's removal recurses, and holds a descriptor
//! for each level.

use std::ffi::{OsStr, OsString};
use std::fs::{self, Permissions};
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, open, openat, renameat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};

/// Names that are read of a folder before they are worked on.
const BATCH: usize = 1024;

/// Removes `path` and all below it; no fault if it is gone. Follows no links: every step starts from a
/// descriptor, and none goes down more than one level, for each folder is moved up first.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(found) if !found.is_dir() => return fs::remove_file(path),
        Ok(_) => {}
    }
    let top = opened(open(path, folder_flags(), Mode::empty())?)?;
    let mut moved = 0_u64;
    loop {
        let names = names(top.as_fd())?;
        if names.is_empty() {
            return match unlinkat(AT_FDCWD, path, UnlinkatFlags::RemoveDir) {
                Ok(()) | Err(Errno::ENOENT) => Ok(()),
                Err(error) => Err(error.into()),
            };
        }
        for name in names {
            if !is_unlinked(top.as_fd(), &name)? {
                empty(top.as_fd(), &name, &mut moved)?;
                unlinkat(&top, name.as_os_str(), UnlinkatFlags::RemoveDir)?;
            }
        }
    }
}

/// Empties the folder `name` of `top`: moves the folders in it to `top` and unlinks the rest.
fn empty(top: BorrowedFd<'_>, name: &OsStr, moved: &mut u64) -> io::Result<()> {
    let folder = opened(openat(top, name, folder_flags(), Mode::empty())?)?;
    loop {
        let names = names(folder.as_fd())?;
        if names.is_empty() {
            return Ok(());
        }
        for name in names {
            if is_unlinked(folder.as_fd(), &name)? {
                continue;
            }
            // To be moved it must be writable, for its `..` changes.
            drop(opened(openat(&folder, name.as_os_str(), folder_flags(), Mode::empty())?)?);
            loop {
                *moved += 1;
                match renameat(&folder, name.as_os_str(), top, format!(".{moved}").as_str()) {
                    Ok(()) => break,
                    // The script has one of that name, with something in it, or a file.
                    Err(Errno::ENOTEMPTY | Errno::EEXIST | Errno::ENOTDIR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
    }
}

fn folder_flags() -> OFlag {
    OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC
}

/// Makes an opened folder one that its owner may enter and change.
fn opened(folder: OwnedFd) -> io::Result<OwnedFd> {
    fs::set_permissions(itself(folder.as_fd()), Permissions::from_mode(0o700))?;
    Ok(folder)
}

/// Unlinks what is not a folder, and says whether it was.
fn is_unlinked(folder: BorrowedFd<'_>, name: &OsStr) -> io::Result<bool> {
    match unlinkat(folder, name, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => Ok(true),
        // POSIX says EPERM of a folder, Linux EISDIR.
        Err(Errno::EISDIR | Errno::EPERM) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Some of the names in a folder; none if it is empty.
fn names(folder: BorrowedFd<'_>) -> io::Result<Vec<OsString>> {
    fs::read_dir(itself(folder))?.take(BATCH).map(|entry| Ok(entry?.file_name())).collect()
}

/// The path that means what a descriptor means, whatever has become of its name.
fn itself(folder: BorrowedFd<'_>) -> PathBuf {
    format!("/proc/self/fd/{}", folder.as_raw_fd()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn made(name: &str, script: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("script-engine-tree-{name}-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let done = Command::new("sh").args(["-ec", script]).current_dir(&folder).status().unwrap();
        assert!(done.success());
        folder
    }

    #[test]
    fn deep_and_shut_trees_are_removed_and_links_are_not_followed() {
        let outside = made("outside", "mkdir kept; echo kept > kept/file");
        let script = format!(
            "mkdir -p a/b/c .1/full; echo x > a/b/c/file; echo x > .1/full/file; echo x > .2; mkfifo a/fifo
             ln -s {0}/kept a/link; ln -s {0} top; ln -s nowhere a/b/broken; touch \"$(printf 'a/\\377\\n')\"
             chmod 0 a/b/c a/b a",
            outside.display()
        );
        let tree = made("deep", &script);
        // Deeper than any path can say and than there are descriptors.
        let (inner, outer) = (tree.join("inner"), tree.join("outer"));
        fs::create_dir(&inner).unwrap();
        for _ in 0..1200 {
            fs::create_dir(&outer).unwrap();
            fs::rename(&inner, outer.join("inner")).unwrap();
            fs::rename(&outer, &inner).unwrap();
        }
        remove(&tree).unwrap();
        assert!(!tree.exists());
        assert_eq!(fs::read_to_string(outside.join("kept/file")).unwrap(), "kept\n");
        remove(&outside).unwrap();
        remove(&outside).unwrap();
        assert!(!outside.exists());
    }

    #[test]
    fn a_link_in_place_of_the_tree_is_only_unlinked() {
        let folder = made("link", "mkdir kept; echo kept > kept/file; ln -s kept link");
        remove(&folder.join("link")).unwrap();
        assert!(folder.join("kept/file").exists());
        remove(&folder).unwrap();
    }
}
