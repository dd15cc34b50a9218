//! Processes: making, waiting for, replacing and limiting them.

use std::ffi::{CStr, CString};
use std::ptr;

use super::{Errno, Result, call, number, word};

pub const CLONE_NEWNS: u64 = 0x0002_0000;
pub const CLONE_NEWCGROUP: u64 = 0x0200_0000;
pub const CLONE_NEWUTS: u64 = 0x0400_0000;
pub const CLONE_NEWIPC: u64 = 0x0800_0000;
pub const CLONE_NEWUSER: u64 = 0x1000_0000;
pub const CLONE_NEWPID: u64 = 0x2000_0000;
pub const CLONE_NEWNET: u64 = 0x4000_0000;

pub const PR_SET_PDEATHSIG: i32 = 1;
pub const PR_SET_DUMPABLE: i32 = 4;
pub const PR_CAPBSET_DROP: i32 = 24;
pub const PR_SET_CHILD_SUBREAPER: i32 = 36;
pub const PR_SET_NO_NEW_PRIVS: i32 = 38;
pub const PR_CAP_AMBIENT: i32 = 47;

pub const RLIMIT_FSIZE: i32 = 1;
pub const RLIMIT_CORE: i32 = 4;
pub const RLIMIT_NPROC: i32 = 6;
pub const RLIMIT_NOFILE: i32 = 7;

const WNOHANG: usize = 1;

/// Makes a copy of the calling process, in new namespaces where `flags` has `CLONE_NEW*` bits.
/// Gives 0 in the copy and its id in the caller.
pub fn fork(flags: u64) -> Result<i32> {
    let flags = flags | super::signal::SIGCHLD as u64;
    // SAFETY: without CLONE_VM and without a stack this is a plain fork; the agent has one thread,
    // so the copy finds no lock held.
    unsafe { call(number::CLONE, [flags as usize, 0, 0, 0, 0, 0]) }.map(|pid| pid as i32)
}

/// Ends the calling process at once.
pub fn exit(code: i32) -> ! {
    loop {
        // SAFETY: no pointers. The call does not come back.
        let _ = unsafe { call(number::EXIT_GROUP, [word(code), 0, 0, 0, 0, 0]) };
    }
}

/// How a child ended and what it used, with all of its own children that it waited for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ended {
    pub pid: i32,
    /// Exit code; 0 if a signal ended it.
    pub code: i32,
    /// The signal that ended it, or 0.
    pub signal: i32,
    pub user_us: u64,
    pub system_us: u64,
    /// The largest resident set of any one process, in bytes.
    pub peak_memory: u64,
}

/// What [`wait`] found.
#[derive(Clone, Copy, Debug)]
pub enum Waited {
    Ended(Ended),
    /// Children are alive, and none has ended.
    Alive,
    /// There are no children.
    None,
}

/// Takes a child that has ended, without waiting.
pub fn reap() -> Result<Waited> {
    wait(-1, WNOHANG)
}

fn wait(pid: i32, options: usize) -> Result<Waited> {
    let mut status = 0_i32;
    // `struct rusage`: two times of two words, then fourteen words of which the first is the
    // largest resident set in KiB.
    let mut usage = [0_i64; 18];
    // SAFETY: both structures outlive the call and are at least as long as the kernel's.
    let done = unsafe {
        call(number::WAIT4, [word(pid), (&raw mut status) as usize, options, usage.as_mut_ptr() as usize, 0, 0])
    };
    match done {
        Ok(0) => Ok(Waited::Alive),
        Ok(pid) => {
            let time = |at: usize| (usage[at].max(0) * 1_000_000 + usage[at + 1].max(0)).cast_unsigned();
            let signal = status & 0x7f;
            Ok(Waited::Ended(Ended {
                pid: pid as i32,
                code: if signal == 0 { status >> 8 & 0xff } else { 0 },
                signal,
                user_us: time(0),
                system_us: time(2),
                peak_memory: usage[4].max(0).cast_unsigned() * 1024,
            }))
        }
        Err(Errno::ECHILD) => Ok(Waited::None),
        Err(error) => Err(error),
    }
}

/// Replaces the calling process by a program. Comes back only with the reason why it could not.
pub fn execute(program: &CStr, arguments: &[CString], environment: &[CString]) -> Errno {
    let list = |items: &[CString]| -> Vec<usize> {
        items.iter().map(|it| it.as_ptr() as usize).chain([ptr::null::<u8>() as usize]).collect()
    };
    let (arguments, environment) = (list(arguments), list(environment));
    // SAFETY: the texts and the lists of pointers to them, which end in a null, outlive the call.
    let done = unsafe {
        call(
            number::EXECVE,
            [program.as_ptr() as usize, arguments.as_ptr() as usize, environment.as_ptr() as usize, 0, 0, 0],
        )
    };
    done.err().unwrap_or(Errno::EIO)
}

