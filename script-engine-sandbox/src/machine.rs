//! One sandbox from outside: its launcher, its cgroup, and their end. A task of its own waits for the
//! launcher's end and clears up, so that a machine that is dropped leaves nothing either.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use nix::sys::signal::{SIGTERM, kill};
use nix::unistd::Pid;
use script_engine_core::contract::{Machine, Verdict};
use script_engine_core::sandbox::{Living, Owner};
use script_engine_core::{Limits, Result, Usage};
use tokio::process::Child;
use tokio::sync::{mpsc, watch};

use crate::cgroup::{Bounds, Cgroup, Stats};
use crate::error::SandboxError;
use crate::owner::wait_for_end;
use crate::plan;
use crate::tree;

/// How long a killed launcher may take to end, its namespaces with it.
const END_WITHIN: Duration = Duration::from_secs(10);
/// How long a launcher may take to kill its sandbox when it is told to.
const TERM_WITHIN: Duration = Duration::from_secs(4);
/// Processes in the cgroup that are not the script's: the launcher and process 1.
const OVERHEAD_PIDS: u64 = 2;

/// What is removed with a machine.
#[derive(Debug)]
pub(crate) struct Remains {
    pub(crate) name: String,
    pub(crate) cgroup: Option<Cgroup>,
    pub(crate) folder: Option<PathBuf>,
}

/// What a machine's supervisor watches.
#[derive(Debug)]
pub(crate) struct Launched {
    pub(crate) child: Child,
    pub(crate) process_1: watch::Receiver<Option<Pid>>,
}

/// How a supervisor is told to end its machine.
#[derive(Debug)]
struct Told {
    killed: mpsc::Receiver<()>,
    end: watch::Receiver<u64>,
}

/// How far the end of a machine is.
#[derive(Clone, Debug)]
enum State {
    Running,
    /// The launcher has ended, with these last statistics.
    Ended(Stats),
    /// Everything is removed, or this is left.
    Cleared(Stats, Option<String>),
}

/// One booted sandbox.
pub(crate) struct LinuxMachine {
    remains: Arc<Remains>,
    /// Bytes of scratch space, which count as memory.
    scratch: AtomicU64,
    /// Kills for lack of memory before the last `resize`.
    oom_before: AtomicU64,
    kill: mpsc::Sender<()>,
    state: watch::Receiver<State>,
}

impl fmt::Debug for LinuxMachine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LinuxMachine").field(&self.remains.name).finish()
    }
}

impl LinuxMachine {
    /// Takes over a started launcher with all that belongs to it.
    pub(crate) fn new(owner: &Arc<Owner>, remains: Remains, launched: Launched) -> Self {
        let remains = Arc::new(remains);
        let (kill, killed) = mpsc::channel(1);
        let (report, state) = watch::channel(State::Running);
        let (living, end) = owner.register(&remains.name);
        let told = Told { killed, end };
        tokio::spawn(supervise(living, launched, Arc::clone(&remains), told, report));
        Self { remains, scratch: AtomicU64::new(0), oom_before: AtomicU64::new(0), kill, state }
    }

    /// Says how much scratch space the sandbox has, before its limits are set.
    pub(crate) fn set_scratch(&self, bytes: u64) {
        self.scratch.store(bytes, Ordering::Relaxed);
    }

    /// The cgroup, where there is one.
    pub(crate) fn cgroup(&self) -> Option<&Cgroup> {
        self.remains.cgroup.as_ref()
    }

    /// Whether the launcher has not ended.
    pub(crate) fn is_running(&self) -> bool {
        matches!(&*self.state.borrow(), State::Running)
    }

    fn stats(&self) -> Stats {
        match &*self.state.borrow() {
            State::Running => self.remains.stats(),
            State::Ended(stats) | State::Cleared(stats, _) => *stats,
        }
    }
}

impl Remains {
    fn stats(&self) -> Stats {
        self.cgroup.as_ref().map(Cgroup::stats).unwrap_or_default()
    }

    /// Removes everything; may be called again.
    async fn clear(&self) -> io::Result<()> {
        if let Some(cgroup) = &self.cgroup {
            // What the pid namespace has not taken along: a launcher that was killed before it had one.
            drop(cgroup.kill());
            cgroup.remove_when_empty().await?;
        }
        match self.folder.clone() {
            Some(folder) => blocking(move || tree::remove(&folder)).await,
            None => Ok(()),
        }
    }
}

