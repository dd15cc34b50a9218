//! Reads what the build of a script said. Everything in it is hostile.

use script_engine_core::contract::{Check, StepOutput, Toolchain};
use script_engine_core::{Error, ErrorKind, Result};

use crate::diagnostics::Diagnostics;
use crate::{source_text, version};

/// The file that a check compiles besides the script: it is sound, and an `object` is all it lacks.
pub(super) const PROBE: &str = "class Probe {}\n";
/// How the build says that there is no .NET that will do, and none for this script.
const NO_TOOLCHAIN: i32 = 90;
const NOT_FOR_THIS: i32 = 91;

/// What the build found of .NET.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// The program.
    pub(super) dotnet: String,
    /// What is recorded of it.
    pub(super) toolchain: Toolchain,
}

/// Reads what `find` printed.
pub(super) fn found(output: &StepOutput) -> Result<Found> {
    if output.exit_code == Some(NO_TOOLCHAIN) {
        return Err(missing(output));
    }
    let printed = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<&str> = printed.lines().collect();
    let [number, form, dotnet, compiler, runtime] = lines.as_slice() else {
        return Err(version::none("dotnet", output));
    };
    let is_path = |it: &str| it.starts_with('/') && it.len() < 1000 && !it.contains(char::is_control);
    if !version::is_version(number) || !version::is_version(runtime) || !is_path(dotnet) || !is_path(compiler) {
        return Err(version::none("dotnet", output));
    }
    let place = format!("{dotnet} {compiler} {form} {runtime}");
    let toolchain = Toolchain { name: "dotnet".into(), version: (*number).into(), place };
    Ok(Found { dotnet: (*dotnet).to_owned(), toolchain })
}

/// Reads what `check` printed: syntax errors, or that nothing but `object` is missing.
pub(super) fn checked(output: &StepOutput, text: &str, path: &str) -> Result<Check> {
    let printed = String::from_utf8_lossy(&output.stdout);
    // It is only looked for where there is no syntax error.
    let sound = printed.lines().filter_map(Line::read).any(|it| it.file.ends_with("probe.cs") && it.code == "CS0518");
    if sound {
        return Ok(Check::new());
    }
    refused(output, text, path).map(Diagnostics::into_check)
}

/// What is wrong with a script that could not be compiled. Fails if nothing is.
pub(super) fn refused(output: &StepOutput, text: &str, path: &str) -> Result<Diagnostics> {
    match output.exit_code {
        Some(NO_TOOLCHAIN) => return Err(missing(output)),
        Some(NOT_FOR_THIS) => return Err(Error::invalid("source", told(output))),
        _ => {}
    }
    let printed = String::from_utf8_lossy(&output.stdout);
    let mut problems = Diagnostics::default();
    let mut last = None;
    let lines = u32::try_from(text.lines().count()).unwrap_or(u32::MAX).max(1);
    for line in printed.lines().filter_map(Line::read) {
        // Of several at one place the first is the cause.
        let at = (line.file == path, line.line, line.column);
        if last == Some(at) && line.line > 0 {
            continue;
        }
        last = Some(at);
        let message = format!("{} ({})", line.message, line.code);
        if line.file == path && line.line <= lines {
            problems.add(line.line, characters(text, line.line, line.column), &message);
        } else {
            // In what stands round the script: what it lacks is missing at its end.
            problems.add(if line.line == 0 { 1 } else { lines }, 1, &message);
        }
    }
    if !problems.is_empty() {
        return Ok(problems);
    }
    match output.exit_code {
        Some(code) if code < 128 => Err(Error::internal("the C# compiler gave no verdict")
            .with_context("exit", code)
            .with_context("stdout", source_text::message(&printed))
            .with_context("stderr", told(output))),
        _ => {
            let message = "the C# compiler was ended by it; it is too large, too deeply nested or too intricate";
            Err(Error::invalid("source", message))
        }
    }
}

fn missing(output: &StepOutput) -> Error {
    Error::new(ErrorKind::Unavailable, told(output))
}

fn told(output: &StepOutput) -> String {
    source_text::message(&String::from_utf8_lossy(&output.stderr))
}

/// A line of the compiler's: `<file>(<line>,<column>): error <code>: <message>`, or without a place.
#[derive(Debug, PartialEq, Eq)]
struct Line<'a> {
    file: &'a str,
    /// 0 if it says none.
    line: u32,
    column: u32,
    code: &'a str,
    message: &'a str,
}

impl<'a> Line<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let (place, rest) = match text.strip_prefix("error ") {
            Some(rest) => ("", rest),
            None => text.split_once(": error ")?,
        };
        let (code, message) = rest.split_once(": ")?;
        let is_code = !code.is_empty() && code.len() <= 12 && code.bytes().all(|it| it.is_ascii_alphanumeric());
        // The build of an SDK says at the end which project it was.
        let message = message.strip_suffix(']').and_then(|it| it.rsplit_once(" [/")).map_or(message, |it| it.0);
        let (file, position) = place.strip_suffix(')').and_then(|it| it.rsplit_once('(')).unwrap_or((place, "0,0"));
        let (line, column) = position.split_once(',')?;
        let (line, column) = (line.parse().ok()?, column.split(',').next()?.parse().ok()?);
        is_code.then_some(Self { file, line, column, code, message })
    }
}

/// A column in characters, from one in UTF-16 units.
fn characters(text: &str, line: u32, column: u32) -> u32 {
    let line = source_text::line(text.as_bytes(), line).unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let mut units = 0;
    let before = line.chars().take_while(|it| {
        units += u32::try_from(it.len_utf16()).unwrap_or(1);
        units < column
    });
    u32::try_from(before.count()).unwrap_or(u32::MAX).saturating_add(1).max(1)
}
