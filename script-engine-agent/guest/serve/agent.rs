//! The loop that waits for the link, the script's streams, children and deadlines, and does what the
//! engine says. It never waits for anything else, so the lease always holds.

use std::collections::VecDeque;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

mod begin;

use begin::Pending;

use super::egress::Egress;
use super::job::primed::{self, Waiting};
use super::job::{Job, Purpose, Surroundings, fault};
use super::link::{Link, Received};
use super::{Config, Containment};
use crate::files::{Fetch, Files, Piece};
use crate::kill;
use crate::reset::{Origin, Reset};
use crate::script::child::Failure;
use crate::script::filter::Filter;
use crate::script::start;
use crate::sys::poll::{Entry, IN, OUT, poll};
use crate::sys::process::Waited;
use crate::sys::{self, Errno, identity, process, signal, time};
use crate::wire::{FromAgent, Listen, MAX_ENVIRONMENT, Start, Stream, ToAgent, feature};

/// How long the engine has for its first message.
const FIRST_LEASE_MS: u64 = 30_000;
/// How long the last words may take to be sent.
const LAST_WORDS_MS: u64 = 200;
/// How long the end of everything may take, where the kernel does not see to it.
const END_MS: u64 = 2_000;
/// Files that may wait to be fetched.
const MAX_FETCHES: usize = 256;
/// Unsent bytes above which the engine is not listened to either: it asks and does not read.
const DEAF: usize = 1024 * 1024;

/// Why the agent stops.
#[derive(Debug)]
pub enum End {
    /// The engine is gone or told it to.
    Told,
    /// The other end does not keep to the protocol, or the system fails.
    Broken(Failure),
}

/// Everything that an agent holds.
#[derive(Debug)]
pub struct Agent {
    config: Config,
    link: Link,
    signals: OwnedFd,
    filter: Filter,
    environment: Vec<Vec<u8>>,
    files: Files,
    /// Why something of the next job did not arrive; it must not start without it. Told as the answer
    /// to the start, so that each request has one answer.
    incomplete: Option<Failure>,
    fetches: VecDeque<(u32, Vec<u8>, u64)>,
    fetch: Option<Fetch>,
    job: Option<Job>,
    /// The way out of the job, or of the next one.
    egress: Option<Egress>,
    /// A start that a primed program was offered, or that waits until one which can't serve it is gone.
    pending: Option<Pending>,
    reset: Option<Reset>,
    origin: Origin,
    /// A reset that waits for the end of the job.
    reset_wanted: Option<u32>,
    /// The limits of the last job: what a posture is told with.
    last_start: Start,
    lease_ms: u64,
    beat_ms: u64,
    lease_until: u64,
}

impl Agent {
    pub fn new(config: Config) -> sys::Result<Self> {
        process::control(process::PR_SET_DUMPABLE, 0, 0)?;
        if process::id() != 1 {
            process::control(process::PR_SET_CHILD_SUBREAPER, 1, 0)?;
        }
        // Who may not leave its groups has none that matter.
        let _ = identity::leave_groups();
        sys::file::set_umask(0o022);
        let mut link = Link::new(config.link_in, config.link_out)?;
        let signals = signal::receive(&[signal::SIGCHLD, signal::SIGTERM, signal::SIGINT, signal::SIGHUP])?;
        link.send(
            0,
            &FromAgent::Hello {
                build: crate::BUILD.to_owned(),
                arch: std::env::consts::ARCH.to_owned(),
                features: features(&config),
                landlock_abi: sys::landlock::abi(),
            },
        );
        Ok(Self {
            origin: Origin::look(&config),
            config,
            link,
            signals,
            filter: Filter::default(),
            environment: Vec::new(),
            files: Files::default(),
            incomplete: None,
            fetches: VecDeque::new(),
            fetch: None,
            job: None,
            egress: None,
            pending: None,
            reset: None,
            reset_wanted: None,
            last_start: Start { file_bytes: u64::MAX, ..Start::default() },
            lease_ms: FIRST_LEASE_MS,
            beat_ms: 1_000,
            lease_until: time::monotonic_ms() + FIRST_LEASE_MS,
        })
    }

    /// Serves until there is a reason not to.
    pub fn run(&mut self) -> End {
        let mut entries = Vec::new();
        loop {
            self.advance();
            if let Err(error) = self.link.flush() {
                // Nobody reads any more.
                let _ = error;
                return End::Told;
            }
            let now = time::monotonic_ms();
            if now >= self.lease_until {
                return End::Told;
            }
            self.entries(&mut entries);
            let deadline = self.deadline();
            if let Err(error) = poll(&mut entries, deadline.saturating_sub(now)) {
                return End::Broken(Failure::new("poll", "cannot wait".to_owned(), error));
            }
            if let Err(end) = self.handle(&entries) {
                return end;
            }
        }
    }

