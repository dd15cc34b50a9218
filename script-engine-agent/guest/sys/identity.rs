//! User and group ids, and capabilities.

use super::process::{self, PR_CAP_AMBIENT, PR_CAPBSET_DROP, PR_SET_PDEATHSIG, control};
use super::{Errno, Result, call, number};

const CAPABILITY_VERSION: u32 = 0x2008_0522;
const PR_CAP_AMBIENT_CLEAR_ALL: usize = 4;
const LAST_CAPABILITY: usize = 63;
/// `CAP_SETPCAP`: may shrink the bounding set.
const CAP_SETPCAP: u64 = 1 << 8;

pub fn uid() -> u32 {
    // SAFETY: no pointers; the call cannot fail.
    unsafe { call(number::GETUID, [0; 6]) }.map_or(u32::MAX, |id| id as u32)
}

pub fn gid() -> u32 {
    // SAFETY: no pointers; the call cannot fail.
    unsafe { call(number::GETGID, [0; 6]) }.map_or(u32::MAX, |id| id as u32)
}

/// The real, effective and saved user ids.
pub fn user_ids() -> [u32; 3] {
    ids(number::GETRESUID)
}

/// The real, effective and saved group ids.
pub fn group_ids() -> [u32; 3] {
    ids(number::GETRESGID)
}

fn ids(number: std::ffi::c_long) -> [u32; 3] {
    let mut ids = [u32::MAX; 3];
    let at = |it: &mut u32| std::ptr::from_mut(it) as usize;
    let [real, effective, saved] = &mut ids;
    // SAFETY: the three numbers outlive the call, which cannot fail with valid pointers.
    let _ = unsafe { call(number, [at(real), at(effective), at(saved), 0, 0, 0]) };
    ids
}

/// Does something with the file system as another user. The capabilities to override file
/// permissions are out of effect meanwhile (`man 7 capabilities`, section "Effect of user ID
/// changes").
pub fn as_file_user<T>(who: Option<(u32, u32)>, action: impl FnOnce() -> Result<T>) -> Result<T> {
    let Some((user, group)) = who else { return action() };
    let (own_user, own_group) = (uid(), gid());
    let on_parent_death = process::parent_death_signal()?;
    set_file_ids(user, group)?;
    let outcome = action();
    set_file_ids(own_user, own_group)?;
    // Each change of the file system's user undoes it (`man 2 PR_SET_PDEATHSIG`).
    control(PR_SET_PDEATHSIG, on_parent_death, 0)?;
    outcome
}

fn set_file_ids(user: u32, group: u32) -> Result<()> {
    for (number, id) in [(number::SETFSGID, group), (number::SETFSUID, user)] {
        // The call tells the id before, not whether it worked: ask again with an impossible id.
        // SAFETY: no pointers.
        let now = unsafe {
            let _ = call(number, [id as usize, 0, 0, 0, 0, 0]);
            call(number, [u32::MAX as usize, 0, 0, 0, 0, 0])
        }?;
        if now as u32 != id {
            return Err(Errno::EPERM);
        }
    }
    Ok(())
}

/// Leaves all supplementary groups.
pub fn leave_groups() -> Result<()> {
    // SAFETY: an empty list is not read.
    unsafe { call(number::SETGROUPS, [0; 6]) }.map(drop)
}

/// The supplementary groups.
pub fn groups() -> Result<Vec<u32>> {
    let mut list = vec![0_u32; 65536];
    // SAFETY: the list outlives the call and has the length that is told.
    let count = unsafe { call(number::GETGROUPS, [list.len(), list.as_mut_ptr() as usize, 0, 0, 0, 0]) }?;
    list.truncate(count);
    Ok(list)
}

/// Becomes another user for good: real, effective and saved ids.
pub fn become_user(user: u32, group: u32) -> Result<()> {
    let (user, group) = (user as usize, group as usize);
    // SAFETY: no pointers.
    unsafe { call(number::SETRESGID, [group, group, group, 0, 0, 0]) }?;
    // SAFETY: no pointers.
    unsafe { call(number::SETRESUID, [user, user, user, 0, 0, 0]) }.map(drop)
}

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

/// The effective capabilities.
pub fn capabilities() -> Result<u64> {
    let header = Header { version: CAPABILITY_VERSION, pid: 0 };
    let mut data = [0_u32; 6];
    // SAFETY: both structures outlive the call and have the layout of this version.
    unsafe { call(number::CAPGET, [(&raw const header) as usize, data.as_mut_ptr() as usize, 0, 0, 0, 0]) }?;
    Ok(u64::from(data[0]) | u64::from(data[3]) << 32)
}

/// Empties the bounding set. An ordinary user may not; then nothing can be gained through it either,
/// once no-new-privileges is set.
pub fn drop_bounding_set() -> Result<()> {
    if capabilities()? & CAP_SETPCAP == 0 {
        return Ok(());
    }
    for capability in 0..=LAST_CAPABILITY {
        match control(PR_CAPBSET_DROP, capability, 0) {
            Ok(_) => {}
            // Beyond the last one that this kernel knows.
            Err(Errno::EINVAL) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Gives up every capability: effective, permitted, inheritable and ambient.
pub fn drop_capabilities() -> Result<()> {
    match control(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0) {
        Ok(_) | Err(Errno::EINVAL) => {}
        Err(error) => return Err(error),
    }
    let header = Header { version: CAPABILITY_VERSION, pid: 0 };
    let data = [0_u32; 6];
    // SAFETY: both structures outlive the call and have the layout of this version.
    unsafe { call(number::CAPSET, [(&raw const header) as usize, data.as_ptr() as usize, 0, 0, 0, 0]) }.map(drop)
}
