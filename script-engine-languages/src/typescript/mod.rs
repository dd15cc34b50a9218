//! TypeScript and JavaScript: checked and transpiled in process, never by `tsc`; run by Node. Types are taken out
//! unread: type checking belongs to the editor.

use bytes::Bytes;
use script_engine_core::contract::{
    Check, Compilation, Diagnostic, Language, LanguageInfo, Prepared, Source, Step, StepOutput, Toolchain, Work,
};
use script_engine_core::packages::{Declared, DependencyLock};
use script_engine_core::{EntryPoint, Error, JobFile, LimitOverrides, Limits, Prime, RelPath, Result};

use self::form::{Dialect, Form, Module};
use self::nesting::Nesting;
use self::transpile::{Transpiled, transpile};
use crate::facts::Facts;
use crate::hash_bang::Options;
use crate::{prime, source_text, version};

mod form;
mod nesting;
mod packages;
mod transpile;

/// The longest source that is parsed in process, because of the stack and the time that it
/// could need. JavaScript beyond it is
/// checked by Node in a sandbox.
const LONGEST: usize = 128 << 10;

/// Waits for a job while Node starts.
const HOOK: &str = include_str!("prime.mjs");

const OPTIONS: Options<'_> = Options {
    letters: "",
    with_word: "",
    whole: &["--enable-source-maps", "--no-warnings", "--trace-warnings", "--use-strict"],
    starter: None,
};

/// The TypeScript and JavaScript language.
#[derive(Clone, Debug)]
pub struct TypeScript {
    info: LanguageInfo,
}

impl TypeScript {
    /// Makes it. Fails never, in practice: its names are checked by the tests.
    pub fn new() -> Result<Self> {
        let facts = Facts {
            id: "typescript",
            title: "TypeScript/JavaScript",
            extensions: &["ts", "mts", "cts", "js", "mjs", "cjs"],
            interpreters: &["node", "nodejs", "ts-node", "tsx"],
            entry_point: "main.ts",
            milli_cpus: 1000,
            memory_mib: 512,
            step_limits: LimitOverrides::default(),
            least: "20",
            mend: "install Node.js 20 or newer below /usr (Debian: nodejs; Alpine: nodejs)",
            image: "node:22-alpine",
            env: &[],
            code_variables: &["NODE_OPTIONS", "NODE_PATH", "NODE_REPL_EXTERNAL_MODULE"],
            packages_dir: "/node_modules",
        };
        Ok(Self { info: facts.info()? })
    }
}

impl Language for TypeScript {
    fn info(&self) -> &LanguageInfo {
        &self.info
    }

    fn check(&self, source: &Source) -> Result<Work<Check>> {
        source_text::check(&source.bytes)?;
        OPTIONS.read(&source.bytes)?;
        match parse(source)? {
            Parsed::Sound(_) => Ok(Work::Done(Check::new())),
            Parsed::Broken(problems) => Ok(Work::Done(problems)),
            Parsed::Unread(module) => check_by_node(source, module),
        }
    }

    fn dependencies(&self, source: &Source) -> Result<Declared> {
        let text = String::from_utf8_lossy(&source.bytes);
        if !packages::may_have(&text) {
            return Ok(Declared::default());
        }
        let found = match parse(source)? {
            Parsed::Sound(it) => Ok(it.declared),
            Parsed::Broken(problems) => Err(problems),
            Parsed::Unread(_) => packages::read_lines(&text),
        };
        let refused = |it: Check| Error::invalid_all(it.iter().map(Diagnostic::problem).collect());
        Ok(Declared { packages: found.map_err(refused)?, ..Declared::default() })
    }

    fn prepare(&self, source: &Source, lock: Option<&DependencyLock>) -> Result<Work<Compilation>> {
        source_text::check(&source.bytes)?;
        let transpiled = match parse(source)? {
            Parsed::Sound(it) => it,
            Parsed::Broken(problems) => {
                return Err(Error::invalid_all(problems.iter().map(Diagnostic::problem).collect()));
            }
            Parsed::Unread(module) => Transpiled { module, code: None, declared: Vec::new(), rewritten: None },
        };
        let mut argv = vec!["node".to_owned(), "--enable-source-maps".to_owned()];
        argv.extend(OPTIONS.read(&source.bytes)?.into_iter().filter(|it| it != "--enable-source-maps"));
        // Stack traces show the lines of this file: those of JavaScript as Node gets it, else those that the user wrote.
        let text = match transpiled.rewritten {
            Some(text) if transpiled.code.is_none() => Bytes::from(text),
            _ => source.bytes.clone(),
        };
        let mut files = vec![file(source.entry_point.as_str(), text)?];
        match transpiled.code {
            Some(code) => {
                let name = form::made_name(&source.entry_point, transpiled.module);
                argv.push(format!("/scripts/{name}"));
                files.push(file(&name, Bytes::from(code))?);
            }
            None => {
                argv.push(format!("/scripts/{}", source.entry_point));
                files.extend(manifest(&source.entry_point, transpiled.module)?);
            }
        }
        // Node itself looks for packages in `/node_modules`; their programs are in a folder there.
        let path = "/node_modules/.bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        let env = lock.iter().map(|_| ("PATH".to_owned(), path.to_owned())).collect();
        Ok(Work::Done(Ok(Prepared { files, argv, env, with_packages: true })))
    }

