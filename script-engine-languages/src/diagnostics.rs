//! Keeps what a toolchain says within bounds: the first problems, and how many more there are.

use script_engine_core::contract::{Check, Diagnostic};
use script_engine_core::{Error, Result};

use crate::source_text;

/// Diagnostics that are shown.
pub(crate) const MOST: usize = 100;

/// The diagnostics of one source, in the order in which they were found.
#[derive(Debug, Default)]
pub(crate) struct Diagnostics {
    kept: Check,
    total: usize,
}

impl Diagnostics {
    /// Counts one, and keeps it if there is room.
    pub(crate) fn add(&mut self, line: u32, column: u32, message: &str) {
        self.total += 1;
        if self.kept.len() < MOST {
            let message = source_text::message(message);
            self.kept.push(Diagnostic { line: line.max(1), column: column.max(1), message });
        }
    }

    /// Says that there are `total`, of which only the first ones were told here.
    pub(crate) fn count(&mut self, total: usize) {
        self.total = self.total.max(total);
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// The diagnostics; if some were left out, one more that says how many.
    pub(crate) fn into_check(self) -> Check {
        let Self { mut kept, total } = self;
        let more = total - kept.len();
        if let Some(last) = kept.last().filter(|_| more > 0) {
            let message = format!("{more} more problems are not shown; mend these first");
            let last = Diagnostic { line: last.line, column: last.column, message };
            kept.push(last);
        }
        kept
    }
}

/// Reads `LINE:COLUMN: MESSAGE`.
pub(crate) fn position_and_message(text: &str) -> Option<(u32, u32, &str)> {
    let (line, rest) = text.split_once(':')?;
    let (column, message) = rest.split_once(": ")?;
    Some((line.parse().ok()?, column.parse().ok()?, message))
}

/// Fails if what a compiler left is more than a sandbox takes as a file of its job.
pub(crate) fn fits(what: &str, bytes: usize) -> Result<()> {
    const MOST: usize = 48 << 20;
    if bytes <= MOST {
        return Ok(());
    }
    let message =
        format!("compiles to {what} of {} MiB; at most {} are accepted: keep data in files", bytes >> 20, MOST >> 20);
    Err(Error::invalid("source", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_are_shown_and_the_rest_are_counted() {
        for (found, total, shown, last) in [
            (0, 0, 0, None),
            (100, 0, 100, Some("problem 99")),
            (101, 0, 101, Some("1 more problems are not shown; mend these first")),
            (100, 5000, 101, Some("4900 more problems are not shown; mend these first")),
            (3, 1, 3, Some("problem 2")),
        ] {
            let mut all = Diagnostics::default();
            for number in 0..found {
                all.add(number, 0, &format!("problem {number}"));
            }
            all.count(total);
            assert_eq!(all.is_empty(), found == 0);
            let all = all.into_check();
            assert_eq!((all.len(), all.last().map(|it| it.message.as_str())), (shown, last));
        }
    }

    #[test]
    fn positions_are_numbers() {
        assert_eq!(position_and_message("3:14: a: b"), Some((3, 14, "a: b")));
        for bad in ["", "3: a", "x:1: a", "1:x: a", "3:14:a"] {
            assert_eq!(position_and_message(bad), None, "{bad}");
        }
        assert!(fits("a program", 1 << 20).is_ok());
        let error = fits("a program", 49 << 20).unwrap_err().to_string();
        assert!(error.starts_with("source: compiles to a program of 49 MiB; at most 48"), "{error}");
    }
}
