//! What can be seen of a Go source without its compiler: its package, whether it has a `func main`, and the `go.mod` that
//! it holds in a comment. Reads tokens; what is in comments and strings says nothing.

/// What was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Outline<'a> {
    /// The name in the package clause and the offset of it, if the source begins with one.
    pub(super) package: Option<(&'a str, usize)>,
    /// Whether there is a function `main` at top level.
    pub(super) has_main: bool,
    /// The lines of a comment whose first line is `go.mod`.
    pub(super) module: Option<String>,
}

impl<'a> Outline<'a> {
    /// Reads `text`, which need not be sound.
    pub(super) fn read(text: &'a str) -> Self {
        let mut outline = Self::default();
        let mut reader = Reader { text, at: 0 };
        let mut depth = 0u32;
        let mut before = ["", ""];
        let mut first = true;
        loop {
            let start = match reader.token() {
                None => return outline,
                Some(Token::Comment(comment)) => {
                    if outline.module.is_none() {
                        outline.module = reader.module(comment);
                    }
                    continue;
                }
                Some(Token::Word(start)) => start,
                Some(Token::Sign(sign)) => {
                    if depth == 0 && before == ["func", "main"] && matches!(sign, b'(' | b'[') {
                        outline.has_main = true;
                    }
                    match sign {
                        b'(' | b'[' | b'{' => depth += 1,
                        b')' | b']' | b'}' => depth = depth.saturating_sub(1),
                        _ => {}
                    }
                    (before, first) = (["", ""], false);
                    continue;
                }
            };
            let word = &text[start..reader.at];
            if before[1] == "package" && first {
                outline.package = Some((word, start));
                first = false;
            }
            first &= word == "package";
            before = [before[1], word];
        }
    }
}

enum Token<'a> {
    /// One comment, with its signs.
    Comment(&'a str),
    /// A name, a keyword or a number, which begins here and ends where the reader is.
    Word(usize),
    /// Any other character, or a whole string.
    Sign(u8),
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn token(&mut self) -> Option<Token<'a>> {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '\u{feff}').len();
        let start = self.at;
        let rest = &self.text[start..];
        let first = rest.chars().next()?;
        if rest.starts_with("//") || rest.starts_with("/*") {
            let end = match rest.as_bytes()[1] {
                b'/' => rest.find('\n'),
                _ => rest[2..].find("*/").map(|it| it + 4),
            };
            self.at += end.unwrap_or(rest.len());
            return Some(Token::Comment(&self.text[start..self.at]));
        }
        if is_word(first) {
            self.at += rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            return Some(Token::Word(start));
        }
        match first {
            '`' => self.at += rest[1..].find('`').map_or(rest.len(), |it| it + 2),
            '"' | '\'' => self.at += quoted(rest),
            _ => self.at += first.len_utf8(),
        }
        Some(Token::Sign(rest.as_bytes()[0]))
    }

    /// The `go.mod` in a comment: the rest of a block, or the lines that follow a `// go.mod` one. Those are read on.
    fn module(&mut self, comment: &str) -> Option<String> {
        if let Some(block) = comment.strip_prefix("/*") {
            let block = block.strip_suffix("*/").unwrap_or(block).trim_start();
            let (title, lines) = block.split_once('\n')?;
            return is_title(title).then(|| lines.to_owned());
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

fn is_title(line: &str) -> bool {
    matches!(line.trim(), "go.mod" | "go.mod:")
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// The length of a string or a rune. An unfinished one ends with its line.
fn quoted(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let mut at = 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 1,
            b'\n' => return at,
            it if *it == bytes[0] => return at + 1,
            _ => {}
        }
        at += 1;
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, package: Option<&str>, has_main: bool, module: Option<&str>) {
        let found = Outline::read(text);
        let seen = (found.package.map(|it| it.0), found.has_main, found.module.as_deref());
        assert_eq!(seen, (package, has_main, module), "{text:?}");
    }

    #[test]
    fn the_package_and_main_are_seen_and_what_looks_like_them_is_not() {
        check("package main\nfunc main() {}\n", Some("main"), true, None);
        check("\u{feff}// a\r\n/* package x */ package\tmain;func  main ( ) { }", Some("main"), true, None);
        check("package größe", Some("größe"), false, None);
        check("package main\nfunc (t T) main() {}\nfunc mainly() {}\nvar x = main()\n", Some("main"), false, None);
        check(
            "package main\nvar s = `\nfunc main() {}\n` + \"func main() {}\\\"func main(\"\n",
            Some("main"),
            false,
            None,
        );
        check("package main\nfunc f() { func main() {} }\n", Some("main"), false, None);
        check("package main\nvar a, b = '\"', '\\''\nfunc main[T any]() {}\n", Some("main"), true, None);
        check("package main\n/* func main() {} */ // func main() {}\n", Some("main"), false, None);
        check("package main\nvar s = \"broken\nfunc main() {}", Some("main"), true, None);
        check("import \"fmt\"\npackage main\n", None, false, None);
        check("", None, false, None);
        check("package", None, false, None);
        check("package /* x */ main\nfunc /* y */ main // z\n() {}", Some("main"), true, None);
    }

    #[test]
    fn a_go_mod_in_a_comment_is_taken_out() {
        let module = "module x\n\ngo 1.22\n";
        check("// go.mod\n// module x\n//\n// go 1.22\n\npackage main", Some("main"), false, Some(module));
        check("// go.mod:\r\n// module x\r\n//\r\n// go 1.22\r\npackage main", Some("main"), false, Some(module));
        check("package main\n/* go.mod\nmodule x\n\ngo 1.22\n*/\n", Some("main"), false, Some(module));
        check("/*\ngo.mod\nrequire a v1\n*/package main", Some("main"), false, Some("require a v1\n"));
        check("// see go.mod\n// module x\npackage main", Some("main"), false, None);
        check("package main\nvar s = \"// go.mod\"\n", Some("main"), false, None);
        check("/* go.mod", None, false, None);
        check("// go.mod", None, false, Some(""));
    }

    #[test]
    fn nothing_that_is_broken_stops_it() {
        for text in
            ["\"", "'\\", "`", "/*", "/", "))))", "\"\\", "é\"é", "/*/", "func", "// go.mod\n//", "package \"a\""]
        {
            Outline::read(text);
        }
    }
}
