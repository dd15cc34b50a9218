//! Java: compiled by `javac` in a sandbox to a jar, which is what a job gets. The class that is started, and the name that the
//! file must have, are found by a parser.

use bytes::Bytes;
use script_engine_core::contract::{
    Check, Compilation, Diagnostic, Language, LanguageInfo, Prepared, Source, Step, StepOutput, Toolchain, Work,
};
use script_engine_core::packages::{Declared, DependencyLock, DependencyScope, LayerUse};
use script_engine_core::{Error, JobFile, Limits, RelPath, Result};

use self::outline::{Outline, Type};
use self::wanted::Wanted;
use crate::diagnostics;
use crate::facts::{COMPILER, Facts};
use crate::hash_bang::Options;
use crate::packages::MavenPackages;
use crate::{source_text, version};

mod lexer;
mod outline;
mod verdict;
mod wanted;

const TOOLCHAIN: &str = "echo \"$version $home\"\n";
const CHECK: &str = "exec \"$home/bin/javac\" \"$@\"\n";
/// Compiles, and tells how to run what was compiled; see there.
const COMPILE: &str = include_str!("compile.sh");
/// Where the packages of a lock are.
const PACKAGES: &str = "/packages";
const JAR: &str = "/work/script.jar";

/// The Java virtual machine of `javac` itself: it lives for a second, and ends in words where it can't go on.
const COMPILER_OPTIONS: [&str; 5] =
    ["-J-XX:TieredStopAtLevel=1", "-J-XX:+UseSerialGC", "-J-Xmx640m", "-J-XX:-UsePerfData", "-J-Duser.language=en"];
/// That of a script, which lives for seconds: it is made to start, not to become fast.
const SCRIPT_OPTIONS: [&str; 5] = [
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    "-Xshare:auto",
    // It writes no figures for other programs to `/tmp`.
    "-XX:-UsePerfData",
    "-Dfile.encoding=UTF-8",
];

/// With these it maps the classes of packages. Where their archive is not there or not its own it goes on without, and says
/// nothing of that.
const SHARED_OPTIONS: [&str; 4] = [
    "-XX:SharedArchiveFile=/packages/classes.jsa",
    "-Xlog:disable",
    "-Xlog:all=warning:stderr",
    "-Xlog:cds*=off:stderr",
];

const HASH_BANG: Options<'_> = Options { letters: "", with_word: "", whole: &[], starter: None };

/// The Java language.
#[derive(Clone, Debug)]
pub struct Java {
    info: LanguageInfo,
}

impl Java {
    /// Makes it. Fails never, in practice: its names are checked by the tests.
    pub fn new() -> Result<Self> {
        let facts = Facts {
            id: "java",
            title: "Java",
            extensions: &["java", "jav"],
            interpreters: &["java", "jbang"],
            entry_point: "Main.java",
            milli_cpus: 1000,
            memory_mib: 1024,
            step_limits: COMPILER,
            least: "21",
            mend: "install a JDK 21 or newer below /usr/lib/jvm (Debian: default-jdk-headless; Alpine: openjdk21-jdk)",
            image: "eclipse-temurin:21-jdk-alpine",
            code_variables: &["JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "CLASSPATH"],
            packages_dir: "/packages",
            env: &[("PATH", "/opt/java/openjdk/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")],
        };
        Ok(Self { info: facts.info()? })
    }
}

impl Language for Java {
    fn info(&self) -> &LanguageInfo {
        &self.info
    }

    fn check(&self, source: &Source) -> Result<Work<Check>> {
        let program = match Program::read(source)? {
            Ok(program) => program,
            Err(problem) => return Ok(Work::Done(vec![problem])),
        };
        let Program { wanted, text, .. } = &program;
        let path = format!("module/{}", program.file_name);
        let parse = ["-XDshould-stop.ifNoError=PARSE", "-proc:none"].map(str::to_owned);
        let arguments = program.javac(parse, format!("/scripts/{path}"));
        Ok(Work::InSandbox(Step {
            files: vec![file(&path, text.clone().into())?],
            argv: wanted.argv(CHECK, arguments),
            env: Vec::new(),
            collect: Vec::new(),
            read: Box::new(move |output| program.read_verdict(&output)),
        }))
    }

    fn dependencies(&self, source: &Source) -> Result<Declared> {
        let toolchain = Program::read(source)?.ok().and_then(|it| it.wanted.text());
        Ok(Declared { toolchain, ..MavenPackages::declared(&source.bytes)? })
    }

