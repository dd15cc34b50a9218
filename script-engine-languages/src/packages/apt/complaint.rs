//! Makes one short line of what apt or apk complain of, with the package's name and the reason.

use script_engine_core::{Error, ErrorKind};
use serde::Deserialize;

use crate::packages::driver::Failure;
use crate::source_text;

/// What the driver says besides.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Facts {
    platform: Option<String>,
}

/// The error of a failure.
pub(super) fn read(failure: &Failure<Facts>) -> Error {
    let text = failure.text.as_str();
    let here = failure.facts.platform.as_deref().unwrap_or("another");
    match text.trim() {
        "no system" => {
            return unsupported(
                "the runtime's system is neither Debian nor Alpine nor made of one, so `# apt:` has no package manager there",
            );
        }
        "no manager" => return unsupported("the runtime has no package manager; take a runtime that has apt or apk"),
        "no sources" => {
            return unsupported("no package sources are known; set `apt`, or take a runtime that brings its own");
        }
        "platform" => {
            return invalid(&format!(
                "the lock is for another system than this runtime's {here}; save the script again"
            ));
        }
        _ => {}
    }
    // Then what is said to be missing may be in an index that was not fetched.
    let partly = text.contains("Some index files failed to download").then(|| unreachable(text)).flatten();
    partly
        .or_else(|| missing(text))
        .or_else(|| conflict(text))
        .or_else(|| changed(text))
        .or_else(|| unreachable(text))
        .unwrap_or_else(|| {
            if text.contains("No space left on device") {
                invalid("take more space than there is to unpack packages in")
            } else {
                invalid(&format!("the package manager refuses: {}", last(text)))
            }
        })
}

fn invalid(message: &str) -> Error {
    Error::invalid("dependencies", source_text::message(message))
}

fn unsupported(message: &str) -> Error {
    Error::new(ErrorKind::Unsupported, message)
}

fn missing(text: &str) -> Option<Error> {
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("E: Unable to locate package ") {
            return Some(invalid(&format!("{name}: the system's index has no package of this name")));
        }
        if let Some(rest) = line.strip_prefix("E: Version '") {
            let (version, rest) = rest.split_once('\'')?;
            let name = rest.split('\'').nth(1)?;
            return Some(no_version(name, version));
        }
        if let Some(rest) = line.strip_prefix("E: Package '") {
            let name = rest.split('\'').next()?;
            return Some(invalid(&format!(
                "{name}: this is no package of its own but one that others provide; name one of those"
            )));
        }
        // apk: `  no-such (no such package):`
        if let Some(name) = line.strip_suffix(" (no such package):") {
            return Some(invalid(&format!("{name}: the system's index has no package of this name")));
        }
        if let Some(name) = line.strip_suffix(" (not the newest):") {
            return Some(invalid(&format!(
                "{name}: the system's index has a newer version too, and apk fetches no other; ask for that one"
            )));
        }
        // apk: `    breaks: world[jq=9]`
        if let Some((name, version)) = line.strip_prefix("breaks: world[").and_then(|it| it.split_once('=')) {
            let version = version.trim_start_matches('~').trim_end_matches(']');
            return Some(no_version(name, version));
        }
    }
    None
}

fn no_version(name: &str, version: &str) -> Error {
    invalid(&format!(
        "{name}: the system's index has no version {version}; it keeps the newest alone, so ask for the beginning of a \
         version such as `=1.*`"
    ))
}

fn conflict(text: &str) -> Option<Error> {
    let at = text.find("The following packages have unmet dependencies:")?;
    let lines = text[at..].lines().skip(1).take_while(|it| it.starts_with(' '));
    let said: Vec<String> = lines.map(|it| it.split_whitespace().collect::<Vec<_>>().join(" ")).take(3).collect();
    Some(invalid(&format!("are in conflict: {}", said.join("; "))))
}

fn changed(text: &str) -> Option<Error> {
    // apt: `E: Failed to fetch http://mirror.test/a.deb  Hash Sum mismatch`; apk, by its driver: `a.apk Hash Sum mismatch`
    let line = text.lines().map(str::trim).rfind(|it| it.ends_with("Hash Sum mismatch"))?;
    let file = line.trim_end_matches("Hash Sum mismatch").trim().rsplit([' ', '/']).next().unwrap_or_default();
    let file = if file.is_empty() { "a package" } else { file };
    Some(invalid(&format!(
        "{file} is not the file that was locked: its hash differs; save the script again if that is meant"
    )))
}

fn unreachable(text: &str) -> Option<Error> {
    let unavailable = |message: &str| Some(Error::new(ErrorKind::Unavailable, source_text::message(message)));
    let failed = text
        .lines()
        .map(str::trim)
        .rfind(|it| it.starts_with("E: Failed to fetch ") || it.starts_with("W: Failed to fetch "));
    let reason = failed.and_then(|it| it.splitn(6, ' ').nth(5)).unwrap_or_default().trim();
    if reason.starts_with("404") {
        return Some(invalid("the index has the locked version no longer; save the script again to take the newest"));
    }
    if text.contains("NO_PUBKEY") || text.contains("is not signed") || text.contains("UNTRUSTED signature") {
        return unavailable("the index is not signed by a key that is trusted; set the key in `apt`");
    }
    let words = [
        "Could not connect",
        "Could not resolve",
        "Unable to connect",
        "Temporary failure resolving",
        "Connection timed out",
        "Connection failed",
        "503 ",
        "502 ",
        "500 ",
        "429 ",
        "Certificate verification failed",
        "temporary error",
        "network error",
    ];
    let found =
        words.iter().any(|it| reason.contains(it)) || (reason.is_empty() && words.iter().any(|it| text.contains(it)));
    if !found {
        return None;
    }
    let line = if reason.is_empty() { last(text) } else { reason };
    unavailable(&format!("the system's index can't be reached: {line}"))
}

