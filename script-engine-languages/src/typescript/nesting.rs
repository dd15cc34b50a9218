//! How deep the brackets of a JavaScript or TypeScript source nest, found before it is parsed: the
//! parser recurses, and takes quadratic time on some deep nests. No parser itself.
//!
//! What a `/` means (division or a regular expression) is, after some tokens, known only to a parser, and
//! with it what is a string. There both readings are followed; one that hits the impossible is dropped,
//! equal ones become one. The real reading is always among them, so what they all call shallow is shallow.

/// The deepest nest of brackets that is accepted. People write less than thirty.
pub(super) const DEEPEST: usize = 256;

/// Readings that are followed at one time.
const MOST_READINGS: usize = 48;

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nesting {
    /// No deeper than [`DEEPEST`].
    Shallow,
    /// Deeper, at this byte.
    Deep(usize),
    /// There are too many readings, at this byte.
    Unclear(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Code,
    LineComment,
    BlockComment,
    Text(u8),
    Template,
    Regex { class: bool },
}

/// One reading of the source up to here.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Reading {
    mode: Mode,
    /// What is open, and how many `<` were before it; `$` is a `${` of a template.
    open: Vec<(u8, usize)>,
    /// `<` that no `>` closed, here and around what is open; `;` forgets those between the same brackets. Each may be a
    /// comparison or open type arguments, and the parser tries.
    angles: usize,
    /// Whether a regular expression was just read, so that a slash divides.
    after_regex: bool,
    /// Bytes that are part of what was just read.
    skip: u8,
}

/// What a byte makes of a reading.
enum Next {
    Goes,
    /// It goes on, and so does another one.
    Forks(Mode),
    /// It can't be: no program goes on like this.
    Ends,
}

pub(super) fn measure(source: &[u8]) -> Nesting {
    // A `#!` line is no code.
    let begin = if source.starts_with(b"#!") { source.iter().position(|it| *it == b'\n').unwrap_or(0) } else { 0 };
    let mut readings = vec![Reading { mode: Mode::Code, open: Vec::new(), angles: 0, after_regex: false, skip: 0 }];
    for at in begin..source.len() {
        let (before, rest) = source.split_at(at);
        let mut forked = Vec::new();
        readings.retain_mut(|reading| {
            let next = reading.read(before, rest);
            if let Next::Forks(mode) = next {
                forked.push(Reading { mode, ..reading.clone() });
            }
            !matches!(next, Next::Ends)
        });
        if readings.iter().any(|it| it.open.len() + it.angles > DEEPEST) {
            return Nesting::Deep(at);
        }
        if !forked.is_empty() || (readings.len() > 1 && matches!(rest[0], b'/' | b'\n')) {
            readings.append(&mut forked);
            merge(&mut readings);
        }
        if readings.len() > MOST_READINGS {
            return Nesting::Unclear(at);
        }
        if readings.is_empty() {
            // Not a program. The parser says why; what it could still stumble into is counted as if never closed.
            let open = rest.iter().filter(|it| matches!(it, b'(' | b'[' | b'{' | b'`')).count();
            return if open > DEEPEST { Nesting::Deep(at) } else { Nesting::Shallow };
        }
    }
    Nesting::Shallow
}

/// What a slash can be.
enum Slash {
    Division,
    Regex,
    Either,
}

/// What a slash in code means after `before`, as far as the same line shows it.
fn slash_after(before: &[u8]) -> Slash {
    let blanks = before.iter().rev().take_while(|it| matches!(it, b' ' | b'\t')).count();
    let before = &before[..before.len() - blanks];
    match before.last() {
        Some(
            b'=' | b'(' | b',' | b':' | b'[' | b'&' | b'|' | b'?' | b'{' | b';' | b'~' | b'^' | b'%' | b'*' | b'<',
        ) => Slash::Regex,
        Some(sign @ (b'+' | b'-')) if before.iter().nth_back(1) != Some(sign) => Slash::Regex,
        Some(b']' | b'"' | b'\'' | b'`') => Slash::Division,
        Some(last) if is_word(*last) => {
            let start = before.iter().rposition(|it| !is_word(*it)).map_or(0, |at| at + 1);
            if BEFORE_EXPRESSION.contains(&&before[start..]) { Slash::Either } else { Slash::Division }
        }
        // Brackets that close, `++` and `--`, `!` of types, line ends, comments, what is not ASCII.
        _ => Slash::Either,
    }
}

/// Words after which an expression can begin.
const BEFORE_EXPRESSION: [&[u8]; 16] = [
    b"return",
    b"typeof",
    b"case",
    b"in",
    b"of",
    b"void",
    b"delete",
    b"instanceof",
    b"new",
    b"do",
    b"else",
    b"yield",
    b"await",
    b"throw",
    b"default",
    b"extends",
];

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$')
}

fn merge(readings: &mut Vec<Reading>) {
    let mut kept: Vec<Reading> = Vec::with_capacity(readings.len());
    for reading in readings.drain(..) {
        if !kept.contains(&reading) {
            kept.push(reading);
        }
    }
    *readings = kept;
}

