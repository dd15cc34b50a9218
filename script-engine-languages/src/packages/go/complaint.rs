//! Reads what the Go command complains of into one line that names the module and the reason.

use std::time::Duration;

use script_engine_core::contract::StepOutput;
use script_engine_core::packages::PackageSummary;
use script_engine_core::{Error, ErrorKind, Result, Retry};

use crate::source_text;

/// Beginnings of lines that only tell what is going on.
const PROGRESS: [&str; 9] = [
    "go: finding ",
    "go: downloading ",
    "go: found ",
    "go: added ",
    "go: upgraded ",
    "go: downgraded ",
    "go: removed ",
    "go: to switch ",
    "go: warning: ",
];
/// What is said of an index that doesn't answer.
const UNREACHABLE: [&str; 16] = [
    "connection refused",
    "connection reset",
    "no such host",
    "i/o timeout",
    "server misbehaving",
    "network is unreachable",
    "no route to host",
    "TLS handshake",
    "x509:",
    "tls:",
    ": EOF",
    "429 Too Many Requests",
    "500 Internal Server Error",
    "502 Bad Gateway",
    "503 Service Unavailable",
    "504 Gateway Timeout",
];

/// The error of a step that failed. `names` are the modules that it was about, for what names only their folders.
pub(super) fn read<'a>(output: &StepOutput, names: impl Iterator<Item = &'a str>) -> Error {
    if output.exit_code.is_none() {
        return Error::invalid(
            "dependencies",
            "the Go command was ended by a signal; ask for fewer or smaller modules",
        );
    }
    let printed = String::from_utf8_lossy(&output.stderr);
    let said = statements(&printed);
    if let Some(error) = said.iter().find_map(|it| unreachable(it)) {
        return error;
    }
    let told = said.iter().find_map(|it| reason(it)).or_else(|| said.first().cloned());
    let told = told.unwrap_or_else(|| "the Go command failed and says nothing".to_owned());
    let folder = names.into_iter().find(|it| told.starts_with(&format!("# {it}")));
    let told = folder.map_or(told.clone(), |it| format!("{it} does not compile: {}", told.trim_start_matches("# ")));
    Error::invalid("dependencies", source_text::message(&told))
}

/// The error of a lock that came about with versions that their authors took back.
pub(super) fn retracted(output: &StepOutput) -> Option<Error> {
    let printed = String::from_utf8_lossy(&output.stderr);
    let named: Vec<String> = printed
        .lines()
        .filter_map(|it| it.strip_prefix("go: warning: ")?.split_once(": retracted by module author"))
        .map(|(module, why)| match why.strip_prefix(": ") {
            Some(why) => source_text::message(&format!("{} is retracted by its author: {why}", spaced(module))),
            None => source_text::message(&format!("{} is retracted by its author", spaced(module))),
        })
        .take(20)
        .collect();
    (!named.is_empty()).then(|| Error::invalid("dependencies", format!("{}; take another version", named.join("; "))))
}

/// No package, where a look-up failed because there is none; else the error.
pub(super) fn missing_is_none(output: &StepOutput, path: &str) -> Result<Option<PackageSummary>> {
    let printed = String::from_utf8_lossy(&output.stderr);
    let missing = |it: &String| unreachable(it).is_none() && (is_refusal(it) || it.contains("no matching versions"));
    if output.exit_code.is_some() && statements(&printed).iter().any(missing) {
        return Ok(None);
    }
    Err(read(output, std::iter::once(path)))
}

/// The lines that say something, each with those that belong to it.
fn statements(printed: &str) -> Vec<String> {
    let mut said: Vec<String> = Vec::new();
    let mut skipping = false;
    for line in printed.lines().take(10_000) {
        if let Some(more) = line.strip_prefix('\t') {
            if let Some(last) = said.last_mut().filter(|it| !skipping && it.len() < 4000) {
                last.push(' ');
                last.push_str(more);
            }
            continue;
        }
        skipping = PROGRESS.iter().any(|it| line.starts_with(it)) || line.trim().is_empty();
        if skipping {
            continue;
        }
        let room = said.len() < 100;
        let follows = said.last().is_some_and(|it| it.starts_with("# ") && !it.contains(": "));
        match said.last_mut() {
            // The first line of a compiler's message belongs to the package named above it.
            Some(last) if follows => {
                last.push_str(": ");
                last.push_str(line);
            }
            _ if room => said.push(line.to_owned()),
            _ => {}
        }
    }
    said
}

fn unreachable(said: &str) -> Option<Error> {
    let why = UNREACHABLE.iter().find(|it| said.contains(**it))?;
    let why = why.trim_start_matches(": ").trim_end_matches(':');
    let message = format!("the index of Go modules can't be reached: {why}");
    let again = Retry::Maybe { after: Some(Duration::from_secs(10)) };
    Some(Error::new(ErrorKind::Unavailable, message).with_retry(again))
}

/// Whether an index said that it has no such thing.
fn is_refusal(said: &str) -> bool {
    ["400 Bad Request", "403 Forbidden", "404 Not Found", "410 Gone", "GOVCS disallows", "unrecognized import path"]
        .iter()
        .any(|it| said.contains(it))
}

/// One statement as `name: reason`, if it is one of those that are known.
fn reason(said: &str) -> Option<String> {
    let said = said.strip_prefix("go: ").unwrap_or(said);
    // `script imports A imports B: reason`, where B is what it is about; and `imports.go:3:2: B: reason`.
    let said = said.rsplit(" imports ").next().unwrap_or(said).trim();
    let said = match said.strip_prefix("imports.go:") {
        Some(rest) => rest.split_once(": ").map_or(rest, |it| it.1),
        None => said,
    };
    if let Some(rest) = said.strip_prefix("verifying ") {
        let (module, _) = rest.split_once(": checksum mismatch")?;
        let module = module.strip_suffix("/go.mod").unwrap_or(module);
        return Some(format!("{}: checksum mismatch: the index serves something else than before", spaced(module)));
    }
    let (name, rest) = said.split_once(": ")?;
    let name = spaced(name);
    if let Some((found, _)) = rest.split_once(", but does not contain package") {
        let found = found.split_once("found (").map_or("", |it| it.1).trim_end_matches(')');
        return Some(format!("{name}: its module ({found}) has no such package"));
    }
    if rest.contains("module lookup disabled by GOPROXY=off") {
        return Some(format!("{name}: the index of Go modules is off; set go_proxy"));
    }
    if rest.starts_with("invalid version") && !rest.contains("/@v/list") {
        return Some(format!("{name}: not a version of Go modules; give one such as v1.2.3, v1 or <v1.5.0"));
    }
    if rest.contains("missing go.sum entry") {
        return Some(format!("{name}: the lock has no checksum of it; lock the script again"));
    }
    if is_refusal(rest) || rest.starts_with("no matching versions") {
        return Some(if name.contains(' ') {
            format!("{name}: no such version in the index")
        } else {
            format!("{name}: no such module in the index")
        });
    }
    None
}

/// `path@version` with a space, as locks and records name packages.
fn spaced(module: &str) -> String {
    module.replacen('@', " ", 1)
}

#[cfg(test)]
mod tests;
