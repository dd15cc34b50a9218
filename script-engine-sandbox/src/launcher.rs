//! Starts launchers: the agent as a process that waits for a plan on its standard input. They are
//! started (and on cgroup version 1 moved into their cgroup, which takes 7 to 15 ms) ahead of need.
//! The host itself never forks otherwise.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::Pid;
use script_engine_agent::plan::PROCESS_1;
use script_engine_core::OwnerId;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::{Notify, watch};

use crate::config::Agent;
use crate::error::SandboxError;
use crate::machine::LinuxMachine;

/// What launchers call themselves in their arguments.
pub(crate) const NAME: &str = "script-engine-agent";
/// How much of what an agent says on its standard error is heeded, in bytes.
const COMPLAINTS: u64 = 4096;

/// The agent's program, ready to be started.
#[derive(Debug)]
pub(crate) enum Program {
    /// A sealed file in memory.
    Sealed(OwnedFd),
    /// A file.
    File(PathBuf),
}

impl Program {
    pub(crate) fn new(agent: &Agent) -> Result<Self, SandboxError> {
        match agent {
            Agent::Path(path) => Ok(Self::File(path.clone())),
            Agent::Embedded => seal(script_engine_agent::AGENT)
                .map(Self::Sealed)
                .map_err(|source| SandboxError::Spawn { path: "memory".to_owned(), source }),
        }
    }

    fn path(&self) -> PathBuf {
        match self {
            Self::Sealed(fd) => PathBuf::from(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(fd))),
            Self::File(path) => path.clone(),
        }
    }
}

/// Puts a program into a file in memory that nobody can change any more.
fn seal(program: &[u8]) -> io::Result<OwnedFd> {
    let fd = memfd_create(NAME, MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
    let mut file = std::fs::File::from(fd);
    io::Write::write_all(&mut file, program)?;
    let seals = SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(file.into())
}

/// A started agent and the way to it. Dropping it kills the agent.
#[derive(Debug)]
pub(crate) struct Launcher {
    pub(crate) child: Child,
    pub(crate) link: UnixStream,
    /// Process 1 of the sandbox, once the launcher has told it; closed when it never will.
    pub(crate) process_1: watch::Receiver<Option<Pid>>,
}

impl Launcher {
    /// Starts the agent with these arguments and its owner's mark.
    pub(crate) fn start(program: &Program, arguments: &[OsString], owner: OwnerId) -> Result<Self, SandboxError> {
        let path = program.path();
        let failed = |source| SandboxError::Spawn { path: path.display().to_string(), source };
        let (ours, theirs) = StdStream::pair().map_err(failed)?;
        ours.set_nonblocking(true).map_err(failed)?;
        let link = UnixStream::from_std(ours).map_err(failed)?;
        let mut child = Command::new(&path)
            .arg0(NAME)
            .args(arguments)
            .arg(owner.to_string())
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // A Ctrl-C in the host's terminal is for the host.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let (told, process_1) = watch::channel(None);
        if let Some(stderr) = child.stderr.take() {
            tokio::spawn(listen(stderr, told));
        }
        Ok(Self { child, link, process_1 })
    }
}

/// Drains an agent's standard error. A launcher names process 1 there; else something is said only when
/// all else fails.
async fn listen(stderr: ChildStderr, told: watch::Sender<Option<Pid>>) {
    let mut lines = BufReader::new(stderr.take(COMPLAINTS)).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        match line.strip_prefix(PROCESS_1).and_then(|it| it.parse().ok()) {
            Some(pid) => drop(told.send_replace(Some(Pid::from_raw(pid)))),
            None => tracing::warn!(line, "an agent complained"),
        }
    }
    // What is beyond the bound is drained all the same, or the agent would wait.
    let mut rest = lines.into_inner().into_inner().into_inner();
    let mut piece = [0; 512];
    while let Ok(1..) = rest.read(&mut piece).await {}
}

/// A launcher that waits for its plan, in its cgroup. Dropping it ends it and clears it up.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) number: u64,
    pub(crate) link: UnixStream,
    pub(crate) machine: LinuxMachine,
}

/// Launchers that were prepared ahead of need: at most `limit`.
#[derive(Debug)]
pub(crate) struct Spares {
    limit: usize,
    state: Mutex<State>,
    /// Told when one that was under way is there, or is not going to be.
    settled: Notify,
}

#[derive(Debug, Default)]
struct State {
    ready: VecDeque<Prepared>,
    under_way: usize,
    closed: bool,
}

impl Spares {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, state: Mutex::default(), settled: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one, if there is one that lives.
    pub(crate) fn take(&self) -> Option<Prepared> {
        let mut state = self.state();
        while let Some(prepared) = state.ready.pop_front() {
            if prepared.machine.is_running() {
                return Some(prepared);
            }
        }
        None
    }

    /// How many are missing; whoever asks makes them, and ends each by [`put`](Self::put) or
    /// [`give_up`](Self::give_up).
    pub(crate) fn claim_missing(&self) -> usize {
        let mut state = self.state();
        if state.closed {
            return 0;
        }
        let missing = self.limit.saturating_sub(state.ready.len() + state.under_way);
        state.under_way += missing;
        missing
    }

    /// Adds one. Gives it back when the backend was shut down meanwhile: to be removed, and then given
    /// up.
    pub(crate) fn put(&self, prepared: Prepared) -> Option<Prepared> {
        let mut state = self.state();
        if state.closed {
            return Some(prepared);
        }
        state.ready.push_back(prepared);
        drop(state);
        self.give_up();
        None
    }

    /// Ends one that was under way.
    pub(crate) fn give_up(&self) {
        let mut state = self.state();
        state.under_way = state.under_way.saturating_sub(1);
        drop(state);
        self.settled.notify_waiters();
    }

    /// Takes all, and keeps no more. None is under way when this returns.
    pub(crate) async fn close(&self) -> Vec<Prepared> {
        loop {
            let settled = self.settled.notified();
            tokio::pin!(settled);
            settled.as_mut().enable();
            {
                let mut state = self.state();
                state.closed = true;
                if state.under_way == 0 {
                    return state.ready.drain(..).collect();
                }
            }
            settled.await;
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state().closed
    }
}
