//! Parses JavaScript and TypeScript, and makes the latter into JavaScript with a source map. Knows
//! nothing of sandboxes and files.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use oxc_allocator::Allocator;
use oxc_ast::AstKind;
use oxc_ast::ast::{Program, Statement};
use oxc_codegen::{Codegen, CodegenOptions};
use oxc_diagnostics::{Diagnostics, OxcDiagnostic};
use oxc_parser::{Parser, ParserReturn};
use oxc_semantic::{Scoping, SemanticBuilder};
use oxc_span::{GetSpan as _, SourceType};
use oxc_transformer::{Module as TargetModule, TransformOptions, Transformer};
use script_engine_core::contract::{Check, Diagnostic};
use script_engine_core::{Error, ErrorKind, Result, ScriptDependency};

use super::form::{Dialect, Form, Module};
use super::packages;
use crate::source_text;

/// What a sound source is and becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Transpiled {
    /// How Node has to load it.
    pub(super) module: Module,
    /// The JavaScript made of TypeScript, with the map in its last line; `None` for what is JavaScript already.
    pub(super) code: Option<String>,
    /// The packages that it names.
    pub(super) declared: Vec<ScriptDependency>,
    /// The source with bare names in place of `npm:` imports, where there are such.
    pub(super) rewritten: Option<String>,
}

/// Parses `text`, which names itself `file_name` in stack traces, and transforms it. What is wrong with it is a value; an
/// error is the machine's fault.
pub(super) fn transpile(text: &str, form: Form, file_name: &str) -> Result<std::result::Result<Transpiled, Check>> {
    // Parser and transformer recurse, so the stack is as large as the text could make them need: in a debug build a chain of
    // operators takes less than 1 KiB per byte, and brackets, which are dearer, are few. Only what is used takes memory.
    let stack = (16 << 20) + text.len() * 1024;
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("transpile".into()).stack_size(stack);
        let unavailable = |error: std::io::Error| {
            Error::new(ErrorKind::Unavailable, "can't start a thread to parse the script").with_source(error)
        };
        let thread = thread.spawn_scoped(scope, || parse_and_transform(text, form, file_name)).map_err(unavailable)?;
        thread.join().map_err(|_| Error::internal("the parser of TypeScript gave up on this source"))
    })
}

fn parse_and_transform(text: &str, form: Form, file_name: &str) -> std::result::Result<Transpiled, Check> {
    let allocator = Allocator::default();
    let (module, parsed) = parse(&allocator, text, form)?;
    let mut program = parsed.program;
    let semantic =
        SemanticBuilder::new_compiler().with_check_syntax_error(true).with_build_nodes(true).with_enum_eval(true);
    let semantic = semantic.build(&program);
    let mut problems = list(text, &semantic.diagnostics);
    problems.extend(semantic.semantic.nodes().iter().filter_map(|node| match node.kind() {
        AstKind::Decorator(it) => {
            Some(diagnostic(text, it.span.start, "decorators are not run by Node; call the function yourself"))
        }
        _ => None,
    }));
    if !problems.is_empty() {
        return Err(problems);
    }
    let found = packages::read(text, &program, semantic.semantic.nodes())?;
    if let Some(rewritten) = found.rewritten(text) {
        let again = parse_and_transform(&rewritten, form, file_name)?;
        // Comment lines are read again and counted once.
        return Ok(Transpiled { declared: found.declared, rewritten: Some(rewritten), ..again });
    }
    let declared = found.declared;
    if form.dialect == Dialect::JavaScript {
        return Ok(Transpiled { module, code: None, declared, rewritten: None });
    }
    let scoping = semantic.semantic.into_scoping();
    let code = transform(&allocator, text, &mut program, scoping, module, file_name)?;
    Ok(Transpiled { module, code: Some(code), declared, rewritten: None })
}

fn transform<'a>(
    allocator: &'a Allocator,
    text: &'a str,
    program: &mut Program<'a>,
    scoping: Scoping,
    module: Module,
    file_name: &str,
) -> std::result::Result<String, Check> {
    let mut options = TransformOptions::default();
    options.env.module = match module {
        Module::Ecma => TargetModule::Esm,
        Module::CommonJs => TargetModule::CommonJS,
    };
    let transformed = Transformer::new(allocator, Path::new(file_name), &options).build_with_scoping(scoping, program);
    // Its warnings are errors here: what they are about does not run.
    let problems: Check = transformed.diagnostics.iter().map(|it| read(text, it)).collect();
    if !problems.is_empty() {
        return Err(problems);
    }
    // No indentation: on deep nests it would be most of the output, and nobody reads it.
    let options = CodegenOptions {
        source_map_path: Some(PathBuf::from(file_name)),
        indent_width: 0,
        ..CodegenOptions::default()
    };
    let made = Codegen::new().with_options(options).build(program);
    let mut code = made.code;
    if let Some(mut map) = made.map {
        // The original lies beside it.
        map.set_source_contents(Vec::new());
        let map = base64::engine::general_purpose::STANDARD.encode(map.to_json_string());
        code.push_str("\n//# sourceMappingURL=data:application/json;charset=utf-8;base64,");
        code.push_str(&map);
        code.push('\n');
    }
    Ok(code)
}

