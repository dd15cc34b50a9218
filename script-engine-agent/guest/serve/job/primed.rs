//! A job that has no script yet: a program that was started ahead of it and waits at its gate. It becomes the job
//! of a script, or ends without a word, and then the script's program is started afresh.

use super::{Errno, Failure, Job, Link, Phase, Purpose, Start, fault, file, time};
use crate::script::gate::{Gate, Step};
use crate::serve::Config;
use crate::wire::FromAgent;

/// What a primed job waits for.
#[derive(Debug)]
pub struct Waiting {
    pub gate: Gate,
    start: Box<Start>,
    /// The execution that primed it, until that was answered.
    asked: Option<u32>,
    limit_ms: u64,
    /// When it must have come to its gate, or taken its job.
    until: u64,
}

impl Waiting {
    pub fn new(gate: Gate, start: &Start, execution: u32, limit_ms: u64) -> Self {
        let until = time::monotonic_ms() + limit_ms;
        Self { gate, start: Box::new(start.clone()), asked: Some(execution), limit_ms, until }
    }

    /// When to look again though nothing is ready.
    pub fn deadline(&self) -> u64 {
        self.until
    }
}

impl Job {
    /// Whether it has no script yet.
    pub fn is_primed(&self) -> bool {
        matches!(self.purpose, Purpose::Primed(_))
    }

    /// Hands a script over to the program that waits. If that can't serve it, because it was started for another
    /// kind of job, is not there yet, has ended, or has done something, it is killed without a word.
    pub fn hand_over(&mut self, execution: u32, wanted: &Start, environment: &[Vec<u8>]) {
        let there = self.phase == Phase::Running && self.ended.is_none() && self.is_silent();
        let Purpose::Primed(waiting) = &mut self.purpose else { return };
        let waits = waiting.gate.step() == Step::Waiting && waiting.asked.take().is_none();
        let fits = waiting.start.is_like(wanted) && wanted.primed_with > 0;
        let arguments = wanted.argv.get(wanted.primed_with as usize..);
        let variables: Vec<&[u8]> = environment.iter().chain(&wanted.env).map(Vec::as_slice).collect();
        // Of a NUL byte a fresh start says what is wrong.
        let clean = |it: &[u8]| !it.contains(&0);
        let clean = variables.iter().all(|it| clean(it)) && wanted.argv.iter().all(|it| clean(it));
        match arguments {
            Some(arguments) if there && waits && fits && clean => {
                waiting.gate.open(&variables, arguments);
                waiting.until = time::monotonic_ms() + waiting.limit_ms;
                self.execution = execution;
            }
            _ => self.abandon(),
        }
    }

    /// Whether it has printed nothing.
    fn is_silent(&self) -> bool {
        self.outputs.iter().all(|it| it.waiting() == 0)
    }

    /// Looks how far the program is. A word too much, an early end, or a late one: it is killed.
    pub(super) fn advance_primed(&mut self, now: u64, config: &Config, link: &mut Link) {
        let silent = self.is_silent();
        let Purpose::Primed(waiting) = &mut self.purpose else { return };
        if !matches!(self.phase, Phase::Starting | Phase::Running) {
            return;
        }
        match waiting.gate.step() {
            // Until it is let go on, whatever it prints is not the script's.
            Step::Taken if !silent => self.refuse("it printed something"),
            Step::Taken => {
                waiting.gate.release();
                self.purpose = Purpose::Script;
                (self.next_watch, self.next_beat) = (now, self.next_beat.max(now));
                self.announce(link);
            }
            Step::Waiting if waiting.asked.is_some() => {
                let asked = waiting.asked;
                waiting.until = u64::MAX;
                remove_gate(config);
                if let Some(failure) = self.found_at_gate(config) {
                    self.refuse(&failure);
                } else if let (Some(asked), Purpose::Primed(waiting)) = (asked, &mut self.purpose) {
                    waiting.asked = None;
                    link.send(asked, &FromAgent::Primed);
                }
            }
            Step::Broken => self.refuse("it left its gate"),
            Step::Coming | Step::Waiting if now >= waiting.until => self.refuse("it took too long"),
            Step::Coming | Step::Waiting => {}
        }
    }

    /// What a program that has just come to its gate has done already.
    fn found_at_gate(&mut self, config: &Config) -> Option<String> {
        if !self.is_silent() {
            return Some("it printed something".to_owned());
        }
        let processes = self.sample(config).processes;
        (processes > 1).then(|| format!("it started {} more", processes - 1))
    }

    /// Kills the program and remembers why.
    fn refuse(&mut self, why: &str) {
        if self.reported.is_empty() {
            let failure = Failure::new("prime", format!("the program is not fit to wait: {why}"), Errno::EPROTO);
            self.refusal = Some(failure);
        }
        self.abandon();
    }

    /// Answers whoever primed it, if nobody has.
    pub(super) fn end_primed(&mut self, link: &mut Link) {
        let Purpose::Primed(waiting) = &self.purpose else { return };
        let Some(execution) = waiting.asked else { return };
        let failure = match self.refusal.take() {
            _ if !self.reported.is_empty() => Failure::read(&self.reported),
            Some(failure) => failure,
            None => Failure::new("prime", "the program ended before it had its job".to_owned(), Errno::EPROTO),
        };
        link.send(execution, &fault(failure));
    }
}

impl Start {
    /// Whether a program that was started for this one is confined as the other wants it.
    fn is_like(&self, other: &Self) -> bool {
        let shape = |it: &Self| {
            let bounds = (it.open_files, it.processes, it.file_bytes, it.supervised_memory, it.supervised_processes);
            (it.cwd.clone(), it.stdin, bounds, it.leak_ms, it.window)
        };
        shape(self) == shape(other)
    }
}

/// Removes what a program needed to be primed.
pub fn remove_gate(config: &Config) {
    let folder = [&config.scripts_dir[..], b"/", crate::wire::gate::FOLDER.as_bytes()].concat();
    let Ok(open) = file::open(&folder, file::O_RDONLY | file::O_DIRECTORY | file::O_NOFOLLOW, 0) else { return };
    use std::os::fd::AsRawFd as _;
    for name in file::names(&open).unwrap_or_default() {
        let _ = file::remove(open.as_raw_fd(), &name, false);
    }
    if let Ok(parent) = file::open(&config.scripts_dir, file::O_PATH | file::O_DIRECTORY, 0) {
        let _ = file::remove(parent.as_raw_fd(), crate::wire::gate::FOLDER.as_bytes(), true);
    }
}
