//! One script under way: from its start to the moment when nothing of it is left and everything it
//! printed is passed on.

use std::os::fd::{AsRawFd as _, OwnedFd};

pub mod primed;
mod watch;

use primed::Waiting;

use super::egress::Egress;
use super::link::Link;
use super::{Config, Containment};
use crate::kill;
use crate::script::child::{Failure, MAX_REPORT};
use crate::script::start::{Launched, Stub};
use crate::script::streams::{Input, Output, STDIN_WINDOW, Sink};
use crate::script::stub::Report;
use crate::sys::poll::{Entry, IN};
use crate::sys::process::Ended;
use crate::sys::{Errno, file, process, signal, time};
use crate::usage::{Group, Sample, Stores};
use crate::wire::{FromAgent, Start, Stream};

/// How often killing is tried again until nothing is left.
const KILL_AGAIN_MS: u64 = 20;
/// How long a stub has to kill what it holds before it is killed itself, which has the same effect
/// but does not tell how many there were.
const STUB_MS: u64 = 500;
/// How often a script's use of what no cgroup bounds is looked at.
const WATCH_MS: u64 = 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Not executed yet.
    Starting,
    Running,
    /// The script itself has ended; others may still hold its output, until this time.
    Leaking {
        until: u64,
    },
    /// Everything is being killed, since and again at these times.
    Killing {
        since: u64,
        again: u64,
    },
    /// Nothing is left but bytes; those of connections that are not passed on by then are given up.
    Draining {
        until: u64,
    },
}

/// What the job was started for.
#[derive(Debug)]
pub enum Purpose {
    Script,
    /// The output is facts for a `PostureReport`.
    Posture(Vec<u8>),
    /// There is no script yet.
    Primed(Waiting),
}

/// A job under way.
#[derive(Debug)]
pub struct Job {
    pub execution: u32,
    purpose: Purpose,
    phase: Phase,
    pid: i32,
    stub: Option<Stub>,
    report: Option<OwnedFd>,
    reported: Vec<u8>,
    /// Why a primed program can't be used.
    refusal: Option<Failure>,
    /// Whether the engine was told that the program was executed.
    started: bool,
    stdin: Input,
    outputs: [Output; 2],
    /// How the script itself ended.
    ended: Option<Ended>,
    /// All that was reaped, added up.
    used: Ended,
    /// Whether no process of it is left.
    gone: bool,
    leaked: u32,
    /// Whether what is reaped was left over by the script.
    counts_leaks: bool,
    abandoned: bool,
    limits: Limits,
    peak: u64,
    out_of_memory: bool,
    too_many_processes: bool,
    killed_by_us: bool,
    group: Option<Group>,
    next_watch: u64,
    next_beat: u64,
    last: Sample,
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    leak_ms: u64,
    memory: u64,
    processes: u32,
}

/// Where a job looks things up.
pub struct Surroundings<'a> {
    pub config: &'a Config,
    pub link: &'a mut Link,
    pub egress: &'a mut Option<Egress>,
    pub beat_ms: u64,
}

impl Job {
    pub fn new(execution: u32, launched: Launched, start: &Start, purpose: Purpose, beat_ms: u64) -> Self {
        let now = time::monotonic_ms();
        let window = if matches!(purpose, Purpose::Posture(_)) { u32::MAX } else { start.window };
        Self {
            execution,
            purpose,
            phase: Phase::Starting,
            pid: launched.pid,
            stub: launched.stub,
            report: Some(launched.report),
            reported: Vec::new(),
            refusal: None,
            started: false,
            stdin: Input::new(launched.stdin),
            outputs: [
                Output::new(Stream::Stdout, launched.stdout, window),
                Output::new(Stream::Stderr, launched.stderr, window),
            ],
            ended: None,
            used: Ended::default(),
            gone: false,
            leaked: 0,
            counts_leaks: false,
            abandoned: false,
            limits: Limits {
                leak_ms: u64::from(start.leak_ms),
                memory: start.supervised_memory,
                processes: start.supervised_processes,
            },
            peak: 0,
            out_of_memory: false,
            too_many_processes: false,
            killed_by_us: false,
            group: if process::id() == 1 { Group::read() } else { None },
            next_watch: now,
            next_beat: now + beat_ms,
            last: Sample::default(),
        }
    }

