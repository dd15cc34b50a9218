//! The packages that a TypeScript or JavaScript source names: imports of `npm:name@version`, which Node
//! does not know and gets by the bare name, and comment lines `// npm: name@version`.

use oxc_ast::AstKind;
use oxc_ast::ast::{Argument, CallExpression, Expression, Program};
use oxc_semantic::AstNodes;
use oxc_span::{GetSpan as _, Span};
use script_engine_core::ScriptDependency;
use script_engine_core::contract::{Check, Diagnostic};

use crate::packages::npm::name;
use crate::source_text;

/// What an import of a package begins with.
const SCHEME: &str = "npm:";

/// The packages of one source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// What is declared, in the order of the source.
    pub(super) declared: Vec<ScriptDependency>,
    /// The literals that Node does not know: where each is, quotes included, and what it gets in place of its content.
    imports: Vec<(usize, usize, String)>,
}

impl Found {
    /// The source as Node gets it, if that is another: every character that is left has the place that it had.
    pub(super) fn rewritten(&self, text: &str) -> Option<String> {
        if self.imports.is_empty() {
            return None;
        }
        let mut out = text.to_owned();
        for (start, end, bare) in &self.imports {
            let Some(literal) = text.get(*start..*end) else { continue };
            let quote = &literal[..1];
            // The bare name is shorter than the literal by what is put behind it.
            let made = format!("{quote}{bare}{quote}");
            let padding = " ".repeat(literal.len().saturating_sub(made.len()));
            out.replace_range(*start..*end, &format!("{made}{padding}"));
        }
        Some(out)
    }
}

/// Whether the source can name a package at all: most do not, and need not be parsed for it.
pub(super) fn may_have(text: &str) -> bool {
    text.contains(SCHEME)
}

/// Reads the packages of a source that was parsed. What is wrong with a declaration is the problem.
pub(super) fn read(text: &str, program: &Program<'_>, nodes: &AstNodes<'_>) -> std::result::Result<Found, Check> {
    let mut found = Found::default();
    let mut problems = Check::new();
    if !may_have(text) {
        return Ok(found);
    }
    for comment in program.comments.iter().filter(|it| it.is_line()) {
        let content = comment.content_span();
        if let Some(said) = slice(text, content).and_then(|it| it.trim_start().strip_prefix(SCHEME)) {
            let at = content.end as usize - said.len();
            line(text, at, said, &mut found.declared, &mut problems);
        }
    }
    for span in nodes.iter().filter_map(|it| literal(it.kind())) {
        let Some(value) = slice(text, span).and_then(|it| it.get(1..it.len() - 1)) else { continue };
        let Some(wanted) = value.strip_prefix(SCHEME) else { continue };
        match import(wanted) {
            Ok((package, bare)) => {
                found.declared.push(package);
                found.imports.push((span.start as usize, span.end as usize, bare));
            }
            Err(message) => problems.push(diagnostic(text, span.start as usize, &message)),
        }
    }
    if problems.is_empty() {
        found.imports.sort();
        Ok(found)
    } else {
        problems.sort_by_key(|it| (it.line, it.column));
        problems.truncate(100);
        Err(problems)
    }
}

/// Reads the packages of a source that is not parsed here: comment lines alone, as imports can't be rewritten.
pub(super) fn read_lines(text: &str) -> std::result::Result<Vec<ScriptDependency>, Check> {
    let (mut declared, mut problems) = (Vec::new(), Check::new());
    let mut at = 0;
    for whole in text.split_inclusive('\n') {
        if let Some(said) = whole.trim().strip_prefix("//").and_then(|it| it.trim_start().strip_prefix(SCHEME)) {
            let place = at + whole.trim_end().len() - said.len();
            line(text, place, said, &mut declared, &mut problems);
        }
        at += whole.len();
    }
    if let Some(at) = ["\"npm:", "'npm:", "`npm:"].iter().filter_map(|it| text.find(it)).min() {
        let message = "an import of `npm:` in a source too long or too dense to be read here; name packages in lines `// npm: name@version`, and import them by their bare names";
        problems.push(diagnostic(text, at, message));
    }
    if problems.is_empty() { Ok(declared) } else { Err(problems) }
}

fn slice(text: &str, span: Span) -> Option<&str> {
    text.get(span.start as usize..span.end as usize)
}

