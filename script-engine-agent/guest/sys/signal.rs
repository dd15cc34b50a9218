//! Signals: blocking, receiving by descriptor, sending, and resetting what was inherited.

use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

use super::{Errno, Result, call, number, word};

pub const SIGHUP: i32 = 1;
pub const SIGINT: i32 = 2;
pub const SIGKILL: i32 = 9;
pub const SIGTERM: i32 = 15;
pub const SIGCHLD: i32 = 17;
pub const SIGCONT: i32 = 18;
pub const SIGSTOP: i32 = 19;

const LAST: i32 = 64;
const MASK_BYTES: usize = 8;
const SIG_BLOCK: usize = 0;
const SIG_SETMASK: usize = 2;
const SFD_NONBLOCK: usize = 0o4000;
const SFD_CLOEXEC: usize = 0o2_000_000;
const RECORD: usize = 128;

/// Blocks `signals` and gives a descriptor from which they are read.
pub fn receive(signals: &[i32]) -> Result<OwnedFd> {
    let mask = signals.iter().fold(0_u64, |mask, it| mask | 1 << (it - 1));
    set_mask(SIG_BLOCK, mask)?;
    // SAFETY: the mask outlives the call and has the size that is told.
    let fd = unsafe {
        call(number::SIGNALFD4, [word(-1), (&raw const mask) as usize, MASK_BYTES, SFD_NONBLOCK | SFD_CLOEXEC, 0, 0])
    }?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Takes one received signal, if there is any.
pub fn next(receiver: BorrowedFd<'_>) -> Option<i32> {
    let mut record = [0_u8; RECORD];
    let got = super::file::read(receiver.as_raw_fd(), &mut record).ok()?;
    (got == RECORD).then(|| i32::from_le_bytes([record[0], record[1], record[2], record[3]]))
}

/// Unblocks every signal and gives each its default action, as a program expects at its start.
pub fn reset() -> Result<()> {
    // Three words of zero are `SIG_DFL` without flags on both architectures.
    let default = [0_u64; 4];
    for signal in 1..=LAST {
        // SAFETY: `default` outlives the call and is at least as long as a `kernel_sigaction`.
        let done =
            unsafe { call(number::RT_SIGACTION, [word(signal), default.as_ptr() as usize, 0, MASK_BYTES, 0, 0]) };
        match done {
            Ok(_) | Err(Errno::EINVAL) => {}
            Err(error) => return Err(error),
        }
    }
    set_mask(SIG_SETMASK, 0)
}

fn set_mask(how: usize, mask: u64) -> Result<()> {
    // SAFETY: the mask outlives the call and has the size that is told.
    unsafe { call(number::RT_SIGPROCMASK, [how, (&raw const mask) as usize, 0, MASK_BYTES, 0, 0]) }.map(drop)
}

/// Sends a signal to a process, or to all that the caller may reach if `pid` is -1.
pub fn send(pid: i32, signal: i32) -> Result<()> {
    // SAFETY: no pointers.
    unsafe { call(number::KILL, [word(pid), word(signal), 0, 0, 0, 0]) }.map(drop)
}

/// Sends a signal to every process that the caller may reach, itself apart. What is stopped is
/// woken, so that it can act on being asked to end.
pub fn send_to_all(signal: i32) -> Result<()> {
    let outcome = send(-1, signal);
    if asks_to_end(signal) {
        let _ = send(-1, SIGCONT);
    }
    // Nobody is there.
    if outcome == Err(Errno::ESRCH) { Ok(()) } else { outcome }
}

/// Holds on to a process, so that its id cannot come to mean another one.
pub fn hold(pid: i32) -> Result<OwnedFd> {
    // SAFETY: no pointers.
    let fd = unsafe { call(number::PIDFD_OPEN, [word(pid), 0, 0, 0, 0, 0]) }?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Sends a signal to a process that is held.
pub fn send_to(held: BorrowedFd<'_>, signal: i32) -> Result<()> {
    // SAFETY: without information to go with it there is no pointer.
    unsafe { call(number::PIDFD_SEND_SIGNAL, [word(held.as_raw_fd()), word(signal), 0, 0, 0, 0]) }.map(drop)
}

/// Whether a signal asks a program to end, which it can only do while it is not stopped.
pub fn asks_to_end(signal: i32) -> bool {
    matches!(signal, SIGTERM | SIGINT | SIGHUP)
}
