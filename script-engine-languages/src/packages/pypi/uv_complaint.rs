//! Makes one short line of what uv complains of, with the package's name and the reason.

use script_engine_core::{Error, ErrorKind};

use crate::source_text;

/// The error of what uv said. `young` says that versions that are too young were left out.
pub(super) fn read(text: &str, young: bool) -> Error {
    let said = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let after = |words: &str| said.split_once(words).map(|it| it.1);
    if said.contains("No space left on device") {
        return invalid("take more space than there is to install packages in");
    }
    if let Some(rest) = after("Hash mismatch for `") {
        let name = rest.split('`').next().unwrap_or_default();
        return invalid(&format!(
            "{name} is not the file that was locked: its hash differs; save the script again if that is meant"
        ));
    }
    if let Some((before, reason)) = said.split_once("` is yanked") {
        let name = before.rsplit('`').next().unwrap_or_default().replace("==", " ");
        let reason = reason.split('"').nth(1).unwrap_or("no reason is given");
        return invalid(&format!("{name} was yanked from the index: {reason}; name another version"));
    }
    if let Some((before, rest)) = said.split_once("` does not have an extra named `") {
        let name = before.rsplit('`').next().unwrap_or_default().split("==").next().unwrap_or_default();
        return invalid(&format!("{name} has no extra `{}`; leave it out", rest.split('`').next().unwrap_or_default()));
    }
    if said.contains("lack of valid authentication credentials") {
        return unavailable("the index refuses to give what is asked for; set its credentials in `pypi_source`");
    }
    if let Some(rest) = after("HTTP status ") {
        let status = rest.split(['(', ')']).nth(1).unwrap_or_default();
        return unavailable(&format!("the index fails to give {} (status {status}); try again later", wanted(&said)));
    }
    if said.contains("Failed to fetch") || said.contains("Failed to download") || said.contains("Request failed") {
        let reason = said.rsplit("cause: ").next().unwrap_or_default();
        return unavailable(&format!("the index can't be reached for {}: {reason}", wanted(&said)));
    }
    after("Because ").map_or_else(|| invalid(&format!("uv refuses: {}", last(text))), |it| unsolved(it, young))
}

/// Reads the reasoning by which uv finds that there is no solution.
fn unsolved(reasoning: &str, young: bool) -> Error {
    let first = reasoning.split(" and ").next().unwrap_or_default();
    if let Some(name) = first.strip_suffix(" was not found in the package registry") {
        return invalid(&format!("{name}: the index has no package of this name"));
    }
    if reasoning.contains("has no usable wheels") {
        let name = first.split(" has no usable wheels").next().unwrap_or_default();
        return invalid(&format!(
            "{name}: the index has no wheel of it for this Python and platform, and building it would run code of its own; name another version, or let the policy allow install scripts"
        ));
    }
    let filtered = young && reasoning.contains("filtered by `exclude-newer`");
    if let Some(wanted) = first.strip_prefix("there is no version of ") {
        return invalid(&match filtered {
            true => format!("no version of {wanted} is old enough for the policy's minimum age"),
            false => format!("no version meets `{wanted}` for this Python and platform"),
        });
    }
    let end = reasoning.find(", we can conclude that your requirements are unsatisfiable").unwrap_or(reasoning.len());
    let short = reasoning[..end].replace(", we can conclude that ", ": ").replace(". And because ", "; ");
    let age = if filtered { "; some versions are too young for the policy" } else { "" };
    invalid(&format!("are in conflict: {short}{age}"))
}

fn invalid(message: &str) -> Error {
    Error::invalid("dependencies", source_text::message(message))
}

fn unavailable(message: &str) -> Error {
    Error::new(ErrorKind::Unavailable, source_text::message(message))
}

/// The package that could not be fetched.
fn wanted(said: &str) -> &str {
    let of_file = said.split_once("Failed to download `").and_then(|it| it.1.split('`').next());
    let of_page = || {
        let url = said.split_once("Failed to fetch: `")?.1.split('`').next()?;
        url.trim_end_matches('/').rsplit('/').next()
    };
    of_file.or_else(of_page).filter(|it| !it.is_empty()).unwrap_or("a package")
}

