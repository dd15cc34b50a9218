//! The lines of a Python source, and which of them are comments: a line inside a string is none.

/// What a line begins inside of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inside {
    Code,
    /// A string of one quotation mark, continued by a `\` at the end of the line before.
    Short(u8),
    /// A string of three quotation marks.
    Long(u8),
}

/// A line that is a comment from its first character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CommentLine<'a> {
    /// Its number, from 1.
    pub(super) number: u32,
    /// Its bytes, without its end.
    pub(super) bytes: &'a [u8],
}

/// The lines of `source` that are comments from their first character.
pub(super) fn comment_lines(source: &[u8]) -> impl Iterator<Item = CommentLine<'_>> {
    let mut inside = Inside::Code;
    (1_u32..).zip(source.split(|it| *it == b'\n')).filter_map(move |(number, line)| {
        let bytes = line.strip_suffix(b"\r").unwrap_or(line);
        let comment = inside == Inside::Code && bytes.starts_with(b"#");
        if !comment {
            inside = after(inside, bytes);
        }
        comment.then_some(CommentLine { number, bytes })
    })
}

/// What the line after `line` begins inside of.
fn after(mut inside: Inside, line: &[u8]) -> Inside {
    let mut at = 0;
    while let Some(byte) = line.get(at).copied() {
        let three = |quote: u8| line.get(at..at + 3) == Some(&[quote; 3]);
        let (next, step) = match inside {
            Inside::Code => match byte {
                b'#' => return Inside::Code,
                b'"' | b'\'' if three(byte) => (Inside::Long(byte), 3),
                b'"' | b'\'' => (Inside::Short(byte), 1),
                _ => (Inside::Code, 1),
            },
            // In raw strings too a quotation mark after a backslash ends nothing.
            Inside::Short(_) | Inside::Long(_) if byte == b'\\' => (inside, 2),
            Inside::Short(quote) if byte == quote => (Inside::Code, 1),
            Inside::Long(quote) if three(quote) => (Inside::Code, 3),
            Inside::Short(_) | Inside::Long(_) => (inside, 1),
        };
        inside = next;
        at += step;
    }
    match inside {
        Inside::Short(_) if at == line.len() => Inside::Code,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(source: &str, expect: &[u32]) {
        let found: Vec<u32> = comment_lines(source.as_bytes()).map(|it| it.number).collect();
        assert_eq!(found, expect, "{source:?}");
    }

    #[test]
    fn what_is_in_a_string_is_no_comment() {
        check("# a\nx = 1 # b\n#\r\n # c\n#d", &[1, 3, 5]);
        check("x = \"\"\"\n# a\n\"\"\"\n# b\n", &[4]);
        check("x = '''\n# \"\"\"\n'''; y = \"'''\"\n# b\n", &[4]);
        check("x = r'''\\'''\n# a\n'''\n# b\n", &[4]);
        check("x = 'a\\\n# a'\n# b\n", &[3]);
        check("x = 'it\n# b\n", &[2]);
        check("# it's \"\"\"\n# b\n", &[1, 2]);
        check("x = '' # '''\n# b\ny = '\\\\'\n# c\n", &[2, 4]);
    }
}
