//! The files of the workspace, and the little that the rules need to understand of Rust.

use std::path::{Path, PathBuf};

/// A text file of the workspace.
#[derive(Debug, Clone)]
pub(crate) struct File {
    /// From the root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether all of the file is test code: in a folder `tests`, or named so.
    pub(crate) fn is_test(&self) -> bool {
        self.path.split('/').any(|part| part == "tests" || part == "tests.rs" || part == "benches")
    }

    /// Whether it lies in the sources of the package in this folder.
    pub(crate) fn is_in(&self, folder: &str) -> bool {
        self.path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
    }
}

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the root of the workspace")
}

/// Every text file of the workspace that is ours: no build output, nothing hidden but CI, links left out.
pub(crate) fn all() -> Vec<File> {
    let root = root();
    let mut files = Vec::new();
    collect(&root, &root, &mut files);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(files.len() > 20, "the workspace has more files than these: {files:?}");
    files
}

/// Every Rust file of the workspace.
pub(crate) fn rust() -> Vec<File> {
    all().into_iter().filter(File::is_rust).collect()
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<File>) {
    for entry in folder.read_dir().expect("a folder of the workspace") {
        let entry = entry.expect("an entry of the workspace");
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type().expect("a kind of file");
        if kind.is_dir() && (!name.starts_with('.') || name == ".ci") && name != "target" && name != "node_modules" {
            collect(root, &entry.path(), files);
        } else if kind.is_file() && name != ".git" {
            let path = entry.path();
            let Ok(text) = std::fs::read_to_string(&path) else { continue };
            let path = path.strip_prefix(root).expect("below the root").to_string_lossy().into_owned();
            files.push(File { path, text });
        }
    }
}

/// The code of a Rust file: comments and the insides of strings and characters become blanks, lines stay lines.
pub(crate) fn code(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = token(rest);
        let (token, after) = rest.split_at(length);
        if length == first.len_utf8() {
            code.push(first);
        } else {
            code.extend(token.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        }
        rest = after;
    }
    code
}

/// How long the comment or literal is that `rest` begins with; one character if it begins with neither.
fn token(rest: &str) -> usize {
    let first = rest.chars().next().map_or(0, char::len_utf8);
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return rest.find("*/").map_or(rest.len(), |end| end + 2);
    }
    if rest.starts_with("r\"") || rest.starts_with("r#") || rest.starts_with("br") {
        let open = rest.trim_start_matches('b').trim_start_matches('r');
        let fence = "#".repeat(open.len() - open.trim_start_matches('#').len());
        if let Some(inside) = open.trim_start_matches('#').strip_prefix('"') {
            let begin = rest.len() - inside.len();
            return inside.find(&format!("\"{fence}")).map_or(rest.len(), |end| begin + end + 1 + fence.len());
        }
    }
    if let Some(inside) = rest.strip_prefix('"') {
        let mut escaped = false;
        let end = inside.find(|c| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        return end.map_or(rest.len(), |end| end + 2);
    }
    if let Some(inside) = rest.strip_prefix('\'') {
        // A lifetime has no closing quote right behind its first character.
        let mut chars = inside.chars();
        let end = match chars.next() {
            Some('\\') => inside[2.min(inside.len())..].find('\'').map(|end| end + 2),
            Some(c) if chars.next() == Some('\'') => Some(c.len_utf8()),
            _ => None,
        };
        return end.map_or(first, |end| end + 2);
    }
    first
}

/// The words of a piece of code: identifiers and keywords.
pub(crate) fn identifiers(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// The string literals of a Rust file that hold exactly one rule tag, as `XX-nn`, with their lines (from 1).
pub(crate) fn tag_literals(text: &str) -> Vec<(usize, String)> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
    lines
        .flat_map(|(number, line)| line.split('"').skip(1).step_by(2).map(move |literal| (number + 1, literal)))
        .filter(|(_, literal)| is_tag(literal))
        .map(|(number, literal)| (number, literal.to_owned()))
        .collect()
}

/// Whether this is a rule tag without its brackets: two capitals, a dash, two digits.
pub(crate) fn is_tag(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 5
        && bytes[..2].iter().all(u8::is_ascii_uppercase)
        && bytes[2] == b'-'
        && bytes[3..].iter().all(u8::is_ascii_digit)
}

#[test]
fn code_has_no_comments_and_no_literals() {
    #[track_caller]
    fn check(text: &str, expected: &str) {
        let words: Vec<_> = code(text).split_whitespace().map(ToOwned::to_owned).collect();
        assert_eq!(words.join(" "), expected);
    }
    check("a // b\nc /* d\n */ e", "a c e");
    check(r#"f("unsafe \" unsafe", 'x', '\'', '"') g"#, "f( , , , ) g");
    check("r#\"unsafe \" still\"# h", "h");
    check("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}");
    check("br\"unsafe\" brave", "brave");
    assert_eq!(code("\"a\nb\"").lines().count(), 2);
}

#[test]
fn a_tag_is_two_capitals_and_two_digits() {
    assert_eq!(
        tag_literals("x\n id: \"EX-01\", // \"no\"\n // \"EX-02\"\n\"EX-1\" \"ex-01\""),
        [(2, "EX-01".to_owned())]
    );
}
