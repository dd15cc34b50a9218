//! Mounts.

use super::{Result, c_string, call, number};

pub const MS_RDONLY: u64 = 1;
pub const MS_NOSUID: u64 = 2;
pub const MS_NODEV: u64 = 4;
pub const MS_NOEXEC: u64 = 8;
pub const MS_REMOUNT: u64 = 32;
pub const MS_BIND: u64 = 4096;
pub const MS_REC: u64 = 16384;
pub const MS_PRIVATE: u64 = 1 << 18;

pub const MNT_DETACH: i32 = 2;

/// Mounts, or changes a mount. Empty texts are passed as null.
pub fn mount(source: &[u8], target: &[u8], kind: &[u8], flags: u64, data: &[u8]) -> Result<()> {
    let (source, target, kind, data) = (c_string(source)?, c_string(target)?, c_string(kind)?, c_string(data)?);
    let pointer = |it: &std::ffi::CString| if it.is_empty() { 0 } else { it.as_ptr() as usize };
    // SAFETY: the texts outlive the call.
    unsafe {
        call(
            number::MOUNT,
            [pointer(&source), target.as_ptr() as usize, pointer(&kind), flags as usize, pointer(&data), 0],
        )
    }
    .map(drop)
}

/// Takes a mount away.
pub fn unmount(target: &[u8], flags: i32) -> Result<()> {
    let target = c_string(target)?;
    // SAFETY: the text outlives the call.
    unsafe { call(number::UMOUNT2, [target.as_ptr() as usize, super::word(flags), 0, 0, 0, 0]) }.map(drop)
}
