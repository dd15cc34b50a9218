//! What the program writes: the script's bytes as they are, its own words on stderr.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

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

/// A spinner on stderr, but only where that is a terminal.
pub(crate) fn spinner(message: &'static str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let spinner = ProgressBar::new_spinner().with_message(message);
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
        spinner.set_style(style);
    }
    spinner.enable_steady_tick(Duration::from_millis(100));
    spinner
}
