//! C#: scripts and programs of one file, compiled in a sandbox by whichever .NET is there, and run by it.

use bytes::Bytes;
use script_engine_core::Prime;
use script_engine_core::contract::{
    Check, Compilation, Diagnostic, Language, LanguageInfo, Prepared, Source, Step, StepOutput, Toolchain, Work,
};
use script_engine_core::packages::{Declared, DependencyLock, ScriptDependency};
use script_engine_core::{Error, JobFile, LimitOverrides, Limits, RelPath, Result};

use self::arrange::{Arranged, arrange};
use self::verdict::PROBE;
use crate::facts::{COMPILER, Facts};
use crate::hash_bang::Options;
use crate::{diagnostics, source_text};

mod arrange;
mod conditional;
mod directive;
mod entry;
mod lexer;
mod units;
mod verdict;

/// Finds .NET and compiles with it.
const BUILD: &str = include_str!("build.sh");
/// Where .NET may be, besides where all programs may.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/share/dotnet:/usr/lib/dotnet:\
                    /usr/local/share/dotnet:/opt/dotnet";
/// What a build leaves.
const MADE: [&str; 3] = ["script.dll", "script.pdb", "script.runtimeconfig.json"];

const HASH_BANG: Options<'_> =
    Options { letters: "", with_word: "", whole: &[], starter: Some(("dotnet", &["run", "script", "--"])) };

/// The C# language.
#[derive(Clone, Debug)]
pub struct CSharp {
    info: LanguageInfo,
}

impl CSharp {
    /// Makes it. Fails never, in practice: its names are checked by the tests.
    pub fn new() -> Result<Self> {
        let facts = Facts {
            id: "csharp",
            title: "C#",
            extensions: &["cs", "csx"],
            interpreters: &["dotnet", "dotnet-script", "csi"],
            entry_point: "main.cs",
            milli_cpus: 1000,
            memory_mib: 512,
            step_limits: LimitOverrides { memory_bytes: Some(1 << 30), ..COMPILER },
            least: "10",
            mend: "install the .NET SDK 10 in /usr/share/dotnet or /usr/lib/dotnet (Debian: from Microsoft's packages; \
                   Alpine: dotnet10-sdk), or put a root file system that has one at `roots/csharp` in the state folder",
            code_variables: &[
                "DOTNET_STARTUP_HOOKS",
                "DOTNET_ADDITIONAL_DEPS",
                "DOTNET_SHARED_STORE",
                "DOTNET_ROOT*",
                "DOTNET_GCName",
                "DOTNET_GCPath",
                "CORECLR_*",
                "COMPlus_GCName",
                "COMPlus_GCPath",
            ],
            packages_dir: "/packages",
            image: "mcr.microsoft.com/dotnet/sdk:10.0-alpine",
            env: &[
                ("PATH", PATH),
                // A small system has no tables of cultures.
                ("DOTNET_SYSTEM_GLOBALIZATION_INVARIANT", "1"),
                // No debugger waits in /tmp, and nothing is told to anybody.
                ("DOTNET_EnableDiagnostics", "0"),
                ("COMPlus_EnableDiagnostics", "0"),
                ("DOTNET_CLI_TELEMETRY_OPTOUT", "1"),
                ("DOTNET_NOLOGO", "1"),
                // It would map its code twice, from a file in memory larger than any file may be here.
                ("DOTNET_EnableWriteXorExecute", "0"),
                // One heap, collected without a thread of its own; no profiling of what runs once.
                ("DOTNET_gcServer", "0"),
                ("DOTNET_gcConcurrent", "0"),
                ("DOTNET_TieredPGO", "0"),
            ],
        };
        Ok(Self { info: facts.info()? })
    }
}

impl Language for CSharp {
    fn info(&self) -> &LanguageInfo {
        &self.info
    }

    fn check(&self, source: &Source) -> Result<Work<Check>> {
        let script = match Script::read(source)? {
            Ok(script) => script,
            Err(problems) => return Ok(Work::Done(problems)),
        };
        let mut files = script.files()?;
        files.push(file(".build/probe.cs", PROBE)?);
        Ok(Work::InSandbox(Step {
            files,
            argv: build(&["check"]),
            env: Vec::new(),
            collect: Vec::new(),
            read: Box::new(move |output| verdict::checked(&output, &script.text, &script.path)),
        }))
    }

    fn dependencies(&self, source: &Source) -> Result<Declared> {
        let script = Script::read(source)?.map_err(|it| refused(&it))?;
        let packages = script.arranged.packages.into_iter();
        let packages = packages.map(|(name, requirement)| ScriptDependency::runtime(name, requirement)).collect();
        Ok(Declared { packages, ..Declared::default() })
    }

    fn prepare(&self, source: &Source, lock: Option<&DependencyLock>) -> Result<Work<Compilation>> {
        let script = Script::read(source)?.map_err(|it| refused(&it))?;
        let with_packages = lock.is_some();
        let mut files = script.files()?;
        let argv = match (&script.arranged.classic, script.arranged.build.as_slice()) {
            (_, settings @ [_, ..]) => {
                let lines: Vec<String> = settings.iter().map(|it| format!("#:{it}\n")).collect();
                files.push(file(".build/app.cs", &(lines.concat() + &script.arranged.modern))?);
                build(&["app"])
            }
            (Some((_, type_name)), []) => build(&["compile", type_name]),
            (None, []) => build(&["compile"]),
        };
        let source = source.clone();
        Ok(Work::InSandbox(Step {
            files,
            argv,
            env: Vec::new(),
            collect: MADE.iter().map(|it| format!("/work/out/{it}")).collect(),
            read: Box::new(move |output| read_program(output, &source, &script, with_packages)),
        }))
    }

