//! Python: checked by compiling without running, started as it is.

use script_engine_core::contract::{
    Check, Diagnostic, Language, LanguageInfo, Prepared, Source, Step, StepOutput, Toolchain, Work,
};
use script_engine_core::packages::{Declared, DependencyLock};
use script_engine_core::{Error, JobFile, LimitOverrides, Limits, RelPath, Result};

use crate::facts::Facts;
use crate::hash_bang::Options;
use crate::{source_text, version};

/// Prints what is wrong with the file that its argument names.
const CHECK: &str = include_str!("check.py");

const OPTIONS: Options<'_> = Options { letters: "uBOEsSIP", with_word: "", whole: &[] };

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
            interpreters: &["python", "python3"],
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
            packages_dir: "/packages",
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
        // Isolated and without `site`: nothing of the script's folder is imported, so nothing of it runs.
        let argv = ["python3", "-I", "-S", "-B", "-c", CHECK, &path].map(str::to_owned).to_vec();
        Ok(Work::InSandbox(Step {
            files: vec![file(source)?],
            argv,
            env: Vec::new(),
            collect: Vec::new(),
            read: Box::new(|output| read_verdict(&output)),
        }))
    }

    fn dependencies(&self, _source: &Source) -> Result<Declared> {
        Ok(Declared::default())
    }

    fn prepare(&self, source: &Source, _lock: Option<&DependencyLock>) -> Result<Work<Prepared>> {
        source_text::check(&source.bytes)?;
        let mut argv = vec!["python3".to_owned()];
        argv.extend(OPTIONS.read(&source.bytes)?);
        argv.push(format!("/scripts/{}", source.entry_point));
        Ok(Work::Done(Prepared { files: vec![file(source)?], argv, env: Vec::new(), with_packages: true }))
    }

    fn fit(&self, prepared: Prepared, _limits: &Limits) -> Prepared {
        prepared
    }

    fn toolchain(&self, _source: Option<&Source>) -> Result<Work<Toolchain>> {
        Ok(version::ask("python", &["python3", "--version"], "Python "))
    }

    fn fingerprint(&self) -> String {
        "python 1".to_owned()
    }
}

fn file(source: &Source) -> Result<JobFile> {
    let path = RelPath::parse(source.entry_point.as_str())?;
    Ok(JobFile { path, content: source.bytes.clone(), executable: true })
}

/// Reads the line of JSON that the check printed.
fn read_verdict(output: &StepOutput) -> Result<Check> {
    if output.exit_code.is_none() {
        let message = "python could not compile it within the script's limits; it is too large or too deeply nested";
        return Err(Error::invalid("source", message));
    }
    match serde_json::from_slice::<Vec<(u32, u32, String)>>(&output.stdout) {
        Ok(found) => Ok(found.into_iter().take(100).map(diagnostic).collect()),
        Err(_) => Err(Error::internal("the check of a Python script gave no verdict")
            .with_context("stderr", source_text::message(&String::from_utf8_lossy(&output.stderr)))),
    }
}

fn diagnostic((line, column, message): (u32, u32, String)) -> Diagnostic {
    Diagnostic { line: line.max(1), column: column.max(1), message: source_text::message(&message) }
}

#[cfg(test)]
mod tests;
