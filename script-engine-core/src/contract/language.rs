//! What the engine asks of a language: how to check, prepare and start its scripts. A language is
//! data and a few functions that do no I/O; work that needs an interpreter or a compiler is a
//! [`Step`] that the engine carries out in a sandbox.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use super::toolchain::{Requirement, Toolchain};
use crate::packages::{Declared, DependencyLock};
use crate::{EntryPoint, JobFile, LanguageId, LimitOverrides, Limits, Prime, Problem, Result};

/// What a language is, as data.
#[derive(Clone, Debug, PartialEq)]
pub struct LanguageInfo {
    /// Its name.
    pub id: LanguageId,
    /// Its name for people.
    pub title: String,
    /// File extensions, without the dot.
    pub extensions: Vec<String>,
    /// Programs whose `#!` line means this language.
    pub interpreters: Vec<String>,
    /// The file name of a script that says none.
    pub entry_point: EntryPoint,
    /// The limits of a script that says none.
    pub limits: Limits,
    /// What its steps may use where that is not what `limits` says: compilers need more room than most scripts.
    pub step_limits: LimitOverrides,
    /// The oldest version of its toolchain that is supported, and how to get it.
    pub requirement: Requirement,
    /// The image that backends with images use.
    pub image: String,
    /// Environment variables that its programs need. One that the engine sets too, `PATH` say, takes its place.
    pub env: Vec<(String, String)>,
    /// Environment variables by which its programs carry out other code than the script, such as `NODE_OPTIONS`;
    /// a `*` at the end stands for any rest. No request may set one, whatever language its script is in: scripts
    /// start each other's interpreters.
    pub code_variables: Vec<String>,
    /// The absolute path at which a sandbox has the packages of a lock.
    pub packages_dir: String,
}

impl LanguageInfo {
    /// What a step of it may use: what a script may, with `step_limits` on top, and two minutes at most where those say
    /// nothing of time.
    #[must_use]
    pub fn limits_of_steps(&self) -> Limits {
        const USUAL: Duration = Duration::from_secs(120);
        let timeout = Some(USUAL.min(self.limits.timeout));
        self.limits.with(&LimitOverrides { timeout, ..LimitOverrides::default() }).with(&self.step_limits)
    }

    /// Whether the variable of this name is one of `code_variables`.
    #[must_use]
    pub fn is_code_variable(&self, name: &str) -> bool {
        self.code_variables.iter().any(|it| match it.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => name == it,
        })
    }

    /// A language with the default limits, whose files have the extension of `entry_point` and whose interpreter has the
    /// language's name. No image, no environment, packages at `/packages`.
    ///
    /// Fails with `InvalidRequest` if `id` or `entry_point` is none.
    pub fn new(id: &str, title: &str, entry_point: &str) -> Result<Self> {
        let entry_point = EntryPoint::parse(entry_point)?;
        Ok(Self {
            id: LanguageId::parse(id)?,
            title: title.to_owned(),
            extensions: entry_point.extension().map(str::to_owned).into_iter().collect(),
            interpreters: vec![id.to_owned()],
            entry_point,
            limits: Limits::default(),
            step_limits: LimitOverrides::default(),
            requirement: Requirement { least: "0".to_owned(), mend: format!("install {title}") },
            image: String::new(),
            env: Vec::new(),
            code_variables: Vec::new(),
            packages_dir: "/packages".to_owned(),
        })
    }
}

/// A script's source and where it will be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Below `/scripts`.
    pub entry_point: EntryPoint,
    /// The bytes.
    pub bytes: Bytes,
}

/// Something wrong in a source, where the user can find it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// What is wrong, in the toolchain's words.
    pub message: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message)
    }
}

impl Diagnostic {
    /// The diagnostic as a problem of a request's field `source`.
    #[must_use]
    pub fn problem(&self) -> Problem {
        Problem { field: "source".into(), message: self.to_string() }
    }
}

