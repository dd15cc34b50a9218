//! Go: checked by `gofmt`, compiled to a static program by `go build`, which is what a job gets.

use bytes::Bytes;
use script_engine_core::contract::{
    Check, Compilation, Diagnostic, Language, LanguageInfo, Prepared, Source, Step, StepOutput, Toolchain, Work,
};
use script_engine_core::packages::{Declared, DependencyLock};
use script_engine_core::{Error, JobFile, LimitOverrides, Limits, RelPath, Result};

use self::outline::Outline;
use crate::diagnostics::{self, Diagnostics};
use crate::facts::{COMPILER, Facts};
use crate::packages::GoModules;
use crate::{source_text, version};

mod outline;

/// Builds in folders of its own, because neither `/scripts` nor packages can be written. What the packages' layer has compiled
/// already is linked and not copied; what Go thinks of as old is not tidied up, because all in a layer is.
const BUILD: &str = "mkdir -p /work/tmp && cp -r /scripts/module /work/module && cd /work/module && \
    if [ -d /packages/gocache ]; then cp -rs /packages/gocache /work/cache && date +%s >/work/cache/trim.txt; fi && exec \"$@\"";
/// Where the program is afterwards.
const PROGRAM: &str = "/work/program";

/// The Go language.
#[derive(Clone, Debug)]
pub struct Go {
    info: LanguageInfo,
}

impl Go {
    /// Makes it. Fails never, in practice: its names are checked by the tests.
    pub fn new() -> Result<Self> {
        let facts = Facts {
            id: "go",
            title: "Go",
            extensions: &["go"],
            interpreters: &[],
            entry_point: "main.go",
            milli_cpus: 1000,
            memory_mib: 512,
            step_limits: LimitOverrides { memory_bytes: Some(1536 << 20), ..COMPILER },
            least: "1.22",
            mend: "install Go 1.22 or newer in /usr/local/go or /usr/lib (Debian: golang-go; Alpine: go)",
            image: "golang:1.22-alpine",
            env: &[
                ("PATH", "/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
                // Nothing is fetched, neither packages nor another toolchain, and nothing is told to anybody.
                ("GOPROXY", "off"),
                ("GOTOOLCHAIN", "local"),
                ("GOTELEMETRY", "off"),
                ("GOENV", "off"),
            ],
            code_variables: &[],
            packages_dir: "/packages",
        };
        Ok(Self { info: facts.info()? })
    }
}

impl Language for Go {
    fn info(&self) -> &LanguageInfo {
        &self.info
    }

    fn check(&self, source: &Source) -> Result<Work<Check>> {
        let text = match read(source)? {
            Ok(text) => text.to_owned(),
            Err(problem) => return Ok(Work::Done(vec![problem])),
        };
        let path = format!("/scripts/{}", source.entry_point);
        Ok(Work::InSandbox(Step {
            files: vec![file(source.entry_point.as_str(), source.bytes.clone(), false)?],
            // All errors, and of a sound source its name at most.
            argv: ["gofmt", "-e", "-l", &path].map(str::to_owned).to_vec(),
            env: Vec::new(),
            collect: Vec::new(),
            read: Box::new(move |output| read_verdict(&output, &path, &text)),
        }))
    }

    fn dependencies(&self, source: &Source) -> Result<Declared> {
        GoModules::declared(&source.bytes)
    }

