//! System V objects and message queues of the ipc namespace (`include/uapi/linux/{shm,sem,msg}.h`).

use std::ffi::c_long;

use super::{Errno, Result, call, number, word};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Memory,
    Semaphores,
    Messages,
}

const IPC_RMID: i32 = 0;

impl Kind {
    /// The control call, and its commands: about all, about one by its index, and the same without
    /// asking for permission to read it.
    fn commands(self) -> (c_long, i32, i32, i32) {
        match self {
            Self::Memory => (number::SHMCTL, 14, 13, 15),
            Self::Semaphores => (number::SEMCTL, 19, 18, 20),
            Self::Messages => (number::MSGCTL, 12, 11, 13),
        }
    }

    fn control(self, id: i32, command: i32) -> Result<i32> {
        let mut buffer = [0_u64; 64];
        let buffer = buffer.as_mut_ptr() as usize;
        let arguments = match self {
            // The number of a semaphore comes before the buffer.
            Self::Semaphores => [word(id), 0, word(command), buffer, 0, 0],
            Self::Memory | Self::Messages => [word(id), word(command), buffer, 0, 0, 0],
        };
        // SAFETY: the buffer outlives the call and is longer than any structure of these commands.
        unsafe { call(self.commands().0, arguments) }.map(|value| value as i32)
    }
}

/// The ids of all objects of a kind.
pub fn list(kind: Kind) -> Vec<i32> {
    let (_, about_all, about_one, about_any) = kind.commands();
    let Ok(last) = kind.control(0, about_all) else { return Vec::new() };
    let id = |index| match kind.control(index, about_any) {
        Err(Errno::EINVAL) => kind.control(index, about_one),
        other => other,
    };
    (0..=last).filter_map(|index| id(index).ok()).collect()
}

/// Removes an object.
pub fn remove(kind: Kind, id: i32) -> Result<()> {
    kind.control(id, IPC_RMID).map(drop)
}

/// Pages of System V shared memory that are in memory, attached or not.
pub fn shared_pages() -> u64 {
    const SHM_INFO: i32 = 14;
    // `struct shm_info`: used ids, then pages in all, in memory, and swapped.
    let mut info = [0_u64; 64];
    // SAFETY: the buffer outlives the call and is longer than the structure.
    let told = unsafe { call(number::SHMCTL, [0, word(SHM_INFO), info.as_mut_ptr() as usize, 0, 0, 0]) };
    if told.is_ok() { info[2] + info[3] } else { 0 }
}

/// Whether message queues can be used. Opens one that is not there.
pub fn queues_exist() -> bool {
    let name = c"script-engine-no-such-queue";
    // SAFETY: the name outlives the call; without O_CREAT there are no further arguments.
    let opened = unsafe { call(number::MQ_OPEN, [name.as_ptr() as usize, 0, 0, 0, 0, 0]) };
    opened != Err(Errno::ENOSYS)
}
