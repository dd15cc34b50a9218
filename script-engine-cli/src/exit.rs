//! Exit codes: the script's own passes through; what is ours is told apart as `timeout`, `docker run`
//! and shells do.

use std::process::ExitCode;

use script_engine::{ExecutionRecord, Outcome};

use crate::terminal;

/// The engine could not do what was asked.
pub(crate) const ENGINE: u8 = 125;
/// The script does not compile, or is not sound.
pub(crate) const NOT_COMPILED: u8 = 1;
/// The script ran out of time.
const TIMEOUT: u8 = 124;
/// Somebody pressed Ctrl-C.
const INTERRUPTED: u8 = 130;
/// Nobody reads the output any more, which ends programs by `SIGPIPE`.
pub(crate) const NOT_READ: u8 = 141;
/// The script ran out of memory, which ends it by `SIGKILL`.
const KILLED: u8 = 137;

/// Says what went wrong and gives the engine's own exit code.
pub(crate) fn fail(message: &str) -> ExitCode {
    terminal::complain(message);
    ENGINE.into()
}

/// The exit code of an execution that is over.
pub(crate) fn code(record: &ExecutionRecord) -> u8 {
    let Some(ending) = &record.ending else { return ENGINE };
    let by_signal = |signal: i32| 128u8.saturating_add(u8::try_from(signal).unwrap_or(127));
    match &ending.outcome {
        Outcome::Succeeded => 0,
        Outcome::TimedOut(_) => TIMEOUT,
        Outcome::Cancelled(_) => INTERRUPTED,
        Outcome::Failed(_) => match (ending.exit_code, ending.signal) {
            (Some(code), _) => u8::try_from(code).unwrap_or(ENGINE),
            (None, Some(signal)) => by_signal(signal),
            (None, None) => ENGINE,
        },
        Outcome::NotCompiled(_) => NOT_COMPILED,
        Outcome::LimitExceeded(_) => ending.signal.map_or(KILLED, by_signal),
        // Faults, and whatever may be added.
        _ => ENGINE,
    }
}