    fn fit(&self, mut prepared: Prepared, limits: &Limits) -> Prepared {
        // The collector takes what it sees of the machine for its own. It collects eagerly from the limit on; what is
        // in use beyond it ends the script by the sandbox, which says so, and not by an exception that says less.
        let bound = limits.memory_bytes.saturating_mul(4).max(2 << 30);
        let eager = (limits.memory_bytes.saturating_mul(100) / bound).clamp(5, 90);
        let cpus = limits.milli_cpus.div_ceil(1000).max(1);
        prepared.env.push(("DOTNET_GCHeapHardLimit".into(), format!("{bound:x}")));
        prepared.env.push(("DOTNET_GCHighMemPercent".into(), format!("{eager:x}")));
        prepared.env.push(("DOTNET_PROCESSOR_COUNT".into(), format!("{cpus}")));
        prepared
    }

    fn toolchain(&self, _source: Option<&Source>) -> Result<Work<Toolchain>> {
        Ok(Work::InSandbox(Step {
            files: vec![file(".build/build.sh", BUILD)?],
            argv: build(&["find"]),
            env: Vec::new(),
            collect: Vec::new(),
            read: Box::new(|output| Ok(verdict::found(&output)?.toolchain)),
        }))
    }

    fn prime(&self) -> Option<Prime> {
        None
    }

    fn fingerprint(&self) -> String {
        format!("csharp {}", script_engine_core::Digest::of(BUILD.as_bytes()))
    }
}

/// A source that has been read and arranged.
#[derive(Debug)]
struct Script {
    text: String,
    /// Where its user finds it.
    path: String,
    arranged: Arranged,
}

impl Script {
    fn read(source: &Source) -> Result<std::result::Result<Self, Check>> {
        source_text::check(&source.bytes)?;
        HASH_BANG.read(&source.bytes)?;
        let text = match std::str::from_utf8(&source.bytes) {
            Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text).to_owned(),
            Err(error) => {
                let (line, column) = source_text::position(&source.bytes, error.valid_up_to());
                let message = "not UTF-8; save the script as UTF-8".to_owned();
                return Ok(Err(vec![Diagnostic { line, column, message }]));
            }
        };
        let path = format!("/scripts/{}", source.entry_point);
        let script = source.entry_point.extension().is_some_and(|it| it.eq_ignore_ascii_case("csx"));
        Ok(arrange(&text, &path, script).map(|arranged| Self { text, path, arranged }))
    }

    fn files(&self) -> Result<Vec<JobFile>> {
        let mut files = vec![file(".build/build.sh", BUILD)?, file(".build/modern.cs", &self.arranged.modern)?];
        if let Some((text, _)) = &self.arranged.classic {
            files.push(file(".build/classic.cs", text)?);
        }
        Ok(files)
    }
}

fn refused(problems: &Check) -> Error {
    Error::invalid_all(problems.iter().map(Diagnostic::problem).collect())
}

fn build(arguments: &[&str]) -> Vec<String> {
    ["sh", "/scripts/.build/build.sh"].iter().chain(arguments).map(|it| (*it).to_owned()).collect()
}

fn file(path: &str, text: &str) -> Result<JobFile> {
    Ok(JobFile { path: RelPath::parse(path)?, content: Bytes::copy_from_slice(text.as_bytes()), executable: false })
}

/// Takes the program that the build left, or reads why there is none.
fn read_program(output: StepOutput, source: &Source, script: &Script, with_packages: bool) -> Result<Compilation> {
    let all: Option<Vec<Bytes>> = output.files.iter().cloned().collect();
    let Some(made) = all.filter(|it| output.exit_code == Some(0) && it.len() == MADE.len()) else {
        return verdict::refused(&output, &script.text, &script.path).map(|it| Err(it.into_check()));
    };
    diagnostics::fits("an assembly", made.iter().map(Bytes::len).sum())?;
    let mut files = vec![JobFile {
        path: RelPath::parse(source.entry_point.as_str())?,
        content: source.bytes.clone(),
        executable: false,
    }];
    for (name, content) in MADE.iter().zip(made) {
        files.push(JobFile { path: RelPath::parse(name)?, content, executable: false });
    }
    let argv = ["dotnet", "exec", "/scripts/script.dll"].map(str::to_owned).to_vec();
    Ok(Ok(Prepared { files, argv, env: Vec::new(), with_packages }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_line_starts_it_and_does_no_more() {
        let csharp = CSharp::new().unwrap();
        let read = |line: &str| {
            let entry_point = script_engine_core::EntryPoint::parse("main.cs").unwrap();
            let bytes = format!("{line}\nConsole.WriteLine(1);\n").into_bytes().into();
            csharp.dependencies(&Source { entry_point, bytes }).map(drop).map_err(|it| it.to_string())
        };
        for line in ["#!/usr/bin/env dotnet", "#!/usr/bin/env -S dotnet run --", "#!/usr/bin/env dotnet-script"] {
            assert_eq!(read(line), Ok(()));
        }
        let error = read("#!/usr/bin/env -S dotnet run -c Release").unwrap_err();
        assert!(error.contains("the option `-c` of the `#!` line is not passed on"), "{error}");
    }
}
