//! Finds structured records in stdout: lines that begin with `@@` and hold a JSON object. They stay in stdout.

use std::mem::take;

use serde_json::Value;

use super::json::read_strict;

/// The most bytes of a line that can be a record; a longer one is only text.
pub const MAX_RECORD_BYTES: usize = 1024 * 1024;

/// Reads a stream piece by piece. Holds at most one line, and only of those that begin with `@@`.
#[derive(Debug, Default)]
pub struct RecordScanner {
    state: State,
    malformed: u64,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    LineStart,
    /// One `@` at the start of a line.
    HalfMark,
    /// After the mark: what followed it so far.
    Record(Vec<u8>),
    /// A line that is no record.
    Text,
}

impl RecordScanner {
    /// Takes the next bytes and gives the records that they complete.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Value> {
        let mut found = Vec::new();
        let mut rest = bytes;
        while let Some(first) = rest.first() {
            match &mut self.state {
                State::LineStart => {
                    let next = match first {
                        b'@' => State::HalfMark,
                        b'\n' => State::LineStart,
                        _ => State::Text,
                    };
                    self.state = next;
                    rest = &rest[1..];
                }
                State::HalfMark => {
                    let is_mark = *first == b'@';
                    self.state = if is_mark { State::Record(Vec::new()) } else { State::Text };
                    // Anything else may be the end of the line.
                    rest = if is_mark { &rest[1..] } else { rest };
                }
                State::Record(line) => {
                    let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
                    if line.len() + end > MAX_RECORD_BYTES {
                        self.malformed += 1;
                        self.state = State::Text;
                        continue;
                    }
                    line.extend_from_slice(&rest[..end]);
                    rest = &rest[end..];
                    if !rest.is_empty() {
                        let line = take(line);
                        found.extend(self.read(&line));
                        self.state = State::Text;
                    }
                }
                State::Text => rest = self.skip_text(rest),
            }
        }
        found
    }

    /// Gives the record in a last line that has no end. What comes afterwards is a new stream.
    pub fn finish(&mut self) -> Option<Value> {
        match take(&mut self.state) {
            State::Record(line) => self.read(&line),
            State::LineStart | State::HalfMark | State::Text => None,
        }
    }

    /// How many lines looked like records and were none: too long, or not JSON as it has to be.
    #[must_use]
    pub fn malformed(&self) -> u64 {
        self.malformed
    }

    // To the next line that begins with the mark, as fast as memory allows.
    fn skip_text<'a>(&mut self, rest: &'a [u8]) -> &'a [u8] {
        if let Some(at) = memchr::memmem::find(rest, b"\n@@") {
            self.state = State::Record(Vec::new());
            return &rest[at + 3..];
        }
        self.state = match rest {
            [.., b'\n'] => State::LineStart,
            [.., b'\n', b'@'] => State::HalfMark,
            _ => State::Text,
        };
        &[]
    }

    fn read(&mut self, line: &[u8]) -> Option<Value> {
        let line = line.trim_ascii();
        // `@@ -1,2 +3,4 @@` is a line of a patch: text, and no mistake.
        if !line.starts_with(b"{") {
            return None;
        }
        let value = read_strict(line).ok();
        self.malformed += u64::from(value.is_none());
        value
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn scan(pieces: &[&[u8]]) -> (Vec<Value>, u64) {
        let mut scanner = RecordScanner::default();
        let mut found: Vec<Value> = pieces.iter().flat_map(|it| scanner.push(it)).collect();
        found.extend(scanner.finish());
        (found, scanner.malformed())
    }

    #[track_caller]
    fn check(text: &str, expected: &[Value], malformed: u64) {
        assert_eq!(scan(&[text.as_bytes()]), (expected.to_vec(), malformed), "{text:.60}");
        let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
        assert_eq!(scan(&bytes), (expected.to_vec(), malformed), "{text:.60}, byte by byte");
    }

    #[test]
    fn records_are_lines_that_begin_with_the_mark() {
        check("@@{\"a\":1}\n", &[json!({ "a": 1 })], 0);
        check("@@{\"a\":1}", &[json!({ "a": 1 })], 0);
        check("@@ {\"a\":1} \r\ntext\r\n@@{}\r\n", &[json!({ "a": 1 }), json!({})], 0);
        check("x@@{}\n @@{}\n@ @{}\n", &[], 0);
        check("\n\n@@{}\n\n", &[json!({})], 0);
        check("@\n@@{}\n@", &[json!({})], 0);
        check("@@@{}\n", &[], 0);
        check("@@\n@@{}\n@@", &[json!({})], 0);
        check("@@ -1,2 +3,4 @@\n@@[1]\n@@5\n", &[], 0);
        check("@@{bad\n@@{\"a\":NaN}\n@@{\"a\":1,\"a\":2}\n@@{\"a\":1e400}\n@@{} {}\n@@{}\n", &[json!({})], 5);
        check(&format!("@@{{\"a\":{}{}}}\n", "[".repeat(64), "]".repeat(64)), &[], 1);
        check("@@{\"a\":\"\\ud800\"}\n", &[], 1);
    }

    #[test]
    fn the_mark_may_be_cut_anywhere() {
        let text = b"text\n@@{}\n";
        for cut in 0..text.len() {
            assert_eq!(scan(&[&text[..cut], &text[cut..]]), (vec![json!({})], 0), "cut at {cut}");
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_text() {
        let fits = format!("@@{{\"a\":\"{}\"}}", "x".repeat(MAX_RECORD_BYTES - 8));
        let long = format!("@@{{\"a\":\"{}\"}}", "x".repeat(MAX_RECORD_BYTES - 7));
        assert_eq!(scan(&[fits.as_bytes(), b"\n@@{}\n"]).0.len(), 2);
        for size in [1000, usize::MAX] {
            let text = format!("{long}\n@@{{}}\n");
            let pieces: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
            assert_eq!(scan(&pieces), (vec![json!({})], 1));
        }
    }

    proptest! {
        #[test]
        fn any_pieces_give_the_same(text in "(@|@@|\n|\r|\\{\\}|\\{\"a\":1\\}|x| ){0,30}", cuts in prop::collection::vec(1..6usize, 1..5)) {
            let mut pieces: Vec<&[u8]> = Vec::new();
            let mut rest = text.as_bytes();
            for size in cuts.iter().cycle() {
                if rest.is_empty() { break; }
                let (piece, after) = rest.split_at((*size).min(rest.len()));
                pieces.push(piece);
                rest = after;
            }
            let by_line: Vec<Value> = text.split('\n').filter_map(|it| it.strip_prefix("@@"))
                .filter_map(|it| serde_json::from_str(it.trim()).ok()).collect();
            prop_assert_eq!(scan(&pieces).0, by_line);
        }

        #[test]
        fn any_bytes_are_taken(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            scan(&[b"@@", &bytes]);
        }
    }
}