/// The literal by which a piece of syntax names a module.
fn literal(kind: AstKind<'_>) -> Option<Span> {
    match kind {
        AstKind::ImportDeclaration(it) => Some(it.source.span),
        AstKind::ExportAllDeclaration(it) => Some(it.source.span),
        AstKind::ExportFromDeclaration(it) => Some(it.source.span),
        AstKind::TSExternalModuleReference(it) => Some(it.expression.span),
        AstKind::TSImportType(it) => Some(it.source.span),
        AstKind::ImportExpression(it) => plain(&it.source),
        AstKind::CallExpression(it) if names_module(it) => {
            it.arguments.first().and_then(Argument::as_expression).and_then(plain)
        }
        _ => None,
    }
}

/// A string without anything to be computed.
fn plain(expression: &Expression<'_>) -> Option<Span> {
    match expression {
        Expression::StringLiteral(it) => Some(it.span),
        Expression::TemplateLiteral(it) if it.expressions.is_empty() => Some(it.span()),
        _ => None,
    }
}

/// Whether it is `require(…)`, `require.resolve(…)` or `import.meta.resolve(…)`.
fn names_module(call: &CallExpression<'_>) -> bool {
    let require = |it: &Expression<'_>| matches!(it, Expression::Identifier(it) if it.name == "require");
    match &call.callee {
        Expression::StaticMemberExpression(it) if it.property.name == "resolve" => {
            require(&it.object) || matches!(it.object, Expression::ImportMeta(_))
        }
        callee => require(callee),
    }
}

/// Reads what follows `npm:` in an import: the package, and the name by which Node finds it.
fn import(wanted: &str) -> std::result::Result<(ScriptDependency, String), String> {
    let wanted = wanted.strip_prefix('/').unwrap_or(wanted);
    // The name of a package with a scope has one slash of its own.
    let from = if wanted.starts_with('@') { wanted.find('/').map_or(wanted.len(), |at| at + 1) } else { 0 };
    let (package, inner) = match wanted[from..].find('/') {
        Some(at) => wanted.split_at(from + at),
        None => (wanted, ""),
    };
    let package = read_package(package)?;
    let odd = |c: char| c.is_control() || c.is_whitespace() || "\\\"'`?#%".contains(c);
    if inner.contains(odd) || inner.split('/').any(|it| it == "..") || (inner.ends_with('/') && !inner.is_empty()) {
        return Err(format!("`{}` is no file of a package", shown(inner)));
    }
    if inner.is_empty() && name::is_builtin(&package.name) {
        return Err(format!(
            "Node takes its own module `{0}` in place of the package `{0}`; import a file of the package, such as `npm:{0}/index.js`",
            package.name
        ));
    }
    let bare = format!("{}{inner}", package.name);
    Ok((package, bare))
}

/// Reads `name@requirement`.
fn read_package(text: &str) -> std::result::Result<ScriptDependency, String> {
    let text = text.trim();
    let from = usize::from(text.starts_with('@'));
    let (name, requirement) = match text.get(from..).and_then(|it| it.split_once('@')) {
        Some((name, requirement)) => (&text[..from + name.len()], requirement.trim()),
        None => (text, ""),
    };
    if !name::is_name(name) {
        return Err(format!("`{}` is no package of npm; write it such as `npm:zod@^3`", shown(text)));
    }
    if !name::is_requirement(requirement) {
        return Err(format!("`{}` is no version requirement; write it such as `^1.2`", shown(requirement)));
    }
    Ok(ScriptDependency::runtime(name, requirement))
}

/// Reads the list in a comment line that begins at the byte `at`.
fn line(text: &str, at: usize, said: &str, declared: &mut Vec<ScriptDependency>, problems: &mut Check) {
    let mut place = at;
    for part in said.split(',') {
        let indent = part.len() - part.trim_start().len();
        match read_package(part) {
            Ok(package) => declared.push(package),
            Err(message) => problems.push(diagnostic(text, place + indent, &message)),
        }
        place += part.len() + 1;
    }
}

fn diagnostic(text: &str, at: usize, message: &str) -> Diagnostic {
    let (line, column) = source_text::position(text.as_bytes(), at);
    Diagnostic { line, column, message: source_text::message(message) }
}

fn shown(text: &str) -> String {
    text.escape_debug().take(80).collect()
}

#[cfg(test)]
mod tests;
