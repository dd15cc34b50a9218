//! Frames and the fields in them. See [`super`] for who compiles this file.
//!
//! A frame is a 12-byte header (payload length `u32`, kind `u8`, stream `u8`, protocol version
//! `u16`, execution `u32`, all little-endian) and a payload of at most [`MAX_PAYLOAD`] bytes.
//! Whoever decodes trusts nothing: lengths are checked before anything is allocated, counts are
//! bounded by the bytes that are there, and what is left over is an error.

use std::fmt;

/// The protocol's version; both ends must speak the same one.
pub const VERSION: u16 = 1;
/// Bytes in a frame's header.
pub const HEADER_LEN: usize = 12;
/// The longest frame, header included: 64 KiB.
pub const MAX_FRAME: usize = 64 * 1024;
/// The longest payload.
pub const MAX_PAYLOAD: usize = MAX_FRAME - HEADER_LEN;
/// The most bytes of a stream that one `Data` frame carries (its timestamp takes eight).
pub const MAX_DATA: usize = MAX_PAYLOAD - 8;

/// Why bytes are not a frame or a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireError {
    /// The other end speaks another version.
    Version(u16),
    /// The payload is longer than a frame may be.
    TooLong(u64),
    /// The payload ends before the message does.
    Truncated,
    /// Bytes are left after the message.
    Trailing,
    /// No message has this kind.
    Kind(u8),
    /// A field holds a value outside its set.
    Value(&'static str),
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(found) => write!(f, "protocol version {found}, expected {VERSION}"),
            Self::TooLong(length) => write!(f, "payload of {length} bytes, at most {MAX_PAYLOAD}"),
            Self::Truncated => f.write_str("payload ends inside a message"),
            Self::Trailing => f.write_str("bytes after the end of a message"),
            Self::Kind(kind) => write!(f, "unknown message kind {kind}"),
            Self::Value(field) => write!(f, "invalid value in field {field}"),
        }
    }
}

impl std::error::Error for WireError {}

/// Which byte stream a frame belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stream {
    /// Messages about the sandbox or the execution as a whole.
    Control,
    /// Bytes for the script's standard input.
    Stdin,
    /// Bytes of the script's standard output.
    Stdout,
    /// Bytes of the script's standard error.
    Stderr,
    /// Bytes of a collected file.
    File,
}

impl Stream {
    const ALL: [Self; 5] = [Self::Control, Self::Stdin, Self::Stdout, Self::Stderr, Self::File];

    fn from_byte(byte: u8) -> Result<Self, WireError> {
        Self::ALL.get(usize::from(byte)).copied().ok_or(WireError::Value("stream"))
    }

    fn byte(self) -> u8 {
        self as u8
    }
}

/// A decoded frame header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Payload length in bytes, at most [`MAX_PAYLOAD`].
    pub length: usize,
    /// The message kind; which set it is from depends on the direction.
    pub kind: u8,
    /// The stream the frame belongs to.
    pub stream: Stream,
    /// The execution the frame belongs to; 0 is the sandbox itself.
    pub execution: u32,
}

impl Header {
    /// Reads a header and refuses what no frame may have.
    pub fn decode(bytes: &[u8; HEADER_LEN]) -> Result<Self, WireError> {
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let version = u16::from_le_bytes([bytes[6], bytes[7]]);
        if version != VERSION {
            return Err(WireError::Version(version));
        }
        let length = word(0) as usize;
        if length > MAX_PAYLOAD {
            return Err(WireError::TooLong(length as u64));
        }
        Ok(Self { length, kind: bytes[4], stream: Stream::from_byte(bytes[5])?, execution: word(8) })
    }

    /// Writes the header's twelve bytes.
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut out = [0; HEADER_LEN];
        out[..4].copy_from_slice(&(self.length as u32).to_le_bytes());
        out[4] = self.kind;
        out[5] = self.stream.byte();
        out[6..8].copy_from_slice(&VERSION.to_le_bytes());
        out[8..].copy_from_slice(&self.execution.to_le_bytes());
        out
    }
}

