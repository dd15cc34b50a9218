//! The agent's ends of a script's standard streams: what they hold, how much may pass, when they are
//! over. Nothing here waits.

use std::os::fd::{AsRawFd as _, OwnedFd};

use crate::serve::link::Link;
use crate::sys::poll::{Entry, HUP, IN, OUT};
use crate::sys::{Errno, Result, file};
use crate::wire::{FromAgent, MAX_DATA, Stream};

/// Bytes of standard input that the engine may have on the way.
pub const STDIN_WINDOW: u32 = 256 * 1024;

/// Where a script's output goes.
pub enum Sink<'a> {
    /// To the engine, as `Data` of this execution.
    Link(&'a mut Link, u32),
    /// Into a buffer of bounded length.
    Buffer(&'a mut Vec<u8>),
}

/// The most that [`Sink::Buffer`] takes.
const MAX_BUFFER: usize = 60 * 1024;

/// Standard output or standard error.
#[derive(Debug)]
pub struct Output {
    stream: Stream,
    pipe: Option<OwnedFd>,
    credit: u64,
    total: u64,
    /// Nobody can write to it any more; what was written may still be there.
    hung_up: bool,
}

impl Output {
    pub fn new(stream: Stream, pipe: OwnedFd, window: u32) -> Self {
        Self { stream, pipe: Some(pipe), credit: u64::from(window), total: 0, hung_up: false }
    }

    pub fn stream(&self) -> Stream {
        self.stream
    }

    /// Whether `fd` is its pipe.
    pub fn has(&self, fd: i32) -> bool {
        self.pipe.as_ref().is_some_and(|it| it.as_raw_fd() == fd)
    }

    /// Bytes that were passed on.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Whether every byte is passed on and none can come.
    pub fn is_over(&self) -> bool {
        self.pipe.is_none()
    }

    /// Whether nobody can write to it any more.
    pub fn is_hung_up(&self) -> bool {
        self.hung_up || self.pipe.is_none()
    }

    pub fn grant(&mut self, bytes: u32) {
        self.credit = self.credit.saturating_add(u64::from(bytes));
    }

    /// What to wait for, if anything.
    pub fn entry(&self, full: bool) -> Option<Entry> {
        let pipe = self.pipe.as_ref()?;
        if self.credit > 0 && !full {
            Some(Entry::new(pipe.as_raw_fd(), IN))
        } else {
            // Only whether the writers are gone, and that only until it is known.
            (!self.hung_up).then(|| Entry::new(pipe.as_raw_fd(), 0))
        }
    }

    /// Passes on what is there, once.
    pub fn pump(&mut self, events: i16, sink: &mut Sink<'_>) -> Result<()> {
        self.hung_up |= events & HUP != 0;
        let Some(pipe) = &self.pipe else { return Ok(()) };
        let pipe = pipe.as_raw_fd();
        let limit = MAX_DATA.min(usize::try_from(self.credit).unwrap_or(MAX_DATA));
        let full = matches!(sink, Sink::Link(link, _) if link.is_full());
        if limit == 0 || full {
            if self.hung_up && file::waiting(pipe)? == 0 {
                self.pipe = None;
            }
            return Ok(());
        }
        let got = match sink {
            Sink::Link(link, execution) => link.carry(pipe, self.stream, *execution, limit),
            Sink::Buffer(buffer) => {
                let mut piece = [0; 4096];
                file::read(pipe, &mut piece).inspect(|count| {
                    let space = MAX_BUFFER.saturating_sub(buffer.len());
                    buffer.extend_from_slice(piece.get(..(*count).min(space)).unwrap_or_default());
                })
            }
        };
        match got {
            Ok(0) => self.pipe = None,
            Ok(count) => {
                self.total += count as u64;
                self.credit = self.credit.saturating_sub(count as u64);
                if self.hung_up && self.credit == 0 && file::waiting(pipe)? == 0 {
                    self.pipe = None;
                }
            }
            Err(Errno::EAGAIN) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Bytes that nobody has taken yet.
    pub fn waiting(&self) -> usize {
        self.pipe.as_ref().and_then(|it| file::waiting(it.as_raw_fd()).ok()).unwrap_or(0)
    }

    /// Gives up on what may still come.
    pub fn abandon(&mut self) {
        self.pipe = None;
    }
}

/// Standard input.
#[derive(Debug, Default)]
pub struct Input {
    pipe: Option<OwnedFd>,
    queue: Vec<u8>,
    /// How much of `queue` is written.
    written: usize,
    /// What the engine may still send.
    window: u32,
    /// What was taken off the queue and not granted again.
    owed: u32,
    ended: bool,
}

impl Input {
    pub fn new(pipe: Option<OwnedFd>) -> Self {
        let window = if pipe.is_some() { STDIN_WINDOW } else { 0 };
        Self { pipe, window, ..Self::default() }
    }

    /// Whether the script has a standard input that can be written to.
    pub fn is_fed(&self) -> bool {
        self.window > 0
    }

    /// Takes bytes for the script; `false` if there are more than were granted.
    #[must_use]
    pub fn take(&mut self, bytes: &[u8]) -> bool {
        let count = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let Some(left) = self.window.checked_sub(count) else { return false };
        self.window = left;
        if self.pipe.is_some() && !self.ended {
            self.queue.extend_from_slice(bytes);
        } else {
            // Nobody reads it any more. It is granted again, so that the engine is not left waiting.
            self.owed += count;
        }
        true
    }

    /// No more bytes will come.
    pub fn end(&mut self) {
        self.ended = true;
    }

    pub fn entry(&self) -> Option<Entry> {
        let pipe = self.pipe.as_ref()?;
        (self.written < self.queue.len()).then(|| Entry::new(pipe.as_raw_fd(), OUT))
    }

    /// Writes what the script takes now, and grants the engine as much again.
    pub fn pump(&mut self, link: &mut Link, execution: u32) {
        while let (Some(pipe), true) = (&self.pipe, self.written < self.queue.len()) {
            match file::write(pipe.as_raw_fd(), self.queue.get(self.written..).unwrap_or_default()) {
                Ok(count) => {
                    self.written += count;
                    self.owed += count as u32;
                }
                Err(Errno::EAGAIN) => break,
                Err(_) => {
                    self.owed += (self.queue.len() - self.written) as u32;
                    self.written = self.queue.len();
                    self.pipe = None;
                }
            }
        }
        if self.written == self.queue.len() {
            self.queue.clear();
            self.written = 0;
            if self.ended {
                self.pipe = None;
            }
        } else if self.written >= STDIN_WINDOW as usize / 2 {
            self.queue.drain(..self.written);
            self.written = 0;
        }
        if self.owed > 0 && !self.ended && (self.owed >= STDIN_WINDOW / 4 || self.queue.is_empty()) {
            link.send(execution, &FromAgent::Credit { stream: Stream::Stdin, bytes: self.owed });
            self.window += self.owed;
            self.owed = 0;
        }
    }
}