/// Parses as the form says. Where it leaves open what kind of module it is, `import` and `export` make it an ECMAScript
/// module, and so does an `await` at top level without which it would not parse.
fn parse<'a>(
    allocator: &'a Allocator,
    text: &'a str,
    form: Form,
) -> std::result::Result<(Module, ParserReturn<'a>), Check> {
    let base = match form.dialect {
        Dialect::TypeScript => SourceType::ts(),
        Dialect::JavaScript => SourceType::mjs(),
    };
    let parse_as = |module: Module| {
        let kind = match module {
            Module::Ecma => base.with_module(true),
            Module::CommonJs => base.with_commonjs(true),
        };
        Parser::new(allocator, text, kind).parse()
    };
    let verdict = |module: Module, parsed: ParserReturn<'a>| {
        let mut problems = list(text, &parsed.diagnostics);
        if module == Module::CommonJs {
            let message = "`import` and `export` are not for CommonJS; use `require`, or a file name without the `c`";
            let found = parsed.program.body.iter().filter(|it| is_ecma(it));
            problems.extend(found.map(|it| diagnostic(text, it.span().start, message)));
        }
        if problems.is_empty() && !parsed.panicked { Ok((module, parsed)) } else { Err(problems) }
    };
    if let Some(module) = form.module {
        return verdict(module, parse_as(module));
    }
    let first = parse_as(Module::Ecma);
    if uses_require(&first.program) {
        return verdict(Module::CommonJs, parse_as(Module::CommonJs));
    }
    if first.module_record.has_module_syntax {
        return verdict(Module::Ecma, first);
    }
    let second = parse_as(Module::CommonJs);
    let broken = (first.diagnostics.has_errors(), second.diagnostics.has_errors());
    if broken == (false, true) || (broken == (true, true) && super::module_by_lines(text) == Module::Ecma) {
        return verdict(Module::Ecma, first);
    }
    verdict(Module::CommonJs, second)
}

/// Whether TypeScript's own words for `require` and `module.exports` are used, and no `import` or `export` of values is.
fn uses_require(program: &Program<'_>) -> bool {
    let require = program.body.iter().any(|it| match it {
        Statement::TSExportAssignment(_) => true,
        Statement::TSImportEqualsDeclaration(it) => it.module_reference.is_external(),
        _ => false,
    });
    require && !program.body.iter().any(is_ecma)
}

/// Whether a statement imports or exports values.
fn is_ecma(statement: &Statement<'_>) -> bool {
    match statement {
        Statement::ImportDeclaration(it) => it.import_kind.is_value(),
        Statement::ExportNamedDeclaration(it) => it.export_kind.is_value(),
        Statement::ExportFromDeclaration(it) => it.export_kind.is_value(),
        Statement::ExportDeclaration(it) => !it.declaration.is_type(),
        Statement::ExportDefaultDeclaration(_) | Statement::ExportAllDeclaration(_) => true,
        _ => false,
    }
}

/// The errors among `found`, in the order of the source.
fn list(text: &str, found: &Diagnostics) -> Check {
    const MOST: usize = 100;
    let mut all: Check = found.errors().take(MOST).map(|it| read(text, it)).collect();
    all.sort_by_key(|it| (it.line, it.column));
    all
}

fn read(text: &str, found: &OxcDiagnostic) -> Diagnostic {
    let start = found.labels.first().map_or(0, |it| it.offset());
    let mut message = found.message.to_string();
    if let Some(help) = &found.help {
        message = format!("{message} ({help})");
    }
    diagnostic(text, start, &message)
}

fn diagnostic(text: &str, start: u32, message: &str) -> Diagnostic {
    let (line, column) = source_text::position(text.as_bytes(), usize::try_from(start).unwrap_or(usize::MAX));
    Diagnostic { line, column, message: source_text::message(message) }
}