/// Reads fields off a payload.
#[derive(Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Starts at the first byte of `payload`.
    pub fn new(payload: &'a [u8]) -> Self {
        Self(payload)
    }

    /// Takes `count` bytes.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], WireError> {
        let (head, tail) = self.0.split_at_checked(count).ok_or(WireError::Truncated)?;
        self.0 = tail;
        Ok(head)
    }

    /// Takes all that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    /// Takes a `u8`.
    pub fn u8(&mut self) -> Result<u8, WireError> {
        Ok(self.take(1)?[0])
    }

    /// Takes a boolean, which is 0 or 1 and nothing else.
    pub fn bool(&mut self) -> Result<bool, WireError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(WireError::Value("boolean")),
        }
    }

    /// Takes a `u16`.
    pub fn u16(&mut self) -> Result<u16, WireError> {
        let bytes = self.take(2)?;
        Ok(u16::from_le_bytes([bytes[0], bytes[1]]))
    }

    /// Takes a `u32`.
    pub fn u32(&mut self) -> Result<u32, WireError> {
        let bytes = self.take(4)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// Takes an `i32`.
    pub fn i32(&mut self) -> Result<i32, WireError> {
        Ok(self.u32()?.cast_signed())
    }

    /// Takes a `u64`.
    pub fn u64(&mut self) -> Result<u64, WireError> {
        let low = u64::from(self.u32()?);
        Ok(low | u64::from(self.u32()?) << 32)
    }

    /// Takes bytes preceded by their count.
    pub fn bytes(&mut self) -> Result<Vec<u8>, WireError> {
        let count = self.u32()? as usize;
        Ok(self.take(count)?.to_vec())
    }

    /// Takes UTF-8 text preceded by its length.
    pub fn text(&mut self) -> Result<String, WireError> {
        String::from_utf8(self.bytes()?).map_err(|_| WireError::Value("text"))
    }

    /// Takes a list whose items `item` reads. An item takes at least one byte, so the count is
    /// bounded by the bytes that are there.
    pub fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T, WireError>) -> Result<Vec<T>, WireError> {
        let count = self.u32()? as usize;
        if count > self.0.len() {
            return Err(WireError::Truncated);
        }
        (0..count).map(|_| item(self)).collect()
    }

    /// Ends the message: nothing may be left.
    pub fn end(&self) -> Result<(), WireError> {
        if self.0.is_empty() { Ok(()) } else { Err(WireError::Trailing) }
    }
}

/// Writes fields to a payload; the counterpart of [`Reader`].
#[derive(Debug, Default)]
pub struct Writer(pub Vec<u8>);

impl Writer {
    /// Writes a `u8`.
    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.0.push(value);
        self
    }

    /// Writes a boolean.
    pub fn bool(&mut self, value: bool) -> &mut Self {
        self.u8(u8::from(value))
    }

    /// Writes a `u16`.
    pub fn u16(&mut self, value: u16) -> &mut Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    /// Writes a `u32`.
    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    /// Writes an `i32`.
    pub fn i32(&mut self, value: i32) -> &mut Self {
        self.u32(value.cast_unsigned())
    }

    /// Writes a `u64`.
    pub fn u64(&mut self, value: u64) -> &mut Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    /// Writes bytes preceded by their count.
    pub fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.u32(value.len() as u32);
        self.0.extend_from_slice(value);
        self
    }

    /// Writes text preceded by its length.
    pub fn text(&mut self, value: &str) -> &mut Self {
        self.bytes(value.as_bytes())
    }

    /// Writes a list.
    pub fn list<T>(&mut self, items: &[T], mut item: impl FnMut(&mut Self, &T)) -> &mut Self {
        self.u32(items.len() as u32);
        for it in items {
            item(self, it);
        }
        self
    }

    /// Makes a whole frame of what was written.
    pub fn frame(self, kind: u8, stream: Stream, execution: u32) -> Result<Vec<u8>, WireError> {
        if self.0.len() > MAX_PAYLOAD {
            return Err(WireError::TooLong(self.0.len() as u64));
        }
        let header = Header { length: self.0.len(), kind, stream, execution };
        let mut out = Vec::with_capacity(HEADER_LEN + self.0.len());
        out.extend_from_slice(&header.encode());
        out.extend_from_slice(&self.0);
        Ok(out)
    }
}
