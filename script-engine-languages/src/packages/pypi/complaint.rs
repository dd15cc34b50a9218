//! Makes one short line of what pip complains of, with the package's name and the reason.

use script_engine_core::{Error, ErrorKind};
use serde::Deserialize;

use super::super::driver::Failure;
use super::{requirement, uv_complaint};
use crate::source_text;

/// What the driver found out at the index about the package that pip could not get.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Facts {
    status: Option<u16>,
    unreachable: Option<String>,
    wheels: u64,
    files: u64,
    platform: Option<String>,
    /// Set where it is not pip that complains.
    tool: Option<String>,
    package: Option<String>,
    extra: Option<String>,
}

/// The error of a failure. `young` says that versions that are too young were left out.
pub(super) fn read(failure: &Failure<Facts>, young: bool) -> Error {
    let (text, facts) = (failure.text.as_str(), &failure.facts);
    let package = facts.package.as_deref().unwrap_or("a package");
    if facts.tool.is_some() {
        return uv_complaint::read(text, young);
    }
    match text.trim() {
        "no pip" => {
            let message = "the runtime's Python has no pip to get packages with; take a runtime that has it (Debian: python3-pip; Alpine: py3-pip)";
            return Error::new(ErrorKind::Unsupported, message);
        }
        "platform" => {
            let here = facts.platform.as_deref().unwrap_or("another");
            return invalid(&format!(
                "the lock is for another Python or platform than this runtime's {here}; save the script again"
            ));
        }
        "no upload time" if facts.status == Some(200) => {
            let message = format!(
                "the index does not say when {package} was uploaded, so no minimum age of packages can be kept"
            );
            return Error::new(ErrorKind::Unsupported, source_text::message(&message));
        }
        "no upload time" => return index(package, facts).unwrap_or_else(|| invalid(text)),
        "no end" => return invalid("no set of versions that are old enough was found; name older versions"),
        "no extra" => {
            let extra = facts.extra.as_deref().unwrap_or_default();
            return invalid(&format!("{package} has no extra `{extra}`; leave it out"));
        }
        _ => {}
    }
    space(text)
        .or_else(|| hashes(text))
        .or_else(|| yanked(text))
        .or_else(|| conflict(text, young))
        .or_else(|| missing(text, facts, young))
        .or_else(|| refused(text))
        .unwrap_or_else(|| invalid(&format!("pip refuses: {}", last(text))))
}

fn invalid(message: &str) -> Error {
    Error::invalid("dependencies", source_text::message(message))
}

fn unavailable(message: &str) -> Error {
    Error::new(ErrorKind::Unavailable, source_text::message(message))
}

fn space(text: &str) -> Option<Error> {
    text.contains("No space left on device").then(|| invalid("take more space than there is to install packages in"))
}

fn hashes(text: &str) -> Option<Error> {
    let at = text.find("DO NOT MATCH THE HASHES")?;
    let line = text[at..].lines().skip(1).find(|it| it.contains(" from ") && it.trim_end().ends_with(':'))?;
    let name = line.trim().split(" from ").next()?;
    Some(invalid(&format!(
        "{name} is not the file that was locked: its hash differs; save the script again if that is meant"
    )))
}

fn yanked(text: &str) -> Option<Error> {
    let at = text.find("is a yanked version: '")?;
    let rest = &text[at + "is a yanked version: '".len()..];
    let name = rest.split('\'').next()?;
    let version = rest.split("(version ").nth(1)?.split_whitespace().next()?;
    let reason = rest.split("Reason for being yanked: ").nth(1).and_then(|it| it.lines().next()).map(str::trim);
    let reason = reason.filter(|it| !it.is_empty() && *it != "<none given>").unwrap_or("no reason is given");
    Some(invalid(&format!("{name} {version} was yanked from the index: {reason}; name another version")))
}

