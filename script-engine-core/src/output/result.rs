//! Decides what a script returned: the content of its result file, else its last line of stdout.

use serde_json::Value;

use super::json::read_strict;

/// The most bytes of a result.
pub const MAX_RESULT_BYTES: usize = 1024 * 1024;

/// What became of the file that `SCRIPT_RESULT` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultFile<'a> {
    /// The script did not make it.
    Missing,
    /// It could not be taken: not a plain file, too large.
    Refused(&'a str),
    /// Its content, masked.
    Content(&'a [u8]),
}

/// What a script returned.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScriptResult {
    /// The result, if there is one.
    pub value: Option<Value>,
    /// Why there is none although the script seems to have meant one.
    pub note: Option<String>,
}

/// Decides the result. The file counts, with any JSON, if the script made one that is not empty; else the last
/// line of stdout that is not blank, if it is a JSON object.
#[must_use]
pub fn decide_result(file: ResultFile<'_>, last_line: Option<&[u8]>) -> ScriptResult {
    let content = match file {
        ResultFile::Missing => return from_line(last_line),
        ResultFile::Refused(why) => return without(format!("the result file was not taken: {why}")),
        ResultFile::Content(content) => content.trim_ascii(),
    };
    if content.is_empty() {
        return from_line(last_line);
    }
    if content.len() > MAX_RESULT_BYTES {
        return without(format!("the result file has {} bytes; at most {MAX_RESULT_BYTES} are read", content.len()));
    }
    match read_strict(content) {
        Ok(value) => ScriptResult { value: Some(value), note: None },
        Err(error) => without(format!("the result file is not JSON: {error}")),
    }
}

fn from_line(last_line: Option<&[u8]>) -> ScriptResult {
    let value = last_line.filter(|it| it.starts_with(b"{")).and_then(|it| read_strict(it).ok());
    ScriptResult { value, note: None }
}

fn without(note: String) -> ScriptResult {
    ScriptResult { value: None, note: Some(note) }
}

/// Remembers the last line of a stream that is not blank, without the white space around it.
#[derive(Debug, Default)]
pub struct LastLine {
    /// The last whole line that is not blank. Empty if it was too long.
    last: Vec<u8>,
    /// The line that has not ended, unless it is too long.
    open: Vec<u8>,
    too_long: bool,
}

impl LastLine {
    /// Takes the next bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        let Some(end) = memchr::memrchr(b'\n', bytes) else {
            self.extend_open(bytes);
            return;
        };
        let (lines, open) = bytes.split_at(end + 1);
        let first_end = memchr::memchr(b'\n', lines).unwrap_or(end);
        self.extend_open(&lines[..first_end]);
        if let Some(line) = last_filled(&lines[first_end..]) {
            self.last.clear();
            if line.len() <= MAX_RESULT_BYTES {
                self.last.extend_from_slice(line);
            }
        } else if self.too_long || !self.open.trim_ascii().is_empty() {
            self.last.clear();
            self.last.extend_from_slice(self.open.trim_ascii());
        }
        self.open.clear();
        self.too_long = false;
        self.extend_open(open);
    }

    /// The line, if there is one that is not too long to be a result.
    #[must_use]
    pub fn get(&self) -> Option<&[u8]> {
        if self.too_long {
            return None;
        }
        let open = self.open.trim_ascii();
        let line = if open.is_empty() { &self.last } else { open };
        (!line.is_empty()).then_some(line)
    }

    fn extend_open(&mut self, bytes: &[u8]) {
        // Leading white space would count against the bound for nothing.
        let bytes = if self.open.is_empty() && !self.too_long { bytes.trim_ascii_start() } else { bytes };
        self.too_long |= self.open.len() + bytes.len() > MAX_RESULT_BYTES;
        if self.too_long {
            self.open = Vec::new();
        } else {
            self.open.extend_from_slice(bytes);
        }
    }
}

