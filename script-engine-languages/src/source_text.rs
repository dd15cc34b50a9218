//! What all languages refuse in a source, whatever it says: bytes that no toolchain reads as text.

use script_engine_core::contract::Diagnostic;
use script_engine_core::{Error, Result, detect};

/// The mark that some editors put before UTF-8 text.
pub(crate) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Refuses sources that are empty, too long, UTF-16 or hold NUL bytes, as an error of the field `source`.
pub(crate) fn check(source: &[u8]) -> Result<()> {
    detect::check_source(source)?;
    if source.starts_with(b"\xff\xfe") || source.starts_with(b"\xfe\xff") {
        return Err(Error::invalid("source", "is UTF-16 text; save it as UTF-8"));
    }
    if let Some(at) = source.iter().position(|byte| *byte == 0) {
        let (line, column) = position(source, at);
        let message = "a NUL byte, which no script can hold; save it as plain UTF-8 text".to_owned();
        return Err(refused(&Diagnostic { line, column, message }));
    }
    Ok(())
}

/// One diagnostic as an error of the field `source`.
pub(crate) fn refused(diagnostic: &Diagnostic) -> Error {
    Error::invalid_all(vec![diagnostic.problem()])
}

/// Line and column of the byte at `offset`, both from 1, columns in characters. A byte order mark is no character.
pub(crate) fn position(source: &[u8], offset: usize) -> (u32, u32) {
    let before = source.get(..offset).unwrap_or(source);
    let before = before.strip_prefix(BYTE_ORDER_MARK).unwrap_or(before);
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let column = characters(before.get(start..).unwrap_or_default()) + 1;
    (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
}

/// How many characters `bytes` holds, invalid ones counted as one each.
pub(crate) fn characters(bytes: &[u8]) -> usize {
    String::from_utf8_lossy(bytes).chars().count()
}

/// One line of a source, from 1, without its end.
pub(crate) fn line(source: &[u8], number: u32) -> Option<&[u8]> {
    let index = usize::try_from(number).ok()?.checked_sub(1)?;
    let source = source.strip_prefix(BYTE_ORDER_MARK).unwrap_or(source);
    source.split(|byte| *byte == b'\n').nth(index)
}

/// A toolchain's message, fit to be shown: one line, no control characters, not endless. It may quote what a hostile
/// script says.
pub(crate) fn message(text: &str) -> String {
    const LONGEST: usize = 400;
    let clean: String = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST + 1).collect();
    if clean.chars().count() > LONGEST {
        let cut: String = clean.chars().take(LONGEST).collect();
        return format!("{cut} ...");
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_is_refused() {
        for (source, expect) in [
            (&b"\xff\xfea\0"[..], "source: is UTF-16 text; save it as UTF-8"),
            (b"\xfe\xff\0a", "source: is UTF-16"),
            (b"\xef\xbb\xbfok\n\xc3\xa4\0", "source: line 2, column 2: a NUL byte"),
            (b" \n", "source: is empty"),
        ] {
            let error = check(source).unwrap_err().to_string();
            assert!(error.starts_with(expect), "{error}");
        }
        check(b"\xef\xbb\xbfx\r\n\xff").unwrap();
    }

    #[test]
    fn positions_count_characters() {
        for (text, at, expect) in
            [("ab", 1, (1, 2)), ("ä\näb", 5, (2, 2)), ("\u{feff}ab", 4, (1, 2)), ("a", 99, (1, 2))]
        {
            assert_eq!(position(text.as_bytes(), at), expect, "{text:?}");
        }
        assert_eq!(line(b"a\nb\nc", 2), Some(&b"b"[..]));
        assert_eq!(line(b"a", 0), None);
    }

    #[test]
    fn messages_are_one_bounded_line() {
        assert_eq!(message(" a\u{1b}[31m\nb "), "a [31m b");
        assert_eq!(message(&"x".repeat(1000)).len(), 404);
    }
}
