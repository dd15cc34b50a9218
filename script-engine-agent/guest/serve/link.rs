//! The link to the engine: frames in, frames out, and never a wait. What frames mean is not known
//! here.

use crate::sys::file;
use crate::sys::{Errno, Result};
use crate::wire::connection::{BYTES, PREFIX};
use crate::wire::{FromAgent, HEADER_LEN, Header, MAX_DATA, MAX_FRAME, MAX_PIECE, Stream, ToAgent, WireError};

/// Unsent bytes above which no script's output is taken in. Frames about other things still go
/// behind them: there are few, and their number is bounded by what the engine asks.
const FULL: usize = 4 * MAX_FRAME;

/// What came from the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    Bytes,
    Nothing,
    End,
}

/// Both directions of the link.
#[derive(Debug)]
pub struct Link {
    input: i32,
    output: i32,
    inbox: Vec<u8>,
    /// Where the bytes that are not decoded yet begin and end in `inbox`.
    held: (usize, usize),
    outbox: Vec<u8>,
    /// How much of `outbox` is sent.
    sent: usize,
    /// Where a script's output lands before its length is known.
    scratch: Vec<u8>,
}

impl Link {
    pub fn new(input: i32, output: i32) -> Result<Self> {
        file::set_nonblocking(input)?;
        file::set_nonblocking(output)?;
        Ok(Self {
            input,
            output,
            inbox: vec![0; 2 * MAX_FRAME],
            held: (0, 0),
            outbox: Vec::new(),
            sent: 0,
            scratch: vec![0; MAX_FRAME],
        })
    }

    /// The descriptor to poll for input.
    pub fn input(&self) -> i32 {
        self.input
    }

    /// The descriptor to poll for output.
    pub fn output(&self) -> i32 {
        self.output
    }

    /// Reads once what the engine has sent.
    pub fn receive(&mut self) -> Result<Received> {
        let (start, end) = self.held;
        self.inbox.copy_within(start..end, 0);
        self.held = (0, end - start);
        let space = self.inbox.get_mut(end - start..).unwrap_or_default();
        match file::read(self.input, space) {
            Ok(0) => Ok(Received::End),
            Ok(count) => {
                self.held.1 += count;
                Ok(Received::Bytes)
            }
            Err(Errno::EAGAIN) => Ok(Received::Nothing),
            Err(error) => Err(error),
        }
    }

    /// Takes the next whole frame out of what was received.
    pub fn next(&mut self) -> std::result::Result<Option<(u32, ToAgent)>, WireError> {
        let (start, end) = self.held;
        let held = self.inbox.get(start..end).unwrap_or_default();
        let Some((head, rest)) = held.split_first_chunk::<HEADER_LEN>() else { return Ok(None) };
        let header = Header::decode(head)?;
        let Some(payload) = rest.get(..header.length) else { return Ok(None) };
        let message = ToAgent::decode(&header, payload)?;
        self.held.0 += HEADER_LEN + header.length;
        Ok(Some((header.execution, message)))
    }

    /// Puts a message behind what is to be sent. One that does not fit a frame, which none that the
    /// agent makes should be, is told as a fault.
    pub fn send(&mut self, execution: u32, message: &FromAgent) {
        let frame = message.encode(execution).or_else(|error| {
            let message = format!("a message did not fit its frame: {error}");
            FromAgent::Fault { operation: "encode".to_owned(), message, errno: 0, fatal: false }.encode(execution)
        });
        if let Ok(frame) = frame {
            self.outbox.extend_from_slice(&frame);
        }
    }

    /// Reads once from `source`, at most `limit` bytes, into a `Data` frame. Gives how many
    /// bytes there were; 0 is the end, for which there is no frame.
    pub fn carry(&mut self, source: i32, stream: Stream, execution: u32, limit: usize) -> Result<usize> {
        let space = self.scratch.get_mut(..limit.min(MAX_DATA)).unwrap_or_default();
        let count = file::read(source, space)?;
        if count > 0 {
            let header = Header { length: 8 + count, kind: FromAgent::DATA, stream, execution };
            self.outbox.extend_from_slice(&header.encode());
            self.outbox.extend_from_slice(&crate::sys::time::wall_us().to_le_bytes());
            self.outbox.extend_from_slice(self.scratch.get(..count).unwrap_or_default());
        }
        Ok(count)
    }

    /// Reads once from the connection `id`, at most `limit` bytes, into a frame of its traffic. Gives how many bytes
    /// there were; 0 is the end, for which there is no frame.
    pub fn carry_piece(&mut self, source: i32, id: u32, execution: u32, limit: usize) -> Result<usize> {
        let space = self.scratch.get_mut(..limit.min(MAX_PIECE)).unwrap_or_default();
        let count = file::read(source, space)?;
        if count > 0 {
            let header =
                Header { length: PREFIX + count, kind: FromAgent::TRAFFIC, stream: Stream::Control, execution };
            self.outbox.extend_from_slice(&header.encode());
            self.outbox.extend_from_slice(&id.to_le_bytes());
            self.outbox.push(BYTES);
            self.outbox.extend_from_slice(self.scratch.get(..count).unwrap_or_default());
        }
        Ok(count)
    }

    /// Sends what the engine takes now.
    pub fn flush(&mut self) -> Result<()> {
        while self.sent < self.outbox.len() {
            match file::write(self.output, self.outbox.get(self.sent..).unwrap_or_default()) {
                Ok(count) => self.sent += count,
                Err(Errno::EAGAIN) => return Ok(()),
                Err(error) => return Err(error),
            }
            if self.sent == self.outbox.len() {
                self.outbox.clear();
                self.sent = 0;
            } else if self.sent > FULL {
                self.outbox.drain(..self.sent);
                self.sent = 0;
            }
        }
        Ok(())
    }

    /// Bytes that wait to be sent.
    pub fn unsent(&self) -> usize {
        self.outbox.len() - self.sent
    }

    /// Whether so much waits that no script's output is to be added.
    pub fn is_full(&self) -> bool {
        self.unsent() >= FULL
    }
}
