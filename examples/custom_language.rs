//! What you learn here: a language of the host's own, Perl, with no fork of the engine.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::sync::Arc;

use script_engine::contract::{Check, Compilation, Diagnostic, Language, LanguageInfo, Prepared};
use script_engine::contract::{Source, Step, StepOutput, Toolchain, Work};
use script_engine::packages::{Declared, DependencyLock};
use script_engine::{ExecutionRequest, Identity, JobFile, Limits, Prime, RelPath};
use script_engine::{Result, ScriptDraft, ScriptName, Shutdown};

#[derive(Debug)]
struct Perl(LanguageInfo);

fn step<T: 'static>(argv: &[&str], files: Vec<JobFile>, read: fn(StepOutput) -> Result<T>) -> Result<Work<T>> {
    let argv = argv.iter().map(ToString::to_string).collect();
    Ok(Work::InSandbox(Step { argv, files, env: Vec::new(), collect: Vec::new(), read: Box::new(read) }))
}

fn file(source: &Source) -> Result<JobFile> {
    Ok(JobFile { path: RelPath::parse("main.pl")?, content: source.bytes.clone(), executable: false })
}

#[rustfmt::skip] // What the language is, at a glance.
impl Language for Perl {
    fn info(&self) -> &LanguageInfo { &self.0 }
    fn check(&self, source: &Source) -> Result<Work<Check>> {
        step(&["perl", "-c", "/scripts/main.pl"], vec![file(source)?], |it| Ok(match it.exit_code {
            Some(0) => Check::new(),
            _ => vec![Diagnostic { line: 1, column: 1, message: String::from_utf8_lossy(&it.stderr).into() }],
        }))
    }
    fn dependencies(&self, _: &Source) -> Result<Declared> { Ok(Declared::default()) }
    fn prepare(&self, source: &Source, _: Option<&DependencyLock>) -> Result<Work<Compilation>> {
        Ok(Work::Done(Ok(Prepared::interpreted("perl", file(source)?))))
    }
    fn fit(&self, prepared: Prepared, _: &Limits) -> Prepared { prepared }
    fn toolchain(&self, _: Option<&Source>) -> Result<Work<Toolchain>> {
        step(&["perl", "-e", "printf '%vd', $^V"], Vec::new(), |it| {
            Ok(Toolchain { name: "perl".into(), version: String::from_utf8_lossy(&it.stdout).into(), place: String::new() })
        })
    }
    fn prime(&self) -> Option<Prime> { None }
    fn fingerprint(&self) -> String { "perl 1".into() }
}

#[tokio::main]
async fn main() -> Result<()> {
    let builder = script_engine::local(std::env::temp_dir().join("script-engine-examples")).await?;
    let engine = builder.with_language(Arc::new(Perl(LanguageInfo::new("perl", "Perl", "main.pl")?))).build().await?;
    let hello = ScriptDraft::new(ScriptName::parse("hello")?, "#!/usr/bin/perl\nprint \"hello from $0\\n\";\n");
    let version = engine.save(&Identity::default(), hello).await?;
    let record = engine.wait(engine.submit(ExecutionRequest::new(version.name.clone())).await?).await?;
    let printed = record.ending.as_ref().map(|it| it.output.stdout.bytes.clone()).unwrap_or_default();
    let toolchain = record.started.as_ref().map_or("nothing", |it| it.toolchain.as_str());
    println!("{} with {toolchain}: {}", record.state.as_str(), String::from_utf8_lossy(&printed));
    engine.shutdown(Shutdown::Drain).await;
    Ok(())
}