    /// Kills everything, says what is left to say, and gives the exit code.
    pub fn finish(&mut self, end: End) -> i32 {
        let code = match end {
            End::Told => 0,
            End::Broken(Failure { operation, message, errno }) => {
                self.link.send(0, &FromAgent::Fault { operation, message, errno: errno.0, fatal: true });
                1
            }
        };
        self.kill_everything();
        let until = time::monotonic_ms() + LAST_WORDS_MS;
        while self.link.flush().is_ok() && self.link.unsent() > 0 {
            let left = until.saturating_sub(time::monotonic_ms());
            let mut entry = [Entry::new(self.link.output(), OUT)];
            if left == 0 || poll(&mut entry, left).is_err() || entry[0].revents & OUT == 0 {
                break;
            }
        }
        code
    }

    fn kill_everything(&mut self) {
        if process::id() == 1 {
            // The kernel kills what is in the namespace of a process 1 that ends.
            return;
        }
        let until = time::monotonic_ms() + END_MS;
        if let Some(job) = &self.job {
            job.kill_stub();
        }
        loop {
            kill::descendants();
            while let Ok(Waited::Ended(_)) = process::reap() {}
            if matches!(process::reap(), Ok(Waited::None)) || time::monotonic_ms() >= until {
                return;
            }
            let mut entry = [Entry::new(self.signals.as_raw_fd(), IN)];
            let _ = poll(&mut entry, 5);
            while signal::next(self.signals.as_fd()).is_some() {}
        }
    }

    fn entries(&mut self, entries: &mut Vec<Entry>) {
        entries.clear();
        let full = self.link.is_full();
        entries.push(Entry::new(self.signals.as_raw_fd(), IN));
        if self.link.unsent() < DEAF {
            entries.push(Entry::new(self.link.input(), IN));
        }
        if self.link.unsent() > 0 {
            entries.push(Entry::new(self.link.output(), OUT));
        }
        if let Some(job) = &self.job {
            job.entries(full, entries);
        }
        if let Some(reset) = &self.reset {
            entries.push(reset.entry());
        }
        if let Some(egress) = self.egress.as_mut().filter(|_| self.job.as_ref().is_some_and(Job::is_told)) {
            egress.entries(full, entries);
        }
    }

    fn deadline(&self) -> u64 {
        let job = self.job.as_ref().map_or(u64::MAX, Job::deadline);
        let reset = self.reset.as_ref().map_or(u64::MAX, Reset::deadline);
        // A file can always be read on.
        let fetch = if self.fetch.is_some() && !self.link.is_full() { 0 } else { u64::MAX };
        self.lease_until.min(job).min(reset).min(fetch)
    }

    fn handle(&mut self, entries: &[Entry]) -> Result<(), End> {
        let broken = |error| End::Broken(Failure::new("streams", "cannot read".to_owned(), error));
        for entry in entries.iter().filter(|it| it.revents != 0) {
            if entry.fd == self.signals.as_raw_fd() {
                self.signalled()?;
            } else if entry.fd == self.link.input() && entry.events & IN != 0 {
                self.receive()?;
            } else if entry.fd == self.link.output() {
                // Flushed before each wait; a hang-up shows there too.
            } else if let Some(reset) = self.reset.as_mut().filter(|it| it.entry().fd == entry.fd) {
                reset.read();
            } else if self.egress.as_mut().is_some_and(|it| it.ready(*entry, &mut self.link)) {
                // It was a connection's.
            } else if let Some(job) = &mut self.job {
                let mut around = Surroundings {
                    config: &self.config,
                    link: &mut self.link,
                    egress: &mut self.egress,
                    beat_ms: self.beat_ms,
                };
                job.ready(*entry, &mut around).map_err(broken)?;
            }
        }
        Ok(())
    }

    fn signalled(&mut self) -> Result<(), End> {
        while let Some(number) = signal::next(self.signals.as_fd()) {
            if number != signal::SIGCHLD {
                return Err(End::Told);
            }
        }
        loop {
            match process::reap() {
                Ok(Waited::Ended(child)) => {
                    if let Some(reset) = self.reset.as_mut().filter(|it| it.pid() == child.pid) {
                        reset.reaped();
                    } else if let Some(job) = &mut self.job {
                        job.reaped(child);
                    }
                }
                Ok(Waited::Alive) => return Ok(()),
                Ok(Waited::None) => {
                    if let Some(job) = &mut self.job {
                        job.alone();
                    }
                    return Ok(());
                }
                Err(error) => return Err(End::Broken(Failure::new("reap", "cannot wait".to_owned(), error))),
            }
        }
    }

    fn receive(&mut self) -> Result<(), End> {
        match self.link.receive() {
            Ok(Received::Bytes) => {}
            Ok(Received::Nothing) => return Ok(()),
            Ok(Received::End) | Err(_) => return Err(End::Told),
        }
        loop {
            match self.link.next() {
                Ok(Some((execution, message))) => {
                    self.lease_until = time::monotonic_ms() + self.lease_ms;
                    self.obey(execution, message)?;
                }
                Ok(None) => return Ok(()),
                Err(error) => return Err(broken_protocol(error.to_string())),
            }
        }
    }

