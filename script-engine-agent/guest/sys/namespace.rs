//! Making a sandbox from outside and inside: namespaces, a root of mounts, names, the loopback
//! interface.

use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

use super::file::{AT_FDCWD, O_CLOEXEC, O_NOFOLLOW, O_PATH};
use super::process::{self, PR_SET_PDEATHSIG};
use super::{Errno, Result, c_string, call, number, word};

pub const ATTR_RDONLY: u64 = 1;
pub const ATTR_NOSUID: u64 = 2;
pub const ATTR_NODEV: u64 = 4;

const AT_EMPTY_PATH: usize = 0x1000;
const AT_RECURSIVE: usize = 0x8000;

/// Every namespace that a sandbox gets.
const ALL: u64 = process::CLONE_NEWUSER
    | process::CLONE_NEWPID
    | process::CLONE_NEWNS
    | process::CLONE_NEWNET
    | process::CLONE_NEWIPC
    | process::CLONE_NEWUTS
    | process::CLONE_NEWCGROUP;

/// Which side of a clone this is.
#[derive(Clone, Copy, Debug)]
pub enum Side {
    /// The caller: the copy's id, and whether it is in the cgroup that was asked for.
    Outside { pid: i32, in_cgroup: bool },
    /// The copy, in its new namespaces.
    Inside,
}

