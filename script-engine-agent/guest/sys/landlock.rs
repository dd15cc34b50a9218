//! Landlock (`include/uapi/linux/landlock.h`).

use std::os::fd::{FromRawFd as _, OwnedFd};

use super::{Result, call, number, word};

/// Access bits that apply to what is not a folder: execute, write, read, truncate, device ioctl.
pub const FILE_ACCESS: u64 = 0b111 | 1 << 14 | 1 << 15;

/// What a domain restricts (`struct landlock_ruleset_attr`).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Attributes {
    pub fs: u64,
    pub net: u64,
    pub scoped: u64,
}

impl Attributes {
    /// Everything that a kernel of this ABI can restrict.
    pub fn of_abi(abi: u32) -> Self {
        let fs = match abi {
            0 => 0,
            1 => (1 << 13) - 1,
            2 => (1 << 14) - 1,
            3 | 4 => (1 << 15) - 1,
            _ => (1 << 16) - 1,
        };
        Self { fs, net: if abi >= 4 { 0b11 } else { 0 }, scoped: if abi >= 6 { 0b11 } else { 0 } }
    }
}

/// The running kernel's ABI; 0 where landlock is absent or off.
pub fn abi() -> u32 {
    const VERSION: usize = 1;
    // SAFETY: with this flag the pointer must be null.
    unsafe { call(number::LANDLOCK_CREATE_RULESET, [0, 0, VERSION, 0, 0, 0]) }.map_or(0, |abi| abi as u32)
}

/// Makes a domain that allows nothing of what it restricts.
pub fn create(restrict: Attributes) -> Result<OwnedFd> {
    // Kernels refuse a structure that is longer than the one they know, unless the rest is zero.
    // SAFETY: the structure outlives the call and has the length that is told.
    let fd = unsafe {
        call(number::LANDLOCK_CREATE_RULESET, [(&raw const restrict) as usize, size_of::<Attributes>(), 0, 0, 0, 0])
    }?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Allows access to `path` and what is beneath it.
pub fn allow(domain: i32, path: i32, access: u64) -> Result<()> {
    const PATH_BENEATH: usize = 1;
    #[repr(C, packed)]
    struct Rule {
        access: u64,
        path: i32,
    }
    let rule = Rule { access, path };
    // SAFETY: the structure outlives the call and has the kernel's layout.
    unsafe { call(number::LANDLOCK_ADD_RULE, [word(domain), PATH_BENEATH, (&raw const rule) as usize, 0, 0, 0]) }
        .map(drop)
}

/// Puts the calling process into the domain. Needs no-new-privileges.
pub fn enter(domain: i32) -> Result<()> {
    // SAFETY: no pointers.
    unsafe { call(number::LANDLOCK_RESTRICT_SELF, [word(domain), 0, 0, 0, 0, 0]) }.map(drop)
}
