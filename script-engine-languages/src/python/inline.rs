//! What a script says of its packages in a comment block `# /// script`, by the grammar of PEP 723.
//!
//! Beyond the grammar: a block inside a string is none (a comment block is asked for), and one that is
//! not closed is refused, where the grammar would have it overlooked and the script fail at run time.

use script_engine_core::contract::Diagnostic;
use script_engine_core::packages::Declared;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::lines::{CommentLine, comment_lines};
use crate::packages::pypi::requirement;
use crate::source_text;

/// The longest block that is read, in bytes.
const LONGEST: usize = 64 << 10;

/// What the block says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Inline {
    /// The packages, and which versions of Python will do.
    pub(super) declared: Declared,
    /// Where it says which versions of Python will do: line and column.
    pub(super) toolchain_at: (u32, u32),
}

/// Reads the block of `source`; without one nothing is declared.
pub(super) fn read(source: &[u8]) -> std::result::Result<Inline, Diagnostic> {
    let source = source.strip_prefix(source_text::BYTE_ORDER_MARK).unwrap_or(source);
    // Most scripts have none, and need not be looked through.
    if !source.windows(5).any(|it| it == b"# ///") {
        return Ok(Inline::default());
    }
    let lines: Vec<CommentLine<'_>> = comment_lines(source).collect();
    let mut found = None;
    let mut at = 0;
    while at < lines.len() {
        let Some(kind) = opening(lines[at].bytes) else {
            at += 1;
            continue;
        };
        let script = kind == b"script";
        match block(&lines[at..]) {
            Some(_) if script && found.is_some() => {
                return Err(problem(&lines[at], "a second `# /// script` block; put all into one"));
            }
            Some(length) => {
                if script {
                    found = Some(&lines[at..=at + length]);
                }
                at += length + 1;
            }
            None if script => {
                let message = "this `# /// script` block is not closed; end it with a line `# ///`, and begin each line in it with `# `";
                return Err(problem(&lines[at], message));
            }
            None => at += 1,
        }
    }
    found.map_or(Ok(Inline::default()), |block| Block::new(block).and_then(|it| it.read()))
}

fn problem(line: &CommentLine<'_>, message: &str) -> Diagnostic {
    Diagnostic { line: line.number, column: 1, message: message.to_owned() }
}

/// The type of the block that this line opens.
fn opening(line: &[u8]) -> Option<&[u8]> {
    let kind = line.strip_prefix(b"# /// ")?.trim_ascii_end();
    let plain = |it: &u8| it.is_ascii_alphanumeric() || *it == b'-';
    (!kind.is_empty() && kind.iter().all(plain)).then_some(kind)
}

/// The index of the line that closes the block that the first line opens: the last such line before one
/// that can't be in a block.
fn block(lines: &[CommentLine<'_>]) -> Option<usize> {
    let follow = lines.windows(2).take_while(|it| it[1].number == it[0].number + 1 && content(it[1].bytes).is_some());
    let length = follow.count();
    (1..=length).rev().find(|it| lines[*it].bytes.trim_ascii_end() == b"# ///")
}

/// What a line of a block says.
fn content(line: &[u8]) -> Option<&[u8]> {
    if line == b"#" { Some(b"") } else { line.strip_prefix(b"# ") }
}

/// A block as TOML, and where its lines are in the source.
struct Block {
    text: String,
    /// The number of the first line.
    first: u32,
}

impl Block {
    /// Makes it of the lines of a block with its first and last.
    fn new(lines: &[CommentLine<'_>]) -> std::result::Result<Self, Diagnostic> {
        let inner = &lines[1..lines.len() - 1];
        if let Some(line) = inner.iter().find(|it| opening(it.bytes).is_some()) {
            return Err(problem(
                line,
                "a block begins before the one above is closed; end that one with a line `# ///`, and put a line between them that is no comment",
            ));
        }
        let mut text = String::new();
        for line in inner {
            text.push_str(&String::from_utf8_lossy(content(line.bytes).unwrap_or_default()));
            text.push('\n');
        }
        if text.len() > LONGEST {
            return Err(problem(&lines[0], "this block is longer than 64 KiB; shorten it"));
        }
        Ok(Self { text, first: lines[0].number + 1 })
    }

    /// The place of a byte of the text in the source.
    fn place(&self, at: usize) -> (u32, u32) {
        let (line, column) = source_text::position(self.text.as_bytes(), at);
        (self.first + line - 1, column + 2)
    }

    fn problem(&self, at: usize, message: String) -> Diagnostic {
        let (line, column) = self.place(at);
        Diagnostic { line, column, message: source_text::message(&message) }
    }

    fn read(&self) -> std::result::Result<Inline, Diagnostic> {
        let table = DeTable::parse(&self.text).map_err(|error| {
            let at = error.span().map_or(0, |it| it.start);
            self.problem(at, format!("this block is not TOML: {}", error.message()))
        })?;
        let mut inline = Inline::default();
        for (key, value) in table.get_ref() {
            let at = value.span().start;
            match key.get_ref().as_ref() {
                "dependencies" => self.packages(value, &mut inline.declared)?,
                "requires-python" => {
                    let Some(wanted) = value.get_ref().as_str() else {
                        return Err(self.problem(at, "`requires-python` is a string, such as \">=3.12\"".into()));
                    };
                    inline.declared.toolchain = Some(wanted.trim().to_owned());
                    inline.toolchain_at = self.place(at);
                }
                "tool" => self.tools(value)?,
                other => {
                    let message = format!(
                        "`{}` is not read; a block holds `dependencies`, `requires-python` and `[tool]`",
                        other.escape_debug()
                    );
                    return Err(self.problem(key.span().start, message));
                }
            }
        }
        Ok(inline)
    }

    fn packages(&self, value: &Spanned<DeValue<'_>>, declared: &mut Declared) -> std::result::Result<(), Diagnostic> {
        let shape = "`dependencies` is a list of strings, such as [\"requests>=2\"]";
        let Some(list) = value.get_ref().as_array() else {
            return Err(self.problem(value.span().start, shape.into()));
        };
        for it in list {
            let at = it.span().start;
            let Some(text) = it.get_ref().as_str() else { return Err(self.problem(at, shape.into())) };
            let package = requirement::parse(text).map_err(|message| self.problem(at, message))?;
            declared.packages.push(package);
        }
        Ok(())
    }

    /// Settings of tools are theirs alone, but for those that would change which packages are meant.
    fn tools(&self, value: &Spanned<DeValue<'_>>) -> std::result::Result<(), Diagnostic> {
        let uv = value.get_ref().as_table().and_then(|it| it.get("uv"));
        let keys = uv.and_then(|it| it.get_ref().as_table()).into_iter().flat_map(|it| it.keys());
        match keys.into_iter().next() {
            Some(key) => {
                let message = format!(
                    "`tool.uv.{}` is not read; declare packages of the index, and set indexes and ages where the engine is set up",
                    key.get_ref().escape_debug()
                );
                Err(self.problem(key.span().start, message))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