/// Makes a copy of the calling process in new namespaces, at once in a cgroup (version 2) if one is
/// given and the kernel can.
pub fn clone(cgroup: Option<BorrowedFd<'_>>) -> Result<Side> {
    const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
    // `struct clone_args`: flags first, the signal of the copy's end fifth, the cgroup last.
    let mut arguments = [0_u64; 11];
    arguments[0] = ALL;
    arguments[4] = super::signal::SIGCHLD as u64;
    if let Some(cgroup) = cgroup {
        arguments[0] |= CLONE_INTO_CGROUP;
        arguments[10] = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: without CLONE_VM and without a stack this is a plain fork; the agent has one thread, so
    // the copy finds no lock held. The arguments outlive the call.
    let done = unsafe { call(number::CLONE3, [(&raw const arguments) as usize, size_of_val(&arguments), 0, 0, 0, 0]) };
    match done {
        Ok(0) => Ok(Side::Inside),
        Ok(pid) => Ok(Side::Outside { pid: pid as i32, in_cgroup: cgroup.is_some() }),
        // A filter that can't look into clone3's arguments makes the call look absent.
        Err(Errno::ENOSYS) => match process::fork(ALL)? {
            0 => Ok(Side::Inside),
            pid => Ok(Side::Outside { pid, in_cgroup: false }),
        },
        Err(error) => Err(error),
    }
}

/// Has the kernel kill the calling process when its parent ends. A change of identity undoes it.
pub fn die_with_parent() -> Result<()> {
    process::control(PR_SET_PDEATHSIG, super::signal::SIGKILL as usize, 0).map(drop)
}

/// Makes the working folder the root and puts the old one at `old`, relative to it.
pub fn pivot_root(old: &[u8]) -> Result<()> {
    let old = c_string(old)?;
    // SAFETY: both texts outlive the call.
    unsafe { call(number::PIVOT_ROOT, [c".".as_ptr() as usize, old.as_ptr() as usize, 0, 0, 0, 0]) }.map(drop)
}

/// Opens the place `path` below `root`, which stands for `/` in every link on the way. A link at the
/// end is opened itself. Fails with `EAGAIN` only if others renamed or mounted without a pause.
pub fn open_in(root: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd> {
    const RESOLVE_IN_ROOT: u64 = 0x10;
    // Where a path steps back (`..`) the kernel gives up if anything on the machine was renamed or mounted
    // meanwhile, since it can't tell whether that led out of the root: openat2(2), EAGAIN. Others start
    // sandboxes, so this happens; it takes many of them to happen this often in a row.
    const ATTEMPTS: usize = 10_000;
    let path = c_string(path)?;
    // `struct open_how`: flags, mode, resolution.
    let how = [(O_PATH | O_NOFOLLOW | O_CLOEXEC) as u64, 0, RESOLVE_IN_ROOT];
    let arguments =
        [word(root.as_raw_fd()), path.as_ptr() as usize, (&raw const how) as usize, size_of_val(&how), 0, 0];
    let mut attempts = 0..ATTEMPTS;
    let fd = loop {
        // SAFETY: the path and the structure outlive the call.
        match unsafe { call(number::OPENAT2, arguments) } {
            Err(Errno::EAGAIN) if attempts.next().is_some() => {}
            ended => break ended?,
        }
    };
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Reads the symbolic link that was opened itself.
pub fn read_link(link: BorrowedFd<'_>) -> Result<Vec<u8>> {
    let mut target = vec![0_u8; 4096];
    // SAFETY: the buffer outlives the call and has the length that is told.
    let length = unsafe {
        let arguments =
            [word(link.as_raw_fd()), c"".as_ptr() as usize, target.as_mut_ptr() as usize, target.len(), 0, 0];
        call(number::READLINKAT, arguments)
    }?;
    target.truncate(length);
    Ok(target)
}

/// Copies the mounts at and below an opened place and adds attributes to the copies, before anybody
/// can see them without.
pub fn copy_mounts(place: BorrowedFd<'_>, attributes: u64) -> Result<OwnedFd> {
    const OPEN_TREE_CLONE: usize = 1;
    let flags = OPEN_TREE_CLONE | AT_EMPTY_PATH | O_CLOEXEC as usize | AT_RECURSIVE;
    // SAFETY: the text outlives the call.
    let fd = unsafe { call(number::OPEN_TREE, [word(place.as_raw_fd()), c"".as_ptr() as usize, flags, 0, 0, 0]) }?;
    // SAFETY: the kernel has just made this descriptor for us.
    let copy = unsafe { OwnedFd::from_raw_fd(fd as i32) };
    add_attributes(copy.as_raw_fd(), b"", AT_EMPTY_PATH | AT_RECURSIVE, attributes)?;
    Ok(copy)
}

/// Attaches copied mounts at `target`.
pub fn attach(mounts: BorrowedFd<'_>, target: &[u8]) -> Result<()> {
    const MOVE_MOUNT_F_EMPTY_PATH: usize = 4;
    let target = c_string(target)?;
    // SAFETY: both texts outlive the call.
    unsafe {
        let arguments = [
            word(mounts.as_raw_fd()),
            c"".as_ptr() as usize,
            word(AT_FDCWD),
            target.as_ptr() as usize,
            MOVE_MOUNT_F_EMPTY_PATH,
            0,
        ];
        call(number::MOVE_MOUNT, arguments)
    }
    .map(drop)
}

/// Makes what is mounted at `path` read-only, and nothing mounted below it.
pub fn seal(path: &[u8]) -> Result<()> {
    add_attributes(AT_FDCWD, path, 0, ATTR_RDONLY)
}

fn add_attributes(at: i32, path: &[u8], flags: usize, attributes: u64) -> Result<()> {
    let path = c_string(path)?;
    // `struct mount_attr`: to set, to clear, propagation, user namespace.
    let change = [attributes, 0, 0, 0];
    // SAFETY: the path and the structure outlive the call.
    unsafe {
        let arguments =
            [word(at), path.as_ptr() as usize, flags, (&raw const change) as usize, size_of_val(&change), 0];
        call(number::MOUNT_SETATTR, arguments)
    }
    .map(drop)
}

/// Names the machine.
pub fn set_hostname(name: &[u8]) -> Result<()> {
    // SAFETY: the name outlives the call and has the length that is told.
    unsafe { call(number::SETHOSTNAME, [name.as_ptr() as usize, name.len(), 0, 0, 0, 0]) }.map(drop)
}

/// Brings the loopback interface up.
pub fn bring_loopback_up() -> Result<()> {
    const AF_INET: usize = 2;
    const SOCK_DGRAM: usize = 2;
    const SIOCSIFFLAGS: usize = 0x8914;
    const IFF_UP_RUNNING: u64 = 0x41;
    // SAFETY: no pointers.
    let fd = unsafe { call(number::SOCKET, [AF_INET, SOCK_DGRAM | O_CLOEXEC as usize, 0, 0, 0, 0]) }?;
    // SAFETY: the kernel has just made this descriptor for us.
    let socket = unsafe { OwnedFd::from_raw_fd(fd as i32) };
    // `struct ifreq`: sixteen bytes of name, then the flags.
    let mut request = [0_u64; 5];
    request[0] = u64::from_le_bytes(*b"lo\0\0\0\0\0\0");
    request[2] = IFF_UP_RUNNING;
    // SAFETY: the request outlives the call and is as long as the structure.
    unsafe { call(number::IOCTL, [word(socket.as_raw_fd()), SIOCSIFFLAGS, (&raw const request) as usize, 0, 0, 0]) }
        .map(drop)
}

#[cfg(test)]
mod tests {
    //! Tests of opening below a root.
    #![allow(clippy::disallowed_methods, reason = "a test makes files")]

    use std::fs;
    use std::os::fd::AsFd as _;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::open_in;

    #[test]
    fn a_path_with_a_step_back_is_opened_while_others_rename() {
        let folder = std::env::temp_dir().join(format!("script-engine-open-in-{}", std::process::id()));
        fs::create_dir_all(folder.join("a/b")).unwrap();
        let root = fs::File::open(&folder).unwrap();
        let ended = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !ended.load(Ordering::Relaxed) {
                    fs::rename(folder.join("a/b"), folder.join("a/c")).unwrap();
                    fs::rename(folder.join("a/c"), folder.join("a/b")).unwrap();
                }
            });
            let opened = (0..20_000).try_for_each(|_| open_in(root.as_fd(), b"/a/../a/../a").map(drop));
            ended.store(true, Ordering::Relaxed);
            assert_eq!(opened, Ok(()));
        });
        fs::remove_dir_all(&folder).unwrap();
    }
}
