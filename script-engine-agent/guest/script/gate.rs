//! The agent's ends of the gate at which a primed program waits for its job. Nothing here waits.

use std::os::fd::{AsRawFd as _, OwnedFd};

use crate::sys::file;
use crate::sys::poll::{Entry, IN, OUT};
use crate::wire::gate::{GO, READY, TAKEN};

/// How far the program at the gate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It has not come to it.
    Coming,
    /// It waits.
    Waiting,
    /// It has its job.
    Taken,
    /// It closed the gate before it was told to, or said what it should not.
    Broken,
}

/// See the module.
#[derive(Debug)]
pub struct Gate {
    report: OwnedFd,
    job: Option<OwnedFd>,
    queue: Vec<u8>,
    written: usize,
    /// Whether all of the job was written.
    is_whole: bool,
    step: Step,
}

impl Gate {
    /// Takes over the end that the program reports to and the end that it reads from.
    pub fn new(report: OwnedFd, job: OwnedFd) -> Self {
        Self { report, job: Some(job), queue: Vec::new(), written: 0, is_whole: false, step: Step::Coming }
    }

    pub fn step(&self) -> Step {
        self.step
    }

    /// Whether `fd` is one of its ends.
    pub fn has(&self, fd: i32) -> bool {
        self.report.as_raw_fd() == fd || self.job.as_ref().is_some_and(|it| it.as_raw_fd() == fd)
    }

    /// Appends what to wait for.
    pub fn entries(&self, entries: &mut Vec<Entry>) {
        if matches!(self.step, Step::Coming | Step::Waiting) {
            entries.push(Entry::new(self.report.as_raw_fd(), IN));
        }
        if let Some(job) = self.job.as_ref().filter(|_| self.written < self.queue.len()) {
            entries.push(Entry::new(job.as_raw_fd(), OUT));
        }
    }

    /// Hands the job over: what the program gets to read, as it takes it.
    pub fn open(&mut self, environment: &[&[u8]], arguments: &[Vec<u8>]) {
        // How many fields follow, and how many of them are variables.
        let total = 1 + environment.len() + arguments.len();
        let mut fields = format!("{total}\0{}\0", environment.len()).into_bytes();
        for field in environment.iter().copied().chain(arguments.iter().map(Vec::as_slice)) {
            fields.extend_from_slice(field);
            fields.push(0);
        }
        (self.queue, self.written) = (fields, 0);
        self.write();
    }

    /// Takes in what is ready.
    pub fn pump(&mut self) {
        self.write();
        let mut said = [0; 16];
        match file::read(self.report.as_raw_fd(), &mut said) {
            Ok(0) => self.step = Step::Broken,
            Ok(count) => {
                for it in said.iter().take(count) {
                    self.step = match (self.step, *it) {
                        (Step::Coming, READY) => Step::Waiting,
                        // Only who was given a job can have taken it, and only whole.
                        (Step::Waiting, TAKEN) if self.is_whole => Step::Taken,
                        _ => Step::Broken,
                    };
                }
            }
            // Nothing was said.
            Err(_) => {}
        }
    }

    fn write(&mut self) {
        while let (Some(job), true) = (&self.job, self.written < self.queue.len()) {
            match file::write(job.as_raw_fd(), self.queue.get(self.written..).unwrap_or_default()) {
                Ok(count) => self.written += count,
                Err(crate::sys::Errno::EAGAIN) => return,
                Err(_) => {
                    self.step = Step::Broken;
                    return;
                }
            }
        }
        if !self.queue.is_empty() {
            self.is_whole = true;
            // What was in it may be secret.
            self.queue.fill(0);
            self.queue = Vec::new();
        }
    }

    /// Lets a program that has taken its job go on.
    pub fn release(&mut self) {
        if let Some(job) = self.job.take() {
            // A program that is gone shows by its end.
            let _ = file::write(job.as_raw_fd(), &[GO]);
        }
    }
}
