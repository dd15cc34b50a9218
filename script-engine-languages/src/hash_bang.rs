//! The options on a script's `#!` line. Scripts are started by name, not through that line, so what it
//! asks for is passed on or refused, never dropped in silence.

use script_engine_core::Result;
use script_engine_core::contract::Diagnostic;
use script_engine_core::detect::HashBang;

use crate::source_text::refused;

/// The options that a language passes on.
pub(crate) struct Options<'a> {
    /// Option letters that stand alone: `-e`, `-eu`.
    pub(crate) letters: &'a str,
    /// Option letters that take the next word.
    pub(crate) with_word: &'a str,
    /// Whole options.
    pub(crate) whole: &'a [&'a str],
    /// A program that starts the interpreter, and words by which it does no more than that: they are not passed on.
    pub(crate) starter: Option<(&'a str, &'a [&'a str])>,
}

impl Options<'_> {
    /// The options on the first line of `source`, to go between the program and the script. Fails with the line's
    /// problem if one is not among those passed on.
    pub(crate) fn read(&self, source: &[u8]) -> Result<Vec<String>> {
        let Some(line) = HashBang::read(source) else { return Ok(Vec::new()) };
        let mut words = line.arguments.into_iter();
        let mut options = Vec::new();
        let starter = self.starter.filter(|it| it.0 == line.program).map_or(&[][..], |it| it.1);
        while let Some(word) = words.next() {
            if starter.contains(&word.as_str()) {
                continue;
            }
            let takes_word = word.ends_with(|it| self.with_word.contains(it));
            if !self.knows(&word) {
                let message = format!(
                    "the option `{}` of the `#!` line is not passed on; take it off, or set it in the script",
                    word.escape_debug()
                );
                return Err(refused(&Diagnostic { line: 1, column: 1, message }));
            }
            options.push(word);
            if takes_word {
                options.extend(words.next().filter(|it| it.chars().all(|c| c.is_ascii_lowercase())));
            }
        }
        Ok(options)
    }

    fn knows(&self, word: &str) -> bool {
        let letters =
            |it: &str| !it.is_empty() && it.chars().all(|c| self.letters.contains(c) || self.with_word.contains(c));
        self.whole.contains(&word) || word.strip_prefix('-').is_some_and(letters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_passed_on_or_refused() {
        let options = Options { letters: "eux", with_word: "o", whole: &["--posix"], starter: Some(("uv", &["run"])) };
        let read = |it: &str| options.read(it.as_bytes()).map(|it| it.join(" ")).map_err(|it| it.to_string());
        assert_eq!(read("echo"), Ok(String::new()));
        assert_eq!(read("#!/bin/bash -eu\n"), Ok("-eu".into()));
        assert_eq!(read("#!/usr/bin/env -S bash --posix -euo pipefail -x\n"), Ok("--posix -euo pipefail -x".into()));
        assert_eq!(read("#!/usr/bin/env -S uv run\n"), Ok(String::new()));
        assert!(read("#!/usr/bin/env -S uv run --with x\n").unwrap_err().contains("the option `--with`"));
        assert!(read("#!/bin/bash run\n").unwrap_err().contains("the option `run`"));
        for (line, bad) in
            [("#!/bin/sh -c\n", "-c"), ("#!/bin/sh -\n", "-"), ("#!/bin/sh x", "x"), ("#!/bin/sh -o A\n", "")]
        {
            match read(line) {
                Ok(options) => assert_eq!((options.as_str(), bad), ("-o", "")),
                Err(error) => {
                    assert!(error.starts_with(&format!("source: line 1, column 1: the option `{bad}`")), "{error}");
                }
            }
        }
    }
}
