//! The kernel's interface: raw system calls and the safe functions around them. All `unsafe` code
//! of the agent is beneath this module; no decision is.
//!
//! Calls are made by number with the kernel's own structures, so that the same source serves every
//! C library that it may be linked to. libc's `syscall` and `getpagesize` are all that is taken from it.
#![allow(unsafe_code, reason = "system calls")]

pub mod file;
pub mod identity;
pub mod ipc;
pub mod landlock;
pub mod mount;
pub mod namespace;
pub mod network;
pub mod number;
pub mod poll;
pub mod process;
pub mod signal;
pub mod time;

use std::ffi::{CString, c_int, c_long};
use std::fmt;

unsafe extern "C" {
    fn syscall(number: c_long, ...) -> c_long;
    fn getpagesize() -> c_int;
}

/// An error number of the kernel (`include/uapi/asm-generic/errno*.h`).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Errno(pub i32);

impl Errno {
    pub const EPERM: Self = Self(1);
    pub const ENOENT: Self = Self(2);
    pub const ESRCH: Self = Self(3);
    pub const EINTR: Self = Self(4);
    pub const EIO: Self = Self(5);
    pub const ECHILD: Self = Self(10);
    pub const EAGAIN: Self = Self(11);
    pub const ENXIO: Self = Self(6);
    pub const E2BIG: Self = Self(7);
    pub const EACCES: Self = Self(13);
    pub const EBUSY: Self = Self(16);
    pub const EEXIST: Self = Self(17);
    pub const ENOTDIR: Self = Self(20);
    pub const EISDIR: Self = Self(21);
    pub const EINVAL: Self = Self(22);
    pub const EPIPE: Self = Self(32);
    pub const EPROTO: Self = Self(71);
    pub const EOPNOTSUPP: Self = Self(95);
    pub const ENOSYS: Self = Self(38);
    pub const ENOTEMPTY: Self = Self(39);
    pub const ELOOP: Self = Self(40);

    /// The calling thread's last error.
    pub fn last() -> Self {
        Self(std::io::Error::last_os_error().raw_os_error().unwrap_or(Self::EIO.0))
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // "No such file or directory (os error 2)"
        std::io::Error::from_raw_os_error(self.0).fmt(f)
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<std::io::Error> for Errno {
    fn from(error: std::io::Error) -> Self {
        Self(error.raw_os_error().unwrap_or(Self::EIO.0))
    }
}

/// What a system call gives.
pub type Result<T> = std::result::Result<T, Errno>;

/// Makes one system call.
///
/// # Safety
/// The arguments must be what the call of this number asks for: pointers among them valid for as
/// long as the kernel uses them.
pub unsafe fn call(number: c_long, arguments: [usize; 6]) -> Result<usize> {
    let [a, b, c, d, e, f] = arguments;
    // SAFETY: the caller vouches for the arguments; superfluous ones are ignored by the kernel.
    let value = unsafe { syscall(number, a, b, c, d, e, f) };
    if value < 0 { Err(Errno::last()) } else { Ok(value.cast_unsigned() as usize) }
}

/// Makes a call again as long as a signal interrupts it.
pub fn retry<T>(mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    loop {
        match attempt() {
            Err(Errno::EINTR) => {}
            other => return other,
        }
    }
}

/// Makes text that ends in NUL; a NUL inside it is an invalid argument.
pub fn c_string(bytes: &[u8]) -> Result<CString> {
    CString::new(bytes).map_err(|_| Errno::EINVAL)
}

/// Bytes in a page.
pub fn page() -> u64 {
    // SAFETY: no arguments; the call cannot fail.
    unsafe { getpagesize() }.max(0).cast_unsigned().into()
}

/// A number argument as the register it travels in.
pub fn word(value: i32) -> usize {
    value as isize as usize
}
