//! Python: checked by compiling without running, started as it is.

use script_engine_core::contract::{
    Check, Compilation, Diagnostic, Language, LanguageInfo, Prepared, Source, Step, StepOutput, Toolchain, Work,
};
use script_engine_core::packages::{Declared, DependencyLock};
use script_engine_core::{Error, JobFile, LimitOverrides, Limits, Prime, RelPath, Result};

use crate::facts::Facts;
use crate::hash_bang::Options;
use crate::packages::pypi::specifier;
use crate::{prime, source_text, version};

mod inline;
mod lines;
mod own_modules;

/// Prints what is wrong with the file that its argument names.
const CHECK: &str = include_str!("check.py");

/// Waits for a job while the interpreter starts.
const HOOK: &str = include_str!("sitecustomize.py");

/// The line by which a script with a block of packages is started on its own; the engine does the same for it.
const UV: (&str, &[&str]) = ("uv", &["run", "--script", "-s", "--quiet", "-q"]);

const OPTIONS: Options<'_> = Options { letters: "uBOEsSIP", with_word: "", whole: &[], starter: Some(UV) };

/// Where a sandbox has the packages.
const PACKAGES: &str = "/packages";

/// The Python language.
#[derive(Clone, Debug)]
pub struct Python {
    info: LanguageInfo,
}

impl Python {
    /// Makes it. Fails never, in practice: its names are checked by the tests.
    pub fn new() -> Result<Self> {
        let facts = Facts {
            id: "python",
            title: "Python",
            extensions: &["py"],
            interpreters: &["python", "python3", "uv"],
            entry_point: "main.py",
            milli_cpus: 1000,
            memory_mib: 512,
            step_limits: LimitOverrides::default(),
            least: "3.12",
            mend: "install Python 3.12 or newer below /usr (Debian: python3; Alpine: python3)",
            image: "python:3.12-slim",
            env: &[
                // `/scripts` is read-only and new each time: compiled forms have no place and no use.
                ("PYTHONDONTWRITEBYTECODE", "1"),
                // What it prints can be read while it runs.
                ("PYTHONUNBUFFERED", "1"),
                // Files, stdin and stdout are UTF-8 whatever the image's locale; bytes that are not pass unharmed.
                ("PYTHONUTF8", "1"),
            ],
            code_variables: &[
                "PYTHONPATH",
                "PYTHONHOME",
                "PYTHONPLATLIBDIR",
                "PYTHONEXECUTABLE",
                "PYTHONUSERBASE",
                "PYTHONPYCACHEPREFIX",
                "PYTHONSTARTUP",
                "PYTHONBREAKPOINT",
                "PYTHONCASEOK",
            ],
            packages_dir: PACKAGES,
        };
        Ok(Self { info: facts.info()? })
    }
}

impl Language for Python {
    fn info(&self) -> &LanguageInfo {
        &self.info
    }

    fn check(&self, source: &Source) -> Result<Work<Check>> {
        source_text::check(&source.bytes)?;
        OPTIONS.read(&source.bytes)?;
        let path = format!("/scripts/{}", source.entry_point);
        // A block that can't be read is `dependencies`' affair.
        let wanted = inline::read(&source.bytes).ok().and_then(|it| Some((it.declared.toolchain?, it.toolchain_at)));
        // Isolated and without `site`: nothing of the script's folder is imported, so nothing of it runs.
        let argv = ["python3", "-I", "-S", "-B", "-c", CHECK, &path].map(str::to_owned).to_vec();
        Ok(Work::InSandbox(Step {
            files: vec![file(source)?],
            argv,
            env: Vec::new(),
            collect: Vec::new(),
            read: Box::new(move |output| read_verdict(&output, wanted.as_ref())),
        }))
    }

    fn dependencies(&self, source: &Source) -> Result<Declared> {
        inline::read(&source.bytes).map(|it| it.declared).map_err(|it| source_text::refused(&it))
    }

    fn prepare(&self, source: &Source, lock: Option<&DependencyLock>) -> Result<Work<Compilation>> {
        source_text::check(&source.bytes)?;
        let mut argv = vec!["python3".to_owned()];
        let options = OPTIONS.read(&source.bytes)?;
        let env = environment(source, lock, &options)?;
        argv.extend(options);
        argv.push(format!("/scripts/{}", source.entry_point));
        Ok(Work::Done(Ok(Prepared { files: vec![file(source)?], argv, env, with_packages: true })))
    }

    fn fit(&self, prepared: Prepared, _limits: &Limits) -> Prepared {
        prepared
    }

    fn toolchain(&self, _source: Option<&Source>) -> Result<Work<Toolchain>> {
        Ok(version::ask("python", &["python3", "--version"], "Python "))
    }

    fn prime(&self) -> Option<Prime> {
        // Python looks for a module of that name at each start, in the middle of it.
        prime::prime(
            ("sitecustomize.py", HOOK),
            &[],
            &[("PYTHONPATH", Prime::FOLDER)],
            &["python3", "/scripts/main.py"],
            &["PYTHON*"],
        )
    }

    fn fingerprint(&self) -> String {
        "python 2".to_owned()
    }
}

/// How Python finds packages, and its own modules before a script of the same name.
fn environment(source: &Source, lock: Option<&DependencyLock>, options: &[String]) -> Result<Vec<(String, String)>> {
    let mut env = Vec::new();
    let mut set = |name: &str, value: &str| env.push((name.to_owned(), value.to_owned()));
    if lock.is_some() {
        let deaf = |it: &&String| !it.starts_with("--") && it.contains(['E', 'I']);
        if let Some(option) = options.iter().find(deaf) {
            let message = format!("the option `{option}` of the `#!` line keeps Python from its packages; take it off");
            return Err(source_text::refused(&Diagnostic { line: 1, column: 1, message }));
        }
        set("PYTHONPATH", PACKAGES);
        set("PATH", "/packages/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    }
    // Else the script's folder comes first, and `import json` in a script `json.py`, or in whatever it imports, gets the script.
    if lock.is_some() || own_modules::has(source.entry_point.as_str()) {
        set("PYTHONSAFEPATH", "1");
    }
    Ok(env)
}

fn file(source: &Source) -> Result<JobFile> {
    let path = RelPath::parse(source.entry_point.as_str())?;
    Ok(JobFile { path, content: source.bytes.clone(), executable: true })
}

/// Which versions of Python the script says will do, and where it says so.
type Wanted = (String, (u32, u32));

/// Reads the line of JSON that the check printed.
fn read_verdict(output: &StepOutput, wanted: Option<&Wanted>) -> Result<Check> {
    if output.exit_code.is_none() {
        let message = "python could not compile it within the script's limits; it is too large or too deeply nested";
        return Err(Error::invalid("source", message));
    }
    let verdict = serde_json::from_slice::<(String, Vec<(u32, u32, String)>)>(&output.stdout);
    let (version, found) = verdict.map_err(|_| {
        Error::internal("the check of a Python script gave no verdict")
            .with_context("stderr", source_text::message(&String::from_utf8_lossy(&output.stderr)))
    })?;
    let outside = wanted.and_then(|(wanted, place)| Some((place.0, place.1, specifier::problem(wanted, &version)?)));
    Ok(outside.into_iter().chain(found).take(100).map(diagnostic).collect())
}

fn diagnostic((line, column, message): (u32, u32, String)) -> Diagnostic {
    Diagnostic { line: line.max(1), column: column.max(1), message: source_text::message(&message) }
}

#[cfg(test)]
mod tests;