    fn prepare(&self, source: &Source, lock: Option<&DependencyLock>) -> Result<Work<Compilation>> {
        let text = read(source)?.map_err(|it| source_text::refused(&it))?;
        let outline = Outline::read(text);
        if let Some(problem) = shape(&outline, text) {
            return Err(source_text::refused(&problem));
        }
        let name = build_name(source);
        let mut files = vec![file(&format!("module/{name}"), source.bytes.clone(), false)?];
        let locked = |name: &str| lock.and_then(|it| it.file(name)).cloned();
        let module =
            locked("go.mod").or_else(|| outline.module.map(|it| format!("{}{it}", GoModules::module_line(&it)).into()));
        // A file by its name is no part of the module, and is compiled as the newest Go.
        let what = if module.is_some() { "." } else { name.as_str() };
        for (path, content) in [("module/go.mod", module), ("module/go.sum", locked("go.sum"))] {
            files.extend(content.map(|it| file(path, it, false)).transpose()?);
        }
        let go = ["go", "build", "-trimpath", "-ldflags=-s -w", "-gcflags=-e", "-buildvcs=false", "-o", PROGRAM, what];
        let argv = ["sh", "-c", BUILD, "sh"].into_iter().chain(go).map(str::to_owned).collect();
        let env = [
            ("CGO_ENABLED", "0"),
            ("GO111MODULE", "on"),
            ("GOFLAGS", "-mod=mod"),
            ("GOSUMDB", "off"),
            ("GOPATH", "/work/go"),
            ("GOCACHE", "/work/cache"),
            ("GOMODCACHE", if lock.is_some() { "/packages/gomod" } else { "/work/go/pkg/mod" }),
            ("GOTMPDIR", "/work/tmp"),
        ];
        let source = source.clone();
        Ok(Work::InSandbox(Step {
            files,
            argv,
            env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            collect: vec![PROGRAM.to_owned()],
            read: Box::new(move |output| read_program(output, &source, &name)),
        }))
    }

    fn fit(&self, mut prepared: Prepared, limits: &Limits) -> Prepared {
        // The garbage collector works harder near the limit instead of being ended at it, and no more threads run than
        // there are processors for.
        let memory = limits.memory_bytes - limits.memory_bytes / 10;
        let cpus = limits.milli_cpus.div_ceil(1000).max(1);
        prepared.env.push(("GOMEMLIMIT".into(), memory.to_string()));
        prepared.env.push(("GOMAXPROCS".into(), cpus.to_string()));
        prepared
    }

    fn toolchain(&self, _source: Option<&Source>) -> Result<Work<Toolchain>> {
        Ok(version::ask("go", &["go", "version"], "version go"))
    }

    fn prime(&self) -> Option<script_engine_core::Prime> {
        // A program of its own, which starts in no time.
        None
    }

