//! Takes a Go source apart as far as its imports and comments need it. Nothing that is broken stops it.

/// One piece of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A comment, with its signs.
    Comment(&'a str),
    /// A name, a keyword or a number.
    Word(&'a str),
    /// What is between the quotes of a string, escapes as they stand.
    Text(&'a str),
    /// Any other character.
    Sign(u8),
}

/// Reads a source token by token.
#[derive(Clone, Debug)]
pub(super) struct Tokens<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The next token and the offset at which it begins.
    pub(super) fn next(&mut self) -> Option<(Token<'a>, usize)> {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}').len();
        let start = self.at;
        let rest = &self.text[start..];
        let first = rest.chars().next()?;
        let (length, token) = match first {
            '/' if rest.starts_with("//") => {
                let length = rest.find('\n').unwrap_or(rest.len());
                (length, Token::Comment(&rest[..length]))
            }
            '/' if rest.starts_with("/*") => {
                let length = rest[2..].find("*/").map_or(rest.len(), |it| it + 4);
                (length, Token::Comment(&rest[..length]))
            }
            '`' => {
                let inside = rest[1..].find('`').unwrap_or(rest.len() - 1);
                ((inside + 2).min(rest.len()), Token::Text(&rest[1..=inside]))
            }
            '"' => {
                let inside = quoted(&rest[1..], b'"');
                (closed(rest, inside, b'"'), Token::Text(&rest[1..=inside]))
            }
            '\'' => (closed(rest, quoted(&rest[1..], b'\''), b'\''), Token::Sign(b'\'')),
            c if is_word(c) => {
                let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                (length, Token::Word(&rest[..length]))
            }
            c => (c.len_utf8(), Token::Sign(u8::try_from(c).unwrap_or(0))),
        };
        self.at += length;
        Some((token, start))
    }

    /// The lines of a `go.mod` in the comment just read: the rest of a block whose first line is `go.mod`, or the comment
    /// lines that follow a `// go.mod` one, which are read on.
    pub(super) fn module_block(&mut self, comment: &str) -> Option<String> {
        let is_title = |line: &str| matches!(line.trim(), "go.mod" | "go.mod:");
        if let Some(block) = comment.strip_prefix("/*") {
            let (title, lines) = block.strip_suffix("*/").unwrap_or(block).trim_start().split_once('\n')?;
            return is_title(title).then(|| lines.lines().map(|it| format!("{}\n", it.trim_end())).collect());
        }
        if !is_title(comment.strip_prefix("//")?) {
            return None;
        }
        let mut lines = String::new();
        while let Some(line) = self.text[self.at..].strip_prefix('\n') {
            let line = line.split('\n').next().unwrap_or_default();
            let Some(says) = line.strip_prefix("//") else { break };
            lines.push_str(says.strip_prefix(' ').unwrap_or(says).trim_end());
            lines.push('\n');
            self.at += 1 + line.len();
        }
        Some(lines)
    }
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// The length of what is inside of quotes, up to `end` or the end of the line.
fn quoted(inside: &str, end: u8) -> usize {
    let bytes = inside.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' if !matches!(bytes.get(at + 1), None | Some(b'\n')) => {
                let escaped = inside[at + 1..].chars().next().map_or(1, char::len_utf8);
                at += 1 + escaped;
            }
            b'\n' => return at,
            it if *it == end => return at,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The length of a string with its quotes; an unfinished one has no second.
fn closed(rest: &str, inside: usize, end: u8) -> usize {
    1 + inside + usize::from(rest.as_bytes().get(1 + inside) == Some(&end))
}