    fn prepare(&self, source: &Source, lock: Option<&DependencyLock>) -> Result<Work<Compilation>> {
        let program = Program::read(source)?.map_err(|it| source_text::refused(&it))?;
        let class = program.class.clone().map_err(|it| source_text::refused(&it))?;
        let path = format!("module/{}", program.file_name);
        // Code of packages runs in the compiler only where they are declared to be for it.
        let processors = lock.is_some_and(|it| it.packages.iter().any(|it| it.scope == DependencyScope::Build));
        let processing = if processors { "-proc:full" } else { "-proc:none" };
        let options = ["-g", processing, "-implicit:none", "-d", "/work/classes"].map(str::to_owned);
        let [compiling, running] = [LayerUse::Compile, LayerUse::Run].map(|wanted| jars(lock, wanted));
        let class_path = lock.map(|_| ["-cp".to_owned(), compiling.clone()]).into_iter().flatten();
        let javac = class_path.chain(program.javac(options, format!("/scripts/{path}")));
        let arguments: Vec<String> = [compiling, program.folder.clone()].into_iter().chain(javac).collect();
        let source = source.clone();
        let packages = Some(running).filter(|it| !it.is_empty());
        Ok(Work::InSandbox(Step {
            files: vec![file(&path, program.text.clone().into())?],
            argv: program.wanted.argv(COMPILE, arguments),
            env: Vec::new(),
            collect: vec![JAR.to_owned()],
            read: Box::new(move |output| program.read_jar(output, &source, &class, packages.as_deref())),
        }))
    }

    fn fit(&self, mut prepared: Prepared, limits: &Limits) -> Prepared {
        let options = [
            format!("-Xmx{}k", heap(limits.memory_bytes) >> 10),
            format!("-XX:ActiveProcessorCount={}", limits.milli_cpus.div_ceil(1000).max(1)),
        ];
        if !prepared.argv.is_empty() {
            prepared.argv.splice(1..1, options);
        }
        prepared
    }

    fn toolchain(&self, source: Option<&Source>) -> Result<Work<Toolchain>> {
        let wanted = match source.map(Program::read).transpose()? {
            Some(Ok(program)) => program.wanted,
            Some(Err(problem)) => return Err(source_text::refused(&problem)),
            None => Wanted::read(None).map_err(|it| Error::invalid("source", it))?,
        };
        Ok(Work::InSandbox(Step {
            files: Vec::new(),
            argv: wanted.argv(TOOLCHAIN, []),
            env: Vec::new(),
            collect: Vec::new(),
            read: Box::new(move |output| read_toolchain(wanted, &output)),
        }))
    }

    fn prime(&self) -> Option<script_engine_core::Prime> {
        // Its main class and its heap are fixed at its start.
        None
    }

    fn fingerprint(&self) -> String {
        "java 3 -g".to_owned()
    }
}

/// The class path of a lock's packages.
fn jars(lock: Option<&DependencyLock>, wanted: LayerUse) -> String {
    let names = lock.map(|it| MavenPackages::class_path(it, wanted)).unwrap_or_default();
    names.iter().map(|it| format!("{PACKAGES}/lib/{it}")).collect::<Vec<_>>().join(":")
}

/// What the heap gets of a script's memory; the rest is for threads, compiled code and classes.
fn heap(memory: u64) -> u64 {
    (memory / 2).max(memory.saturating_sub(256 << 20).min(memory / 4 * 3))
}

/// A source that was gone over.
struct Program {
    wanted: Wanted,
    /// What the compiler reads: without a byte order mark, and with an empty line for a `#!` one.
    text: String,
    /// The name that the compiler needs the file to have.
    file_name: String,
    /// The folder that its classes are in, as a jar has it: with `/` at its end, or nothing.
    folder: String,
    /// The class to start, with its package; or why there is none.
    class: std::result::Result<String, Diagnostic>,
}

impl Program {
    fn read(source: &Source) -> Result<std::result::Result<Self, Diagnostic>> {
        let bytes = &source.bytes;
        source_text::check(bytes)?;
        HASH_BANG.read(bytes)?;
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
            Err(error) => {
                let (line, column) = source_text::position(bytes, error.valid_up_to());
                let message = "not UTF-8; save the script as UTF-8".to_owned();
                return Ok(Err(Diagnostic { line, column, message }));
            }
        };
        let text = if text.starts_with("#!") { text.find('\n').map_or("", |it| &text[it..]) } else { text };
        let plain = lexer::unescaped(text);
        let outline = Outline::read(&plain);
        let place = |at: usize| source_text::position(plain.as_bytes(), at);
        let wanted = match Wanted::read(outline.wanted.as_ref().map(|it| it.0.as_str())) {
            Ok(wanted) => wanted,
            Err(message) => {
                let (line, column) = place(outline.wanted.map_or(0, |it| it.1));
                return Ok(Err(Diagnostic { line, column, message }));
            }
        };
        let stem = match outline.public() {
            Some(public) => public.name.clone(),
            None => own_name(source).to_owned(),
        };
        let class = started(&outline, &stem).map_err(|(at, message)| {
            let (line, column) = place(at);
            Diagnostic { line, column, message }
        });
        let folder = outline.package.as_ref().map(|it| format!("{}/", it.replace('.', "/"))).unwrap_or_default();
        Ok(Ok(Self { wanted, text: text.to_owned(), file_name: format!("{stem}.java"), folder, class }))
    }

