//! What readers of output get, and the position from which they read.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use serde_json::Value;

use crate::contract::OutputStream;
use crate::{Error, Result, Timestamp};

/// A position in an execution's output: how much of each channel has been read. Its text form,
/// `o12-e3-s1`, serves as an event id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct OutputCursor {
    /// Bytes of stdout.
    pub stdout: u64,
    /// Bytes of stderr.
    pub stderr: u64,
    /// Structured records.
    pub structured: u64,
}

impl fmt::Display for OutputCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "o{}-e{}-s{}", self.stdout, self.stderr, self.structured)
    }
}

impl FromStr for OutputCursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut parts = text.split('-');
        let mut part = |tag: char| parts.next().and_then(|it| it.strip_prefix(tag)).and_then(|it| it.parse().ok());
        match (part('o'), part('e'), part('s')) {
            (Some(stdout), Some(stderr), Some(structured)) if parts.next().is_none() => {
                Ok(Self { stdout, stderr, structured })
            }
            _ => Err(Error::invalid("cursor", format!("{text:?} is not a position such as `o0-e0-s0`"))),
        }
    }
}

/// One thing a reader gets.
#[derive(Clone, Debug, PartialEq)]
pub enum OutputItem {
    /// Bytes of a stream.
    Chunk {
        /// Which stream.
        stream: OutputStream,
        /// Where they begin in it.
        offset: u64,
        /// The chunk's place in the order of everything that was appended.
        sequence: u64,
        /// When they were printed.
        time: Timestamp,
        /// The bytes, masked.
        bytes: Bytes,
    },
    /// A structured record.
    Record {
        /// Its place among the records.
        index: u64,
        /// Its place in the order of everything that was appended.
        sequence: u64,
        /// When it was printed.
        time: Timestamp,
        /// What it says.
        value: Value,
    },
    /// Bytes that are no longer kept.
    Gap {
        /// Which stream.
        stream: OutputStream,
        /// Where they began.
        offset: u64,
        /// How many there were.
        bytes: u64,
    },
}

/// How much of one stream there was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamCount {
    /// Bytes that were appended.
    pub total: u64,
    /// Bytes of them that are kept.
    pub kept: u64,
    /// Bytes of them that were dropped.
    pub dropped: u64,
}

/// How much of both streams there was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamCounts {
    /// Standard output.
    pub stdout: StreamCount,
    /// Standard error.
    pub stderr: StreamCount,
}
