//! Making a sandbox as good as new: everything that a script could have written is removed and looked
//! for again. Done in a child, because a hostile script can have left millions of files.

use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

use crate::script::child::Failure;
use crate::serve::Config;
use crate::serve::link::Link;
use crate::sys::file::{O_DIRECTORY, O_PATH};
use crate::sys::poll::{Entry, IN};
use crate::sys::{Errno, file, identity, process, signal, time};
use crate::wire::FromAgent;

mod wipe;

/// How long a reset may take.
const LIMIT_MS: u64 = 30_000;
/// Bytes of findings that are told.
const MAX_FINDINGS: usize = 32 * 1024;

/// What a reset returns to: the folders that scripts can write to, with their modes before the first
/// script.
#[derive(Debug)]
pub struct Origin(Vec<(Vec<u8>, Option<u32>)>);

impl Origin {
    /// Looks at the folders.
    pub fn look(config: &Config) -> Self {
        let mode = |path: &[u8]| {
            let folder = file::open(path, O_PATH | O_DIRECTORY, 0).ok()?;
            Some(file::kind_of(folder.as_fd()).ok()?.2)
        };
        let folders = [config.work_dir.as_slice(), config.tmp_dir.as_slice(), b"/dev/shm"];
        Self(folders.iter().map(|it| (it.to_vec(), mode(it))).collect())
    }
}

/// A reset under way.
#[derive(Debug)]
pub struct Reset {
    execution: u32,
    pid: i32,
    pipe: OwnedFd,
    findings: Vec<u8>,
    told: bool,
    gone: bool,
    until: u64,
    late: bool,
}

impl Reset {
    /// Starts the child that wipes and verifies.
    pub fn begin(config: &Config, origin: &Origin, execution: u32) -> Result<Self, Failure> {
        let fail = |error| Failure::new("reset", "cannot make a child".to_owned(), error);
        if !config.private {
            let text = "the folders and the ipc namespace are not this sandbox's alone".to_owned();
            return Err(Failure::new("reset", text, Errno::EPERM));
        }
        let (pipe, write) = file::pipe().map_err(fail)?;
        file::set_nonblocking(pipe.as_raw_fd()).map_err(fail)?;
        let pid = process::fork(0).map_err(fail)?;
        if pid == 0 {
            clean(config, origin, &write);
        }
        let until = time::monotonic_ms() + LIMIT_MS;
        Ok(Self { execution, pid, pipe, findings: Vec::new(), told: false, gone: false, until, late: false })
    }

    pub fn pid(&self) -> i32 {
        self.pid
    }

    pub fn entry(&self) -> Entry {
        Entry::new(self.pipe.as_raw_fd(), if self.told { 0 } else { IN })
    }

    pub fn deadline(&self) -> u64 {
        if self.late { u64::MAX } else { self.until }
    }

    /// Reads what the child found.
    pub fn read(&mut self) {
        let mut piece = [0; 4096];
        match file::read(self.pipe.as_raw_fd(), &mut piece) {
            Ok(count) if count > 0 => {
                let space = MAX_FINDINGS.saturating_sub(self.findings.len());
                self.findings.extend_from_slice(piece.get(..count.min(space)).unwrap_or_default());
            }
            Err(Errno::EAGAIN) => {}
            Ok(_) | Err(_) => self.told = true,
        }
    }

    /// Hears that the child has ended.
    pub fn reaped(&mut self) {
        self.gone = true;
    }

    /// Gives itself back unless it is done.
    pub fn advance(mut self, link: &mut Link) -> Option<Self> {
        if time::monotonic_ms() >= self.until && !self.late {
            self.late = true;
            // Already gone is as good.
            let _ = signal::send(self.pid, signal::SIGKILL);
        }
        while self.gone && !self.told {
            self.read();
        }
        if !self.gone {
            return Some(self);
        }
        let text = String::from_utf8_lossy(&self.findings);
        let complete = text.ends_with(DONE);
        let mut findings: Vec<String> = text.lines().filter(|it| *it != DONE.trim_end()).map(str::to_owned).collect();
        if self.late {
            findings.push(format!("the reset took longer than {} s", LIMIT_MS / 1000));
        } else if !complete {
            findings.push("the reset did not come to its end".to_owned());
        }
        link.send(self.execution, &FromAgent::ResetDone { findings });
        None
    }
}

/// The last line of a child that came to its end.
const DONE: &str = "done\n";

/// Is the child: wipes the scripts as the agent, everything else as the script's user.
fn clean(config: &Config, origin: &Origin, pipe: &OwnedFd) -> ! {
    let mut findings = Vec::new();
    wipe::folder(&config.scripts_dir, None, &mut findings);
    if let Some((user, group)) = config.script_uid
        && let Err(error) = identity::become_user(user, group)
    {
        findings.push(format!("cannot become the script's user: {error}"));
    }
    for (folder, mode) in &origin.0 {
        wipe::folder(folder, *mode, &mut findings);
    }
    wipe::queues(&mut findings);
    wipe::ipc(&mut findings);
    let mut text = String::new();
    for it in findings.iter().take(64) {
        text.push_str(&it.chars().take(256).map(|it| if it.is_control() { '?' } else { it }).collect::<String>());
        text.push('\n');
    }
    text.push_str(DONE);
    let told = file::write_all(pipe.as_raw_fd(), text.as_bytes());
    process::exit(i32::from(told.is_err()))
}