    fn javac<const N: usize>(&self, more: [String; N], path: String) -> impl Iterator<Item = String> + use<N> {
        let own = COMPILER_OPTIONS.iter().chain(&verdict::OPTIONS).chain(&["UTF-8"]).map(|it| (*it).to_owned());
        own.chain(more).chain([path])
    }

    fn read_verdict(self, output: &StepOutput) -> Result<Check> {
        if let Some(error) = self.wanted.missing(output) {
            return Err(error);
        }
        let found = verdict::problems(output, &self.text);
        match output.exit_code {
            None => Err(Error::invalid("source", "javac could not read it within its limits; make it simpler")),
            Some(0) => Ok(self.class.err().into_iter().collect()),
            Some(_) if found.is_empty() => Err(verdict::failed(output)),
            Some(_) => Ok(found.into_check()),
        }
    }

    /// Takes the jar that was made, or reads why there is none.
    fn read_jar(self, output: StepOutput, source: &Source, class: &str, packages: Option<&str>) -> Result<Compilation> {
        if let Some(error) = self.wanted.missing(&output) {
            return Err(error);
        }
        let found = verdict::problems(&output, &self.text);
        let printed = String::from_utf8_lossy(&output.stdout);
        let mut printed = printed.lines();
        let home = printed.next().unwrap_or_default();
        let shared = printed.next() == Some("shared");
        match (output.exit_code, output.files.first()) {
            (Some(0), Some(Some(jar))) => {
                diagnostics::fits("a jar", jar.len())?;
                let made = jar_name(source);
                let files = vec![file(&made, jar.clone())?, file(source.entry_point.as_str(), source.bytes.clone())?];
                let mut argv = vec![format!("{home}/bin/java")];
                argv.extend(SCRIPT_OPTIONS.map(str::to_owned));
                let own = format!("/scripts/{made}");
                let class_path = match packages {
                    // The archive is of a class path that begins with the packages.
                    Some(packages) if shared => {
                        argv.extend(SHARED_OPTIONS.map(str::to_owned));
                        format!("{packages}:{own}")
                    }
                    Some(packages) => format!("{own}:{packages}"),
                    None => own,
                };
                argv.extend(["-cp".to_owned(), class_path, class.to_owned()]);
                Ok(Ok(Prepared { files, argv, env: Vec::new(), with_packages: packages.is_some() }))
            }
            (None, _) => Err(Error::invalid("source", "javac was ended by a signal; make the script simpler")),
            _ if found.is_empty() => Err(verdict::failed(&output)),
            _ => Ok(Err(found.into_check())),
        }
    }
}

/// The class to start, by the name that a virtual machine knows it by.
fn started(outline: &Outline, stem: &str) -> std::result::Result<String, (usize, String)> {
    let name = match outline.started() {
        _ if outline.loose_main => stem,
        Some(Type { name, .. }) => name,
        None => {
            let at = outline.types.first().map_or(0, |it| it.at);
            let message = "no class has a `public static void main(String[] args)`, where a script begins; add it";
            return Err((at, message.to_owned()));
        }
    };
    Ok(match &outline.package {
        Some(package) => format!("{package}.{name}"),
        None => name.to_owned(),
    })
}

/// The file's own name without its extension, if a class may have it.
fn own_name(source: &Source) -> &str {
    let path = source.entry_point.as_str();
    let name = path.rsplit('/').next().unwrap_or(path);
    let stem = name.rsplit_once('.').map_or(name, |it| it.0);
    let starts = stem.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if starts && stem.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') { stem } else { "Main" }
}

/// The name of the jar beside its source.
fn jar_name(source: &Source) -> String {
    let path = source.entry_point.as_str();
    let stem = path.strip_suffix(".java").filter(|it| !it.is_empty() && !it.ends_with('/')).unwrap_or(path);
    format!("{stem}.jar")
}

fn file(path: &str, content: Bytes) -> Result<JobFile> {
    Ok(JobFile { path: RelPath::parse(path)?, content, executable: false })
}

/// Reads `<version> <folder>`.
fn read_toolchain(wanted: Wanted, output: &StepOutput) -> Result<Toolchain> {
    if let Some(error) = wanted.missing(output) {
        return Err(error);
    }
    let printed = String::from_utf8_lossy(&output.stdout);
    match printed.trim_end().split_once(' ') {
        Some((number, home)) if output.exit_code == Some(0) && version::is_version(number) => {
            Ok(Toolchain { name: "java".to_owned(), version: number.to_owned(), place: home.to_owned() })
        }
        _ => Err(version::none("java", output)),
    }
}

#[cfg(test)]
mod tests;
