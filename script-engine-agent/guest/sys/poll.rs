//! Waiting for descriptors.

use super::{Errno, Result, call, number};

pub const IN: i16 = 1;
pub const OUT: i16 = 4;
pub const HUP: i16 = 16;

/// One descriptor to wait for, in the kernel's layout (`struct pollfd`).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub fd: i32,
    pub events: i16,
    pub revents: i16,
}

impl Entry {
    /// Waits for `events` (and always for hang-up and errors) on `fd`.
    pub fn new(fd: i32, events: i16) -> Self {
        Self { fd, events, revents: 0 }
    }
}

/// Waits until an entry is ready or `timeout_ms` have passed; a signal ends the wait early.
pub fn poll(entries: &mut [Entry], timeout_ms: u64) -> Result<()> {
    let timeout = [i64::try_from(timeout_ms / 1000).unwrap_or(i64::MAX), ((timeout_ms % 1000) * 1_000_000) as i64];
    // SAFETY: the entries and the timeout outlive the call and have the kernel's layout.
    let done = unsafe {
        call(number::PPOLL, [entries.as_mut_ptr() as usize, entries.len(), timeout.as_ptr() as usize, 0, 0, 0])
    };
    match done {
        Ok(_) => Ok(()),
        Err(Errno::EINTR) => {
            entries.iter_mut().for_each(|it| it.revents = 0);
            Ok(())
        }
        Err(error) => Err(error),
    }
}