fn last(text: &str) -> &str {
    let error = text.lines().map(str::trim).find_map(|it| it.strip_prefix("error: "));
    error.or_else(|| text.lines().map(str::trim).rfind(|it| !it.is_empty())).unwrap_or("it says nothing")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, young: bool, kind: ErrorKind, expect: &str) {
        let error = read(text, young);
        assert_eq!((error.kind(), error.to_string().as_str()), (kind, expect));
    }

    // What uv 0.13 really prints, hosts put in its place.
    #[test]
    fn the_package_and_the_reason_are_named() {
        let invalid = |text: &str, expect: &str| {
            check(text, true, ErrorKind::InvalidRequest, &format!("dependencies: {expect}"));
        };
        let unsolved = |cause: &str| {
            format!(
                "error: No solution found when resolving dependencies\n  cause: Because {cause}, we can conclude that your requirements are unsatisfiable.\n"
            )
        };
        invalid(
            &unsolved("no-such was not found in the package registry and you require no-such"),
            "no-such: the index has no package of this name",
        );
        invalid(
            &unsolved("there is no version of requests==99 and you require requests==99"),
            "no version meets `requests==99` for this Python and platform",
        );
        invalid(
            &unsolved(
                "requests==2.31.0 depends on urllib3>=1.21.1,<3 and you require requests==2.31.0, we can conclude that you require urllib3>=1.21.1,<3.\n         And because you require urllib3<1.21",
            ),
            "are in conflict: requests==2.31.0 depends on urllib3>=1.21.1,<3 and you require requests==2.31.0: you require urllib3>=1.21.1,<3; you require urllib3<1.21",
        );
        invalid(
            &unsolved("docopt==0.6.2 has no usable wheels and you require docopt==0.6.2"),
            "docopt==0.6.2: the index has no wheel of it for this Python and platform, and building it would run code of its own; name another version, or let the policy allow install scripts",
        );
        let hint = "\nhint: `requests` was filtered by `exclude-newer` to only include packages uploaded before 2024-01-01T00:00:00Z.\n";
        invalid(
            &(unsolved("there is no version of requests==2.32.3 and you require requests==2.32.3") + hint),
            "no version of requests==2.32.3 is old enough for the policy's minimum age",
        );
        invalid(
            "Resolved 5 packages in 955ms\nwarning: `requests==2.32.0` is yanked (reason: \"Yanked due to conflicts with CVE-2024-35195 mitigation\")\n",
            "requests 2.32.0 was yanked from the index: Yanked due to conflicts with CVE-2024-35195 mitigation; name another version",
        );
        invalid(
            "Resolved 5 packages in 895ms\nwarning: The package `requests==2.31.0` does not have an extra named `nope`\n",
            "requests has no extra `nope`; leave it out",
        );
        invalid(
            "Using CPython 3.11.2\nerror: Failed to download `idna==3.6`\n  cause: Hash mismatch for `idna==3.6`\n\n         Expected:\n           sha256:00\n\n         Computed:\n           sha256:c0\n",
            "idna==3.6 is not the file that was locked: its hash differs; save the script again if that is meant",
        );
        invalid("error: something new\n  cause: x\n", "uv refuses: something new");
        invalid("", "uv refuses: it says nothing");
    }

    #[test]
    fn an_index_that_does_not_answer_is_no_fault_of_the_script() {
        let unavailable = |text: &str, expect: &str| check(text, false, ErrorKind::Unavailable, expect);
        unavailable(
            "error: Request failed after 1 retry in 1.1s\n  cause: Failed to fetch: `http://index.test/simple/idna/`\n  cause: error sending request for url (http://index.test/simple/idna/)\n  cause: client error (Connect)\n  cause: tcp connect error\n  cause: Connection refused (os error 111)\n",
            "the index can't be reached for idna: Connection refused (os error 111)",
        );
        unavailable(
            "error: Request failed after 1 retry in 1.5s\n  cause: Failed to fetch: `http://index.test/simple/idna/`\n  cause: HTTP status server error (503 Service Unavailable) for url (http://index.test/simple/idna/)\n",
            "the index fails to give idna (status 503 Service Unavailable); try again later",
        );
        unavailable(
            "error: No solution found when resolving dependencies\n  cause: Because idna was not found in the package registry and you require idna, we can conclude that your requirements are unsatisfiable.\n\nhint: An index URL (http://index.test/simple) could not be queried due to a lack of valid authentication credentials (401 Unauthorized)\n",
            "the index refuses to give what is asked for; set its credentials in `pypi_source`",
        );
    }
}
