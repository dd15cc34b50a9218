//! Every sample of the library, cloned and run on the Linux sandbox: such that its check passes, and such that it fails,
//! against real services that the tests start themselves.
//!
//! Each sample is one test of its id. One that has no case is skipped with a reason that its ledger must name.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test program without the harness, which is what tells clippy that it is one"
)]

#[path = "samples/bash.rs"]
mod bash;
#[path = "samples/case.rs"]
mod case;
#[path = "samples/go.rs"]
mod go;
#[path = "samples/java.rs"]
mod java;
#[path = "samples/kafka.rs"]
mod kafka;
#[path = "samples/library.rs"]
mod library;
#[path = "samples/postgres.rs"]
mod postgres;
#[path = "samples/python.rs"]
mod python;
#[path = "samples/site.rs"]
mod site;
#[path = "samples/stage.rs"]
mod stage;
#[path = "samples/typescript.rs"]
mod typescript;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use script_engine::Sample;
use script_engine_testkit::{Ledger, Verdict};

use case::Case;

/// What is skipped, and why.
const SKIPPED: &str = include_str!("samples/skipped.ledger");

fn cases() -> Vec<Case> {
    [bash::cases(), go::cases(), java::cases(), python::cases(), typescript::cases()].into_iter().flatten().collect()
}

fn main() -> ExitCode {
    let samples = script_engine::samples(None, None);
    let mut trials: Vec<Trial> =
        samples.iter().map(|&sample| Trial::ignorable_test(sample.id, move || prove(sample))).collect();
    trials.extend(library::cases().into_iter().map(|case| Trial::test(case.id, move || case.carry_out())));
    let ids: Vec<&str> = samples.iter().map(|it| it.id).collect();
    trials.push(Trial::test("ledger", move || match Ledger::parse(SKIPPED).problems(&ids).as_slice() {
        [] => Ok(()),
        problems => Err(problems.join("\n").into()),
    }));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// Carries the sample's case out, or finds in the ledger why it has none.
fn prove(sample: &Sample) -> Result<Completion, Failed> {
    let verdict = match cases().into_iter().find(|it| it.id == sample.id) {
        Some(case) => {
            case.carry_out()?;
            Verdict::Passed
        }
        None => Verdict::Skipped(case::why_not(sample)),
    };
    match Ledger::parse(SKIPPED).review(sample.id, verdict) {
        Verdict::Passed => Ok(Completion::Completed),
        Verdict::Skipped(reason) => Ok(Completion::ignored_with(reason)),
        Verdict::Failed(report) => Err(report.into()),
    }
}
