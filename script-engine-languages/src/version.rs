//! Finds a toolchain's version by asking the toolchain.

use script_engine_core::contract::{Step, StepOutput, Toolchain, Work};
use script_engine_core::{Error, ErrorKind, Result};

use crate::source_text;

/// The longest version that is believed.
const LONGEST: usize = 40;

/// The step that starts `argv` and takes the version of `name` from what it prints first: the word after `before`, which
/// may be empty.
pub(crate) fn ask(name: &'static str, argv: &[&str], before: &'static str) -> Work<Toolchain> {
    Work::InSandbox(Step {
        files: Vec::new(),
        argv: argv.iter().map(|it| (*it).to_owned()).collect(),
        env: Vec::new(),
        collect: Vec::new(),
        read: Box::new(move |output| read(name, &output, before)),
    })
}

fn read(name: &str, output: &StepOutput, before: &str) -> Result<Toolchain> {
    let printed = String::from_utf8_lossy(&output.stdout);
    let first = printed.lines().next().unwrap_or_default();
    let version = first.split_once(before).and_then(|(_, rest)| rest.split_whitespace().next());
    match version.filter(|_| output.exit_code == Some(0)) {
        Some(version) if is_version(version) => {
            Ok(Toolchain { name: name.to_owned(), version: version.to_owned(), place: String::new() })
        }
        _ => Err(none(name, output)),
    }
}

/// Whether `text` may stand in a record as a version.
pub(crate) fn is_version(text: &str) -> bool {
    text.len() <= LONGEST
        && text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || ".+-_()~".contains(c))
}

/// The error of a toolchain that tells no version.
pub(crate) fn none(name: &str, output: &StepOutput) -> Error {
    let code = output.exit_code.map_or("a signal".to_owned(), |it| format!("exit code {it}"));
    Error::new(ErrorKind::Unavailable, format!("{name} tells no version: it ended with {code}"))
        .with_context("stderr", source_text::message(&String::from_utf8_lossy(&output.stderr)))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn versions_are_read_and_nothing_else_is() {
        let output = |code, stdout: &'static str| StepOutput {
            exit_code: code,
            stdout: Bytes::from_static(stdout.as_bytes()),
            stderr: Bytes::from_static(b"no\n"),
            files: Vec::new(),
        };
        for (stdout, before, expect) in [
            ("Python 3.11.2\n", "Python ", Some("3.11.2")),
            ("v20.19.2\n", "v", Some("20.19.2")),
            ("go version go1.26.8 linux/amd64\n", "version go", Some("1.26.8")),
            ("5.2.15(1)-release\nmore\n", "", Some("5.2.15(1)-release")),
            ("Python \n", "Python ", None),
            ("Python 3;\u{1b}[31m", "Python ", None),
            ("go version devel", "version go", None),
            ("", "", None),
        ] {
            let found = read("x", &output(Some(0), stdout), before);
            assert_eq!(found.ok().map(|it| it.version).as_deref(), expect, "{stdout:?}");
        }
        let error = read("x", &output(Some(1), "Python 3.11.2"), "Python ").unwrap_err();
        assert_eq!(error.to_string(), "x tells no version: it ended with exit code 1 stderr=`no`");
        assert!(!is_version(&"1".repeat(41)));
    }
}
