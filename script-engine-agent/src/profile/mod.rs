//! The system calls and files that scripts may use, as the agent applies them.
//!
//! Two profiles: [`sandbox`] for scripts in namespaces of their own, where the file system and the
//! network are already theirs alone, and [`process`] for scripts that share the host's, where the
//! filters are all that stands between. Both are plain data; the agent installs them.

mod calls;
mod landlock;
mod seccomp;

use std::fmt;
use std::path::PathBuf;

use crate::wire::{Landlock, ToAgent};

/// Filters for every script of a sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Seccomp programs, each a list of 8-byte `sock_filter`, in the order in which they are to be
    /// installed.
    pub seccomp: Vec<Vec<u8>>,
    /// The landlock domain.
    pub landlock: Landlock,
}

impl Profile {
    /// Makes the message that sends the profile to an agent.
    #[must_use]
    pub fn message(self) -> ToAgent {
        ToAgent::Filter { seccomp: self.seccomp, landlock: self.landlock }
    }
}

/// Why a profile could not be made: the architecture has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileError(String);

impl fmt::Display for ProfileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no system call profile: {}", self.0)
    }
}

impl std::error::Error for ProfileError {}

/// Makes the profile for scripts that run in namespaces of their own.
///
/// Seccomp: an allow-list after Docker's default without io_uring, keyrings, bpf, perf, userfaultfd,
/// mounts, namespaces, ptrace, personality, file handles, and limits of other processes; sockets of
/// families unix, IPv4 and IPv6 only. Landlock: everything may be read and executed, only `/work`,
/// `/tmp`, `/dev/shm`, `/dev/mqueue` and harmless devices written; no signals and no abstract sockets
/// across the domain where the kernel can tell. Network reach is the network namespace's business.
///
/// Fails on architectures other than x86_64 and aarch64.
pub fn sandbox() -> Result<Profile, ProfileError> {
    Ok(Profile { seccomp: vec![seccomp::program(seccomp::Reach::Namespaces)?], landlock: landlock::sandbox() })
}

/// Makes the profile for scripts without namespaces: `readable` may be read and executed (toolchains),
/// `writable` belong to the script. All paths are absolute; one that is not there is passed over.
///
/// Beyond what [`sandbox`] denies: sockets of any family (pairs apart: the host's services listen on
/// unix sockets, which landlock cannot tell apart), System V and POSIX message queues and shared
/// memory of the host's ipc namespace, and scheduling of other processes. Needs landlock 6 (Linux
/// 6.12): before it, signals to the host's processes of the same user cannot be stopped.
///
/// Fails on architectures other than x86_64 and aarch64.
pub fn process(readable: &[PathBuf], writable: &[PathBuf]) -> Result<Profile, ProfileError> {
    Ok(Profile {
        seccomp: vec![seccomp::program(seccomp::Reach::Host)?],
        landlock: landlock::process(readable, writable),
    })
}

#[cfg(test)]
mod tests;
