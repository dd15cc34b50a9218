//! Files, folders and pipes by descriptor.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd as _, OwnedFd};

use super::{Errno, Result, c_string, call, number, retry, word};

pub const AT_FDCWD: i32 = -100;

pub const O_RDONLY: i32 = 0;
pub const O_WRONLY: i32 = 1;
pub const O_RDWR: i32 = 2;
pub const O_CREAT: i32 = 0o100;
pub const O_EXCL: i32 = 0o200;
pub const O_NOCTTY: i32 = 0o400;
pub const O_NONBLOCK: i32 = 0o4000;
pub const O_CLOEXEC: i32 = 0o2_000_000;
pub const O_PATH: i32 = 0o10_000_000;
#[cfg(target_arch = "x86_64")]
pub const O_DIRECTORY: i32 = 0o200_000;
#[cfg(target_arch = "x86_64")]
pub const O_NOFOLLOW: i32 = 0o400_000;
#[cfg(target_arch = "aarch64")]
pub const O_DIRECTORY: i32 = 0o40_000;
#[cfg(target_arch = "aarch64")]
pub const O_NOFOLLOW: i32 = 0o100_000;

const F_SETFL: usize = 4;
const F_GETFL: usize = 3;
const F_SETPIPE_SZ: usize = 1031;
const AT_REMOVEDIR: usize = 0x200;

/// What [`kind_of`] tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    File,
    Folder,
    Link,
    Socket,
    Other,
}

/// Opens a file relative to `folder`.
pub fn open_at(folder: i32, path: &[u8], flags: i32, mode: u32) -> Result<OwnedFd> {
    let path = c_string(path)?;
    let flags = flags | O_CLOEXEC | O_NOCTTY;
    // SAFETY: the path outlives the call.
    let fd = retry(|| unsafe {
        call(number::OPENAT, [word(folder), path.as_ptr() as usize, word(flags), mode as usize, 0, 0])
    })?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Opens a file by its path.
pub fn open(path: &[u8], flags: i32, mode: u32) -> Result<OwnedFd> {
    open_at(AT_FDCWD, path, flags, mode)
}

/// Reads once, into `buffer`; 0 is the end.
pub fn read(fd: i32, buffer: &mut [u8]) -> Result<usize> {
    // SAFETY: the buffer outlives the call and has the length that is told.
    retry(|| unsafe { call(number::READ, [word(fd), buffer.as_mut_ptr() as usize, buffer.len(), 0, 0, 0]) })
}

/// Writes once and tells how much.
pub fn write(fd: i32, bytes: &[u8]) -> Result<usize> {
    // SAFETY: the bytes outlive the call.
    retry(|| unsafe { call(number::WRITE, [word(fd), bytes.as_ptr() as usize, bytes.len(), 0, 0, 0]) })
}

/// Writes everything; waits as long as that takes.
pub fn write_all(fd: i32, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        let count = write(fd, bytes)?;
        bytes = bytes.get(count..).unwrap_or_default();
    }
    Ok(())
}

/// Makes a pipe: the end to read from and the end to write to. Both close on exec.
pub fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    let mut ends = [0_i32; 2];
    // SAFETY: the array outlives the call.
    unsafe { call(number::PIPE2, [ends.as_mut_ptr() as usize, word(O_CLOEXEC), 0, 0, 0, 0]) }?;
    // SAFETY: the kernel has just made both descriptors for us.
    Ok(unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) })
}

/// Makes a pipe hold more than the default 64 KiB, where the kernel allows it.
pub fn widen_pipe(fd: &OwnedFd, bytes: usize) {
    // SAFETY: no pointers. A narrower pipe is slower, not wrong.
    let _ = unsafe { call(number::FCNTL, [word(fd.as_raw_fd()), F_SETPIPE_SZ, bytes, 0, 0, 0]) };
}

/// Makes reads and writes return instead of waiting.
pub fn set_nonblocking(fd: i32) -> Result<()> {
    // SAFETY: no pointers.
    let flags = unsafe { call(number::FCNTL, [word(fd), F_GETFL, 0, 0, 0, 0]) }?;
    // SAFETY: no pointers.
    unsafe { call(number::FCNTL, [word(fd), F_SETFL, flags | O_NONBLOCK as usize, 0, 0, 0]) }.map(drop)
}

/// Makes `number` another name of `fd`, which stays open across exec unless `flags` has `O_CLOEXEC`.
/// If both are the same descriptor only the flag is set.
pub fn duplicate_to(fd: i32, number: i32, flags: i32) -> Result<()> {
    const F_SETFD: usize = 2;
    if fd == number {
        // SAFETY: no pointers.
        return unsafe { call(number::FCNTL, [word(fd), F_SETFD, usize::from(flags & O_CLOEXEC != 0), 0, 0, 0]) }
            .map(drop);
    }
    // SAFETY: no pointers.
    unsafe { call(number::DUP3, [word(fd), word(number), word(flags), 0, 0, 0]) }.map(drop)
}

