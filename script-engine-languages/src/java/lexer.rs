//! Cuts a Java source into tokens: words, signs and comments. Strings, text blocks and characters are one sign each, so what
//! they hold says nothing.

use std::borrow::Cow;

/// One token and where it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind<'a>,
    pub(super) at: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind<'a> {
    /// A name, a keyword or a number.
    Word(&'a str),
    /// Any other character; `"` stands for a whole literal.
    Sign(char),
    /// A comment to the end of its line, with its signs.
    LineComment(&'a str),
}

/// Reads tokens; comments that end where they say so are left out.
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }
}

impl<'a> Iterator for Lexer<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            let rest = &self.text[self.at..];
            let rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '\u{feff}' || c == '\u{1a}');
            let at = self.text.len() - rest.len();
            let first = rest.chars().next()?;
            let (kind, length) = if rest.starts_with("//") {
                let end = rest.find(['\n', '\r']).unwrap_or(rest.len());
                (Some(Kind::LineComment(&rest[..end])), end)
            } else if let Some(comment) = rest.strip_prefix("/*") {
                (None, comment.find("*/").map_or(rest.len(), |it| it + 4))
            } else if is_word(first) {
                let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                (Some(Kind::Word(&rest[..end])), end)
            } else {
                let length = match first {
                    '"' if rest.starts_with("\"\"\"") => literal(rest, "\"\"\"", true),
                    '"' => literal(rest, "\"", false),
                    '\'' => literal(rest, "'", false),
                    _ => first.len_utf8(),
                };
                (Some(Kind::Sign(if first == '\'' { '"' } else { first })), length)
            };
            self.at = at + length;
            if let Some(kind) = kind {
                return Some(Token { kind, at });
            }
        }
    }
}

fn is_word(c: char) -> bool {
    c == '_' || c == '$' || c.is_alphanumeric()
}

/// The length of a literal that begins and ends with `mark`. An unfinished one ends with its line, or the text.
fn literal(rest: &str, mark: &str, lines: bool) -> usize {
    let bytes = rest.as_bytes();
    let mut at = mark.len();
    while let Some(byte) = bytes.get(at) {
        if bytes[at..].starts_with(mark.as_bytes()) {
            return at + mark.len();
        }
        match byte {
            b'\\' => at += 1,
            b'\n' | b'\r' if !lines => return at,
            _ => {}
        }
        at += 1;
    }
    rest.len()
}

/// The text with its Unicode escapes (`\u0041`) as the characters they stand for, which Java reads before anything else.
/// What stands for no character is left as it is.
pub(super) fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains("\\u") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut high = None;
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        if at > 0 {
            high = None;
        }
        rest = &rest[at..];
        match escape(rest) {
            Some((unit, length)) => {
                let pair = high.take().and_then(|it: u16| char::decode_utf16([it, unit]).next()?.ok());
                if let Some(c) = pair.or_else(|| char::from_u32(u32::from(unit))) {
                    out.push(c);
                } else if (0xd800..0xdc00).contains(&unit) {
                    high = Some(unit);
                } else {
                    out.push_str(&rest[..length]);
                }
                rest = &rest[length..];
            }
            None => {
                // A backslash before another one begins no escape.
                let length = if rest[1..].starts_with('\\') { 2 } else { 1 };
                out.push_str(&rest[..length]);
                rest = &rest[length..];
                high = None;
            }
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The unit that the escape at the start of `rest` stands for, and its length.
fn escape(rest: &str) -> Option<(u16, usize)> {
    let digits = rest.strip_prefix("\\u")?.trim_start_matches('u');
    let digits = digits.get(..4).filter(|it| it.bytes().all(|it| it.is_ascii_hexdigit()))?;
    let length = digits.as_ptr() as usize - rest.as_ptr() as usize + 4;
    Some((u16::from_str_radix(digits, 16).ok()?, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: &str) {
        let shown: Vec<String> = Lexer::new(text)
            .map(|it| match it.kind {
                Kind::Word(word) => word.to_owned(),
                Kind::Sign(sign) => sign.to_string(),
                Kind::LineComment(text) => format!("<{text}>"),
            })
            .collect();
        assert_eq!(shown.join(" "), expect, "{text:?}");
    }

    #[test]
    fn literals_and_comments_hide_what_they_hold() {
        check("class A { }", "class A { }");
        check("/* class A */ // class B\r\nclass C", "<// class B> class C");
        check(r#""class A\" {" 'x' '\'' '"' x"#, r#"" " " " x"#);
        check("\"\"\"\nclass A \\\"\"\" \" {\"\"\" x", "\" x");
        check("\"broken\nclass", "\" class");
        check("größe $a _b 1.5e-3", "größe $a _b 1 . 5e - 3");
        for broken in ["\"", "\"\"\"", "'\\", "/*", "/", "//", "\\u12", "\"\\é"] {
            assert!(Lexer::new(broken).count() <= 2, "{broken}");
        }
    }

    #[test]
    fn unicode_escapes_are_what_they_stand_for() {
        for (text, expect) in [
            (r"cl\u0061ss", "class"),
            (r"\uuu0041", "A"),
            (r"\\u0041", r"\\u0041"),
            (r"\ud83d\ude00", "\u{1F600}"),
            (r"\ud83d x", " x"),
            (r"\ude00", r"\ude00"),
            (r"\u00", r"\u00"),
            (r"\u00é1", r"\u00é1"),
            ("plain", "plain"),
        ] {
            assert_eq!(unescaped(text), expect, "{text}");
        }
    }
}