    /// Appends what to wait for.
    pub fn entries(&self, full: bool, entries: &mut Vec<Entry>) {
        entries.extend(self.report.iter().map(|it| Entry::new(it.as_raw_fd(), IN)));
        entries.extend(self.stub.iter().map(|it| Entry::new(it.reports.as_raw_fd(), IN)));
        entries.extend(self.stdin.entry());
        if let Purpose::Primed(waiting) = &self.purpose {
            waiting.gate.entries(entries);
        }
        let full = full && matches!(self.purpose, Purpose::Script);
        if !self.started {
            // What a script prints comes after the word that it was started.
            return;
        }
        entries.extend(self.outputs.iter().filter_map(|it| it.entry(full)));
    }

    /// When to look again though nothing is ready.
    pub fn deadline(&self) -> u64 {
        if let (Purpose::Primed(waiting), Phase::Starting | Phase::Running) = (&self.purpose, self.phase) {
            return waiting.deadline();
        }
        let phase = match self.phase {
            Phase::Starting | Phase::Running => u64::MAX,
            Phase::Leaking { until } | Phase::Draining { until } => until,
            Phase::Killing { again, .. } => again,
        };
        let watch = if self.is_watched() { self.next_watch } else { u64::MAX };
        let beat = if self.is_alive() { self.next_beat } else { u64::MAX };
        phase.min(watch).min(beat)
    }

    /// Takes in what is ready.
    pub fn ready(&mut self, entry: Entry, around: &mut Surroundings<'_>) -> Result<(), Errno> {
        let is = |fd: Option<&OwnedFd>| fd.is_some_and(|it| it.as_raw_fd() == entry.fd);
        if is(self.report.as_ref()) {
            self.read_report()?;
        } else if is(self.stub.as_ref().map(|it| &it.reports)) {
            self.read_stub();
        } else if let Purpose::Primed(waiting) = &mut self.purpose
            && waiting.gate.has(entry.fd)
        {
            waiting.gate.pump();
        } else if self.stdin.entry().is_some_and(|it| it.fd == entry.fd) {
            self.stdin.pump(around.link, self.execution);
        } else if let Some(output) = self.outputs.iter_mut().find(|it| it.has(entry.fd)) {
            let mut sink = match &mut self.purpose {
                Purpose::Posture(buffer) => Sink::Buffer(buffer),
                Purpose::Script | Purpose::Primed(_) => Sink::Link(around.link, self.execution),
            };
            output.pump(entry.revents, &mut sink)?;
        }
        Ok(())
    }

    /// Hears of a child of the agent that has ended.
    pub fn reaped(&mut self, child: Ended) {
        self.used.user_us += child.user_us;
        self.used.system_us += child.system_us;
        self.used.peak_memory = self.used.peak_memory.max(child.peak_memory);
        if child.pid != self.pid {
            self.leaked += u32::from(self.counts_leaks && child.signal == signal::SIGKILL);
            return;
        }
        if self.stub.is_some() {
            self.read_stub();
            self.gone = true;
        }
        // A stub that was killed did not live to tell of the script's end.
        self.ended.get_or_insert(child);
    }

    /// Hears that the agent has no children left.
    pub fn alone(&mut self) {
        self.gone = true;
    }