/// Makes another name of `fd` that is at least `least` and closes on exec.
pub fn duplicate_above(fd: i32, least: i32) -> Result<i32> {
    const F_DUPFD_CLOEXEC: usize = 1030;
    // SAFETY: no pointers.
    unsafe { call(number::FCNTL, [word(fd), F_DUPFD_CLOEXEC, word(least), 0, 0, 0]) }.map(|fd| fd as i32)
}

/// Whether a program that is executed now would find this descriptor open.
pub fn survives_exec(fd: i32) -> bool {
    const F_GETFD: usize = 1;
    const FD_CLOEXEC: usize = 1;
    // SAFETY: no pointers.
    let flags = unsafe { call(number::FCNTL, [word(fd), F_GETFD, 0, 0, 0, 0]) };
    flags.is_ok_and(|it| it & FD_CLOEXEC == 0)
}

/// Closes every descriptor from `first` on, whoever owns it: for a process that is about to become
/// something else.
pub fn close_from(first: i32) {
    // SAFETY: no pointers; the caller gives up what it has open.
    let done = unsafe { call(number::CLOSE_RANGE, [word(first), u32::MAX as usize, 0, 0, 0, 0]) };
    if done.is_err() {
        for fd in first..65536 {
            close(fd);
        }
    }
}

/// Closes a descriptor by number.
pub fn close(fd: i32) {
    // SAFETY: no pointers. An error leaves nothing to be done.
    let _ = unsafe { call(number::CLOSE, [word(fd), 0, 0, 0, 0, 0]) };
}

/// Bytes that wait in a pipe.
pub fn waiting(pipe: i32) -> Result<usize> {
    const FIONREAD: usize = 0x541b;
    let mut count = 0_i32;
    // SAFETY: the number outlives the call.
    unsafe { call(number::IOCTL, [word(pipe), FIONREAD, (&raw mut count) as usize, 0, 0, 0]) }?;
    Ok(count.max(0) as usize)
}

/// Makes a folder relative to `folder`.
pub fn make_folder(folder: i32, name: &[u8], mode: u32) -> Result<()> {
    let name = c_string(name)?;
    // SAFETY: the name outlives the call.
    unsafe { call(number::MKDIRAT, [word(folder), name.as_ptr() as usize, mode as usize, 0, 0, 0]) }.map(drop)
}

/// Makes a device that is the same as /dev/null.
pub fn make_device(folder: &[u8], name: &[u8]) -> Result<()> {
    const S_IFCHR: usize = 0o020_000;
    const NULL: usize = 1 << 8 | 3;
    let folder = open(folder, O_PATH | O_DIRECTORY, 0)?;
    let name = c_string(name)?;
    // SAFETY: the name outlives the call.
    unsafe { call(number::MKNODAT, [word(folder.as_raw_fd()), name.as_ptr() as usize, S_IFCHR | 0o600, NULL, 0, 0]) }
        .map(drop)
}

/// Removes a file, or an empty folder.
pub fn remove(folder: i32, name: &[u8], is_folder: bool) -> Result<()> {
    let name = c_string(name)?;
    let flags = if is_folder { AT_REMOVEDIR } else { 0 };
    // SAFETY: the name outlives the call.
    unsafe { call(number::UNLINKAT, [word(folder), name.as_ptr() as usize, flags, 0, 0, 0]) }.map(drop)
}

/// Renames.
pub fn rename(from: i32, name: &[u8], to: i32, new_name: &[u8]) -> Result<()> {
    let (name, new_name) = (c_string(name)?, c_string(new_name)?);
    // SAFETY: the names outlive the call.
    unsafe { call(number::RENAMEAT2, [word(from), name.as_ptr() as usize, word(to), new_name.as_ptr() as usize, 0, 0]) }
        .map(drop)
}

/// Sets the mode of what `name` in `folder` names. Follows links: only for names known to be none.
pub fn set_mode_at(folder: i32, name: &[u8], mode: u32) -> Result<()> {
    let name = c_string(name)?;
    // SAFETY: the name outlives the call.
    unsafe { call(number::FCHMODAT, [word(folder), name.as_ptr() as usize, mode as usize, 0, 0, 0]) }.map(drop)
}

/// Sets the mode of an open file.
pub fn set_mode(fd: BorrowedFd<'_>, mode: u32) -> Result<()> {
    // SAFETY: no pointers.
    unsafe { call(number::FCHMOD, [word(fd.as_raw_fd()), mode as usize, 0, 0, 0, 0]) }.map(drop)
}

/// Changes the working folder.
pub fn change_folder(path: &[u8]) -> Result<()> {
    let path = c_string(path)?;
    // SAFETY: the path outlives the call.
    unsafe { call(number::CHDIR, [path.as_ptr() as usize, 0, 0, 0, 0, 0]) }.map(drop)
}

/// Sets the bits that are taken away from the modes of new files.
pub fn set_umask(mask: u32) {
    // SAFETY: no pointers; the call cannot fail.
    let _ = unsafe { call(number::UMASK, [mask as usize, 0, 0, 0, 0, 0]) };
}

/// Whether a descriptor is a socket.
pub fn is_socket(fd: i32) -> bool {
    matches!(kind_of(fd), Ok((Kind::Socket, _, _)))
}