    fn fingerprint(&self) -> String {
        "go 2 -s -w static".to_owned()
    }
}

/// The source as text; or what is wrong with it before any Go is read.
fn read(source: &Source) -> Result<std::result::Result<&str, Diagnostic>> {
    let bytes = &source.bytes;
    source_text::check(bytes)?;
    let broken = |at: usize, message: &str| {
        let (line, column) = source_text::position(bytes, at);
        Ok(Err(Diagnostic { line, column, message: message.to_owned() }))
    };
    match std::str::from_utf8(bytes) {
        Err(error) => broken(error.valid_up_to(), "not UTF-8; save the script as UTF-8"),
        Ok(text) if text.trim_start_matches('\u{feff}').starts_with("#!") => {
            broken(0, "Go has no `#!` line; take it off")
        }
        Ok(text) => Ok(Ok(text)),
    }
}

/// What is wrong with a program as a whole.
fn shape(outline: &Outline<'_>, text: &str) -> Option<Diagnostic> {
    let at = |at: usize, message: String| {
        let (line, column) = source_text::position(text.as_bytes(), at);
        Some(Diagnostic { line, column, message })
    };
    match outline.package {
        None => at(0, "no package clause; begin with `package main`".to_owned()),
        Some((name, start)) if name != "main" => {
            let name = source_text::message(name);
            at(start, format!("a script is `package main`, and this is `package {name}`; change it"))
        }
        Some((_, start)) if !outline.has_main => {
            at(start, "no `func main()`, where a script begins; add it".to_owned())
        }
        Some(_) => None,
    }
}

fn file(path: &str, content: Bytes, executable: bool) -> Result<JobFile> {
    Ok(JobFile { path: RelPath::parse(path)?, content, executable })
}

/// The name under which the source is built: its own, unless Go would read something out of that.
fn build_name(source: &Source) -> String {
    let path = source.entry_point.as_str();
    let name = path.rsplit('/').next().unwrap_or(path);
    let plain = |stem: &str| !stem.is_empty() && stem.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-');
    if name.strip_suffix(".go").is_some_and(|it| plain(it) && !it.starts_with('-')) { name } else { "main.go" }
        .to_owned()
}

/// The name of the program beside its source.
fn program_name(source: &Source) -> String {
    let path = source.entry_point.as_str();
    match path.strip_suffix(".go").filter(|it| !it.is_empty() && !it.ends_with('/')) {
        Some(stem) => stem.to_owned(),
        None => format!("{path}.program"),
    }
}

/// Reads what `gofmt` printed: lines of `<path>:<line>:<column in bytes>: <message>`.
fn read_verdict(output: &StepOutput, path: &str, text: &str) -> Result<Check> {
    let found = problems(&output.stderr, path, text);
    match output.exit_code {
        None => Err(Error::invalid(
            "source",
            "gofmt could not read it within its limits; it is too large or too deeply nested",
        )),
        Some(0) if found.is_empty() => Ok(shape(&Outline::read(text), text).into_iter().collect()),
        Some(_) if found.is_empty() => Err(failed("gofmt", output)),
        Some(_) => Ok(found.into_check()),
    }
}

/// Takes the program that `go build` left, or reads why there is none.
fn read_program(output: StepOutput, source: &Source, name: &str) -> Result<Compilation> {
    let text = String::from_utf8_lossy(&source.bytes);
    let found = problems(&output.stderr, &format!("./{name}"), &text);
    let also = problems(&output.stderr, name, &text);
    match (output.exit_code, output.files.first()) {
        (Some(0), Some(Some(program))) => {
            diagnostics::fits("a program", program.len())?;
            let made = program_name(source);
            let argv = vec![format!("/scripts/{made}")];
            let files = vec![
                file(&made, program.clone(), true)?,
                file(source.entry_point.as_str(), source.bytes.clone(), false)?,
            ];
            // All that it needs is in it.
            Ok(Ok(Prepared { files, argv, env: Vec::new(), with_packages: false }))
        }
        (None, _) => Err(Error::invalid("source", "the Go compiler was ended by a signal; make the script simpler")),
        _ if !found.is_empty() => Ok(Err(found.into_check())),
        _ if !also.is_empty() => Ok(Err(also.into_check())),
        _ => Err(failed("go build", &output)),
    }
}

/// The problems among the lines of `printed` that begin with `path`. Of several at one place the first is the cause.
fn problems(printed: &[u8], path: &str, text: &str) -> Diagnostics {
    let printed = String::from_utf8_lossy(printed);
    let mut found = Diagnostics::default();
    let mut last = (0, 0);
    let mut lines = printed.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(rest) = line.strip_prefix(path).and_then(|it| it.strip_prefix(':')) else { continue };
        let Some((line, column, message)) = diagnostics::position_and_message(rest) else { continue };
        let mut message = message.to_owned();
        while let Some(more) = lines.next_if(|it| it.starts_with('\t')) {
            // What it goes on to say in lines of its own, of which there are few in an honest one.
            if message.len() < 1000 {
                message.push(' ');
                message.push_str(more.trim());
            }
        }
        if last != (line, column) {
            found.add(line, in_characters(text, line, column), &message);
        }
        last = (line, column);
    }
    found
}

/// A column in characters, from one in bytes.
fn in_characters(text: &str, line: u32, column: u32) -> u32 {
    let bytes = source_text::line(text.as_bytes(), line).unwrap_or_default();
    let before = usize::try_from(column).unwrap_or(usize::MAX).saturating_sub(1).min(bytes.len());
    u32::try_from(source_text::characters(&bytes[..before]) + 1).unwrap_or(u32::MAX)
}

/// The error of a tool that failed and told no place.
fn failed(tool: &str, output: &StepOutput) -> Error {
    let printed = String::from_utf8_lossy(&output.stderr);
    let says = printed.lines().find(|it| !it.is_empty() && !it.starts_with('#')).unwrap_or("it says nothing");
    Error::invalid("source", format!("{tool} failed: {}", source_text::message(says)))
}

#[cfg(test)]
mod tests;
