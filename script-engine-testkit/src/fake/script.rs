//! A fake script that runs: carries out one action after the other, whenever its next event is
//! waited for.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use script_engine_core::contract::{Clock, OutputStream, RunningScript, ScriptEvent};
use script_engine_core::memory::SystemClock;
use script_engine_core::{BrokenLimit, Error, ErrorKind, Exit, ExitReport, Job, Result, Usage};
use tokio::time::Instant;

use super::action::{Action, Left};
use super::egress::FakeEgress;
use super::host::FakeHost;
use super::stdin::Pressure;

/// How often a script gives a sign of life, unless it is told otherwise.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(2);
/// How long the pieces are in which output is handed out, one after the other.
const PIECES: [usize; 8] = [1, 2, 3, 7, 64, 1021, 4096, 65_536];
/// One line of a flood.
const LINE: &[u8; 64] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ01234567890\n";

/// A whole number of lines that all floods are slices of.
fn flood_block() -> Bytes {
    static BLOCK: OnceLock<Bytes> = OnceLock::new();
    BLOCK.get_or_init(|| LINE.repeat(1024).into()).clone()
}

/// A running fake script.
#[derive(Debug)]
pub(super) struct FakeScript {
    host: FakeHost,
    sandbox: u64,
    pub(super) job: Arc<Job>,
    pub(super) clock: Arc<dyn Clock>,
    pressure: Arc<Pressure>,
    actions: VecDeque<Action>,
    heartbeat: Duration,
    next_beat: Option<Instant>,
    on_ask: OnAsk,
    until: Option<Instant>,
    pieces: usize,
    pub(super) left: BTreeMap<String, Left>,
    pub(super) egress: FakeEgress,
    pub(super) end: Option<ScriptEvent>,
}

/// What a script does when it is asked to stop.
#[derive(Debug)]
enum OnAsk {
    Die,
    Ignore,
    Do(Vec<Action>),
}

impl FakeScript {
    /// Starts a script in a sandbox that is there, after what its list says about the start.
    pub(super) async fn start(
        host: &FakeHost,
        sandbox: u64,
        job: Arc<Job>,
        mut actions: VecDeque<Action>,
        pressure: Arc<Pressure>,
    ) -> Result<Self> {
        loop {
            match actions.front() {
                Some(Action::SlowSpawn(time)) => tokio::time::sleep(*time).await,
                Some(Action::FailSpawn(kind, message)) => return Err(Error::new(*kind, message.clone())),
                _ => break,
            }
            actions.pop_front();
        }
        tokio::task::yield_now().await;
        host.start(sandbox, job.argv.join(" "));
        Ok(Self {
            host: host.clone(),
            sandbox,
            job,
            clock: Arc::new(SystemClock),
            pressure,
            actions,
            heartbeat: HEARTBEAT,
            next_beat: Some(Instant::now() + HEARTBEAT),
            on_ask: OnAsk::Die,
            until: None,
            pieces: 0,
            left: BTreeMap::new(),
            egress: FakeEgress::default(),
            end: None,
        })
    }

    /// Sets how often it gives a sign of life.
    pub(super) fn beat_every(&mut self, heartbeat: Duration) {
        self.heartbeat = heartbeat;
        self.next_beat = Some(Instant::now() + heartbeat);
    }

    /// Heeds what was done to the script since the last time.
    fn heed(&mut self) {
        let (killed, reaped, asked) = {
            let mut done = self.pressure.done();
            (done.killed, done.reaped, std::mem::take(&mut done.asked))
        };
        if reaped {
            self.lose("the sandbox was reaped");
        } else if killed {
            self.exit(Exit::Signal(9), None);
        } else if asked {
            match std::mem::replace(&mut self.on_ask, OnAsk::Ignore) {
                OnAsk::Die => self.exit(Exit::Signal(15), None),
                OnAsk::Ignore => {}
                OnAsk::Do(actions) => {
                    self.actions = actions.into();
                    self.until = None;
                }
            }
        }
    }

    /// Carries out the first action or a part of it. `None` if that is no event by itself.
    fn step(&mut self) -> Option<ScriptEvent> {
        match self.actions.pop_front() {
            None => self.exit(Exit::Code(0), None),
            Some(Action::Print(stream, bytes)) => return self.print(stream, bytes),
            Some(Action::Answer(stream, answer)) => {
                let bytes = answer(&self.job);
                return self.print(stream, bytes);
            }
            Some(Action::Flood(stream, bytes)) => return self.flood(stream, bytes),
            Some(Action::Beat) => return Some(self.beat()),
            Some(Action::Wait(time)) => {
                let until = *self.until.get_or_insert_with(|| Instant::now() + time);
                if Instant::now() < until {
                    self.actions.push_front(Action::Wait(time));
                } else {
                    self.until = None;
                }
            }
            Some(Action::Never) => self.actions.push_front(Action::Never),
            Some(Action::Silence) => self.next_beat = None,
            Some(Action::EchoStdin) => {
                if let Some(bytes) = self.pressure.read(self.piece()) {
                    self.actions.push_front(Action::EchoStdin);
                    return (!bytes.is_empty()).then(|| self.output(OutputStream::Stdout, bytes));
                }
            }
            Some(Action::IgnoreAsk) => self.on_ask = OnAsk::Ignore,
            Some(Action::OnAsk(actions)) => self.on_ask = OnAsk::Do(actions),
            Some(Action::Background(name)) => {
                self.host.start(self.sandbox, format!("{name} {}", self.job.argv.join(" ")));
            }
            Some(Action::Leave(path, left)) => drop(self.left.insert(path, left)),
            Some(Action::ListLeft) => {
                let list: String = self.left.keys().map(|it| format!("LEFT {it}\n")).collect();
                return self.print(OutputStream::Stdout, list.into());
            }
            Some(Action::Connect(host, port)) => {
                let heard = self.egress.connect(&host, port, self.clock.as_ref());
                return self.print(OutputStream::Stdout, Bytes::from_static(heard.as_bytes()));
            }
            Some(Action::Exit(code)) => self.exit(Exit::Code(code), None),
            Some(Action::Die(signal)) => self.exit(Exit::Signal(signal), None),
            Some(Action::ExhaustMemory) => self.exit(Exit::Signal(9), Some(BrokenLimit::Memory)),
            Some(Action::Lose(reason)) => self.lose(&reason),
            // These are carried out before the start, and mean nothing after it.
            Some(Action::SlowSpawn(_) | Action::StuckSpawn(_) | Action::FailSpawn(..)) => {}
        }
        None
    }