/// What an open file is, how long it is, and its mode bits.
pub fn kind_of(fd: impl AsRawFd) -> Result<(Kind, u64, u32)> {
    // `struct stat` is at most 144 bytes; its fields of interest lie at other places on each.
    #[cfg(target_arch = "x86_64")]
    const AT: (usize, usize) = (24, 48);
    #[cfg(target_arch = "aarch64")]
    const AT: (usize, usize) = (16, 48);
    let mut stat = [0_u64; 24];
    // SAFETY: the buffer outlives the call and is longer than the kernel's structure.
    unsafe { call(number::FSTAT, [word(fd.as_raw_fd()), stat.as_mut_ptr() as usize, 0, 0, 0, 0]) }?;
    let mode = stat[AT.0 / 8] as u32;
    let kind = match mode & 0o170_000 {
        0o100_000 => Kind::File,
        0o040_000 => Kind::Folder,
        0o120_000 => Kind::Link,
        0o140_000 => Kind::Socket,
        _ => Kind::Other,
    };
    Ok((kind, stat[AT.1 / 8], mode & 0o7777))
}

/// The names in an open folder, a batch at a time: an empty batch is the end. A file system may
/// leave out what was added since the folder was opened.
pub fn names(folder: &OwnedFd) -> Result<Vec<Vec<u8>>> {
    const HEAD: usize = 19;
    let mut buffer = [0_u64; 4096];
    // SAFETY: the buffer outlives the call and has the length that is told.
    let length = unsafe {
        call(
            number::GETDENTS64,
            [word(folder.as_raw_fd()), buffer.as_mut_ptr() as usize, size_of_val(&buffer), 0, 0, 0],
        )
    }?;
    let bytes: Vec<u8> = buffer.iter().take(length.div_ceil(8)).flat_map(|it| it.to_le_bytes()).collect();
    let mut rest = bytes.get(..length).ok_or(Errno::EIO)?;
    let mut names = Vec::new();
    while let Some(head) = rest.get(..HEAD) {
        let size = usize::from(u16::from_le_bytes([head[16], head[17]]));
        let entry = rest.get(HEAD..size).ok_or(Errno::EIO)?;
        let name = entry.split(|it| *it == 0).next().unwrap_or_default();
        // The dots are told even at the end of a batch; an empty answer must mean the end.
        names.push(name.to_vec());
        rest = rest.get(size..).unwrap_or_default();
    }
    Ok(names)
}

/// Goes back to the start of an open folder.
pub fn rewind(fd: &OwnedFd) -> Result<()> {
    // SAFETY: no pointers.
    unsafe { call(number::LSEEK, [word(fd.as_raw_fd()), 0, 0, 0, 0, 0]) }.map(drop)
}

/// What is known of the file system that holds `path`.
#[derive(Clone, Copy, Debug)]
pub struct FileSystem {
    /// The magic number of its kind.
    pub kind: i64,
    /// Tells file systems apart.
    pub id: u64,
    /// Bytes in use.
    pub used: u64,
}

impl FileSystem {
    const TMPFS: i64 = 0x0102_1994;
    const MQUEUE: i64 = 0x1980_0202;

    /// Whether its files live in memory.
    pub fn is_memory(&self) -> bool {
        self.kind == Self::TMPFS
    }

    /// Whether its files are message queues.
    pub fn is_queues(&self) -> bool {
        self.kind == Self::MQUEUE
    }
}

/// Asks about the file system that holds `path`.
pub fn file_system(path: &[u8]) -> Result<FileSystem> {
    let path = c_string(path)?;
    // `struct statfs`: kind, block size, blocks, free blocks, available, files, free files, id, ...
    let mut it = [0_u64; 15];
    // SAFETY: the path and the buffer outlive the call; the buffer is as long as the structure.
    unsafe { call(number::STATFS, [path.as_ptr() as usize, it.as_mut_ptr() as usize, 0, 0, 0, 0]) }?;
    Ok(FileSystem { kind: it[0].cast_signed(), id: it[7], used: it[2].saturating_sub(it[3]).saturating_mul(it[1]) })
}

/// Takes off every extended attribute (access lists among them) that the caller may take off.
pub fn clear_attributes(fd: &OwnedFd) -> Result<()> {
    let mut names = vec![0_u8; 65536];
    // SAFETY: the buffer outlives the call and has the length that is told.
    let length =
        unsafe { call(number::FLISTXATTR, [word(fd.as_raw_fd()), names.as_mut_ptr() as usize, names.len(), 0, 0, 0]) };
    let length = match length {
        Ok(length) => length,
        Err(Errno::EOPNOTSUPP) => return Ok(()),
        Err(error) => return Err(error),
    };
    // Security labels are the system's.
    let own = |it: &&[u8]| it.starts_with(b"user.") || it.starts_with(b"system.posix_acl");
    for name in names.get(..length).unwrap_or_default().split(|it| *it == 0).filter(own) {
        let name = c_string(name)?;
        // SAFETY: the name outlives the call.
        unsafe { call(number::FREMOVEXATTR, [word(fd.as_raw_fd()), name.as_ptr() as usize, 0, 0, 0, 0]) }?;
    }
    Ok(())
}
