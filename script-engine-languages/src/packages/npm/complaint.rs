//! Makes one short line of what npm complains of, with the package's name and the reason.

use script_engine_core::packages::LockedPackage;
use script_engine_core::{Error, ErrorKind};
use serde::Deserialize;

use crate::packages::driver::Failure;
use crate::source_text;

/// npm's own code for what is wrong, and its longer explanation.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Facts {
    code: Option<String>,
    detail: Option<String>,
    platform: Option<String>,
}

/// The error of a failure to install what a lock has.
pub(super) fn of_lock(failure: &Failure<Facts>, packages: &[LockedPackage]) -> Error {
    if failure.facts.code.as_deref() != Some("EINTEGRITY") {
        return read(failure);
    }
    // npm names the hash, not whose it is.
    let whose = packages.iter().find(|it| it.hashes.iter().any(|hash| failure.text.contains(hash.as_str())));
    let name = whose.map_or("a package".to_owned(), |it| format!("{} {}", it.name, it.version));
    invalid(&format!(
        "{name} is not the file that was locked: its hash differs; save the script again if that is meant"
    ))
}

/// The error of a failure.
pub(super) fn read(failure: &Failure<Facts>) -> Error {
    let (text, facts) = (failure.text.trim(), &failure.facts);
    let detail = facts.detail.as_deref().unwrap_or_default();
    match text {
        "no npm" => {
            let message =
                "the runtime has no npm to get packages with; take a runtime that has it (Debian and Alpine: npm)";
            return Error::new(ErrorKind::Unsupported, message);
        }
        "no search" => {
            let message = "this index offers no search by words; give the exact name of a package";
            return Error::new(ErrorKind::Unsupported, message);
        }
        "platform" => {
            let here = facts.platform.as_deref().unwrap_or("another");
            return invalid(&format!(
                "the lock is for another platform than this runtime's {here}; save the script again"
            ));
        }
        _ => {}
    }
    match facts.code.as_deref().unwrap_or_default() {
        "E404" => {
            let wanted = between(detail, "'", "'").unwrap_or_else(|| package_of(text));
            invalid(&format!("{wanted}: the index has no package of this name"))
        }
        "ETARGET" => {
            let wanted = text.strip_prefix("No matching version found for ").unwrap_or(text);
            match wanted.split_once(" with a date before ") {
                Some((wanted, _)) => too_young(wanted),
                None => invalid(&format!("{}: the index has no such version", wanted.trim_end_matches('.'))),
            }
        }
        "ENOVERSIONS" => too_young(text.strip_prefix("No versions available for ").unwrap_or(text)),
        "ERESOLVE" => conflict(detail),
        "ENOSPC" => invalid("take more space than there is to install packages in"),
        "EUSAGE" => invalid("the lock does not fit what is declared; save the script again"),
        "E401" | "E403" => {
            unavailable(&format!("the index refuses to give {}; set its credentials in `npm_source`", package_of(text)))
        }
        "E429" => unavailable("the index has had too many requests (status 429); try again later"),
        code if code.len() == 4 && code.starts_with("E5") => unavailable(&format!(
            "the index fails to give {} (status {}); try again later",
            package_of(text),
            &code[1..]
        )),
        "ECONNREFUSED"
        | "ENOTFOUND"
        | "EAI_AGAIN"
        | "ETIMEDOUT"
        | "ECONNRESET"
        | "ENETUNREACH"
        | "EHOSTUNREACH"
        | "ERR_SOCKET_TIMEOUT"
        | "UNABLE_TO_GET_ISSUER_CERT_LOCALLY"
        | "SELF_SIGNED_CERT_IN_CHAIN"
        | "DEPTH_ZERO_SELF_SIGNED_CERT"
        | "CERT_HAS_EXPIRED" => {
            let reason = text.split("reason: ").nth(1).unwrap_or(text);
            unavailable(&format!("the index can't be reached: {reason}"))
        }
        // This one comes without a code.
        _ if text.contains("network timeout") => unavailable(&format!("the index can't be reached: {}", last(text))),
        _ => invalid(&format!("npm refuses: {}", last(text))),
    }
}

fn invalid(message: &str) -> Error {
    Error::invalid("dependencies", source_text::message(message))
}

fn unavailable(message: &str) -> Error {
    Error::new(ErrorKind::Unavailable, source_text::message(message))
}

fn too_young(wanted: &str) -> Error {
    invalid(&format!("no version of {wanted} is old enough for the policy's minimum age"))
}

/// Says what was found, and who wants something else, of npm's drawing of it.
fn conflict(detail: &str) -> Error {
    let found = detail.lines().find_map(|it| it.trim().strip_prefix("Found: "));
    let after = detail
        .split("Could not resolve dependency:")
        .nth(1)
        .or_else(|| detail.split("Conflicting peer dependency:").nth(1));
    let wanted = after.and_then(|it| it.lines().map(str::trim).find(|it| !it.is_empty()));
    match (found, wanted) {
        (Some(found), Some(wanted)) => {
            invalid(&format!("are in conflict: {found} was found, and there is {}", wanted.replace('"', "")))
        }
        _ => invalid("are in conflict: npm finds no set of versions that fit"),
    }
}