impl Reading {
    /// Reads the first byte of `rest`, which comes after `before`.
    fn read(&mut self, before: &[u8], rest: &[u8]) -> Next {
        if self.skip > 0 {
            self.skip -= 1;
            return Next::Goes;
        }
        let ends_line = matches!(rest[0], b'\n' | b'\r')
            || rest.starts_with("\u{2028}".as_bytes())
            || rest.starts_with("\u{2029}".as_bytes());
        match (self.mode, rest[0]) {
            (Mode::Code, _) => return self.read_code(before, rest),
            (Mode::LineComment, _) if ends_line => self.mode = Mode::Code,
            (Mode::BlockComment, b'*') if rest.starts_with(b"*/") => self.enter(Mode::Code, 1),
            (Mode::Text(_) | Mode::Regex { .. } | Mode::Template, b'\\') => {
                self.skip = if rest.starts_with(b"\\\r\n") { 2 } else { 1 };
            }
            (Mode::Text(quote), byte) if byte == quote => self.mode = Mode::Code,
            (Mode::Text(_), b'\n' | b'\r') => return Next::Ends,
            (Mode::Regex { .. }, _) if ends_line => return Next::Ends,
            (Mode::Regex { .. }, b'[') => self.mode = Mode::Regex { class: true },
            (Mode::Regex { .. }, b']') => self.mode = Mode::Regex { class: false },
            (Mode::Regex { class: false }, b'/') => {
                self.mode = Mode::Code;
                self.after_regex = true;
            }
            (Mode::Template, b'`') => self.mode = Mode::Code,
            (Mode::Template, b'$') if rest.starts_with(b"${") => {
                self.open(b'$');
                self.enter(Mode::Code, 1);
            }
            (Mode::LineComment | Mode::BlockComment | Mode::Text(_) | Mode::Template | Mode::Regex { .. }, _) => {}
        }
        Next::Goes
    }

    fn read_code(&mut self, before: &[u8], rest: &[u8]) -> Next {
        let after_regex = self.after_regex;
        self.after_regex &= is_word(rest[0]) || matches!(rest[0], b' ' | b'\t');
        match rest[0] {
            quote @ (b'"' | b'\'') => self.mode = Mode::Text(quote),
            b'`' => self.mode = Mode::Template,
            open @ (b'(' | b'[' | b'{') => self.open(open),
            b')' => return self.close(b'('),
            b']' => return self.close(b'['),
            b'}' if self.open.last().is_some_and(|it| it.0 == b'$') => {
                self.mode = Mode::Template;
                return self.close(b'$');
            }
            b';' => self.angles = self.base(),
            b'}' => return self.close(b'{'),
            b'/' if rest.starts_with(b"//") => self.enter(Mode::LineComment, 1),
            b'/' if rest.starts_with(b"/*") => self.enter(Mode::BlockComment, 1),
            b'/' if after_regex => {}
            b'/' => match slash_after(before) {
                Slash::Division => {}
                Slash::Regex => self.mode = Mode::Regex { class: false },
                Slash::Either => return Next::Forks(Mode::Regex { class: false }),
            },
            // Old scripts may hold comments of HTML.
            b'<' if rest.starts_with(b"<!--") => return Next::Forks(Mode::LineComment),
            b'<' => self.angles += 1,
            b'>' if before.last() != Some(&b'=') => self.angles = self.base().max(self.angles.saturating_sub(1)),
            b'-' if rest.starts_with(b"-->") => return Next::Forks(Mode::LineComment),
            _ => {}
        }
        Next::Goes
    }

    fn open(&mut self, open: u8) {
        self.open.push((open, self.angles));
    }

    fn base(&self) -> usize {
        self.open.last().map_or(0, |it| it.1)
    }

    fn close(&mut self, open: u8) -> Next {
        match self.open.pop() {
            Some((it, angles)) if it == open => {
                self.angles = angles;
                Next::Goes
            }
            _ => Next::Ends,
        }
    }

    fn enter(&mut self, mode: Mode, skip: u8) {
        self.mode = mode;
        self.skip = skip;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(source: &str, expect: Nesting) {
        assert_eq!(measure(source.as_bytes()), expect, "{}", &source[..source.len().min(60)]);
    }

    #[test]
    fn what_people_write_is_shallow() {
        let line = "const a = (x) / f(y) / 2; // \"((( \n let r = /[/(\"]\\/(/.test(`${ {a: [1]}.a } (((`) // '\n"
            .repeat(1000);
        check(&line, Nesting::Shallow);
        check(&"if (x) /\"/.exec(y); /* ((( */ s = \"\\\"(((\"; t = '(((\\\n((';\n".repeat(1000), Nesting::Shallow);
        check(
            &"a = a + /x/ / 2; b = x ? /(/ : c / d / e; return /[(]/g; if (a < b) f<C<D>>(a => b)\n".repeat(1000),
            Nesting::Shallow,
        );
        check(&format!("x={}1{}", "(".repeat(DEEPEST), ")".repeat(DEEPEST)), Nesting::Shallow);
        check("x = ')' + )", Nesting::Shallow);
    }

    #[test]
    fn bombs_are_deep_however_they_hide() {
        for bracket in ["(", "[", "{", "x={a:", "`${", "f(a=>", "(a=", "/* ) */(", "')'+(", "`)`+(", "A<", "a<b+"] {
            assert!(matches!(measure(bracket.repeat(1000).as_bytes()), Nesting::Deep(_)), "{bracket}");
        }
        // Read as a division, these close what they open within strings and comments.
        for hidden in
            ["if(1)/\"/;(\")//\"\n", "{}/'/;[']//'\n", "a\n/`/;(`)`\n", "// \u{2028}(//)\n", "<!-- \"\n(\"<!-- )\"\n"]
        {
            let found = measure(hidden.repeat(1000).as_bytes());
            assert!(matches!(found, Nesting::Deep(_) | Nesting::Unclear(_)), "{hidden:?}: {found:?}");
        }
        check(&format!("){}", "(".repeat(1000)), Nesting::Deep(0));
    }
}