fn last_filled(lines: &[u8]) -> Option<&[u8]> {
    let text = lines.trim_ascii();
    let start = memchr::memrchr(b'\n', text).map_or(0, |it| it + 1);
    let line = text[start..].trim_ascii();
    (!line.is_empty()).then_some(line)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(file: ResultFile<'_>, line: Option<&str>, value: Option<Value>, note: Option<&str>) {
        let got = decide_result(file, line.map(str::as_bytes));
        assert_eq!(got.value, value, "{file:?} {line:?}");
        match (&got.note, note) {
            (None, None) => {}
            (Some(got), Some(words)) if got.contains(words) => {}
            other => panic!("{file:?} {line:?}: {other:?}"),
        }
    }

    #[test]
    fn the_file_counts_before_the_line() {
        let line = Some("{\"from\":\"line\"}");
        let from_line = Some(json!({ "from": "line" }));
        check(ResultFile::Content(b" {\"a\":1}\n"), line, Some(json!({ "a": 1 })), None);
        check(ResultFile::Content(b"[1]"), line, Some(json!([1])), None);
        check(ResultFile::Content(b"null"), line, Some(Value::Null), None);
        check(ResultFile::Content(b"\n"), line, from_line.clone(), None);
        check(ResultFile::Missing, line, from_line, None);
        check(ResultFile::Content(b"{"), line, None, Some("not JSON: EOF"));
        check(ResultFile::Content(b"{\"a\":NaN}"), line, None, Some("not JSON"));
        check(ResultFile::Content(b"1e400"), line, None, Some("out of range"));
        check(ResultFile::Content(b"{\"a\":1,\"a\":2}"), line, None, Some("twice"));
        check(ResultFile::Content(&b"[".repeat(10_000)), line, None, Some("levels deep"));
        check(ResultFile::Content(b"\"\xff\""), line, None, Some("not JSON"));
        check(ResultFile::Content(&vec![b'1'; MAX_RESULT_BYTES + 1]), line, None, Some("1048577 bytes"));
        check(ResultFile::Refused("it is a link"), line, None, Some("it is a link"));
        check(ResultFile::Missing, Some("[1]"), None, None);
        check(ResultFile::Missing, Some("{\"a\":"), None, None);
        check(ResultFile::Missing, None, None, None);
    }

    fn last_of(pieces: &[&[u8]]) -> Option<Vec<u8>> {
        let mut line = LastLine::default();
        pieces.iter().for_each(|it| line.push(it));
        line.get().map(<[u8]>::to_vec)
    }

    #[test]
    fn the_last_line_is_the_last_that_is_not_blank() {
        let table = [
            ("", None),
            ("\n \r\n", None),
            ("a", Some("a")),
            ("a\nb\r\n", Some("b")),
            ("a\nb\n \n\r\n\n", Some("b")),
            ("a\n  b c ", Some("b c")),
            ("a\n ", Some("a")),
        ];
        for (text, expected) in table {
            assert_eq!(last_of(&[text.as_bytes()]), expected.map(|it| it.as_bytes().to_vec()), "{text:?}");
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_none_and_takes_no_memory() {
        let long = vec![b'x'; MAX_RESULT_BYTES + 1];
        assert_eq!(last_of(&[b"a\n", &long]), None);
        assert_eq!(last_of(&[b"a\n", &long, b"\n \n"]), None);
        assert_eq!(last_of(&[b"a\n", &long[1..]]).map(|it| it.len()), Some(MAX_RESULT_BYTES));
        assert_eq!(last_of(&[&[&b"a\n"[..], &long, b"\n"].concat()]), None);
        assert_eq!(last_of(&[&long, b"x\nb"]), Some(b"b".to_vec()));
        let mut line = LastLine::default();
        (0..100).for_each(|_| line.push(&long));
        assert!(line.open.capacity() + line.last.capacity() <= 2 * MAX_RESULT_BYTES + 2);
    }

    proptest! {
        #[test]
        fn any_pieces_give_the_same(text in "[ab \r\n]{0,30}", cuts in prop::collection::vec(1..5usize, 1..5)) {
            let mut pieces: Vec<&[u8]> = Vec::new();
            let mut rest = text.as_bytes();
            for size in cuts.iter().cycle() {
                if rest.is_empty() { break; }
                let (piece, after) = rest.split_at((*size).min(rest.len()));
                pieces.push(piece);
                rest = after;
            }
            let expected = text.split('\n').map(str::trim).rfind(|it| !it.is_empty()).map(|it| it.as_bytes().to_vec());
            prop_assert_eq!(last_of(&pieces), expected);
        }
    }
}
