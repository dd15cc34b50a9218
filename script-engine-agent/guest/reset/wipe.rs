//! Removing what scripts have left: folders of any depth and size, message queues, shared memory.
//! Nothing of the script runs any more, so what is found stays as it is.

use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

use crate::sys::file::{self, O_DIRECTORY, O_NOFOLLOW, O_RDONLY};
use crate::sys::ipc::{self, Kind};
use crate::sys::{Errno, Result};

/// Findings after which looking on tells nothing new.
const ENOUGH: usize = 32;
/// What a folder's mode must allow for it to be emptied.
const USABLE: u32 = 0o700;

/// Empties a folder that may be missing, gives it the mode that it should have, and looks whether it
/// is empty.
pub fn folder(path: &[u8], mode: Option<u32>, findings: &mut Vec<String>) {
    let shown = String::from_utf8_lossy(path);
    match open_root(path) {
        Ok(Some(root)) => {
            let mut wipe = Wipe { root, moved: 0 };
            if let Err(error) = wipe.empty() {
                findings.push(format!("{shown} cannot be emptied: {error}"));
            }
            match wipe.left() {
                Ok(left) => findings.extend(
                    left.iter().take(ENOUGH).map(|it| format!("{shown}/{} is left", String::from_utf8_lossy(it))),
                ),
                Err(error) => findings.push(format!("{shown} cannot be read: {error}")),
            }
            if let Some(mode) = mode
                && let Err(error) = wipe.restore(mode)
            {
                findings.push(format!("{shown} cannot get its mode {mode:o} back: {error}"));
            }
            if let Err(error) = file::clear_attributes(&wipe.root) {
                findings.push(format!("{shown} keeps attributes: {error}"));
            }
        }
        Ok(None) => {}
        Err(error) => findings.push(format!("{shown} cannot be opened: {error}")),
    }
}

fn open_root(path: &[u8]) -> Result<Option<OwnedFd>> {
    let open = || file::open(path, O_RDONLY | O_DIRECTORY, 0);
    match open() {
        Err(Errno::ENOENT) => Ok(None),
        // The script owns the folder and took its own rights away.
        Err(Errno::EACCES) => {
            file::set_mode_at(file::AT_FDCWD, path, 0o755)?;
            open().map(Some)
        }
        other => other.map(Some),
    }
}

struct Wipe {
    root: OwnedFd,
    /// How many folders were moved up so far.
    moved: u64,
}

impl Wipe {
    /// Removes everything. Folders inside folders are first moved up to the root, so neither the
    /// depth of a tree nor the length of its paths matters.
    fn empty(&mut self) -> Result<()> {
        let usable = file::kind_of(self.root.as_fd())?.2 | USABLE;
        // Not the owner: then the script is not either, and could not take rights away.
        let _ = file::set_mode(self.root.as_fd(), usable);
        loop {
            file::rewind(&self.root)?;
            let mut removed = 0_u64;
            let mut failed = None;
            loop {
                let names = file::names(&self.root)?;
                if names.is_empty() {
                    break;
                }
                for name in names.iter().filter(|it| !is_dots(it)) {
                    match self.remove(name) {
                        Ok(()) => removed += 1,
                        Err(error) => failed = Some(error),
                    }
                }
            }
            match (removed, failed) {
                (0, None) => return Ok(()),
                (0, Some(error)) => return Err(error),
                // What was moved up, or passed over while the folder changed, is found now.
                _ => {}
            }
        }
    }

    fn remove(&mut self, name: &[u8]) -> Result<()> {
        let root = self.root.as_raw_fd();
        match remove_either(root, name) {
            Err(Errno::ENOTEMPTY | Errno::EEXIST) => {}
            other => return other,
        }
        file::set_mode_at(root, name, USABLE)?;
        let folder = file::open_at(root, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0)?;
        loop {
            file::rewind(&folder)?;
            let mut removed = 0_u64;
            loop {
                let names = file::names(&folder)?;
                if names.is_empty() {
                    break;
                }
                for inner in names.iter().filter(|it| !is_dots(it)) {
                    match remove_either(folder.as_raw_fd(), inner) {
                        Err(Errno::ENOTEMPTY | Errno::EEXIST) => self.move_up(&folder, inner)?,
                        other => other?,
                    }
                    removed += 1;
                }
            }
            if removed == 0 {
                break;
            }
        }
        file::remove(root, name, true)
    }

    fn move_up(&mut self, folder: &OwnedFd, name: &[u8]) -> Result<()> {
        // Moving a folder changes its entry for the one above it.
        file::set_mode_at(folder.as_raw_fd(), name, USABLE)?;
        loop {
            self.moved += 1;
            let new_name = format!(".reset-{}", self.moved);
            match file::rename(folder.as_raw_fd(), name, self.root.as_raw_fd(), new_name.as_bytes()) {
                // The script has made one of that name.
                Err(Errno::EEXIST | Errno::ENOTEMPTY | Errno::ENOTDIR) => {}
                other => return other,
            }
        }
    }

    fn restore(&self, mode: u32) -> Result<()> {
        if file::kind_of(self.root.as_fd())?.2 == mode { Ok(()) } else { file::set_mode(self.root.as_fd(), mode) }
    }

    fn left(&self) -> Result<Vec<Vec<u8>>> {
        file::rewind(&self.root)?;
        let mut left = Vec::new();
        loop {
            let names = file::names(&self.root)?;
            if names.is_empty() || left.len() >= ENOUGH {
                return Ok(left);
            }
            left.extend(names.into_iter().filter(|it| !is_dots(it)));
        }
    }
}

fn is_dots(name: &[u8]) -> bool {
    matches!(name, b"." | b"..")
}

fn remove_either(folder: i32, name: &[u8]) -> Result<()> {
    match file::remove(folder, name, false) {
        // What the kernel says of folders (`man 2 unlink`).
        Err(Errno::EISDIR | Errno::EPERM) => file::remove(folder, name, true),
        other => other,
    }
}

/// Removes POSIX message queues. They can only be listed where their file system is mounted.
pub fn queues(findings: &mut Vec<String>) {
    const PATH: &[u8] = b"/dev/mqueue";
    if file::file_system(PATH).is_ok_and(|it| it.is_queues()) {
        folder(PATH, None, findings);
    } else if ipc::queues_exist() {
        findings.push("message queues cannot be listed: /dev/mqueue is not mounted".to_owned());
    }
}

/// Removes System V shared memory, semaphores and message queues.
pub fn ipc(findings: &mut Vec<String>) {
    for (kind, name) in
        [(Kind::Memory, "shared memory"), (Kind::Semaphores, "semaphores"), (Kind::Messages, "messages")]
    {
        for id in ipc::list(kind) {
            // Whether it worked shows when they are listed again.
            let _ = ipc::remove(kind, id);
        }
        findings.extend(ipc::list(kind).iter().take(ENOUGH).map(|id| format!("{name} {id} is left")));
    }
}
