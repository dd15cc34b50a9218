//! Reads the line of JSON that a driver of ours prints in a build sandbox: its answer, or what it complains of. The driver
//! reads what an index says, so all of it is hostile.

use std::time::Duration;

use script_engine_core::contract::StepOutput;
use script_engine_core::{Error, ErrorKind, Result, Retry};
use serde_json::Value;

use crate::source_text;

/// How an ecosystem is spoken of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source {
    /// What it brings: `Maven packages`.
    pub(super) packages: &'static str,
    /// Where they come from: `the Maven repository`.
    pub(super) index: &'static str,
    /// The setting that names the index.
    pub(super) setting: &'static str,
    /// Beginnings of lines on stderr that say nothing.
    pub(super) noise: &'static [&'static str],
}

impl Source {
    /// The answer, or the error that the driver tells of in place of one.
    pub(super) fn answer(&self, output: &StepOutput) -> Result<Value> {
        if output.exit_code.is_none() {
            let message = "the resolver was ended by a signal; ask for fewer or smaller packages";
            return Err(Error::invalid("dependencies", message).with_context("stderr", self.said(output)));
        }
        let answer: Value = match serde_json::from_slice(&output.stdout) {
            Ok(answer) if output.exit_code == Some(0) => answer,
            _ => return Err(self.silent(output)),
        };
        let told = |kind: &str| answer[kind].as_str().map(source_text::message);
        if let Some(problem) = told("problem") {
            return Err(Error::invalid("dependencies", problem));
        }
        if let Some(problem) = told("setting") {
            return Err(Error::invalid(self.setting, problem));
        }
        if let Some(problem) = told("unsupported") {
            return Err(Error::new(ErrorKind::Unsupported, problem));
        }
        if let Some(reason) = told("unreachable") {
            let again = Retry::Maybe { after: Some(Duration::from_secs(10)) };
            let message = format!("{} can't be reached: {reason}", self.index);
            return Err(Error::new(ErrorKind::Unavailable, message).with_retry(again));
        }
        Ok(answer)
    }

    fn silent(&self, output: &StepOutput) -> Error {
        Error::internal(format!("the driver of {} gave no answer", self.packages))
            .with_context("stderr", self.said(output))
    }

    /// The first line that says something.
    fn said(&self, output: &StepOutput) -> String {
        let printed = String::from_utf8_lossy(&output.stderr);
        let said = printed.lines().find(|line| !self.noise.iter().any(|it| line.starts_with(it)));
        source_text::message(said.unwrap_or_default())
    }

    /// The error of an answer with names in it that the index can't have.
    pub(super) fn nonsense(&self) -> Error {
        Error::invalid("dependencies", format!("the resolver of {} named one that no index has", self.packages))
    }
}

/// An address without the user and password that it may have.
pub(super) fn without_user(address: &str) -> String {
    match address.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            format!("{scheme}://{}{path}", host.rsplit('@').next().unwrap_or_default())
        }
        None => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const SOURCE: Source =
        Source { packages: "x packages", index: "the x index", setting: "x_source", noise: &["warning"] };

    #[track_caller]
    fn check(code: Option<i32>, stdout: &'static str, kind: ErrorKind, expect: &str) {
        let stderr = Bytes::from_static(b"warning: x\noh no\n");
        let output =
            StepOutput { exit_code: code, stdout: Bytes::from_static(stdout.as_bytes()), stderr, files: Vec::new() };
        let error = SOURCE.answer(&output).unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (kind, expect));
    }

    #[test]
    fn each_complaint_is_of_the_right_kind() {
        let nothing = "the driver of x packages gave no answer stderr=`oh no`";
        check(Some(0), "no json", ErrorKind::Internal, nothing);
        check(Some(1), "{}", ErrorKind::Internal, nothing);
        check(Some(0), "{\"problem\":\"a 1: gone\\n\"}", ErrorKind::InvalidRequest, "dependencies: a 1: gone");
        check(Some(0), "{\"setting\":\"is no address\"}", ErrorKind::InvalidRequest, "x_source: is no address");
        check(Some(0), "{\"unsupported\":\"no search\"}", ErrorKind::Unsupported, "no search");
        check(
            Some(0),
            "{\"unreachable\":\"refused\"}",
            ErrorKind::Unavailable,
            "the x index can't be reached: refused",
        );
        let signal =
            "dependencies: the resolver was ended by a signal; ask for fewer or smaller packages stderr=`oh no`";
        check(None, "", ErrorKind::InvalidRequest, signal);
    }

    #[test]
    fn addresses_lose_their_user() {
        for (address, expect) in [
            ("https://u:p@h:1/a@b", "https://h:1/a@b"),
            ("https://h", "https://h"),
            ("https://u@h", "https://h"),
            ("x", "x"),
        ] {
            assert_eq!(without_user(address), expect);
        }
    }
}