pub fn id() -> i32 {
    // SAFETY: no pointers; the call cannot fail.
    unsafe { call(number::GETPID, [0; 6]) }.map_or(0, |pid| pid as i32)
}

/// The parent's id; 0 if it is outside the pid namespace.
pub fn parent_id() -> i32 {
    // SAFETY: no pointers; the call cannot fail.
    unsafe { call(number::GETPPID, [0; 6]) }.map_or(0, |pid| pid as i32)
}

/// Makes a session of its own for the calling process.
pub fn new_session() -> Result<()> {
    // SAFETY: no pointers.
    unsafe { call(number::SETSID, [0; 6]) }.map(drop)
}

/// Sets an attribute of the calling process (`PR_SET_*`) that takes plain numbers.
pub fn control(option: i32, argument: usize, second: usize) -> Result<usize> {
    // SAFETY: the options of this module take no pointers.
    unsafe { call(number::PRCTL, [word(option), argument, second, 0, 0, 0]) }
}

/// The signal that the calling process gets when its parent ends; 0 for none.
pub fn parent_death_signal() -> Result<usize> {
    const PR_GET_PDEATHSIG: i32 = 2;
    let mut signal = 0_i32;
    // SAFETY: the number outlives the call.
    unsafe { call(number::PRCTL, [word(PR_GET_PDEATHSIG), (&raw mut signal) as usize, 0, 0, 0, 0]) }?;
    Ok(signal.cast_unsigned() as usize)
}

/// Sets a resource limit, soft and hard; where the hard limit is lower already, that stays.
pub fn limit(resource: i32, value: u64) -> Result<()> {
    let mut found = [0_u64; 2];
    // SAFETY: the structure outlives the call and has the layout of a `rlimit64`.
    unsafe { call(number::PRLIMIT64, [0, word(resource), 0, found.as_mut_ptr() as usize, 0, 0]) }?;
    let value = value.min(found[1]);
    let wanted = [value, value];
    // SAFETY: as above.
    unsafe { call(number::PRLIMIT64, [0, word(resource), wanted.as_ptr() as usize, 0, 0, 0]) }.map(drop)
}

/// The soft limit of a resource.
pub fn limit_of(resource: i32) -> Result<u64> {
    let mut found = [0_u64; 2];
    // SAFETY: the structure outlives the call and has the layout of a `rlimit64`.
    unsafe { call(number::PRLIMIT64, [0, word(resource), 0, found.as_mut_ptr() as usize, 0, 0]) }?;
    Ok(found[0])
}

/// Raises the calling process's soft limit to `least`, as far as the hard one allows.
pub fn raise_limit(resource: i32, least: u64) -> Result<()> {
    let mut found = [0_u64; 2];
    // SAFETY: the structure outlives the call and has the layout of a `rlimit64`.
    unsafe { call(number::PRLIMIT64, [0, word(resource), 0, found.as_mut_ptr() as usize, 0, 0]) }?;
    let wanted = [found[0].max(least.min(found[1])), found[1]];
    // SAFETY: the same.
    unsafe { call(number::PRLIMIT64, [0, word(resource), wanted.as_ptr() as usize, 0, 0, 0]) }.map(drop)
}

/// Installs a seccomp program (a list of 8-byte `sock_filter`).
pub fn install_filter(program: &[u8]) -> Result<()> {
    const SET_MODE_FILTER: usize = 1;
    let count = u16::try_from(program.len() / 8).map_err(|_| Errno::EINVAL)?;
    if count == 0 || !program.len().is_multiple_of(8) {
        return Err(Errno::EINVAL);
    }
    // Copied to words: the kernel reads 8-byte records.
    let words: Vec<u64> =
        program.chunks_exact(8).map(|it| it.iter().rev().fold(0, |w, b| w << 8 | u64::from(*b))).collect();
    #[repr(C)]
    struct Program {
        count: u16,
        filter: *const u64,
    }
    let it = Program { count, filter: words.as_ptr() };
    // SAFETY: the program and its instructions outlive the call and have the kernel's layout.
    unsafe { call(number::SECCOMP, [SET_MODE_FILTER, 0, (&raw const it) as usize, 0, 0, 0]) }.map(drop)
}