/// Waits for the launcher's end, which is process 1's end, or brings it about; then clears up.
async fn supervise(
    living: Living,
    Launched { mut child, mut process_1 }: Launched,
    remains: Arc<Remains>,
    mut told: Told,
    report: watch::Sender<State>,
) {
    tokio::select! {
        _ = child.wait() => {}
        // Asked to, or nobody holds the machine any more.
        _ = told.killed.recv() => end(&mut child, &remains).await,
        // All sandboxes of the engine are to end.
        _ = told.end.changed() => end(&mut child, &remains).await,
    }
    // A launcher that was killed ends before its sandbox does.
    if let Ok(pid) = process_1.wait_for(Option::is_some).await.map(|it| *it)
        && let Err(error) = wait_for_end(pid.as_slice()).await
    {
        tracing::error!(sandbox = remains.name, %error, "process 1 outlives its launcher");
    }
    let stats = remains.stats();
    report.send_replace(State::Ended(stats));
    let left = remains.clear().await.err().map(|error| error.to_string());
    if let Some(left) = &left {
        tracing::error!(sandbox = remains.name, left, "a sandbox could not be removed");
    }
    // The owner lives for as long as something of it does.
    drop(living);
    report.send_replace(State::Cleared(stats, left));
}

/// Kills everything and waits until the launcher has ended.
async fn end(child: &mut Child, remains: &Remains) {
    // The launcher kills process 1 and waits for the end of its namespace. Killed itself, it would end
    // first, and leave process 1 to be waited for by the host's own process 1, which may be an engine
    // that knows nothing of it.
    let pid = child.id().and_then(|it| i32::try_from(it).ok());
    if let Some(pid) = pid {
        let _ = kill(Pid::from_raw(pid), SIGTERM);
    }
    if tokio::time::timeout(TERM_WITHIN, child.wait()).await.is_err() {
        if let Some(cgroup) = &remains.cgroup {
            drop(cgroup.kill());
        }
        drop(child.start_kill());
        drop(child.wait().await);
    }
}

#[async_trait]
impl Machine for LinuxMachine {
    async fn kill(&self) -> Result<()> {
        // A full channel holds the same message; a closed one belongs to a machine that has ended.
        let _ = self.kill.try_send(());
        Ok(())
    }

    async fn usage(&self) -> Option<Usage> {
        self.remains.cgroup.as_ref()?;
        let stats = self.stats();
        Some(Usage {
            cpu: Duration::from_micros(stats.cpu_us),
            peak_memory: stats.memory_peak,
            processes: u32::try_from(stats.pids.saturating_sub(OVERHEAD_PIDS)).unwrap_or(u32::MAX),
        })
    }

    async fn resize(&self, limits: &Limits) -> Result<()> {
        let bounds: Bounds = plan::bounds(limits, self.scratch.load(Ordering::Relaxed));
        self.oom_before.store(self.stats().oom_kills, Ordering::Relaxed);
        let Some(cgroup) = self.remains.cgroup.clone() else { return Ok(()) };
        Ok(blocking(move || cgroup.limit(bounds)).await.map_err(SandboxError::Cgroup)?)
    }

    async fn verdict(&self) -> Verdict {
        if self.stats().oom_kills > self.oom_before.load(Ordering::Relaxed) {
            return Verdict::OutOfMemory;
        }
        match &*self.state.borrow() {
            State::Running => Verdict::Alive,
            State::Ended(_) | State::Cleared(..) => Verdict::Gone,
        }
    }

    async fn destroy(&self) -> Result<()> {
        self.kill().await?;
        let mut state = self.state.clone();
        let cleared = state.wait_for(|it| matches!(it, State::Cleared(..)));
        let left = match tokio::time::timeout(END_WITHIN, cleared).await {
            Ok(Ok(state)) => match &*state {
                State::Cleared(_, left) => left.clone(),
                State::Running | State::Ended(_) => None,
            },
            Ok(Err(_)) => Some("its supervisor is gone".to_owned()),
            Err(_) => Some(format!("its launcher has not ended within {END_WITHIN:?}")),
        };
        let Some(what) = left else { return Ok(()) };
        // What was left may be gone by now.
        match self.remains.clear().await {
            Ok(()) => Ok(()),
            Err(error) => {
                Err(SandboxError::Left { name: self.remains.name.clone(), what: format!("{what}; {error}") }.into())
            }
        }
    }
}

/// Does something that may take a while on a thread where that is no harm.
pub(crate) async fn blocking<T: Send + 'static>(act: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    match tokio::task::spawn_blocking(act).await {
        Ok(done) => done,
        Err(error) => Err(io::Error::other(error)),
    }
}
