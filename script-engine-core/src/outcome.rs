//! How an execution ended. An outcome is not an error: a script that fails was a successful call.

use std::time::Duration;

use crate::ErrorKind;
use crate::contract::Check;

/// How the script's own first program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

/// What a script has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time of all its processes.
    pub cpu: Duration,
    /// The most memory it held at once, in bytes.
    pub peak_memory: u64,
    /// Processes it has now; 0 when it is gone.
    pub processes: u32,
}

/// What the executor saw of the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExitReport {
    /// How the script ended.
    pub exit: Exit,
    /// What it used.
    pub usage: Usage,
    /// A limit that ended it, if one did.
    pub broke: Option<BrokenLimit>,
    /// Processes that outlived the script and were killed.
    pub leaked: u32,
}

/// A limit whose breach ends a script.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokenLimit {
    /// It ran out of memory.
    Memory,
    /// It had too many processes (where the agent and not the kernel bounds them).
    Pids,
    /// It printed more than its limit and the request said to stop it.
    Output,
}

impl BrokenLimit {
    /// The limit in snake case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Pids => "pids",
            Self::Output => "output",
        }
    }
}

/// Why the engine stopped a script in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeoutCause {
    /// Its time in RUNNING was over.
    Limit,
    /// The agent was silent for three heartbeat intervals.
    Silence,
}

/// Who asked for the end.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelReason {
    /// Somebody asked for it.
    Requested,
    /// The engine shut down.
    Shutdown,
}

/// How an execution ended.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Exit code 0, all limits kept.
    Succeeded,
    /// The script's own fault: another exit code, or a signal that nobody of ours sent.
    Failed(Exit),
    /// It broke a limit that ended it.
    LimitExceeded(BrokenLimit),
    /// Its source was not compiled, and the script never started: what the compiler found, or by which limit it was
    /// ended itself. The same version fares no better a second time.
    NotCompiled(Check),
    /// It took too long.
    TimedOut(TimeoutCause),
    /// Somebody asked for the stop.
    Cancelled(CancelReason),
    /// Our fault, or our machine's; the script may or may not have run.
    EngineFault(Fault),
}

/// A fault of the engine or of what it runs on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What kind of fault.
    pub kind: ErrorKind,
    /// What happened and what to do, without secrets.
    pub message: String,
    /// Whether running it again can do harm.
    pub retry: RetryAdvice,
}

/// Whether an execution that ended in a fault may be submitted again without harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAdvice {
    /// The script never started.
    Safe,
    /// The script may have done something already.
    Unsafe,
}

impl RetryAdvice {
    /// The advice in lower case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Safe => "safe",
            Self::Unsafe => "unsafe",
        }
    }
}

impl Outcome {
    /// The outcome's class, as records and wire formats carry it: succeeded, failed, timed_out,
    /// cancelled or error.
    #[must_use]
    pub fn class(&self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed(_) | Self::LimitExceeded(_) | Self::NotCompiled(_) => "failed",
            Self::TimedOut(_) => "timed_out",
            Self::Cancelled(_) => "cancelled",
            Self::EngineFault(_) => "error",
        }
    }

    /// Says in words why it did not succeed.
    #[must_use]
    pub fn explain(&self) -> Option<String> {
        match self {
            Self::Succeeded => None,
            Self::Failed(Exit::Code(code)) => Some(format!("the script exited with code {code}")),
            Self::Failed(Exit::Signal(signal)) => Some(format!("signal {signal} ended the script")),
            Self::LimitExceeded(BrokenLimit::Memory) => {
                Some("the script ran out of memory (limits.memory_bytes)".to_owned())
            }
            Self::LimitExceeded(BrokenLimit::Pids) => {
                Some("the script started too many processes (limits.pids)".to_owned())
            }
            Self::LimitExceeded(BrokenLimit::Output) => {
                Some("the script printed more than it may (limits.output_bytes)".to_owned())
            }
            Self::NotCompiled(found) => Some(match found.as_slice() {
                [] => "the script does not compile".to_owned(),
                [one] => format!("the script does not compile: {one}"),
                [first, rest @ ..] => format!("the script does not compile: {first}; and {} more", rest.len()),
            }),
            Self::TimedOut(TimeoutCause::Limit) => Some("the script ran longer than limits.timeout".to_owned()),
            Self::TimedOut(TimeoutCause::Silence) => {
                Some("the sandbox gave no sign of life for three heartbeat intervals".to_owned())
            }
            Self::Cancelled(CancelReason::Requested) => Some("the execution was cancelled".to_owned()),
            Self::Cancelled(CancelReason::Shutdown) => Some("the engine was shut down".to_owned()),
            Self::EngineFault(fault) => Some(fault.message.clone()),
        }
    }
}