/// The last line that tells of an error, else the last that says something.
fn last(text: &str) -> &str {
    let error = text
        .lines()
        .map(str::trim)
        .rfind(|it| (it.starts_with("E: ") || it.starts_with("ERROR: ")) && *it != "E: Download Failed");
    let said = error.or_else(|| text.lines().map(str::trim).rfind(|it| !it.is_empty())).unwrap_or("it says nothing");
    said.trim_start_matches("E: ").trim_start_matches("ERROR: ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, kind: ErrorKind, expect: &str) {
        let error = read(&Failure { text: text.to_owned(), facts: Facts::default() });
        assert_eq!((error.kind(), error.to_string().as_str()), (kind, expect));
    }

    // What apt 2.6 and apk 2.14 and 3.0 really print, hosts put in their place.
    #[test]
    fn the_package_and_the_reason_are_named() {
        let invalid =
            |text: &str, expect: &str| check(text, ErrorKind::InvalidRequest, &format!("dependencies: {expect}"));
        invalid(
            "Reading package lists...\nE: Unable to locate package nope-xyz\n",
            "nope-xyz: the system's index has no package of this name",
        );
        invalid(
            "E: Version '9' for 'jq' was not found\n",
            "jq: the system's index has no version 9; it keeps the newest alone, so ask for the beginning of a version such as `=1.*`",
        );
        invalid(
            "Package awk is a virtual package provided by:\n  mawk 1\nE: Package 'awk' has no installation candidate\n",
            "awk: this is no package of its own but one that others provide; name one of those",
        );
        invalid(
            "Some packages could not be installed.\nThe following packages have unmet dependencies:\n exim4-daemon-light : Conflicts: mail-transport-agent\n postfix : Conflicts: mail-transport-agent\nE: Unable to correct problems, you have held broken packages.\n",
            "are in conflict: exim4-daemon-light : Conflicts: mail-transport-agent; postfix : Conflicts: mail-transport-agent",
        );
        invalid(
            "Err:1 http://mirror.test/a.deb\n  Hash Sum mismatch\nE: Failed to fetch http://mirror.test/a.deb  Hash Sum mismatch\nE: Download Failed\n",
            "a.deb is not the file that was locked: its hash differs; save the script again if that is meant",
        );
        invalid(
            "E: Failed to fetch http://mirror.test/a.deb  404  Not Found [IP: 1.2.3.4 80]\nE: Download Failed\n",
            "the index has the locked version no longer; save the script again to take the newest",
        );
        invalid(
            "ERROR: unable to select packages:\n  no-such (no such package):\n    required by: world[no-such]\n",
            "no-such: the system's index has no package of this name",
        );
        invalid(
            "ERROR: unable to select packages:\n  jq-1.7.1-r0:\n    breaks: world[jq=9]\n",
            "jq: the system's index has no version 9; it keeps the newest alone, so ask for the beginning of a version such as `=1.*`",
        );
        invalid(
            "  jq (not the newest):\n",
            "jq: the system's index has a newer version too, and apk fetches no other; ask for that one",
        );
        invalid(
            "jq-1.7.1-r0.apk Hash Sum mismatch\n",
            "jq-1.7.1-r0.apk is not the file that was locked: its hash differs; save the script again if that is meant",
        );
        invalid("E: Something new\nE: Download Failed\n", "the package manager refuses: Something new");
        invalid("", "the package manager refuses: it says nothing");
    }

    #[test]
    fn an_index_that_does_not_answer_is_no_fault_of_the_script() {
        check(
            "Err:1 http://127.0.0.1:1/a.deb\n  Could not connect to 127.0.0.1:1 (127.0.0.1). - connect (111: Connection refused)\nE: Failed to fetch http://127.0.0.1:1/a.deb  Could not connect to 127.0.0.1:1 (127.0.0.1). - connect (111: Connection refused)\nE: Download Failed\n",
            ErrorKind::Unavailable,
            "the system's index can't be reached: Could not connect to 127.0.0.1:1 (127.0.0.1). - connect (111: Connection refused)",
        );
        check(
            "W: GPG error: http://mirror.test bookworm InRelease: The following signatures couldn't be verified because the public key is not available: NO_PUBKEY 6ED0\nE: The repository 'http://mirror.test bookworm InRelease' is not signed.\n",
            ErrorKind::Unavailable,
            "the index is not signed by a key that is trusted; set the key in `apt`",
        );
        let text = "no system";
        assert_eq!(read(&Failure { text: text.into(), facts: Facts::default() }).kind(), ErrorKind::Unsupported);
    }
}