    /// Moves on as far as it can. Gives the job back unless it is over.
    pub fn advance(mut self, around: &mut Surroundings<'_>) -> Option<Self> {
        let now = time::monotonic_ms();
        self.advance_primed(now, around.config, around.link);
        if self.is_watched() && now >= self.next_watch {
            self.watch(now, around.config);
        }
        loop {
            match self.phase {
                Phase::Starting if self.report.is_some() => break,
                Phase::Starting if !self.reported.is_empty() => {
                    self.abandoned = true;
                    self.kill(now);
                }
                Phase::Starting => {
                    self.announce(around.link);
                    self.phase = Phase::Running;
                }
                Phase::Running if self.ended.is_some() && self.is_primed() => self.abandon(),
                Phase::Running if self.ended.is_some() => {
                    self.phase = Phase::Leaking { until: now + self.limits.leak_ms };
                }
                Phase::Running => break,
                Phase::Leaking { until } => {
                    if self.gone || now >= until || self.outputs.iter().all(Output::is_hung_up) {
                        self.kill(now);
                    } else {
                        break;
                    }
                }
                Phase::Killing { .. } if self.gone => {
                    // Killed so early that nobody has looked yet whether it was started. Its end of the
                    // pipe is closed by now.
                    while self.report.is_some() && self.read_report().is_ok_and(|more| more) {}
                    if !self.reported.is_empty() {
                        self.abandoned = true;
                    } else if !self.started {
                        self.announce(around.link);
                    }
                    self.phase = Phase::Draining { until: now + self.limits.leak_ms };
                }
                Phase::Killing { since, again } if now >= again => {
                    self.kill_again(now, since);
                    self.phase = Phase::Killing { since, again: now + KILL_AGAIN_MS };
                    break;
                }
                Phase::Killing { .. } => break,
                Phase::Draining { until } => {
                    if self.abandoned {
                        self.outputs.iter_mut().for_each(Output::abandon);
                    }
                    if self.abandoned || self.killed_by_us || now >= until {
                        *around.egress = None;
                        self.phase = Phase::Draining { until: u64::MAX };
                    }
                    if self.outputs.iter().all(Output::is_over)
                        && around.egress.as_ref().is_none_or(Egress::is_heard_out)
                    {
                        self.finish(around.link);
                        return None;
                    }
                    break;
                }
            }
        }
        if self.is_alive() && !self.is_primed() && now >= self.next_beat {
            self.beat(now, around);
        }
        Some(self)
    }

    /// Kills everything of it and gives up on what it printed and nobody has taken yet.
    pub fn abandon(&mut self) {
        self.abandoned = true;
        self.signal(signal::SIGKILL);
    }

    /// Kills the stub, and with it everything that runs under it.
    pub fn kill_stub(&self) {
        if self.stub.is_some() {
            // Already gone is as good.
            let _ = signal::send(self.pid, signal::SIGKILL);
        }
    }

    /// Passes a signal on to every process of it.
    pub fn signal(&mut self, number: i32) {
        if number == signal::SIGKILL {
            self.killed_by_us = true;
            self.kill(time::monotonic_ms());
        } else if self.is_alive() && !self.gone {
            self.order(number);
        }
    }

    /// The next beat is not to come later than this.
    pub fn beat_within(&mut self, beat_ms: u64) {
        self.next_beat = self.next_beat.min(time::monotonic_ms() + beat_ms);
    }

    /// Takes bytes for standard input; `false` if they were not granted.
    pub fn feed(&mut self, bytes: &[u8], link: &mut Link) -> bool {
        let granted = self.stdin.take(bytes);
        self.stdin.pump(link, self.execution);
        granted
    }

    pub fn end_input(&mut self, link: &mut Link) {
        self.stdin.end();
        self.stdin.pump(link, self.execution);
    }

    pub fn grant(&mut self, stream: Stream, bytes: u32) {
        self.outputs.iter_mut().filter(|it| it.stream() == stream).for_each(|it| it.grant(bytes));
    }

    /// Whether the engine was told that the program was executed: what the script does comes after that word.
    pub fn is_told(&self) -> bool {
        self.started
    }

    fn is_alive(&self) -> bool {
        matches!(self.phase, Phase::Starting | Phase::Running | Phase::Leaking { .. })
    }

    fn is_watched(&self) -> bool {
        self.is_alive() && !self.is_primed() && (self.limits.memory > 0 || self.limits.processes > 0)
    }

    fn kill(&mut self, now: u64) {
        if self.is_alive() {
            self.phase = Phase::Killing { since: now, again: now + KILL_AGAIN_MS };
            self.counts_leaks = self.ended.is_some();
            if !self.gone {
                self.order(signal::SIGKILL);
            }
        }
    }