fn between<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    text.split_once(open)?.1.split_once(close).map(|it| it.0)
}

/// The package that a failed request was for.
fn package_of(text: &str) -> &str {
    let url = text.rsplit(" - GET ").next().unwrap_or_default().split_whitespace().next().unwrap_or_default();
    url.rsplit('/').next().filter(|it| !it.is_empty()).unwrap_or("a package")
}

fn last(text: &str) -> &str {
    let said = |it: &&str| !it.is_empty() && !it.contains("A complete log of this run");
    let line = text.lines().map(str::trim).rfind(said);
    line.unwrap_or("it says nothing").trim_start_matches("npm error ")
}

#[cfg(test)]
mod tests {
    use script_engine_core::DependencyScope;

    use super::*;

    #[track_caller]
    fn check(code: &str, text: &str, detail: &str, kind: ErrorKind, expect: &str) {
        let facts = Facts { code: Some(code.into()), detail: Some(detail.into()), platform: None };
        let error = read(&Failure { text: text.to_owned(), facts });
        assert_eq!((error.kind(), error.to_string().as_str()), (kind, expect));
    }

    // What npm 11 really prints, hosts put in its place.
    #[test]
    fn the_package_and_the_reason_are_named() {
        let invalid = |code: &str, text: &str, detail: &str, expect: &str| {
            check(code, text, detail, ErrorKind::InvalidRequest, &format!("dependencies: {expect}"));
        };
        invalid(
            "E404",
            "Not Found - GET https://index.test/no-such",
            "The requested resource 'no-such@1' could not be found or you do not have permission to access it.\n\nNote that you can also install from a\ntarball, folder, http url, or git url.",
            "no-such@1: the index has no package of this name",
        );
        invalid("ETARGET", "No matching version found for zod@^99.", "", "zod@^99: the index has no such version");
        let young = "No matching version found for zod@3.22.0 with a date before 1/1/2023, 12:00:00 AM.";
        invalid("ETARGET", young, "", "no version of zod@3.22.0 is old enough for the policy's minimum age");
        let none = "no version of zod is old enough for the policy's minimum age";
        invalid("ENOVERSIONS", "No versions available for zod", "", none);
        invalid(
            "ERESOLVE",
            "unable to resolve dependency tree",
            "While resolving: script@undefined\nFound: react@17.0.2\nnode_modules/react\n  react@\"17.0.2\" from the root project\n\nCould not resolve dependency:\npeer react@\"^18.2.0\" from react-dom@18.2.0\nnode_modules/react-dom\n  react-dom@\"18.2.0\" from the root project\n\nFix the upstream dependency conflict",
            "are in conflict: react@17.0.2 was found, and there is peer react@^18.2.0 from react-dom@18.2.0",
        );
        invalid("ERESOLVE", "", "", "are in conflict: npm finds no set of versions that fit");
        invalid("EWHATEVER", "npm error one\nnpm error two\n", "", "npm refuses: two");
    }

    #[test]
    fn a_package_whose_hash_differs_is_named() {
        let locked = |name: &str, hash: &str| LockedPackage {
            name: name.into(),
            version: "1.0.0".into(),
            url: String::new(),
            hashes: vec![hash.into()],
            scope: DependencyScope::Runtime,
            requires: Vec::new(),
        };
        let text = "sha512-AAAA integrity checksum failed when using sha512: wanted sha512-AAAA but got sha512-y5KZ. (103973 bytes)";
        let facts = Facts { code: Some("EINTEGRITY".into()), ..Facts::default() };
        let failure = Failure { text: text.to_owned(), facts };
        let error = of_lock(&failure, &[locked("other", "sha512-BBBB"), locked("zod", "sha512-AAAA")]);
        let expect =
            "zod 1.0.0 is not the file that was locked: its hash differs; save the script again if that is meant";
        assert_eq!(error.to_string(), format!("dependencies: {expect}"));
        assert!(of_lock(&failure, &[]).to_string().starts_with("dependencies: a package is not"));
    }

    #[test]
    fn an_index_that_does_not_answer_is_no_fault_of_the_script() {
        let unavailable = |code: &str, text: &str, expect: &str| check(code, text, "", ErrorKind::Unavailable, expect);
        unavailable(
            "E503",
            "503 Service Unavailable - GET https://index.test/zod",
            "the index fails to give zod (status 503); try again later",
        );
        unavailable(
            "E429",
            "429 Too Many Requests - GET https://index.test/zod",
            "the index has had too many requests (status 429); try again later",
        );
        unavailable(
            "E401",
            "401 Unauthorized - GET https://index.test/zod",
            "the index refuses to give zod; set its credentials in `npm_source`",
        );
        unavailable(
            "ENOTFOUND",
            "request to https://index.invalid/zod failed, reason: getaddrinfo ENOTFOUND index.invalid",
            "the index can't be reached: getaddrinfo ENOTFOUND index.invalid",
        );
        unavailable(
            "ECONNREFUSED",
            "FetchError: request to http://127.0.0.1:1/zod failed, reason: connect ECONNREFUSED 127.0.0.1:1",
            "the index can't be reached: connect ECONNREFUSED 127.0.0.1:1",
        );
    }
}
