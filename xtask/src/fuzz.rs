//! Feeds what reads scripts with sources that nobody would write: the targets of `fuzz`, by libFuzzer, for a while.
//!
//! They are compiled by the workspace's own toolchain, with the instrumentation that `cargo fuzz --sanitizer none` asks of
//! it (<https://clang.llvm.org/docs/SanitizerCoverage.html>): safe Rust needs no sanitizer of memory.

use std::path::PathBuf;
use std::process::Command;

use crate::Outcome;
use crate::command::{capture, cargo, root, run};
use crate::metadata::Metadata;

/// Each of them, in the tests.
const SECONDS: u32 = 5;
const FLAGS: [&str; 6] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "--cfg=fuzzing",
];
/// A source that takes longer than ten seconds, or more memory than this, is a fault as well as one that panics.
const LIMITS: [&str; 3] = ["-timeout=10", "-rss_limit_mb=2048", "-max_len=8192"];

/// Fuzzes all targets for a few seconds each, from what is known already.
pub(crate) fn test() -> Outcome {
    fuzz(SECONDS, &[])
}

/// Fuzzes the targets of these names, or all if none is named. What breaks one is left in `target/fuzz/broken`.
pub(crate) fn fuzz(seconds: u32, named: &[&str]) -> Outcome {
    let target = Metadata::load()?.target_directory()?.join("fuzz");
    let host = host()?;
    let mut build = cargo();
    build.args(["build", "--locked", "--release", "--manifest-path", "fuzz/Cargo.toml", "--target", &host]);
    run(build.arg("--target-dir").arg(&target).env("RUSTFLAGS", FLAGS.join(" ")))?;
    let targets = targets()?;
    if let Some(unknown) = named.iter().find(|it| !targets.iter().any(|target| target == *it)) {
        return Err(format!("no fuzz target `{unknown}`; there are {}", targets.join(", ")).into());
    }
    let mut broken = Vec::new();
    for name in targets.iter().filter(|it| named.is_empty() || named.contains(&it.as_str())) {
        let [known, left] = [target.join("corpus").join(name), target.join("broken")];
        for folder in [&known, &left] {
            std::fs::create_dir_all(folder)?;
        }
        let mut fuzzer = Command::new(target.join(&host).join("release").join(name));
        fuzzer.arg(&known).arg(root().join("script-engine-languages/samples")).args(LIMITS);
        fuzzer.arg(format!("-max_total_time={seconds}")).arg(format!("-artifact_prefix={}/{name}-", left.display()));
        match capture(&mut fuzzer) {
            Ok(_) => println!("fuzzing {name} for {seconds} s ... ok"),
            Err(error) => {
                println!("fuzzing {name} ... FAILED: {error}");
                broken.push(name.as_str());
            }
        }
    }
    if broken.is_empty() {
        return Ok(());
    }
    Err(format!("broken: {}; the sources are in {}", broken.join(", "), target.join("broken").display()).into())
}

/// The triple of the machine that compiles. With it named, build scripts are not instrumented.
fn host() -> Outcome<String> {
    let told = String::from_utf8(capture(Command::new("rustc").arg("-vV").current_dir(root()))?)?;
    let host = told.lines().find_map(|it| it.strip_prefix("host: "));
    Ok(host.ok_or("rustc does not tell its host")?.to_owned())
}

/// The names of the targets.
fn targets() -> Outcome<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(root().join("fuzz/targets"))? {
        let path: PathBuf = entry?.path();
        names.extend(path.file_stem().and_then(|it| it.to_str()).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}
