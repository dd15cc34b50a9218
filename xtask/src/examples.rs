//! Runs every example of the workspace to its end: an example that only compiles may still be wrong.

use std::time::{Duration, Instant};

use crate::Outcome;
use crate::command::{Ended, cargo, run, watch};
use crate::metadata::{Metadata, Target};

const LIMIT: Duration = Duration::from_secs(120);

/// Builds all examples, then runs one after the other; an example must exit 0 and print something.
pub(crate) fn run_all() -> Outcome {
    let examples: Vec<_> = Metadata::load()?.targets().into_iter().filter(|target| target.kind == "example").collect();
    if examples.is_empty() {
        return Err("the workspace has no examples".into());
    }
    run(cargo().args(["build", "--workspace", "--examples"]))?;
    let mut failed = Vec::new();
    for example in &examples {
        match run_one(example) {
            Ok(took) => println!("example {} ... ok ({took:.1?})", example.name),
            Err(error) => {
                println!("example {} ... FAILED: {error}", example.name);
                failed.push(example.name.as_str());
            }
        }
    }
    println!("\n{} passed, {} failed", examples.len() - failed.len(), failed.len());
    if failed.is_empty() { Ok(()) } else { Err(format!("examples failed: {}", failed.join(", ")).into()) }
}

fn run_one(example: &Target) -> Outcome<Duration> {
    let begin = Instant::now();
    let mut printed = Vec::new();
    let mut command = cargo();
    command.args(["run", "--quiet", "--package", &example.package, "--example", &example.name]);
    match watch(&mut command, LIMIT, |line| printed.push(line.to_owned()))? {
        Ended::Itself(status) if status.success() && !printed.is_empty() => Ok(begin.elapsed()),
        Ended::Itself(status) => Err(format!("ended with {status}, having printed:\n{}", printed.join("\n")).into()),
        Ended::Killed => Err(format!("still running after {LIMIT:?}, having printed:\n{}", printed.join("\n")).into()),
    }
}
