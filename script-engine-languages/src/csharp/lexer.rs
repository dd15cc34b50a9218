//! Splits C# into tokens, as far as is needed to tell code from comments, strings and directives. It takes anything:
//! what is wrong with a source is for the compiler to say.

use super::conditional::Conditions;

/// Holes in strings in holes: more than this is nobody's script.
const DEEPEST: usize = 64;

/// A piece of code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// What a piece of code is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A keyword or a name; a name with an `@` has it.
    Word,
    /// `(`, `[` or `{`, also the `{` of a hole in a string.
    Open,
    /// `)`, `]` or `}`, also the `}` of a hole in a string.
    Close,
    /// `=>`.
    Arrow,
    /// Another mark, one character.
    Mark,
    /// A number, a character, a string or a part of one.
    Literal,
}

/// What a source consists of, besides comments and white space.
#[derive(Debug, Default)]
pub(super) struct Lexed {
    pub(super) tokens: Vec<Token>,
    /// Lines that begin with `#`, without their ends, where they are not switched off by `#if`.
    pub(super) directives: Vec<(usize, usize)>,
    /// What the compiler must not see: what `#if` switches off, and the lines that do so.
    pub(super) inactive: Vec<(usize, usize)>,
    /// Where a string or a comment begins that goes on to the end of the source.
    pub(super) endless: Option<(usize, &'static str)>,
}

/// A string with holes that has not ended yet.
struct Holed {
    form: Form,
    /// Brackets that are open in the hole.
    depth: usize,
}

/// How a string is written.
#[derive(Clone, Copy)]
struct Form {
    verbatim: bool,
    /// The quotes around a raw string, else 0.
    quotes: usize,
    /// The dollar signs before it: as many braces make a hole.
    dollars: usize,
}

/// Splits `text`. `None` if strings with holes are nested beyond all reason.
pub(super) fn lex(text: &str) -> Option<Lexed> {
    let mut lexer = Lexer {
        text,
        at: 0,
        line_is_blank: true,
        lexed: Lexed::default(),
        open: Vec::new(),
        conditions: Conditions::default(),
    };
    while lexer.at < text.len() {
        lexer.step()?;
    }
    lexer.lexed.inactive.retain(|(start, end)| start < end);
    Some(lexer.lexed)
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    /// Whether there was nothing but white space in this line so far.
    line_is_blank: bool,
    lexed: Lexed,
    open: Vec<Holed>,
    conditions: Conditions,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn step(&mut self) -> Option<()> {
        let rest = self.rest();
        let first = rest.chars().next()?;
        if is_line_end(first) {
            self.line_is_blank = true;
            self.at += first.len_utf8();
            return Some(());
        }
        if first.is_whitespace() {
            self.at += first.len_utf8();
            return Some(());
        }
        if first == '#' && self.line_is_blank && self.open.is_empty() {
            self.directive();
            return Some(());
        }
        self.line_is_blank = false;
        if rest.starts_with("//") {
            self.at = self.line_end();
        } else if rest.starts_with("/*") {
            let end = rest.get(2..)?.find("*/");
            if end.is_none() {
                self.lexed.endless = Some((self.at, "comment"));
            }
            self.at += end.map_or(rest.len(), |it| it + 4);
        } else if let Some((form, prefix)) = string_form(rest) {
            self.begin_string(form, prefix)?;
        } else if first == '\'' {
            self.character();
        } else if first.is_ascii_digit() {
            let length = rest
                .char_indices()
                .find(|(at, c)| !(c.is_ascii_alphanumeric() || *c == '_' || (*c == '.' && follows_digit(rest, *at))))
                .map_or(rest.len(), |it| it.0);
            self.push(Kind::Literal, length);
        } else if is_word_start(first) {
            let length = rest.char_indices().skip(1).find(|(_, c)| !is_word(*c)).map_or(rest.len(), |it| it.0);
            self.push(Kind::Word, length);
        } else if rest.starts_with("=>") {
            self.push(Kind::Arrow, 2);
        } else {
            self.mark(first)?;
        }
        Some(())
    }

    fn mark(&mut self, mark: char) -> Option<()> {
        let hole = self.open.last_mut();
        match mark {
            '(' | '[' | '{' => {
                if let Some(hole) = hole {
                    hole.depth += 1;
                }
                self.push(Kind::Open, 1);
            }
            ')' | ']' | '}' => match hole {
                Some(hole) if hole.depth == 0 && mark == '}' => {
                    let form = hole.form;
                    self.open.pop();
                    self.push(Kind::Close, form.dollars.max(1).min(run(self.rest(), '}')));
                    return self.string_part(form);
                }
                hole => {
                    if let Some(hole) = hole {
                        hole.depth = hole.depth.saturating_sub(1);
                    }
                    self.push(Kind::Close, 1);
                }
            },
            // What follows is a format, up to the end of the hole.
            ':' if hole.as_ref().is_some_and(|it| it.depth == 0) && !self.rest().starts_with("::") => {
                let length = self.rest().find(['}', '"', '\n']).unwrap_or(self.rest().len());
                self.push(Kind::Literal, length);
            }
            ':' if self.rest().starts_with("::") => self.push(Kind::Mark, 2),
            _ => self.push(Kind::Mark, mark.len_utf8()),
        }
        Some(())
    }

    fn push(&mut self, kind: Kind, length: usize) {
        let start = self.at;
        self.at += length;
        self.lexed.tokens.push(Token { kind, start, end: self.at });
    }

    fn begin_string(&mut self, form: Form, prefix: usize) -> Option<()> {
        if self.open.len() >= DEEPEST {
            return None;
        }
        let start = self.at;
        self.at += prefix;
        self.string_from(start, form)
    }

    /// Goes on with a string after a hole.
    fn string_part(&mut self, form: Form) -> Option<()> {
        self.string_from(self.at, form)
    }

    /// Reads on to the end of the string or to its next hole. A string that does not end is over at the end of its line.
    fn string_from(&mut self, start: usize, form: Form) -> Option<()> {
        let mut at = self.at;
        let found = loop {
            let rest = self.text.get(at..).unwrap_or_default();
            let Some(c) = rest.chars().next() else {
                self.lexed.endless = Some((start, "string"));
                break None;
            };
            match c {
                '"' if form.quotes > 0 => {
                    let quotes = run(rest, '"');
                    at += quotes;
                    if quotes >= form.quotes {
                        break None;
                    }
                }
                '"' if form.verbatim && rest.starts_with("\"\"") => at += 2,
                '"' => {
                    at += 1;
                    break None;
                }
                '{' if form.dollars > 0 => {
                    let braces = run(rest, '{');
                    let literal = if form.quotes > 0 { braces < form.dollars } else { braces.is_multiple_of(2) };
                    at += braces;
                    if !literal {
                        break Some(if form.quotes > 0 { form.dollars } else { 1 });
                    }
                }
                '\\' if !form.verbatim && form.quotes == 0 => {
                    let escaped = rest.chars().nth(1).filter(|it| !is_line_end(*it));
                    at += 1 + escaped.map_or(0, char::len_utf8);
                }
                _ if is_line_end(c) && !form.verbatim && form.quotes == 0 => break None,
                _ => at += c.len_utf8(),
            }
        };
        let hole = found.unwrap_or(0);
        self.at = at - hole;
        if self.at > start {
            self.lexed.tokens.push(Token { kind: Kind::Literal, start, end: self.at });
        }
        if hole > 0 {
            self.push(Kind::Open, hole);
            self.open.push(Holed { form, depth: 0 });
        }
        Some(())
    }

    fn character(&mut self) {
        let mut escaped = false;
        let mut length = self.rest().len();
        for (at, c) in self.rest().char_indices().skip(1) {
            if is_line_end(c) {
                length = at;
                break;
            }
            if c == '\'' && !escaped {
                length = at + 1;
                break;
            }
            escaped = c == '\\' && !escaped;
        }
        self.push(Kind::Literal, length);
    }

    /// Reads a `#` line. If it switches off what follows, goes on to the line that ends that.
    fn directive(&mut self) {
        let (start, end) = (self.at, self.line_end());
        self.at = end;
        let line = self.text.get(start..end).unwrap_or_default();
        if !self.conditions.read(line) {
            self.lexed.directives.push((start, end));
            return;
        }
        self.lexed.inactive.push((start, end));
        let mut from = end;
        while !self.conditions.active() && self.at < self.text.len() {
            let (start, end) = (self.at, self.line_end());
            let line = self.text.get(start..end).unwrap_or_default().trim_start();
            self.at = end;
            if line.starts_with('#') && self.conditions.read(line) && self.conditions.active() {
                break;
            }
            from = from.min(start);
            self.at = self.after_line_end(end);
        }
        self.lexed.inactive.push((from, self.at));
        self.line_is_blank = true;
    }

    /// Where this line ends, without its end.
    fn line_end(&self) -> usize {
        self.rest().find(is_line_end).map_or(self.text.len(), |it| self.at + it)
    }

    fn after_line_end(&self, end: usize) -> usize {
        let next = self.text.get(end..).and_then(|it| it.chars().next());
        end + next.map_or(0, char::len_utf8)
    }
}

/// The ends of lines that C# knows.
pub(super) fn is_line_end(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_word_start(c: char) -> bool {
    c.is_alphabetic() || matches!(c, '_' | '@' | '\\')
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '\\')
}

fn follows_digit(text: &str, at: usize) -> bool {
    text.get(at + 1..).is_some_and(|it| it.starts_with(|c: char| c.is_ascii_digit()))
}

fn run(text: &str, c: char) -> usize {
    text.chars().take_while(|it| *it == c).count()
}

/// The form of the string that `text` begins with, and how long its beginning is.
fn string_form(text: &str) -> Option<(Form, usize)> {
    /// Dollar signs beyond all reason.
    const MOST_SIGNS: usize = 32;
    let signs = text.bytes().take(MOST_SIGNS + 1).position(|it| it != b'$' && it != b'@')?;
    let (before, rest) = text.split_at(signs);
    let quotes = run(rest, '"');
    let dollars = before.matches('$').count();
    let verbatim = before.contains('@');
    match quotes {
        0 => None,
        3.. if !verbatim => Some((Form { verbatim, quotes, dollars }, signs + quotes)),
        _ => Some((Form { verbatim, quotes: 0, dollars }, signs + 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<String> {
        lex(text).unwrap().tokens.iter().map(|it| text[it.start..it.end].to_owned()).collect()
    }

    #[track_caller]
    fn check(text: &str, expect: &[&str]) {
        assert_eq!(tokens(text), expect, "{text}");
    }

    #[test]
    fn comments_and_strings_are_told_from_code() {
        check("a // b\nc /* d\n e */ f", &["a", "c", "f"]);
        check("a /* never ends", &["a"]);
        check(r#"f("// no", '"', "\"", "")"#, &["f", "(", "\"// no\"", ",", "'\"'", ",", r#""\"""#, ",", "\"\"", ")"]);
        check("@\"a\\\"\"\n{\" b", &["@\"a\\\"\"\n{\"", "b"]);
        check("'\\'' x '\\\\' y", &["'\\''", "x", "'\\\\'", "y"]);
        check("\"open\nx", &["\"open", "x"]);
        check("\"\"\"a \"quoted\" \"\"b\"\"\" c", &["\"\"\"a \"quoted\" \"\"b\"\"\"", "c"]);
        check("@class x = 1.5e3 .. 2", &["@class", "x", "=", "1.5e3", ".", ".", "2"]);
        check("a::b x => 1", &["a", "::", "b", "x", "=>", "1"]);
    }

    #[test]
    fn holes_in_strings_hold_code() {
        check("$\"a{b}c\" d", &["$\"a", "{", "b", "}", "c\"", "d"]);
        check("$\"{{x}}\" d", &["$\"{{x}}\"", "d"]);
        check("$\"{a,5:x;y}\"", &["$\"", "{", "a", ",", "5", ":x;y", "}", "\""]);
        check("$\"{(c ? 1 : 2)}\"", &["$\"", "{", "(", "c", "?", "1", ":", "2", ")", "}", "\""]);
        check("$\"{f($\"{x}\")}\"", &["$\"", "{", "f", "(", "$\"", "{", "x", "}", "\"", ")", "}", "\""]);
        check("$@\"{a}\"\"{b}\"", &["$@\"", "{", "a", "}", "\"\"", "{", "b", "}", "\""]);
        check("@$\"\\{a}\"", &["@$\"\\", "{", "a", "}", "\""]);
        check("$$\"\"\"{a}{{b}}\"\"\"", &["$$\"\"\"{a}", "{{", "b", "}}", "\"\"\""]);
        check("$\"{new { A = 1 }}\"", &["$\"", "{", "new", "{", "A", "=", "1", "}", "}", "\""]);
        check("$\"{a::b}\"", &["$\"", "{", "a", "::", "b", "}", "\""]);
    }

    #[test]
    fn what_does_not_end_is_told() {
        for (text, expect) in [
            ("a \"b", Some((2, "string"))),
            ("a @\"b\n", Some((2, "string"))),
            ("a \"\"\"b\"\"", Some((2, "string"))),
            ("$\"{a}b", Some((5, "string"))),
            ("a /* b", Some((2, "comment"))),
            ("a \"b\n", None),
            ("a /* b */ \"\"", None),
        ] {
            assert_eq!(lex(text).unwrap().endless, expect, "{text}");
        }
    }

    #[test]
    fn directives_are_lines_of_their_own() {
        let text =
            "#!/usr/bin/env dotnet\n #r \"nuget: A, 1\"\r\nx # y\n@\"\n#no\n\" /*\n#no */\n#pragma warning disable\n";
        let lexed = lex(text).unwrap();
        let found: Vec<&str> = lexed.directives.iter().map(|it| &text[it.0..it.1]).collect();
        assert_eq!(found, ["#!/usr/bin/env dotnet", "#r \"nuget: A, 1\"", "#pragma warning disable"]);
    }

    #[test]
    fn what_conditions_switch_off_is_no_code() {
        let text = "#define A\n#if A && !B\none {\n#else\ntwo }\n#if X\nthree\n#endif\n#elif Q\n#endif\n#if B\nfour\n#endif\nfive";
        assert_eq!(tokens(text), ["one", "{", "five"]);
        let lexed = lex(text).unwrap();
        assert_eq!(lexed.directives.len(), 1);
        let mut left: Vec<u8> = text.bytes().collect();
        for (start, end) in lexed.inactive {
            left[start..end].iter_mut().filter(|it| **it != b'\n').for_each(|it| *it = b' ');
        }
        let left = String::from_utf8(left).unwrap();
        assert_eq!(left.split_whitespace().collect::<Vec<_>>(), ["#define", "A", "one", "{", "five"]);
        assert_eq!(tokens("#if A\nnever ends"), Vec::<String>::new());
    }

    #[test]
    fn anything_is_taken_in_linear_time() {
        let deep = format!("{}1{}", "$\"{".repeat(1000), "}\"".repeat(1000));
        assert!(lex(&deep).is_none());
        for text in
            ["$\"{", "$\"{a:", "\"\\", "'", "'\\", "@", "$", "$$\"\"\"{{", "/*", "#", "#if", "\u{feff}é\u{2028}#r"]
        {
            drop(lex(text));
            drop(lex(&text.repeat(20)));
        }
        let long = "a.b(\"c\", 'd') + $\"{e}\"; // f\n".repeat(100_000);
        assert_eq!(lex(&long).unwrap().tokens.len(), 1_500_000);
    }
}
