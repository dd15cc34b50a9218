//! Which versions of Java will do for a source: those that its `//JAVA` line names, else those that all scripts are promised.

use script_engine_core::contract::StepOutput;
use script_engine_core::{Error, ErrorKind};

/// Looks for a JDK in the sandbox; see there.
const FIND: &str = include_str!("find.sh");
/// What is said by its exit code, which no program in it has.
const NO_JDK: i32 = 97;
/// The oldest version that scripts are promised.
const LEAST: u16 = 21;

/// Versions from one to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    least: u16,
    most: Option<u16>,
    /// Whether another version is worse than none.
    must: bool,
}

impl Wanted {
    /// Reads `21` or `21+`; nothing is what all scripts are promised, and where a machine has not got that, what it has.
    pub(super) fn read(text: Option<&str>) -> Result<Self, String> {
        let Some(text) = text else { return Ok(Self { least: LEAST, most: None, must: false }) };
        let (number, open) = text.strip_suffix('+').map_or((text, false), |it| (it, true));
        match number.parse() {
            Ok(least) if number.len() <= 3 && (1..=999).contains(&least) => {
                Ok(Self { least, most: (!open).then_some(least), must: true })
            }
            _ => Err("the version after `//JAVA` can't be read; write `//JAVA 21` or `//JAVA 21+`".to_owned()),
        }
    }

    /// What the source says, if it says something.
    pub(super) fn text(self) -> Option<String> {
        let open = if self.most.is_none() { "+" } else { "" };
        self.must.then(|| format!("{}{open}", self.least))
    }

    /// The program and arguments that find a JDK and then do `what`, a shell script that knows it as `$home` and `$version`.
    pub(super) fn argv(self, what: &str, arguments: impl IntoIterator<Item = String>) -> Vec<String> {
        let Self { least, most, must } = self;
        let most = most.map(|it| it.to_string()).unwrap_or_default();
        let must = if must { "must" } else { "may" };
        let own =
            ["sh".into(), "-c".into(), format!("{FIND}{what}"), "sh".into(), least.to_string(), most, must.into()];
        own.into_iter().chain(arguments).collect()
    }

    /// The error of a step that found no JDK, if that is how it ended.
    pub(super) fn missing(self, output: &StepOutput) -> Option<Error> {
        if output.exit_code != Some(NO_JDK) {
            return None;
        }
        let printed = String::from_utf8_lossy(&output.stdout);
        let known = crate::source_text::message(printed.trim().trim_start_matches("no JDK:"));
        let wanted = match self {
            Self { least, most: None, .. } => format!("{least} or newer"),
            Self { least, .. } => least.to_string(),
        };
        Some(match known.as_str() {
            "" => Error::new(ErrorKind::Unavailable, format!("there is no JDK in the runtime; install Java {wanted}")),
            _ => Error::invalid(
                "source",
                format!("asks for Java {wanted}, and there is {known}; change its `//JAVA` line"),
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn versions_are_read_or_refused() {
        let wanted = |least, most, must| Ok(Wanted { least, most, must });
        for (text, expect) in [
            (None, wanted(21, None, false)),
            (Some("17"), wanted(17, Some(17), true)),
            (Some("25+"), wanted(25, None, true)),
        ] {
            assert_eq!(Wanted::read(text), expect);
        }
        for bad in ["", "+", "1.8", "21 +", "-1", "0", "9999", "21++", "$(id)"] {
            assert!(Wanted::read(Some(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_missing_jdk_is_named_with_what_there_is() {
        let output = |code, stdout: &'static str| StepOutput {
            exit_code: Some(code),
            stdout: Bytes::from_static(stdout.as_bytes()),
            stderr: Bytes::new(),
            files: Vec::new(),
        };
        let wanted = Wanted::read(Some("99+")).unwrap();
        assert!(wanted.missing(&output(1, "")).is_none());
        let error = wanted.missing(&output(97, "no JDK: 17.0.1 25\n")).unwrap().to_string();
        assert_eq!(error, "source: asks for Java 99 or newer, and there is 17.0.1 25; change its `//JAVA` line");
        let error = wanted.missing(&output(97, "no JDK:\n")).unwrap();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }
}
