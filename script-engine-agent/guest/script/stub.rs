//! Process 1 of a script's own pid namespace: it hides what scripts must not see, starts the script,
//! reaps, passes signals on, and takes everything with it when it ends.

use std::os::fd::{AsFd as _, AsRawFd as _};

use super::child::{Child, Failure, go_first};
use crate::sys::mount::{MS_BIND, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_PRIVATE, MS_RDONLY, MS_REC, MS_REMOUNT, mount};
use crate::sys::poll::{Entry, IN, poll};
use crate::sys::process::Waited;
use crate::sys::{self, Errno, file, process, signal};

/// Where orders come from: each byte is a signal for every process of the script. Above the gate.
pub const ORDERS: i32 = 6;
/// Where reports go.
pub const REPORTS: i32 = 7;
/// Files of /proc that tell about the machine rather than the script, after Docker's list.
const HIDDEN_FILES: [&str; 6] = ["kcore", "keys", "latency_stats", "sched_debug", "timer_list", "timer_stats"];
/// Folders of that kind.
const HIDDEN_FOLDERS: [&str; 3] = ["acpi", "asound", "scsi"];

/// What a stub reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// The script itself ended, with this code or by this signal.
    Ended { code: i32, signal: i32 },
    /// Nothing is left; so many processes were killed by order after the script's own end.
    Gone { killed: u32 },
}

impl Report {
    /// Bytes of a report.
    pub const LENGTH: usize = 12;

    fn encode(self) -> [u8; Self::LENGTH] {
        let words = match self {
            Self::Ended { code, signal } => [1, code, signal],
            Self::Gone { killed } => [2, killed.cast_signed(), 0],
        };
        let mut bytes = [0; Self::LENGTH];
        for (place, word) in bytes.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// Reads a report.
    pub fn decode(bytes: &[u8; Self::LENGTH]) -> Option<Self> {
        let word = |at: usize| i32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        match word(0) {
            1 => Some(Self::Ended { code: word(4), signal: word(8) }),
            2 => Some(Self::Gone { killed: word(4).cast_unsigned() }),
            _ => None,
        }
    }
}

/// Is the stub. Its descriptors are the script's standard streams, [`REPORT`](super::child::REPORT), orders and reports.
pub fn be(child: &Child<'_>) -> ! {
    if let Err(failure) = isolate(child) {
        failure.report();
    }
    match process::fork(0) {
        Ok(0) => {
            file::close_from(ORDERS);
            child.become_script()
        }
        Ok(script) => {
            for fd in 0..ORDERS {
                file::close(fd);
            }
            let code = if tend(script).is_ok() { 0 } else { 1 };
            process::exit(code)
        }
        Err(error) => Failure::new("start", "cannot make a child".to_owned(), error).report(),
    }
}

/// Makes the mounts that only this script sees.
fn isolate(child: &Child<'_>) -> Result<(), Failure> {
    let fail = |what: &str, error| Failure::new("mount", format!("cannot {what}"), error);
    process::control(process::PR_SET_PDEATHSIG, signal::SIGKILL as usize, 0)
        .map_err(|error| fail("ask to die with the agent", error))?;
    mount(b"", b"/", b"", MS_REC | MS_PRIVATE, b"").map_err(|error| fail("make the mounts private", error))?;

    // While /proc is still the agent's, which can be written to. Nothing of the script is alive yet that
    // could make use of a dumpable stub.
    let dumpable = |it| process::control(process::PR_SET_DUMPABLE, it, 0);
    dumpable(1).map_err(|error| fail("become dumpable", error))?;
    go_first();
    dumpable(0).map_err(|error| fail("stop being dumpable", error))?;

    // Read-only as a whole: nothing in /proc/sys or of the like is the script's to change.
    let proc = mount(b"proc", b"/proc", b"proc", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, b"");
    match proc {
        Ok(()) => hide().map_err(|error| fail("hide parts of /proc", error))?,
        // A root without the folder has no /proc at all, which is as good.
        Err(Errno::ENOENT) => {}
        Err(error) => return Err(fail("mount /proc", error)),
    }

    let scripts = &child.config.scripts_dir;
    let read_only = || mount(b"", scripts, b"", MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, b"");
    match read_only() {
        // Not a mount of its own yet.
        Err(Errno::EINVAL) => mount(scripts, scripts, b"", MS_BIND, b"").and_then(|()| read_only()),
        other => other,
    }
    .map_err(|error| fail("make the scripts read-only", error))
}

fn hide() -> sys::Result<()> {
    for name in HIDDEN_FILES {
        pass_missing(mount(b"/dev/null", format!("/proc/{name}").as_bytes(), b"", MS_BIND, b""))?;
    }
    for name in HIDDEN_FOLDERS {
        let flags = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
        pass_missing(mount(b"tmpfs", format!("/proc/{name}").as_bytes(), b"tmpfs", flags, b""))?;
    }
    Ok(())
}

fn pass_missing(outcome: sys::Result<()>) -> sys::Result<()> {
    if outcome == Err(Errno::ENOENT) { Ok(()) } else { outcome }
}

/// Serves orders and reaps until nothing is left.
fn tend(script: i32) -> sys::Result<()> {
    let signals = signal::receive(&[signal::SIGCHLD])?;
    let mut ended = false;
    // Whether what is reaped counts as left over by the script.
    let mut counts = false;
    let mut killed = 0;
    loop {
        loop {
            match process::reap()? {
                Waited::Ended(it) if it.pid == script => {
                    ended = true;
                    report(Report::Ended { code: it.code, signal: it.signal })?;
                }
                Waited::Ended(it) => killed += u32::from(counts && it.signal == signal::SIGKILL),
                Waited::Alive => break,
                Waited::None => return report(Report::Gone { killed }),
            }
        }
        let mut entries = [Entry::new(ORDERS, IN), Entry::new(signals.as_raw_fd(), IN)];
        poll(&mut entries, u64::MAX / 2)?;
        while signal::next(signals.as_fd()).is_some() {}
        if entries[0].revents != 0 {
            let mut orders = [0; 16];
            let count = file::read(ORDERS, &mut orders)?;
            if count == 0 {
                // The agent is gone, and so is everything in here.
                return Err(Errno::EPIPE);
            }
            for order in orders.iter().take(count) {
                let order = i32::from(*order);
                counts = ended && order == signal::SIGKILL;
                signal::send_to_all(order)?;
            }
        }
    }
}

fn report(report: Report) -> sys::Result<()> {
    file::write_all(REPORTS, &report.encode())
}
