//! What the program writes: the script's bytes as they are, its own words on stderr.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use script_engine::contract::Unit;
use script_engine::memory::Heard;
use script_engine::{Engine, EngineEvent, ExecutionState};
use serde::Serialize;
use tokio::task::JoinHandle;

use crate::exit;

/// Says something on stderr, with the program's name before it.
pub(crate) fn complain(message: &str) {
    // Nobody is left to tell if stderr is gone.
    drop(writeln!(io::stderr(), "script-engine: {message}"));
}

/// Writes a value to stdout as JSON, on one line, as it is made. An error says that nobody reads it any more.
pub(crate) fn print_json(value: &impl Serialize) -> io::Result<()> {
    let mut stdout = BufWriter::new(io::stdout().lock());
    serde_json::to_writer(&mut stdout, value)?;
    stdout.write_all(b"\n")?;
    stdout.flush()
}

/// Writes text to stdout. An error says that nobody reads it any more.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// How a step is drawn: with a bar where it is known how much there is to do, in bytes as people read them.
fn template(is_bounded: bool, unit: Unit) -> &'static str {
    match (is_bounded, unit) {
        (true, Unit::Bytes) => "{spinner} {msg} [{bar:30}] {binary_bytes}/{binary_total_bytes} {elapsed}",
        (true, Unit::Items) => "{spinner} {msg} [{bar:30}] {pos}/{len} {elapsed}",
        (false, _) => "{spinner} {msg} {elapsed}",
    }
}

/// A word as a shell takes it.
pub(crate) fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@:=".contains(c);
    let fits = !text.is_empty() && text.chars().all(plain);
    if fits { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// What is under way, on stderr, but only where that is a terminal: a spinner, and a bar where it is known how
/// much there is to do.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    listener: Mutex<Option<JoinHandle<()>>>,
}

impl Progress {
    /// Begins with a message.
    pub(crate) fn begin(message: &'static str) -> Self {
        let bar = if io::stderr().is_terminal() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
            bar.set_style(style);
        }
        bar.set_message(message);
        bar.enable_steady_tick(Duration::from_millis(100));
        Self { bar, listener: Mutex::default() }
    }

    /// Shows what the engine says of long preparations, until a script runs: from then on the terminal is the script's.
    pub(crate) fn follow(&self, engine: &Engine) {
        let (bar, mut events) = (self.bar.clone(), engine.events());
        let listener = tokio::spawn(async move {
            while let Some(heard) = events.next().await {
                match heard {
                    Heard::Event(EngineEvent::Progress { step, done, total, unit, .. }) => {
                        show(&bar, step, done, total, unit);
                    }
                    Heard::Event(EngineEvent::State { state: ExecutionState::Running, .. }) => {
                        return bar.finish_and_clear();
                    }
                    _ => {}
                }
            }
        });
        self.listener.lock().unwrap_or_else(PoisonError::into_inner).replace(listener);
    }

    /// Takes it off the terminal. Idempotent.
    pub(crate) fn end(&self) {
        if let Some(listener) = self.listener.lock().unwrap_or_else(PoisonError::into_inner).take() {
            listener.abort();
        }
        self.bar.finish_and_clear();
    }

    /// Takes it off the terminal and fails.
    pub(crate) fn fail(self, message: &str) -> ExitCode {
        self.end();
        exit::fail(message)
    }
}

fn show(bar: &ProgressBar, step: String, done: u64, total: Option<u64>, unit: Unit) {
    if let Ok(style) = ProgressStyle::with_template(template(total.is_some(), unit)) {
        bar.set_style(style);
    }
    if let Some(total) = total {
        bar.set_length(total);
    }
    bar.set_position(done);
    bar.set_message(step);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_drawn_as_they_are_counted() {
        for (total, unit, expected) in [
            (true, Unit::Bytes, "{binary_total_bytes}"),
            (true, Unit::Items, "{len}"),
            (false, Unit::Bytes, "{msg} {elapsed}"),
        ] {
            assert!(template(total, unit).contains(expected));
            assert!(ProgressStyle::with_template(template(total, unit)).is_ok());
        }
    }

    #[test]
    fn words_are_quoted_where_a_shell_needs_it() {
        assert_eq!(quoted("a-b/c.py:/scripts:ro"), "a-b/c.py:/scripts:ro");
        assert_eq!(quoted("it's $here/c.py"), "'it'\\''s $here/c.py'");
        assert_eq!(quoted(""), "''");
    }
}
