//! One connection of a script: what it holds, how much may pass, when it is over. Nothing here waits.

use std::io::{ErrorKind, Write as _};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsRawFd as _;

use crate::serve::link::Link;
use crate::sys::poll::{Entry, IN, OUT};
use crate::sys::{Errno, network};
use crate::wire::{FromAgent, MAX_PIECE, Traffic};

/// See the module.
#[derive(Debug)]
pub struct Connection {
    pub id: u32,
    socket: TcpStream,
    /// Bytes that the engine takes.
    credit: u64,
    /// Bytes that the engine may still send.
    granted: u32,
    /// What the engine sent and the script has not taken, from `written` on.
    queue: Vec<u8>,
    written: usize,
    /// What the script has taken and the engine was not told of.
    owed: u32,
    window: u32,
    /// The engine has reached the host.
    connected: bool,
    /// The script sends no more.
    heard_out: bool,
    /// The engine sends no more.
    told_out: bool,
    /// It is over: both are done, or one broke it off.
    over: bool,
}

impl Connection {
    /// Takes over a connection to which the engine may send `window` bytes.
    pub fn new(id: u32, socket: TcpStream, window: u32) -> Self {
        Self {
            id,
            socket,
            credit: 0,
            granted: window,
            queue: Vec::new(),
            written: 0,
            owed: 0,
            window,
            connected: false,
            heard_out: false,
            told_out: false,
            over: false,
        }
    }

    pub fn has(&self, fd: i32) -> bool {
        self.socket.as_raw_fd() == fd
    }

    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Whether everything that the script sent is passed on and nothing more can come.
    pub fn is_heard_out(&self) -> bool {
        self.heard_out || self.over
    }

    /// Whether it may last: it is neither about to begin nor about to end.
    pub fn is_settled(&self) -> bool {
        self.connected && !self.is_heard_out()
    }

    /// What to wait for, if anything: a hang-up that nobody wants to hear of would be told for ever.
    pub fn entry(&self, full: bool) -> Option<Entry> {
        let reads = self.credit > 0 && !self.heard_out && !full;
        let writes = self.written < self.queue.len();
        let events = if reads { IN } else { 0 } | if writes { OUT } else { 0 };
        (events != 0).then(|| Entry::new(self.socket.as_raw_fd(), events))
    }

    /// Passes on what is there, once in each direction.
    pub fn ready(&mut self, entry: Entry, link: &mut Link, execution: u32) {
        if entry.events & OUT != 0 {
            self.write(link, execution);
        }
        if entry.events & IN != 0 && !self.over && !link.is_full() {
            self.read(link, execution);
        }
    }

    fn read(&mut self, link: &mut Link, execution: u32) {
        let limit = MAX_PIECE.min(usize::try_from(self.credit).unwrap_or(MAX_PIECE));
        match link.carry_piece(self.socket.as_raw_fd(), self.id, execution, limit) {
            Ok(0) => {
                self.heard_out = true;
                link.send(execution, &FromAgent::Traffic { id: self.id, traffic: Traffic::End });
                self.over = self.told_out && self.queue.is_empty();
            }
            Ok(count) => self.credit -= count as u64,
            Err(Errno::EAGAIN) => {}
            Err(_) => self.reset(link, execution),
        }
    }

    /// Writes what the script takes now, and grants the engine as much again.
    fn write(&mut self, link: &mut Link, execution: u32) {
        while self.written < self.queue.len() {
            match self.socket.write(self.queue.get(self.written..).unwrap_or_default()) {
                Ok(count) => {
                    self.written += count;
                    self.owed += count as u32;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return self.reset(link, execution),
            }
        }
        if self.written == self.queue.len() {
            // Idle connections hold nothing.
            self.queue = Vec::new();
            self.written = 0;
            if self.told_out {
                // A script that is gone hears it no more.
                drop(self.socket.shutdown(Shutdown::Write));
                self.over = self.heard_out;
                return;
            }
        } else if self.written >= self.window as usize / 2 {
            self.queue.drain(..self.written);
            self.written = 0;
        }
        if self.owed > 0 && (self.owed >= self.window / 4 || self.queue.is_empty()) {
            link.send(execution, &FromAgent::Traffic { id: self.id, traffic: Traffic::Credit(self.owed) });
            self.granted += self.owed;
            self.owed = 0;
        }
    }

    /// Hears of the engine; `false` if it sends what was not granted.
    #[must_use]
    pub fn hear(&mut self, traffic: Traffic, link: &mut Link, execution: u32) -> bool {
        match traffic {
            Traffic::Bytes(bytes) => {
                let count = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
                let Some(left) = self.granted.checked_sub(count).filter(|_| !self.told_out) else { return false };
                self.granted = left;
                self.queue.extend_from_slice(&bytes);
                self.write(link, execution);
            }
            Traffic::End => {
                self.told_out = true;
                self.write(link, execution);
            }
            Traffic::Credit(bytes) => {
                self.connected = true;
                self.credit = self.credit.saturating_add(u64::from(bytes));
            }
            Traffic::Reset => self.break_off(),
        }
        true
    }

    fn reset(&mut self, link: &mut Link, execution: u32) {
        link.send(execution, &FromAgent::Traffic { id: self.id, traffic: Traffic::Reset });
        self.break_off();
    }

    fn break_off(&mut self) {
        network::reset_on_close(self.socket.as_raw_fd());
        self.over = true;
    }
}