    fn kill_again(&self, now: u64, since: u64) {
        match &self.stub {
            None => kill::descendants(),
            Some(_) if now >= since + STUB_MS => self.kill_stub(),
            Some(_) => {}
        }
    }

    fn order(&self, number: i32) {
        match &self.stub {
            Some(stub) => {
                let order = u8::try_from(number).unwrap_or(0);
                // A stub that is gone took its script along; one that does not listen is killed.
                let _ = file::write_all(stub.orders.as_raw_fd(), &[order]);
            }
            None if number == signal::SIGKILL => kill::descendants(),
            None => kill::signal_descendants(number),
        }
    }

    /// Says that the program was executed.
    fn announce(&mut self, link: &mut Link) {
        if self.is_primed() {
            return;
        }
        self.started = true;
        if matches!(self.purpose, Purpose::Script) {
            link.send(self.execution, &FromAgent::Started { time_us: time::wall_us() });
            if self.stdin.is_fed() {
                link.send(self.execution, &FromAgent::Credit { stream: Stream::Stdin, bytes: STDIN_WINDOW });
            }
        }
    }

    /// Reads what the child reports; tells whether there was anything to read.
    fn read_report(&mut self) -> Result<bool, Errno> {
        let Some(report) = &self.report else { return Ok(false) };
        let mut piece = [0; MAX_REPORT];
        match file::read(report.as_raw_fd(), &mut piece) {
            Ok(0) => self.report = None,
            Ok(count) => {
                let space = MAX_REPORT.saturating_sub(self.reported.len());
                self.reported.extend_from_slice(piece.get(..count.min(space)).unwrap_or_default());
            }
            Err(Errno::EAGAIN) => return Ok(false),
            Err(error) => return Err(error),
        }
        Ok(true)
    }

    fn read_stub(&mut self) {
        while let Some(stub) = &self.stub {
            let mut bytes = [0; Report::LENGTH];
            if file::read(stub.reports.as_raw_fd(), &mut bytes) != Ok(Report::LENGTH) {
                break;
            }
            match Report::decode(&bytes) {
                Some(Report::Ended { code, signal }) => {
                    self.ended = Some(Ended { pid: self.pid, code, signal, ..Ended::default() });
                }
                Some(Report::Gone { killed }) => self.leaked = killed,
                None => break,
            }
        }
    }

    fn finish(&mut self, link: &mut Link) {
        if self.is_primed() {
            return self.end_primed(link);
        }
        if !self.reported.is_empty() {
            return link.send(self.execution, &fault(Failure::read(&self.reported)));
        }
        if let Purpose::Posture(buffer) = &self.purpose {
            let facts = crate::posture::read(buffer);
            return link.send(self.execution, &FromAgent::PostureReport { facts });
        }
        for output in &self.outputs {
            link.send(self.execution, &FromAgent::End { stream: output.stream(), total: output.total() });
        }
        let ended = self.ended.unwrap_or_default();
        let mut peak_memory = self.peak.max(self.used.peak_memory);
        let mut out_of_memory = self.out_of_memory;
        if let (Some(before), Some(after)) = (self.group, self.group.and_then(|_| Group::read())) {
            out_of_memory |= after.oom_kills > before.oom_kills;
            if after.peak_memory > before.peak_memory {
                peak_memory = after.peak_memory;
            }
        }
        // Killed by somebody else just when it came near the limit: the machine ran out before we
        // looked again.
        let near = self.limits.memory > 0 && self.peak >= self.limits.memory / 8 * 7;
        out_of_memory |= ended.signal == signal::SIGKILL && !self.killed_by_us && near;
        link.send(
            self.execution,
            &FromAgent::Exited {
                code: ended.code,
                signal: ended.signal,
                user_us: self.used.user_us,
                system_us: self.used.system_us,
                peak_memory,
                out_of_memory,
                too_many_processes: self.too_many_processes,
                leaked: self.leaked,
            },
        );
    }
}

/// What the engine is told of a failure that leaves the sandbox usable.
pub fn fault(failure: Failure) -> FromAgent {
    let message = format!("{}: {}", failure.message, failure.errno);
    FromAgent::Fault { operation: failure.operation, message, errno: failure.errno.0, fatal: false }
}
