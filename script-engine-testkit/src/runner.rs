//! Carries out suites as a test program: one named test for each case.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::{Arguments, Completion, Trial};
use tokio::runtime::Builder;

use crate::case::Case;
use crate::ledger::Ledger;
use crate::mutant::Mutant;
use crate::verdict::Verdict;

/// How long one case may take. A case that waits for what never comes is a failure.
const LIMIT: Duration = Duration::from_secs(120);

/// The suites of a test program with `harness = false`.
#[derive(Debug, Default)]
pub struct Conformance {
    trials: Vec<Trial>,
}

impl Conformance {
    /// Begins with no suites.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the cases of a subject, whose name goes before theirs, and the ledger of what it skips.
    #[must_use]
    pub fn with(mut self, subject: &str, ledger: &str, cases: Vec<Case>) -> Self {
        let ledger = Arc::new(Ledger::parse(ledger));
        let ids: Vec<&str> = cases.iter().map(|it| it.id).collect();
        let problems = ledger.problems(&ids);
        if !problems.is_empty() {
            self.trials.push(Trial::test(format!("{subject}::ledger"), move || Err(problems.join("\n").into())));
        }
        for case in cases {
            let ledger = Arc::clone(&ledger);
            let name = format!("{subject}::{} {}", case.id, case.title);
            self.trials.push(Trial::ignorable_test(name, move || match ledger.review(case.id, carry_out(&case)) {
                Verdict::Passed => Ok(Completion::Completed),
                Verdict::Skipped(reason) => Ok(Completion::ignored_with(reason)),
                Verdict::Failed(report) => Err(report.into()),
            }));
        }
        self
    }

    /// Adds a test for each mutant that its case catches it: it passes if the case fails.
    #[must_use]
    pub fn with_mutants(mut self, mutants: Vec<Mutant>) -> Self {
        for mutant in mutants {
            let name = format!("mutant::{} catches one that {}", mutant.rule, mutant.does);
            self.trials.push(Trial::test(name, move || match mutant.catcher().map(|case| carry_out(&case)) {
                Some(Verdict::Failed(_)) => Ok(()),
                Some(verdict) => Err(format!("the case did not fail: {verdict:?}").into()),
                None => Err("there is no such case".into()),
            }));
        }
        self
    }

    /// Reads the command line as every test program does, carries out what it asks for, and prints
    /// the result.
    #[must_use]
    pub fn main(self) -> ExitCode {
        libtest_mimic::run(&Arguments::from_args(), self.trials).exit_code()
    }
}

/// Carries a case out on a runtime of its own.
#[must_use]
pub fn carry_out(case: &Case) -> Verdict {
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Verdict::Failed(format!("no runtime to carry it out on: {error}")),
    };
    match runtime.block_on(async { tokio::time::timeout(LIMIT, case.prove()).await }) {
        Ok(proof) => proof.into(),
        Err(_) => Verdict::Failed(format!("did not end within {LIMIT:?}")),
    }
}
