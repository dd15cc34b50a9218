//! Reads what `javac` says. It is told to say the offset of each problem and not the line, which it would count with tabs as
//! eight columns.

use script_engine_core::Error;
use script_engine_core::contract::StepOutput;

use crate::diagnostics::Diagnostics;
use crate::source_text;

/// The options that make `javac` say it so: problems with a place, and those without one in a file or at all.
pub(super) const OPTIONS: [&str; 6] = [
    "-XDdiags.layout=@@%p%o:%_%m|@@%p-:%_%m|@@%p-:%_%m",
    "-XDdiags.formatterOptions=-source",
    "-Xmaxerrs",
    "100",
    "-nowarn",
    "-encoding",
];

/// The problems of `text` that are told in `output`; and what else `javac` says is wrong, without a place.
pub(super) fn problems(output: &StepOutput, text: &str) -> Diagnostics {
    let printed = String::from_utf8_lossy(&output.stderr);
    let mut found = Diagnostics::default();
    let mut lines = printed.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(total) = total(line) {
            found.count(total);
        }
        let Some((offset, message)) = line.strip_prefix("@@error: ").and_then(|it| it.split_once(": ")) else {
            continue;
        };
        let mut message = message.to_owned();
        while let Some(more) = lines.next_if(|it| it.starts_with("  ") && !it.trim_start().starts_with("@@")) {
            // What it goes on to say in lines of its own, of which there are few in an honest one.
            if message.len() < 1000 {
                message.push_str("; ");
                message.push_str(&more.split_whitespace().collect::<Vec<_>>().join(" "));
            }
        }
        let at = offset.parse().map_or(0, |it| byte_of_unit(text, it));
        let (line, column) = source_text::position(text.as_bytes(), at);
        found.add(line, column, &message.replace(";;", ";"));
    }
    found
}

/// The number in `only showing the first 100 errors, of 3000 total; use ...`.
fn total(line: &str) -> Option<usize> {
    let rest = line.strip_prefix("only showing the first ")?;
    rest.split_once(", of ")?.1.split_once(" total")?.0.parse().ok()
}

/// Java counts in units of UTF-16.
fn byte_of_unit(text: &str, unit: usize) -> usize {
    let mut units = 0;
    for (at, c) in text.char_indices() {
        if units >= unit {
            return at;
        }
        units += c.len_utf16();
    }
    text.len()
}

/// The error of a JDK that failed and told no place.
pub(super) fn failed(output: &StepOutput) -> Error {
    let printed = String::from_utf8_lossy(&output.stderr);
    if printed.contains("java.lang.StackOverflowError") {
        return Error::invalid("source", "is too deeply nested for javac; make it simpler");
    }
    if printed.contains("java.lang.OutOfMemoryError") {
        return Error::invalid("source", "takes more memory to compile than its limit; make it simpler");
    }
    let says = printed.lines().find(|it| !it.trim().is_empty()).unwrap_or("it says nothing");
    Error::invalid("source", format!("javac failed: {}", source_text::message(says)))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn output(stderr: &str) -> StepOutput {
        StepOutput { exit_code: Some(1), stdout: Bytes::new(), stderr: stderr.to_owned().into(), files: Vec::new() }
    }

    #[test]
    fn offsets_become_lines_and_columns_in_characters() {
        let text = "a\u{1F600}\n\tb c\n";
        let said = "@@error: 5: one\n  more\n    and more\n@@Note: -: x\n@@error: 99: late\n@@error: -: no place\n@@error: x\n2 errors\nonly showing the first 2 errors, of 5 total; use -Xmaxerrs\n";
        let found = problems(&output(said), text).into_check();
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "line 2, column 2: one; more; and more",
                "line 3, column 1: late",
                "line 1, column 1: no place",
                "line 1, column 1: 2 more problems are not shown; mend these first"
            ]
        );
    }

    #[test]
    fn what_has_no_place_is_said_in_words() {
        for (stderr, expect) in [
            ("\n\nThe system is out of resources.\njava.lang.StackOverflowError\n", "source: is too deeply nested"),
            ("java.lang.OutOfMemoryError: Java heap space", "source: takes more memory"),
            ("\nerror: \u{1b} no\n", "source: javac failed: error:   no"),
            ("", "source: javac failed: it says nothing"),
        ] {
            let error = failed(&output(stderr)).to_string();
            assert!(error.starts_with(expect), "{error}");
        }
    }
}
