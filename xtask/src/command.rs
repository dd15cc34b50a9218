//! Starting other programs: by argv, never through a shell, with no input, and with a message that names what failed.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use crate::Outcome;

/// The root of the workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// `cargo` as it was called, in the workspace's root.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root()).stdin(Stdio::null());
    cargo
}

/// Runs `command` with this program's own output; fails unless it exits 0.
pub(crate) fn run(command: &mut Command) -> Outcome {
    let status = command.stdin(Stdio::null()).status().map_err(|error| could_not_start(command, &error))?;
    succeeded(command, status)
}

/// Runs `command` and returns what it wrote to stdout; fails, with what it wrote to stderr, unless it exits 0.
pub(crate) fn capture(command: &mut Command) -> Outcome<Vec<u8>> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| could_not_start(command, &error))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let told = String::from_utf8_lossy(&output.stderr);
    Err(format!("{told}\n`{}` ended with {}", line(command), output.status).into())
}

/// How a command ended that had a time limit.
#[derive(Debug)]
pub(crate) enum Ended {
    Itself(ExitStatus),
    Killed,
}

/// Runs `command` for `limit` at most and hands each line of its stdout to `each`; the rest goes to our stderr.
pub(crate) fn watch(command: &mut Command, limit: Duration, mut each: impl FnMut(&str)) -> Outcome<Ended> {
    const LINES_AHEAD: usize = 1024;
    let deadline = Instant::now() + limit;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| could_not_start(command, &error))?;
    let stdout = child.stdout.take().ok_or("no stdout was made")?;
    let (lines, received) = sync_channel(LINES_AHEAD);
    let reader = std::thread::spawn(move || {
        for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned();
            if lines.send(line).is_err() {
                break;
            }
        }
    });
    loop {
        match received.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => each(&line),
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                drop(received);
                child.kill()?;
                child.wait()?;
                reader.join().map_err(|_| "the reader of stdout failed")?;
                return Ok(Ended::Killed);
            }
        }
    }
    Ok(Ended::Itself(child.wait()?))
}

/// Whether a program of this name is in `PATH`.
pub(crate) fn found(program: &str) -> bool {
    path_of(program).is_some()
}

/// Where in `PATH` a program of this name is.
pub(crate) fn path_of(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|candidate| candidate.is_file())
}

fn succeeded(command: &Command, status: ExitStatus) -> Outcome {
    if status.success() { Ok(()) } else { Err(format!("`{}` ended with {status}", line(command)).into()) }
}

fn could_not_start(command: &Command, error: &std::io::Error) -> String {
    format!("could not start `{}`: {error}", line(command))
}

fn line(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}