    fn fit(&self, prepared: Prepared, _limits: &Limits) -> Prepared {
        prepared
    }

    fn toolchain(&self, _source: Option<&Source>) -> Result<Work<Toolchain>> {
        Ok(version::ask("node", &["node", "--version"], "v"))
    }

    fn prime(&self) -> Option<Prime> {
        // Modules only: what CommonJS loads first it loads in another way.
        prime::prime(
            ("prime.mjs", HOOK),
            &["--import", "/scripts/.prime/prime.mjs"],
            &[],
            &["node", "--enable-source-maps", "/scripts/main.mjs"],
            &["NODE_*", "SSL_*", "OPENSSL_*", "UV_*", "ICU_*", "NO_COLOR", "FORCE_COLOR", "TERM"],
        )
    }

    fn fingerprint(&self) -> String {
        // The crates that transpile are pinned to one minor version.
        "typescript 2 oxc 0.146".to_owned()
    }
}

enum Parsed {
    Sound(Transpiled),
    Broken(Check),
    /// JavaScript that only Node can judge, and how Node has to load it.
    Unread(Module),
}

fn parse(source: &Source) -> Result<Parsed> {
    let form = Form::of(&source.entry_point);
    let bytes = &source.bytes;
    let broken = |at: usize, message: &str| {
        let (line, column) = source_text::position(bytes, at);
        Parsed::Broken(vec![Diagnostic { line, column, message: message.to_owned() }])
    };
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
        Err(error) => return Ok(broken(error.valid_up_to(), "not UTF-8; save the script as UTF-8")),
    };
    let unread = |why: &str| match form.dialect {
        Dialect::JavaScript => Parsed::Unread(form.module.unwrap_or_else(|| module_by_lines(text))),
        Dialect::TypeScript => broken(0, why),
    };
    if text.len() > LONGEST {
        return Ok(unread("more than 128 KiB of TypeScript; bundle it into JavaScript first and save that"));
    }
    let mark = bytes.len() - text.len();
    match nesting::measure(text.as_bytes()) {
        Nesting::Shallow => {}
        Nesting::Deep(at) => return Ok(broken(at + mark, "brackets nested too deeply; at most 256 levels are read")),
        Nesting::Unclear(_) => {
            return Ok(unread("too dense to read safely; break it into lines, or save it as JavaScript"));
        }
    }
    Ok(match transpile(text, form, form::file_name(&source.entry_point))? {
        Ok(transpiled) => Parsed::Sound(transpiled),
        Err(problems) => Parsed::Broken(problems),
    })
}

/// Whether a line begins with `import` or `export`: for sources that are not parsed here.
fn module_by_lines(text: &str) -> Module {
    let says =
        |line: &str| ["import ", "import{", "import\"", "export ", "export{"].iter().any(|it| line.starts_with(it));
    if text.lines().any(says) { Module::Ecma } else { Module::CommonJs }
}

fn file(path: &str, content: Bytes) -> Result<JobFile> {
    Ok(JobFile { path: RelPath::parse(path)?, content, executable: false })
}

/// Tells Node how to load a `.js` file, whose name does not.
fn manifest(entry_point: &EntryPoint, module: Module) -> Result<Option<JobFile>> {
    if Form::of(entry_point).module.is_some() {
        return Ok(None);
    }
    let text: &[u8] = match module {
        Module::Ecma => b"{\"type\":\"module\"}\n",
        Module::CommonJs => b"{\"type\":\"commonjs\"}\n",
    };
    file(&form::beside(entry_point, "package.json"), Bytes::from_static(text)).map(Some)
}

fn check_by_node(source: &Source, module: Module) -> Result<Work<Check>> {
    let path = format!("/scripts/{}", source.entry_point);
    let mut files = vec![file(source.entry_point.as_str(), source.bytes.clone())?];
    files.extend(manifest(&source.entry_point, module)?);
    Ok(Work::InSandbox(Step {
        files,
        argv: vec!["node".into(), "--check".into(), path.clone()],
        env: Vec::new(),
        collect: Vec::new(),
        read: Box::new(move |output| read_verdict(&output, &path)),
    }))
}

/// Reads what `node --check` printed: `<path>:<line>`, the line, a line with a caret, and later `SyntaxError: <message>`.
fn read_verdict(output: &StepOutput, path: &str) -> Result<Check> {
    let printed = String::from_utf8_lossy(&output.stderr);
    match output.exit_code {
        Some(0) => return Ok(Check::new()),
        Some(_) => {}
        None => {
            return Err(Error::invalid("source", "node could not read it within the script's limits; make it smaller"));
        }
    }
    let line = printed.lines().find_map(|it| it.rsplit_once(path)?.1.strip_prefix(':')?.parse::<u32>().ok());
    let caret =
        printed.lines().find_map(|it| it.trim_end_matches('^').bytes().all(|it| it == b' ').then(|| it.find('^'))?);
    let message = printed.lines().find_map(|it| it.strip_prefix("SyntaxError: ")).unwrap_or("node refuses it");
    Ok(vec![Diagnostic {
        line: line.unwrap_or(1).max(1),
        column: caret.and_then(|it| u32::try_from(it + 1).ok()).unwrap_or(1),
        message: source_text::message(message),
    }])
}

#[cfg(test)]
mod tests;