/// What a check found: nothing, if the source is sound.
pub type Check = Vec<Diagnostic>;

/// What a script's start takes: further files, and the program with its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// Files below `/scripts`: the source itself or what was made of it.
    pub files: Vec<JobFile>,
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Environment variables, on top of the language's.
    pub env: Vec<(String, String)>,
    /// Whether the script runs with the packages of its lock at `packages_dir`; what was linked into a
    /// program needs them no more.
    pub with_packages: bool,
}

impl Prepared {
    /// A script that `program` reads from one file, with the packages of its version.
    #[must_use]
    pub fn interpreted(program: &str, file: JobFile) -> Self {
        let argv = vec![program.to_owned(), format!("/scripts/{}", file.path.as_str())];
        Self { files: vec![file], argv, env: Vec::new(), with_packages: true }
    }
}

/// What came of compiling a source: what can be started, or what the compiler found wrong with it, at least one thing.
/// A compiler that could not be started, or found nothing and failed, is an error instead.
pub type Compilation = std::result::Result<Prepared, Check>;

/// What came of a step in a sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepOutput {
    /// The exit code; `None` if a signal or a limit ended it.
    pub exit_code: Option<i32>,
    /// The first 1 MiB of stdout.
    pub stdout: Bytes,
    /// The first 1 MiB of stderr.
    pub stderr: Bytes,
    /// The files that were asked for, in that order, `None` where one is missing.
    pub files: Vec<Option<Bytes>>,
}

/// Work for a sandbox: what to run, what to fetch, and how to read what came of it.
pub struct Step<T> {
    /// Files below `/scripts`.
    pub files: Vec<JobFile>,
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Environment variables, on top of the language's.
    pub env: Vec<(String, String)>,
    /// Files to fetch afterwards, absolute paths below `/work` or `/tmp`.
    pub collect: Vec<String>,
    /// Reads what came of it. Everything in it is hostile.
    pub read: Box<dyn FnOnce(StepOutput) -> Result<T> + Send>,
}

impl<T> fmt::Debug for Step<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Step").field("argv", &self.argv).field("collect", &self.collect).finish_non_exhaustive()
    }
}

/// An answer, or the work by which to get it.
#[derive(Debug)]
pub enum Work<T> {
    /// The answer.
    Done(T),
    /// The work, in a sandbox of the language's runtime.
    InSandbox(Step<T>),
}

/// The toolchain of one script language.
pub trait Language: fmt::Debug + Send + Sync + 'static {
    /// What it is.
    fn info(&self) -> &LanguageInfo;

    /// Looks for syntax errors, before a version is accepted.
    fn check(&self, source: &Source) -> Result<Work<Check>>;

    /// Reads what the source declares inline about the packages it needs. Fails with `InvalidRequest`
    /// that names the line of a declaration that can't be read.
    fn dependencies(&self, source: &Source) -> Result<Declared>;

    /// Makes of a source what a sandbox can start, or says what its compiler found wrong with it. With a lock, the step's sandbox has the layer for
    /// compiling at `packages_dir`, and the script's the one for running. Equal input gives equal
    /// results, so the engine keeps them by content.
    fn prepare(&self, source: &Source, lock: Option<&DependencyLock>) -> Result<Work<Compilation>>;

    /// Fits a start to the limits that it gets: heap sizes and the like.
    fn fit(&self, prepared: Prepared, limits: &Limits) -> Prepared;

    /// Finds the toolchain that `source` gets, or that a source without wishes gets. Equal steps are
    /// carried out once for each runtime.
    fn toolchain(&self, source: Option<&Source>) -> Result<Work<Toolchain>>;

    /// How its interpreter is started ahead of a script; `None` if it can't be.
    fn prime(&self) -> Option<Prime>;

    /// Names what decides the result of `check` and `prepare` besides source and toolchain: versions and flags of the
    /// language itself.
    fn fingerprint(&self) -> String;
}
