//! The bounded view of a stream that an execution's record carries: its head and its tail.

/// The most bytes of a view, unless told otherwise.
pub const VIEW_BYTES: usize = 1024 * 1024;

/// Collects a view while the stream passes. Memory: the limit, and only as the stream fills it.
#[derive(Debug)]
pub struct View {
    limit: usize,
    head: Vec<u8>,
    /// The last bytes after the head, as a ring: `at` is where the oldest one is once it is full.
    tail: Vec<u8>,
    at: usize,
    total: u64,
}

/// A finished view.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ViewBytes {
    /// The whole stream, or head and tail with a line between them that says how much is missing.
    pub bytes: Vec<u8>,
    /// How many bytes the stream had.
    pub total: u64,
    /// Whether bytes are missing.
    pub truncated: bool,
}

impl View {
    /// Begins a view of at most `limit` bytes, the line between head and tail not counted.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, head: Vec::new(), tail: Vec::new(), at: 0, total: 0 }
    }

    /// Takes the next bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let head_room = self.limit / 2 - self.head.len();
        let (head, mut rest) = bytes.split_at(head_room.min(bytes.len()));
        self.head.extend_from_slice(head);
        let size = self.limit - self.limit / 2;
        rest = &rest[rest.len().saturating_sub(size)..];
        let room = (size - self.tail.len()).min(rest.len());
        self.tail.extend_from_slice(&rest[..room]);
        rest = &rest[room..];
        while !rest.is_empty() {
            let part = (size - self.at).min(rest.len());
            self.tail[self.at..self.at + part].copy_from_slice(&rest[..part]);
            self.at = (self.at + part) % size;
            rest = &rest[part..];
        }
    }

    /// Ends the view. Where bytes are missing and the text around is UTF-8, no character is cut.
    #[must_use]
    pub fn finish(mut self) -> ViewBytes {
        self.tail.rotate_left(self.at);
        let truncated = self.total > (self.head.len() + self.tail.len()) as u64;
        let (mut head, mut tail) = (&self.head[..], &self.tail[..]);
        if truncated {
            head = without_torn_end(head);
            tail = without_torn_start(tail);
        }
        let dropped = self.total - (head.len() + tail.len()) as u64;
        let mut bytes = Vec::with_capacity(head.len() + tail.len() + 40);
        bytes.extend_from_slice(head);
        if truncated {
            bytes.extend_from_slice(format!("\n[... {dropped} bytes dropped ...]\n").as_bytes());
        }
        bytes.extend_from_slice(tail);
        ViewBytes { bytes, total: self.total, truncated }
    }
}

/// The bytes without a character at their end that is not whole. Bytes that are no UTF-8 stay.
fn without_torn_end(bytes: &[u8]) -> &[u8] {
    // Only the last three bytes can belong to a character that goes on.
    let start = (1..=bytes.len().min(3)).map(|it| bytes.len() - it).find(|it| bytes[*it] >= 0xc0);
    match start.map(|it| (it, std::str::from_utf8(&bytes[it..]))) {
        Some((start, Err(error))) if error.error_len().is_none() => &bytes[..start],
        _ => bytes,
    }
}

/// The bytes without the rest of a character at their start. Bytes that are no UTF-8 stay.
fn without_torn_start(bytes: &[u8]) -> &[u8] {
    let rest = bytes.iter().take(4).take_while(|it| (0x80..0xc0).contains(*it)).count();
    if rest < 4 { &bytes[rest..] } else { bytes }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(limit: usize, text: &str, expected: &str) {
        let mut view = View::new(limit);
        text.as_bytes().chunks(3).for_each(|it| view.push(it));
        let got = view.finish();
        assert_eq!(String::from_utf8_lossy(&got.bytes), expected, "{limit} of {text:?}");
        assert_eq!((got.total, got.truncated), (text.len() as u64, text != expected));
    }

    #[test]
    fn head_and_tail_are_kept() {
        check(10, "", "");
        check(10, "0123456789", "0123456789");
        check(10, "0123456789a", "01234\n[... 1 bytes dropped ...]\n6789a");
        check(10, "0123456789abcdefghij", "01234\n[... 10 bytes dropped ...]\nfghij");
        check(11, "0123456789abcdefghij", "01234\n[... 9 bytes dropped ...]\nefghij");
        check(0, "abc", "\n[... 3 bytes dropped ...]\n");
        check(1, "abc", "\n[... 2 bytes dropped ...]\nc");
    }

    #[test]
    fn no_character_is_cut() {
        // The head ends inside of the sign, the tail begins inside of it.
        check(10, "0123\u{20ac}56\u{20ac}78", "0123\n[... 5 bytes dropped ...]\n\u{20ac}78");
        check(8, "012\u{1f600}4567\u{1f600}9", "012\n[... 12 bytes dropped ...]\n9");
    }

    #[test]
    fn bytes_that_are_no_text_stay_as_they_are() {
        let mut view = View::new(8);
        view.push(&[0xff; 20]);
        assert_eq!(view.finish().bytes, [&[0xff; 4][..], b"\n[... 12 bytes dropped ...]\n", &[0xff; 4]].concat());
        let mut view = View::new(8);
        view.push(&[0x80; 20]);
        assert_eq!(view.finish().bytes, [&[0x80; 4][..], b"\n[... 12 bytes dropped ...]\n", &[0x80; 4]].concat());
    }

    proptest! {
        #[test]
        fn any_pieces_keep_head_and_tail(limit in 0..40usize, pieces in prop::collection::vec("[a-z]{0,30}", 0..10)) {
            let text = pieces.concat();
            let mut view = View::new(limit);
            for piece in &pieces {
                view.push(piece.as_bytes());
                prop_assert!(view.head.len() + view.tail.len() <= limit);
            }
            let expected = if text.len() <= limit { text } else {
                let (head, tail) = (limit / 2, limit - limit / 2);
                format!("{}\n[... {} bytes dropped ...]\n{}", &text[..head], text.len() - limit, &text[text.len() - tail..])
            };
            let bytes = view.finish().bytes;
            prop_assert_eq!(String::from_utf8_lossy(&bytes), expected);
        }

        #[test]
        fn text_stays_text(limit in 8..40usize, text in "[a\u{e9}\u{20ac}\u{1f600}]{0,40}") {
            let mut view = View::new(limit);
            view.push(text.as_bytes());
            prop_assert!(String::from_utf8(view.finish().bytes).is_ok());
        }
    }
}
