//! Reads what a Java source says of the packages it needs: JBang's directives, which are line comments at the very
//! beginning of a line.

use script_engine_core::contract::Diagnostic;
use script_engine_core::packages::Declared;
use script_engine_core::{Error, Result, ScriptDependency};

use crate::source_text;

/// Problems that are told at once.
const MOST_PROBLEMS: usize = 100;

/// Directives that would do something which a script can't, and why.
const REFUSED: [(&str, &str); 10] = [
    ("REPOS", "packages come from the repository that this engine's operator has set; take the line out"),
    ("SOURCES", "a script is one file; put the classes in it"),
    ("FILES", "a script is one file; put the data in it, or pass it as a parameter"),
    ("JAVAAGENT", "agents are not started; take the line out"),
    ("JAVAC_OPTIONS", "the compiler's options are the engine's; take the line out"),
    ("COMPILE_OPTIONS", "the compiler's options are the engine's; take the line out"),
    ("JAVA_OPTIONS", "the options of Java are the engine's; take the line out"),
    ("RUNTIME_OPTIONS", "the options of Java are the engine's; take the line out"),
    ("PREVIEW", "preview features are off; take the line out"),
    ("MODULE", "a script is no module; take the line out"),
];

/// See [`MavenPackages::declared`](super::MavenPackages::declared).
pub(super) fn dependencies(source: &[u8]) -> Result<Declared> {
    let Ok(text) = std::str::from_utf8(source) else { return Ok(Declared::default()) };
    let mut scan = Scan { text, problems: Vec::new(), declared: Declared::default() };
    for (at, line) in directives(text) {
        scan.directive(at, line);
    }
    if scan.problems.is_empty() {
        Ok(scan.declared.with(&[]))
    } else {
        Err(Error::invalid_all(scan.problems.iter().map(Diagnostic::problem).collect()))
    }
}

struct Scan<'a> {
    text: &'a str,
    problems: Vec<Diagnostic>,
    declared: Declared,
}

impl Scan<'_> {
    /// Reads one comment, which begins at `at`.
    fn directive(&mut self, at: usize, line: &str) {
        // What follows ` // ` is a comment on the comment.
        let line = line.split(" // ").next().unwrap_or_default();
        let word_end = line.find(|c: char| !c.is_ascii_uppercase() && c != '_').unwrap_or(line.len());
        let (word, rest) = line.split_at(word_end);
        if !(rest.is_empty() || rest.starts_with([' ', '\t', '\r'])) {
            return;
        }
        if let Some((_, why)) = REFUSED.iter().find(|it| it.0 == word) {
            return self.problem(at, &format!("`//{word}`: {why}"));
        }
        match word {
            "DEPS" => {
                for (offset, coordinates) in words(rest) {
                    self.package(at + 2 + word_end + offset, coordinates);
                }
            }
            "JAVA" => match rest.trim() {
                version if is_java(version) => self.declared.toolchain = Some(version.to_owned()),
                _ => self.problem(at, "the version after `//JAVA` can't be read; write `//JAVA 21` or `//JAVA 21+`"),
            },
            _ => {}
        }
    }

    fn package(&mut self, at: usize, coordinates: &str) {
        let shown = source_text::message(coordinates);
        let (whole, kind) = coordinates.split_once('@').unwrap_or((coordinates, "jar"));
        let parts: Vec<&str> = whole.split(':').collect();
        let problem = if coordinates.contains('/') {
            "is an address; name a package of the repository as group:artifact:version".to_owned()
        } else if coordinates.contains('$') {
            "has a property in it; write the version out".to_owned()
        } else if !matches!(parts.len(), 2..=4) || !parts.iter().enumerate().all(|(index, it)| is_part(index, it)) {
            "is not a package; write group:artifact:version, and a classifier after another colon".to_owned()
        } else {
            match kind {
                "jar" => return self.add(&parts, parts.get(3).map_or("", |it| it), ":"),
                "pom" if parts.len() < 4 => return self.add(&parts, "pom", "@"),
                _ => format!("is of the kind {:?}; only jar and pom can be used", source_text::message(kind)),
            }
        };
        self.problem(at, &format!("`{shown}` {problem}"));
    }

    fn add(&mut self, parts: &[&str], addition: &str, sign: &str) {
        let mut name = format!("{}:{}", parts[0], parts[1]);
        if !addition.is_empty() {
            name = format!("{name}{sign}{addition}");
        }
        let requirement = parts.get(2).copied().unwrap_or_default();
        self.declared.packages.push(ScriptDependency::runtime(name, requirement));
    }

    fn problem(&mut self, at: usize, message: &str) {
        if self.problems.len() < MOST_PROBLEMS {
            let (line, column) = source_text::position(self.text.as_bytes(), at);
            self.problems.push(Diagnostic { line, column, message: message.to_owned() });
        }
    }
}

/// Whether it has the characters of a group, an artifact, a version or range, a classifier.
fn is_part(index: usize, part: &str) -> bool {
    let version = index == 2;
    !part.is_empty()
        && part.len() <= 200
        && !part.starts_with(['.', '-'])
        && part.chars().all(|c| c.is_ascii_alphanumeric() || "._-+".contains(c) || (version && "[](),~".contains(c)))
}

fn is_java(version: &str) -> bool {
    let number = version.strip_suffix('+').unwrap_or(version);
    (1..=3).contains(&number.len()) && number.chars().all(|c| c.is_ascii_digit()) && number.parse() != Ok(0)
}

/// The words of a line with their offsets: between spaces, semicolons and commas, but for commas in brackets.
fn words(text: &str) -> Vec<(usize, &str)> {
    let mut words = Vec::new();
    let (mut start, mut open) = (0, false);
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        match c {
            '[' | '(' => open = true,
            ']' | ')' => open = false,
            _ => {}
        }
        if c.is_whitespace() || c == ';' || (c == ',' && !open) {
            if at > start {
                words.push((start, &text[start..at]));
            }
            start = at + c.len_utf8();
            open = false;
        }
    }
    words
}

/// The line comments that begin their line, without their signs, and where each begins. What is in block comments, strings
/// and text blocks is none.
fn directives(text: &str) -> Vec<(usize, &str)> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = if text.starts_with('\u{feff}') { 3 } else { 0 };
    let mut line_start = at;
    let until = |from: usize, end: &str| text[from..].find(end).map(|it| from + it);
    while let Some(byte) = bytes.get(at) {
        let rest = &bytes[at..];
        match byte {
            b'\n' | b'\r' => {
                at += 1;
                line_start = at;
            }
            b'/' if rest.starts_with(b"//") => {
                let end = text[at..].find(['\n', '\r']).map_or(text.len(), |it| at + it);
                if at == line_start {
                    found.push((at, &text[at + 2..end]));
                }
                at = end;
            }
            b'/' if rest.starts_with(b"/*") => at = until(at + 2, "*/").map_or(text.len(), |it| it + 2),
            b'"' if rest.starts_with(b"\"\"\"") => at = closed(bytes, at + 3, b"\"\"\"", false),
            b'"' | b'\'' => at = closed(bytes, at + 1, &rest[..1], true),
            _ => at += 1,
        }
    }
    found
}

/// Behind the `end` of a literal; one of a single line ends with its line at the latest.
fn closed(bytes: &[u8], mut at: usize, end: &[u8], single: bool) -> usize {
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\n' | b'\r' if single => return at,
            b'\\' if single && matches!(bytes.get(at + 1), Some(b'\n' | b'\r')) => return at + 1,
            b'\\' => at += 2,
            _ if bytes[at..].starts_with(end) => return at + end.len(),
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests;
