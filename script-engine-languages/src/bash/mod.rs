//! Bash: checked by `bash -n`, started as it is. `sh` scripts are run by Bash too.

use bytes::Bytes;
use script_engine_core::contract::{
    Check, Compilation, Diagnostic, Language, LanguageInfo, Prepared, Source, Step, StepOutput, Toolchain, Work,
};
use script_engine_core::packages::{Declared, DependencyLock};
use script_engine_core::{Error, JobFile, LimitOverrides, Limits, Prime, RelPath, Result};

use crate::facts::Facts;
use crate::hash_bang::Options;
use crate::packages::apt::{name, tree};
use crate::{source_text, version};

/// The Bash language.
#[derive(Clone, Debug)]
pub struct Bash {
    info: LanguageInfo,
}

const OPTIONS: Options<'_> =
    Options { letters: "aefhuvxBCET", with_word: "o", whole: &["--posix", "--norc", "--noprofile"], starter: None };

impl Bash {
    /// Makes it. Fails never, in practice: its names are checked by the tests.
    pub fn new() -> Result<Self> {
        let facts = Facts {
            id: "bash",
            title: "Bash",
            extensions: &["sh", "bash"],
            interpreters: &["bash", "sh", "dash", "ash"],
            entry_point: "main.sh",
            milli_cpus: 500,
            memory_mib: 256,
            step_limits: LimitOverrides::default(),
            least: "5",
            mend: "install bash 5 or newer (Debian: bash; Alpine: bash)",
            image: "alpine:3.19",
            env: &[],
            code_variables: &["SHELLOPTS", "BASHOPTS", "BASH_LOADABLES_PATH", "PS4", "PROMPT_COMMAND"],
            packages_dir: tree::PACKAGES,
        };
        Ok(Self { info: facts.info()? })
    }
}

impl Language for Bash {
    fn info(&self) -> &LanguageInfo {
        &self.info
    }

    fn check(&self, source: &Source) -> Result<Work<Check>> {
        source_text::check(&source.bytes)?;
        OPTIONS.read(&source.bytes)?;
        let text = match unix_lines(&source.bytes) {
            Ok(text) => text,
            Err(diagnostic) => return Ok(Work::Done(vec![diagnostic])),
        };
        let path = format!("/scripts/{}", source.entry_point);
        Ok(Work::InSandbox(Step {
            files: vec![file(source, text.clone())?],
            argv: vec!["bash".into(), "--norc".into(), "-n".into(), path.clone()],
            // Messages in English, whatever the image says.
            env: vec![("LC_ALL".into(), "C.UTF-8".into())],
            collect: Vec::new(),
            read: Box::new(move |output| read_verdict(&output, &path, &text)),
        }))
    }

    fn dependencies(&self, source: &Source) -> Result<Declared> {
        let packages = name::read(&source.bytes).map_err(|it| source_text::refused(&it))?;
        Ok(Declared { packages, ..Declared::default() })
    }

    fn prepare(&self, source: &Source, lock: Option<&DependencyLock>) -> Result<Work<Compilation>> {
        source_text::check(&source.bytes)?;
        let mut argv = vec!["bash".to_owned()];
        argv.extend(OPTIONS.read(&source.bytes)?);
        argv.push(format!("/scripts/{}", source.entry_point));
        let text = unix_lines(&source.bytes).map_err(|it| source_text::refused(&it))?;
        let env = lock.map(tree::environment).unwrap_or_default();
        Ok(Work::Done(Ok(Prepared { files: vec![file(source, text)?], argv, env, with_packages: true })))
    }

    fn fit(&self, prepared: Prepared, _limits: &Limits) -> Prepared {
        prepared
    }

    fn toolchain(&self, _source: Option<&Source>) -> Result<Work<Toolchain>> {
        Ok(version::ask("bash", &["bash", "--norc", "-c", "echo \"$BASH_VERSION\""], ""))
    }

    fn prime(&self) -> Option<Prime> {
        // It starts in less time than it takes to hand a job over.
        None
    }

    fn fingerprint(&self) -> String {
        "bash 2".to_owned()
    }
}

fn file(source: &Source, content: Bytes) -> Result<JobFile> {
    Ok(JobFile { path: RelPath::parse(source.entry_point.as_str())?, content, executable: true })
}

/// The source without a byte order mark, and with LF where every line ends in CRLF, as a form or a Windows editor sends
/// it. Where only some lines do, nobody knows whether the others hold data: that is refused.
fn unix_lines(source: &Bytes) -> std::result::Result<Bytes, Diagnostic> {
    let mark = if source.starts_with(source_text::BYTE_ORDER_MARK) { source_text::BYTE_ORDER_MARK.len() } else { 0 };
    let text = source.slice(mark..);
    let ends = text.iter().filter(|byte| **byte == b'\n').count();
    let mut crlf = text.windows(2).enumerate().filter(|(_, it)| *it == b"\r\n").map(|(at, _)| at);
    let Some(first) = crlf.next() else { return Ok(text) };
    if crlf.count() + 1 == ends {
        let mut lines = Vec::with_capacity(text.len());
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            if index > 0 {
                lines.push(b'\n');
            }
            // The last piece ends in no line end, so a `\r` there is the script's own.
            lines.extend_from_slice(if index < ends { line.strip_suffix(b"\r").unwrap_or(line) } else { line });
        }
        return Ok(lines.into());
    }
    let (line, column) = source_text::position(&text, first);
    let message = "this line ends in CRLF and others do not; save the script with LF line ends";
    Err(Diagnostic { line, column, message: message.to_owned() })
}

/// Reads what `bash -n` printed: `<path>: line <n>: <message>`, and often a second line that quotes the source.
fn read_verdict(output: &StepOutput, path: &str, text: &[u8]) -> Result<Check> {
    const MOST: usize = 100;
    if output.exit_code == Some(0) {
        return Ok(Check::new());
    }
    if output.exit_code.is_none() {
        return Err(Error::invalid(
            "source",
            "`bash -n` could not read it within the script's limits; make it smaller",
        ));
    }
    let printed = String::from_utf8_lossy(&output.stderr);
    let prefix = format!("{path}: line ");
    let mut found: Check = Vec::new();
    for line in printed.lines().filter_map(|it| it.strip_prefix(&prefix)).take(MOST) {
        let Some((number, message)) = line.split_once(": ") else { continue };
        let Ok(number) = number.parse::<u32>() else { continue };
        if message.starts_with('`') {
            continue; // The source line, quoted.
        }
        let column = token(message).and_then(|it| column_of(text, number, it)).unwrap_or(1);
        found.push(Diagnostic { line: number.max(1), column, message: source_text::message(message) });
    }
    if found.is_empty() {
        let message = format!("bash refuses it: {}", source_text::message(&printed));
        found.push(Diagnostic { line: 1, column: 1, message });
    }
    Ok(found)
}

/// The token that a message names between a grave accent and an apostrophe.
fn token(message: &str) -> Option<&str> {
    let rest = &message[message.find('`')? + 1..];
    rest.rfind('\'').map(|end| &rest[..end]).filter(|it| !it.is_empty())
}

fn column_of(text: &[u8], number: u32, token: &str) -> Option<u32> {
    let line = String::from_utf8_lossy(source_text::line(text, number)?);
    // Of several, the last is the likeliest: what came before it was read well.
    let at = line.rfind(token)?;
    u32::try_from(line[..at].chars().count() + 1).ok()
}

#[cfg(test)]
mod tests;
