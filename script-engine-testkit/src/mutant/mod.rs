//! Mutants: implementations that break exactly one rule each. The case of that rule must fail on them,
//! or it proves nothing.

mod executions;
mod executor;
mod manager;
mod output;
mod registry;
mod sandbox;
mod scripts;
mod small;

use crate::case::Case;

/// An implementation that breaks one rule.
#[derive(Clone, Copy, Debug)]
pub struct Mutant {
    /// The rule that it breaks, which is the case that must catch it.
    pub rule: &'static str,
    /// What it does wrong.
    pub does: &'static str,
    /// Makes the suite's cases over it.
    pub cases: fn() -> Vec<Case>,
}

impl Mutant {
    const fn new(rule: &'static str, does: &'static str, cases: fn() -> Vec<Case>) -> Self {
        Self { rule, does, cases }
    }

    /// The case that must catch it.
    #[must_use]
    pub fn catcher(&self) -> Option<Case> {
        (self.cases)().into_iter().find(|it| it.id == self.rule)
    }
}

/// Rules that no mutant breaks, each with the reason why none can be written. There are none such.
pub const WITHOUT_MUTANT: &[(&str, &str)] = &[];

/// All mutants.
#[must_use]
pub fn mutants() -> Vec<Mutant> {
    [
        executor::MUTANTS,
        sandbox::MUTANTS,
        manager::MUTANTS,
        scripts::MUTANTS,
        registry::MUTANTS,
        executions::MUTANTS,
        output::MUTANTS,
        small::MUTANTS,
    ]
    .concat()
}