fn conflict(text: &str, young: bool) -> Option<Error> {
    let at = text.find("because these package versions have conflicting dependencies")?;
    let causes = text[at..].split("The conflict is caused by:").nth(1).unwrap_or_default();
    let causes = causes.lines().map(str::trim).skip(1).take_while(|it| !it.is_empty());
    let causes: Vec<&str> = causes.collect();
    let asked = |it: &&&str| it.strip_prefix("The user requested ").is_some_and(|it| !it.starts_with("(constraint)"));
    if young && causes.iter().any(|it| it.contains("(constraint)")) {
        let wanted: Vec<&str> = causes
            .iter()
            .filter(|it| !it.contains("(constraint)"))
            .map(|it| it.trim_start_matches("The user requested "))
            .take(3)
            .collect();
        return Some(invalid(&format!(
            "no version of {} is old enough for the policy's minimum age",
            wanted.join("; ")
        )));
    }
    let mut said: Vec<String> =
        causes.iter().filter(asked).map(|it| it.replacen("The user requested ", "the script asks for ", 1)).collect();
    said.extend(causes.iter().filter(|it| !it.starts_with("The user requested ")).map(|it| (*it).to_owned()));
    said.truncate(4);
    if said.is_empty() {
        let line = text[..at].lines().next_back().unwrap_or_default().trim_start_matches("ERROR: Cannot install ");
        said.push(line.trim().to_owned());
    }
    Some(invalid(&format!("are in conflict: {}", said.join("; "))))
}

fn missing(text: &str, facts: &Facts, young: bool) -> Option<Error> {
    let rest = text.split("satisfies the requirement ").nth(1)?;
    let line = rest.lines().next()?;
    let (wanted, versions) = line.split_once(" (from versions: ").unwrap_or((line, "none)"));
    let (wanted, from) = wanted.split_once(" (from ").unwrap_or((wanted, ""));
    let wanted = wanted.split(';').next().unwrap_or(wanted).trim();
    let end = wanted.find(|c: char| "[<>=!~ (".contains(c)).unwrap_or(wanted.len());
    let name = requirement::normal(&wanted[..end]);
    let needed = match from.trim_end_matches(')') {
        "" => String::new(),
        by => format!(", which {} needs", by.split("->").next().unwrap_or(by).trim()),
    };
    if let Some(error) = index(&name, facts) {
        return Some(error);
    }
    if facts.status == Some(404) {
        return Some(invalid(&format!("{name}{needed}: the index has no package of this name")));
    }
    let versions: Vec<&str> = versions.trim_end_matches(')').split(", ").filter(|it| *it != "none").collect();
    if versions.is_empty() && facts.files > 0 && facts.wheels == 0 {
        return Some(invalid(&format!(
            "{name}{needed}: the index has it as source only, and building it would run code of its own; name another package, or let the policy allow install scripts"
        )));
    }
    if versions.is_empty() {
        return Some(invalid(&format!("{name}{needed}: the index has no file of it for this Python and platform")));
    }
    let newest: Vec<&str> = versions.iter().rev().take(3).copied().collect();
    let old = if young { " that is old enough" } else { "" };
    Some(invalid(&format!(
        "{name}{needed}: no version{old} meets `{wanted}` for this Python and platform; the newest are {}",
        newest.join(", ")
    )))
}

/// What keeps the index from telling anything.
fn index(name: &str, facts: &Facts) -> Option<Error> {
    if let Some(reason) = &facts.unreachable {
        return Some(unavailable(&format!("the index can't be reached for {name}: {reason}")));
    }
    match facts.status? {
        401 | 403 => Some(unavailable(&format!(
            "the index refuses to give {name} (status {}); set its credentials in `pypi_source`",
            facts.status?
        ))),
        429 => Some(unavailable(&format!(
            "the index has had too many requests (status 429) and gives no {name} now; try again later"
        ))),
        status if status >= 500 => {
            Some(unavailable(&format!("the index fails to give {name} (status {status}); try again later")))
        }
        _ => None,
    }
}

/// An index that answers for a file as it should not.
fn refused(text: &str) -> Option<Error> {
    if let Some(rest) = text.split("HTTP error ").nth(1) {
        let status = rest.split_whitespace().next()?;
        let file = rest.split("while getting ").nth(1).and_then(|it| it.split_whitespace().next()).unwrap_or_default();
        let file = file.split(['#', '?']).next().and_then(|it| it.rsplit('/').next()).unwrap_or_default();
        return Some(unavailable(&format!("the index fails to give {file} (status {status}); try again later")));
    }
    let broken = ["Connection broken", "Read timed out", "NewConnectionError", "connection broken by"];
    broken
        .iter()
        .any(|it| text.contains(it))
        .then(|| unavailable(&format!("the index can't be reached: {}", last(text))))
}

/// The last line that says something.
fn last(text: &str) -> &str {
    let said = |it: &&str| !it.trim().is_empty();
    let error = text.lines().rfind(|it| it.trim_start().starts_with("ERROR:"));
    error.or_else(|| text.lines().rfind(said)).unwrap_or("it says nothing").trim().trim_start_matches("ERROR: ")
}

#[cfg(test)]
mod tests;
