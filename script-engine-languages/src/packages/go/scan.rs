//! Reads what a Go source says of the modules it needs: its imports, and the lines of a `go.mod` that it may hold in a
//! comment.

use script_engine_core::contract::Diagnostic;
use script_engine_core::packages::Declared;
use script_engine_core::{Error, Result, ScriptDependency};

use super::standard::Standard;
use super::tokens::{Token, Tokens};
use crate::source_text;

/// The longest import path.
const LONGEST: usize = 256;
/// Problems that are told at once.
const MOST_PROBLEMS: usize = 100;

/// See [`GoModules::declared`](super::GoModules::declared).
pub(super) fn dependencies(source: &[u8]) -> Result<Declared> {
    let Ok(text) = std::str::from_utf8(source) else { return Ok(Declared::default()) };
    let mut scan = Scan { text, problems: Vec::new(), packages: Vec::new(), standard: Standard::Plain, module: None };
    scan.read();
    if !scan.problems.is_empty() {
        return Err(Error::invalid_all(scan.problems.iter().map(Diagnostic::problem).collect()));
    }
    let manifest = manifest(scan.module.as_deref().unwrap_or_default(), scan.standard);
    Ok(Declared { packages: scan.packages, manifest: Some(manifest), toolchain: None }.with(&[]))
}

/// The `go.mod` of a script before its modules are decided.
fn manifest(block: &str, standard: Standard) -> String {
    format!("{}\n{}{block}", standard.line(), super::GoModules::module_line(block))
}

struct Scan<'a> {
    text: &'a str,
    problems: Vec<Diagnostic>,
    packages: Vec<ScriptDependency>,
    standard: Standard,
    module: Option<String>,
}

/// Where in a file the next token stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before the package clause, or in it.
    Package,
    /// Among the import declarations.
    Imports,
    /// After the word `import`.
    Import,
    /// In the parentheses of an import declaration.
    Group,
    /// Behind all imports.
    Rest,
}

impl Scan<'_> {
    fn read(&mut self) {
        let mut tokens = Tokens::new(self.text);
        let mut place = Place::Package;
        let mut words = 0;
        while let Some((token, at)) = tokens.next() {
            place = match (place, token) {
                (_, Token::Comment(comment)) => {
                    if let Some(lines) = tokens.module_block(comment) {
                        self.module(at, &lines);
                    }
                    place
                }
                (Place::Package, Token::Word(word)) => {
                    words += 1;
                    match (words, word) {
                        (1, "package") => Place::Package,
                        (2, _) => Place::Imports,
                        _ => Place::Rest,
                    }
                }
                (Place::Imports, Token::Word("import")) => Place::Import,
                (Place::Imports | Place::Group, Token::Sign(b';')) => place,
                (Place::Import, Token::Sign(b'(')) => Place::Group,
                (Place::Group, Token::Sign(b')')) => Place::Imports,
                (Place::Import, Token::Text(path)) => {
                    self.import(at, path);
                    Place::Imports
                }
                (Place::Group, Token::Text(path)) => {
                    self.import(at, path);
                    Place::Group
                }
                // The name that it gets here, `.` or `_`.
                (Place::Import | Place::Group, Token::Word(_) | Token::Sign(b'.')) => place,
                _ => Place::Rest,
            };
        }
    }

    fn import(&mut self, at: usize, path: &str) {
        let first = path.split('/').next().unwrap_or_default();
        let shown = source_text::message(path);
        if path == "C" {
            self.problem(at, "`import \"C\"` needs a C compiler, and scripts are built without one; use a Go package");
        } else if matches!(first, "." | ".." | "") {
            let message =
                format!("the import {shown:?} is a path, and a script is one file; import a module's package");
            self.problem(at, &message);
        } else if !is_import_path(path) {
            self.problem(at, &format!("{shown:?} is no import path; correct it"));
        } else if first.contains('.') {
            self.packages.push(ScriptDependency::runtime(path, ""));
        } else {
            self.standard = self.standard.with(path);
        }
    }

    /// Takes the lines of a block, if they hold nothing that a script's `go.mod` can't have.
    fn module(&mut self, at: usize, lines: &str) {
        if self.module.is_some() {
            return self.problem(at, "a second `go.mod` block; put everything in one");
        }
        let mut group = "";
        for line in lines.lines() {
            let line = line.split("//").next().unwrap_or_default().trim();
            let words: Vec<&str> = line.split_whitespace().collect();
            let directive = match words.as_slice() {
                [] => continue,
                [")"] => {
                    group = "";
                    continue;
                }
                [first, "("] => {
                    group = first;
                    *first
                }
                _ if !group.is_empty() => group,
                [first, ..] => *first,
            };
            let shown = source_text::message(line);
            let message = match directive {
                "module" | "go" | "toolchain" | "require" | "exclude" | "godebug" => continue,
                "replace" => match words.iter().position(|it| *it == "=>").and_then(|it| words.get(it + 1)) {
                    Some(target) if !is_local(target) => continue,
                    None if words.last() == Some(&"(") => continue,
                    _ => format!("`{shown}` in the `go.mod` block replaces a module by a folder; name another module"),
                },
                "tool" => format!("`{shown}` in the `go.mod` block: tools are not run; take the line out"),
                _ => format!("`{shown}` in the `go.mod` block has no meaning for a script; take the line out"),
            };
            self.problem(at, &message);
        }
        self.module = Some(lines.to_owned());
    }

    fn problem(&mut self, at: usize, message: &str) {
        if self.problems.len() < MOST_PROBLEMS {
            let (line, column) = source_text::position(self.text.as_bytes(), at);
            self.problems.push(Diagnostic { line, column, message: message.to_owned() });
        }
    }
}

fn is_local(target: &str) -> bool {
    let target = target.trim_matches(|c| matches!(c, '"' | '`'));
    !target.split('/').next().is_some_and(|first| first.contains('.') && !first.trim_matches('.').is_empty())
}

/// Whether the Go command would take it for a path: the characters of module paths, and no element that is a folder.
fn is_import_path(path: &str) -> bool {
    let sound = |element: &str| {
        !element.is_empty()
            && !element.starts_with(['.', '-'])
            && !element.ends_with('.')
            && element.chars().all(|c| c.is_ascii_alphanumeric() || "-._~+".contains(c))
    };
    path.len() <= LONGEST && path.split('/').all(sound)
}

/// Whether it is the path of a module that an index may have.
pub(super) fn is_module_path(path: &str) -> bool {
    is_import_path(path) && path.split('/').next().is_some_and(|first| first.contains('.'))
}

#[cfg(test)]
mod tests;
