//! What a fake script does.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use script_engine_core::contract::OutputStream;
use script_engine_core::{ErrorKind, Job};

/// One thing that a fake script does. A list that runs out ends with exit code 0.
#[derive(Clone)]
#[non_exhaustive]
pub enum Action {
    /// Lets `spawn` take this long. Only at the head of a list.
    SlowSpawn(Duration),
    /// Lets `spawn` take this long, whether it is called off or not. Only at the head of a list.
    StuckSpawn(Duration),
    /// Lets `spawn` fail, after what came before it. Only at the head of a list.
    FailSpawn(ErrorKind, String),
    /// Prints bytes.
    Print(OutputStream, Bytes),
    /// Prints what the function makes of the job.
    Answer(OutputStream, Arc<dyn Fn(&Job) -> Bytes + Send + Sync>),
    /// Prints this many bytes, lines of 63 letters, without ever holding them all.
    Flood(OutputStream, u64),
    /// Lets time pass, with beats.
    Wait(Duration),
    /// Never goes on, with beats.
    Never,
    /// Gives a sign of life now.
    Beat,
    /// Stops the regular signs of life.
    Silence,
    /// Copies stdin to stdout until its end.
    EchoStdin,
    /// Goes on whatever it is asked, until it is killed.
    IgnoreAsk,
    /// When it is asked to stop, does this instead of what it would have done.
    OnAsk(Vec<Self>),
    /// Starts a process that nobody waits for, seen from outside under this name and the job's arguments.
    Background(String),
    /// Leaves something at an absolute path.
    Leave(String, Left),
    /// Prints the paths at which something was left in the sandbox, by this script or one before it.
    ListLeft,
    /// Connects to a host and port, and prints `hello` as if a host had said so, or `no`.
    Connect(String, u16),
    /// Ends with an exit code.
    Exit(i32),
    /// Ends by a signal.
    Die(i32),
    /// Ends because memory ran out.
    ExhaustMemory,
    /// Loses the sandbox, for this reason.
    Lose(String),
}

/// What a fake script leaves at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Left {
    /// A plain file.
    File(Bytes),
    /// A folder.
    Folder,
    /// Anything else: a link, a FIFO, a device.
    Special,
}

impl Action {
    /// Prints a text on stdout.
    #[must_use]
    pub fn say(text: &str) -> Self {
        Self::Print(OutputStream::Stdout, Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SlowSpawn(time) => write!(f, "SlowSpawn({time:?})"),
            Self::StuckSpawn(time) => write!(f, "StuckSpawn({time:?})"),
            Self::FailSpawn(kind, message) => write!(f, "FailSpawn({kind:?}, {message:?})"),
            Self::Print(stream, bytes) => write!(f, "Print({}, {} bytes)", stream.as_str(), bytes.len()),
            Self::Answer(stream, _) => write!(f, "Answer({})", stream.as_str()),
            Self::Flood(stream, bytes) => write!(f, "Flood({}, {bytes})", stream.as_str()),
            Self::Wait(time) => write!(f, "Wait({time:?})"),
            Self::Never => f.write_str("Never"),
            Self::Beat => f.write_str("Beat"),
            Self::Silence => f.write_str("Silence"),
            Self::EchoStdin => f.write_str("EchoStdin"),
            Self::IgnoreAsk => f.write_str("IgnoreAsk"),
            Self::OnAsk(actions) => write!(f, "OnAsk({actions:?})"),
            Self::Background(name) => write!(f, "Background({name:?})"),
            Self::Leave(path, left) => write!(f, "Leave({path:?}, {left:?})"),
            Self::ListLeft => f.write_str("ListLeft"),
            Self::Connect(host, port) => write!(f, "Connect({host:?}, {port})"),
            Self::Exit(code) => write!(f, "Exit({code})"),
            Self::Die(signal) => write!(f, "Die({signal})"),
            Self::ExhaustMemory => f.write_str("ExhaustMemory"),
            Self::Lose(reason) => write!(f, "Lose({reason:?})"),
        }
    }
}
