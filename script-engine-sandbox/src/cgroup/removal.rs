//! Removing cgroups once they are empty, which the kernel tells by an event.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::Cgroup;
use crate::machine::blocking;

/// How long what was killed may take to be gone.
const GONE_WITHIN: Duration = Duration::from_secs(5);
/// How often a cgroup is looked at where the kernel has no event.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// How long one wait for an event may take, in milliseconds.
const EVENT_WITHIN: u16 = 1000;

impl Cgroup {
    /// Removes the cgroup, whose processes were killed, when they are gone. Fails if that takes more
    /// than [`GONE_WITHIN`]. Not an error if it is removed already; may be called again.
    pub(crate) async fn remove_when_empty(&self) -> io::Result<()> {
        match tokio::time::timeout(GONE_WITHIN, self.remove_whenever_empty()).await {
            Ok(removed) => removed,
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, format!("still has processes {:?}", self.members()))),
        }
    }

    async fn remove_whenever_empty(&self) -> io::Result<()> {
        let mut look = tokio::time::interval(LOOK_EVERY);
        loop {
            match self.remove() {
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {}
                done => return done,
            }
            if let Some(events) = self.events() {
                // Where the kernel can't tell, looking again must do.
                drop(blocking(move || wait_until_empty(&events)).await);
            }
            look.tick().await;
        }
    }

    fn members(&self) -> Vec<u32> {
        self.folders().iter().flat_map(|it| super::members(it)).collect()
    }
}

/// Waits, for a bounded time, until `cgroup.events` says that no process is left.
fn wait_until_empty(events: &Path) -> io::Result<()> {
    let mut file = File::open(events)?;
    loop {
        let mut text = String::new();
        file.rewind()?;
        file.read_to_string(&mut text)?;
        if text.lines().any(|it| it == "populated 0") {
            return Ok(());
        }
        if poll(&mut [PollFd::new(file.as_fd(), PollFlags::POLLPRI)], PollTimeout::from(EVENT_WITHIN))? == 0 {
            return Err(io::ErrorKind::TimedOut.into());
        }
    }
}