    /// Whether the first action can only go on when something comes from outside or time passes.
    fn is_stuck(&self) -> bool {
        match self.actions.front() {
            Some(Action::Never) => true,
            Some(Action::Wait(_)) => self.until.is_some_and(|it| Instant::now() < it),
            Some(Action::EchoStdin) => self.pressure.is_idle(),
            _ => false,
        }
    }

    fn piece(&self) -> usize {
        PIECES[self.pieces % PIECES.len()]
    }

    fn print(&mut self, stream: OutputStream, mut bytes: Bytes) -> Option<ScriptEvent> {
        if bytes.is_empty() {
            return None;
        }
        let piece = bytes.split_to(bytes.len().min(self.piece()));
        if !bytes.is_empty() {
            self.actions.push_front(Action::Print(stream, bytes));
        }
        Some(self.output(stream, piece))
    }

    fn flood(&mut self, stream: OutputStream, bytes: u64) -> Option<ScriptEvent> {
        let block = flood_block();
        let piece = usize::try_from(bytes).unwrap_or(usize::MAX).min(block.len());
        if piece == 0 {
            return None;
        }
        self.actions.push_front(Action::Flood(stream, bytes - piece as u64));
        Some(self.output(stream, block.slice(..piece)))
    }

    fn output(&mut self, stream: OutputStream, bytes: Bytes) -> ScriptEvent {
        self.pieces += 1;
        ScriptEvent::Output { stream, time: self.clock.now(), bytes }
    }

    fn beat(&mut self) -> ScriptEvent {
        self.next_beat = self.next_beat.map(|_| Instant::now() + self.heartbeat);
        ScriptEvent::Beat(Usage { cpu: Duration::from_millis(1), peak_memory: 1 << 20, processes: 1 })
    }

    fn exit(&mut self, exit: Exit, broke: Option<BrokenLimit>) {
        // The first one is the program itself.
        let leaked = self.host.stop(self.sandbox).saturating_sub(1);
        let usage = Usage { cpu: Duration::from_millis(1), peak_memory: 1 << 20, processes: 0 };
        self.end = Some(ScriptEvent::Exited(ExitReport { exit, usage, broke, leaked }));
        self.pressure.finish();
    }

    fn lose(&mut self, reason: &str) {
        self.host.stop(self.sandbox);
        self.end = Some(ScriptEvent::Lost { reason: reason.to_owned(), out_of_memory: false });
        self.pressure.finish();
    }
}

#[async_trait]
impl RunningScript for FakeScript {
    async fn next(&mut self) -> ScriptEvent {
        tokio::task::yield_now().await;
        loop {
            if self.end.is_none() {
                self.heed();
            }
            if let Some(end) = &self.end {
                return end.clone();
            }
            if self.next_beat.is_some_and(|it| it <= Instant::now()) {
                return self.beat();
            }
            if let Some(event) = self.step() {
                return event;
            }
            if self.end.is_none() && self.is_stuck() {
                let pressure = Arc::clone(&self.pressure);
                let wake = [self.until, self.next_beat].into_iter().flatten().min();
                match wake {
                    Some(time) => tokio::select! {
                        () = pressure.changed.notified() => {}
                        () = tokio::time::sleep_until(time) => {}
                    },
                    None => pressure.changed.notified().await,
                }
            }
        }
    }

    async fn collect(&mut self, path: &str, max_bytes: u64) -> Result<Option<Bytes>> {
        tokio::task::yield_now().await;
        if self.end.is_none() {
            return Err(Error::new(ErrorKind::Conflict, "the script still runs; collect after its end"));
        }
        let refused = |why: &str| Err(Error::invalid("path", why).with_context("path", path));
        let below = ["/work/", "/tmp/"].iter().any(|folder| path.starts_with(folder));
        if !below || path.split('/').any(|part| matches!(part, "." | "..")) || path.contains("//") {
            return refused("is not a plain path below /work or /tmp");
        }
        let parents = path.match_indices('/').map(|(end, _)| &path[..end]);
        if parents.into_iter().any(|it| self.left.get(it).is_some_and(|left| *left != Left::Folder)) {
            return refused("has a part that is not a plain folder");
        }
        match self.left.get(path) {
            None => Ok(None),
            Some(Left::Special | Left::Folder) => refused("is not a plain file"),
            Some(Left::File(bytes)) if bytes.len() as u64 > max_bytes => refused("is longer than was asked for"),
            Some(Left::File(bytes)) => Ok(Some(bytes.clone())),
        }
    }

    async fn finish(self: Box<Self>) -> Result<()> {
        tokio::task::yield_now().await;
        self.host.remove(self.sandbox);
        self.pressure.finish();
        Ok(())
    }
}

// A script that is dropped and not finished leaves its sandbox, dead, for `reap` to find.
impl Drop for FakeScript {
    fn drop(&mut self) {
        self.host.stop(self.sandbox);
        self.pressure.finish();
    }
}