    fn obey(&mut self, execution: u32, message: ToAgent) -> Result<(), End> {
        let job = self.job.as_mut().filter(|it| it.execution == execution);
        match message {
            ToAgent::Hello { lease_ms, beat_ms } => {
                if lease_ms == 0 || beat_ms == 0 {
                    return Err(broken_protocol("a lease or a beat of no length".to_owned()));
                }
                (self.lease_ms, self.beat_ms) = (u64::from(lease_ms), u64::from(beat_ms));
                self.lease_until = time::monotonic_ms() + self.lease_ms;
                if let Some(job) = &mut self.job {
                    job.beat_within(self.beat_ms);
                }
            }
            ToAgent::Ping => {}
            ToAgent::Filter { seccomp, landlock } => self.filter = Filter { seccomp, landlock },
            ToAgent::File { place, path, mode, offset, last, data } => {
                let piece = Piece { place, path, mode, offset, last, data };
                if let Err(failure) = self.files.put(&self.config, &piece) {
                    self.incomplete.get_or_insert(failure);
                }
            }
            ToAgent::Env { vars } => self.take_environment(vars),
            ToAgent::Prime { start, limit_ms } => self.prime(execution, &start, limit_ms),
            ToAgent::Start(start) => self.start(execution, *start),
            ToAgent::Data { stream: Stream::Stdin, bytes, .. } => {
                // What comes for a script that is over came too late, which is nobody's fault.
                if job.is_some_and(|it| !it.feed(&bytes, &mut self.link)) {
                    return Err(broken_protocol("more standard input than was granted".to_owned()));
                }
            }
            ToAgent::End { stream: Stream::Stdin } => {
                if let Some(job) = job {
                    job.end_input(&mut self.link);
                }
            }
            ToAgent::Data { .. } | ToAgent::End { .. } => {
                return Err(broken_protocol("bytes for a stream that is not standard input".to_owned()));
            }
            ToAgent::Credit { stream, bytes } => {
                if let Some(job) = job {
                    job.grant(stream, bytes);
                }
            }
            ToAgent::Signal { signal } => {
                if !(1..=64).contains(&signal) {
                    return Err(broken_protocol(format!("{signal} is not a signal")));
                }
                if let Some(job) = job {
                    job.signal(signal);
                }
            }
            ToAgent::Listen(listen) => self.listen(execution, &listen),
            ToAgent::Traffic { id, traffic } => {
                let egress = self.egress.as_mut().filter(|it| it.execution == execution);
                if egress.is_some_and(|it| !it.hear(id, traffic, &mut self.link)) {
                    return Err(broken_protocol("traffic that was not granted".to_owned()));
                }
            }
            ToAgent::Collect { path, max_bytes } => {
                if self.fetches.len() >= MAX_FETCHES {
                    return Err(broken_protocol("too many files asked for at once".to_owned()));
                }
                self.fetches.push_back((execution, path, max_bytes));
            }
            ToAgent::Reset => {
                self.reset_wanted = Some(execution);
                self.pending = None;
                if let Some(job) = &mut self.job {
                    job.abandon();
                }
            }
            ToAgent::Posture => self.posture(execution),
            ToAgent::Shutdown => return Err(End::Told),
        }
        Ok(())
    }

    fn advance(&mut self) {
        if let Some(job) = self.job.take() {
            let mut around = Surroundings {
                config: &self.config,
                link: &mut self.link,
                egress: &mut self.egress,
                beat_ms: self.beat_ms,
            };
            let primed = job.is_primed();
            self.job = job.advance(&mut around);
            if self.job.is_none() {
                if primed {
                    primed::remove_gate(&self.config);
                } else {
                    // No other job has it.
                    self.egress = None;
                }
            }
            self.start_pending();
        }
        self.advance_fetch();
        if self.job.is_none()
            && self.reset.is_none()
            && let Some(execution) = self.reset_wanted.take()
        {
            self.files = Files::default();
            self.environment.clear();
            self.incomplete = None;
            self.egress = None;
            match Reset::begin(&self.config, &self.origin, execution) {
                Ok(reset) => self.reset = Some(reset),
                Err(failure) => self.link.send(execution, &fault(failure)),
            }
        }
        if let Some(reset) = self.reset.take() {
            self.reset = reset.advance(&mut self.link);
        }
    }

    fn advance_fetch(&mut self) {
        if let Some(fetch) = self.fetch.take() {
            self.fetch = if self.link.is_full() { Some(fetch) } else { fetch.pump(&mut self.link) };
        }
        while self.fetch.is_none() && !self.link.is_full() {
            let Some((execution, path, max_bytes)) = self.fetches.pop_front() else { return };
            self.fetch = Fetch::begin(&self.config, &mut self.link, execution, &path, max_bytes);
        }
    }
}

fn features(config: &Config) -> u32 {
    let bits = [
        (process::id() == 1, feature::INIT),
        (config.containment == Containment::Nested, feature::NESTED),
        (config.script_uid.is_some(), feature::SCRIPT_UID),
        (config.private, feature::RESET),
        // A network that is shared with others is no place to listen for one script.
        (config.private, feature::LISTEN),
        (true, feature::PRIME),
    ];
    bits.iter().filter(|(holds, _)| *holds).fold(0, |sum, (_, bit)| sum | bit)
}

fn broken_protocol(text: String) -> End {
    End::Broken(Failure::new("protocol", text, Errno::EPROTO))
}
