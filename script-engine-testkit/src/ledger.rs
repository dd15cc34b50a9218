//! The reviewed list of cases that a backend skips, and why. A skip that it does not name fails, and
//! so does a line of it that no longer tells the truth.

use std::collections::BTreeMap;

use crate::verdict::Verdict;

/// What a backend skips. Text form: a line for each case, `RM-02: reason`; `#` begins a remark.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    skipped: BTreeMap<String, String>,
    malformed: Vec<String>,
}

impl Ledger {
    /// Reads the text form. What can't be read shows itself in [`Self::problems`].
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut ledger = Self::default();
        for line in text.lines().map(str::trim).filter(|it| !it.is_empty() && !it.starts_with('#')) {
            match line.split_once(": ") {
                Some((id, reason)) if !ledger.skipped.contains_key(id) => {
                    ledger.skipped.insert(id.to_owned(), reason.trim().to_owned());
                }
                Some(_) | None => ledger.malformed.push(line.to_owned()),
            }
        }
        ledger
    }

    /// Names what is wrong with the ledger itself, given the ids of all cases.
    #[must_use]
    pub fn problems(&self, ids: &[&str]) -> Vec<String> {
        let malformed = self.malformed.iter().map(|it| format!("not `ID: reason`, or there twice: {it}"));
        let unknown = self.skipped.keys().filter(|it| !ids.contains(&it.as_str()));
        malformed.chain(unknown.map(|it| format!("no case has the id {it}"))).collect()
    }

    /// Holds a verdict against the ledger: a skip must be named with its reason, and what is named
    /// must be a skip.
    #[must_use]
    pub fn review(&self, id: &str, verdict: Verdict) -> Verdict {
        match (self.skipped.get(id), verdict) {
            (Some(agreed), Verdict::Skipped(reason)) if *agreed == reason => Verdict::Skipped(reason),
            (_, Verdict::Skipped(reason)) => Verdict::Failed(format!(
                "skipped, but the ledger does not say so; if that is agreed, it must hold the line\n{id}: {reason}"
            )),
            (Some(_), Verdict::Passed) => {
                Verdict::Failed("passed, but the ledger says that it is skipped; take its line out".to_owned())
            }
            (_, verdict) => verdict,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(ledger: &str, verdict: Verdict, passes: bool) {
        let reviewed = Ledger::parse(ledger).review("EX-02", verdict);
        assert_eq!(!matches!(reviewed, Verdict::Failed(_)), passes, "{reviewed:?}");
    }

    #[test]
    fn skips_and_ledger_must_agree() {
        let skipped = || Verdict::Skipped("no cgroup".into());
        check("", Verdict::Passed, true);
        check("EX-02: no cgroup", skipped(), true);
        check("# remark\n\n EX-02: no cgroup \nEX-03: x", skipped(), true);
        check("EX-02: another reason", skipped(), false);
        check("EX-03: no cgroup", skipped(), false);
        check("EX-02: no cgroup", Verdict::Passed, false);
        check("EX-02: no cgroup", Verdict::Failed("x".into()), false);
    }

    #[test]
    fn a_ledger_with_mistakes_says_so() {
        let ledger = Ledger::parse("EX-02: a\nEX-02: b\nnonsense\nEX-99: c");
        assert_eq!(ledger.problems(&["EX-02"]).len(), 3);
        assert!(Ledger::parse("EX-02: a").problems(&["EX-02"]).is_empty());
    }
}
