//! Contract sentences and what proves them: each `- [XX-nn]` in core's contracts has one case of that id in the testkit, and
//! each case has a mutant that it catches, or a reason why none can be written.

use std::collections::BTreeMap;

use crate::assert_none;
use crate::source::{File, is_tag, rust, tag_literals};

/// Tag to where it stands.
type Tags = BTreeMap<String, Vec<String>>;

/// The rules that a contract states: list items of doc comments that begin with a tag.
fn stated(files: &[File]) -> Tags {
    let mut tags = Tags::new();
    for (path, number, line) in doc_lines(files) {
        if let Some((tag, _)) =
            line.strip_prefix("- [").and_then(|rest| rest.split_once(']')).filter(|(tag, _)| is_tag(tag))
        {
            tags.entry(tag.to_owned()).or_default().push(format!("{path}:{number}"));
        }
    }
    tags
}

/// The rules that a contract speaks of anywhere.
fn mentioned(files: &[File]) -> Tags {
    let mut tags = Tags::new();
    for (path, number, line) in doc_lines(files) {
        for tag in line.split('[').skip(1).filter_map(|rest| rest.split(']').next()).filter(|tag| is_tag(tag)) {
            tags.entry(tag.to_owned()).or_default().push(format!("{path}:{number}"));
        }
    }
    tags
}

fn doc_lines(files: &[File]) -> impl Iterator<Item = (&str, usize, &str)> {
    files.iter().flat_map(|file| {
        let lines = (1..).zip(file.text.lines());
        lines.filter_map(|(number, line)| {
            let line = line.trim_start();
            let said = line.strip_prefix("///").or_else(|| line.strip_prefix("//!"))?;
            Some((file.path.as_str(), number, said.trim_start()))
        })
    })
}

/// The ids of cases: what `Case::new` is called with.
fn cases(files: &[File]) -> Tags {
    let mut tags = Tags::new();
    for file in files {
        for (before, after) in
            file.text.match_indices("Case::new(").map(|(at, call)| file.text.split_at(at + call.len()))
        {
            let id = after.trim_start().strip_prefix('"').and_then(|literal| literal.split('"').next());
            if let Some(id) = id.filter(|id| is_tag(id)) {
                tags.entry(id.to_owned()).or_default().push(format!("{}:{}", file.path, before.lines().count()));
            }
        }
    }
    tags
}

fn unpaired(stated: &Tags, mentioned: &Tags, cases: &Tags) -> Vec<String> {
    let mut faults = Vec::new();
    for (tag, places) in stated {
        if places.len() > 1 {
            faults.push(format!("[{tag}] is stated {} times: {}", places.len(), places.join(", ")));
        }
        if !cases.contains_key(tag) {
            faults.push(format!("[{tag}] has no case in the testkit: {}", places.join(", ")));
        }
    }
    for (tag, places) in cases.iter().filter(|(_, places)| places.len() > 1) {
        faults.push(format!("[{tag}] has {} cases: {}", places.len(), places.join(", ")));
    }
    for (tag, places) in cases.iter().chain(mentioned) {
        if !stated.contains_key(tag) {
            faults.push(format!("[{tag}] is stated in no contract: {}", places.join(", ")));
        }
    }
    faults
}

/// The ids that files about mutants name: that of the case which catches one, or of a rule and why nothing can break it.
fn mutants(files: &[File]) -> Tags {
    let mut tags = Tags::new();
    for file in files.iter().filter(|file| file.path.contains("mutant")) {
        for (number, tag) in tag_literals(&file.text) {
            tags.entry(tag).or_default().push(format!("{}:{number}", file.path));
        }
    }
    tags
}

fn untried(cases: &Tags, mutants: &Tags) -> Vec<String> {
    let missing = cases.iter().filter(|(tag, _)| !mutants.contains_key(*tag));
    let mut faults: Vec<_> = missing
        .map(|(tag, places)| format!("[{tag}] has no mutant, and no reason why there is none: {}", places.join(", ")))
        .collect();
    let stray = mutants.iter().filter(|(tag, _)| !cases.contains_key(*tag));
    faults.extend(stray.map(|(tag, places)| format!("[{tag}] has a mutant and no case: {}", places.join(", "))));
    faults
}

fn contract() -> Vec<File> {
    rust().into_iter().filter(|file| file.is_in("script-engine-core/src/contract")).collect()
}

fn testkit() -> Vec<File> {
    rust().into_iter().filter(|file| file.is_in("script-engine-testkit")).collect()
}

#[test]
fn every_rule_has_a_case() {
    let contract = contract();
    assert_none(&unpaired(&stated(&contract), &mentioned(&contract), &cases(&testkit())));
}

#[test]
fn every_case_catches_a_mutant() {
    let testkit = testkit();
    assert_none(&untried(&cases(&testkit), &mutants(&testkit)));
}

#[test]
fn a_case_without_a_mutant_is_seen() {
    let suite = [File::new("k.rs", "Case::new(\"EX-01\", t), Case::new(\"EX-02\", u)")];
    let tried = [File::new("mutants/a.rs", "(\"EX-01\", m), (\"EX-03\", n)"), File::new("other.rs", "\"EX-02\"")];
    assert_eq!(
        untried(&cases(&suite), &mutants(&tried)),
        [
            "[EX-02] has no mutant, and no reason why there is none: k.rs:1",
            "[EX-03] has a mutant and no case: mutants/a.rs:1"
        ]
    );
}

#[test]
fn a_rule_without_a_case_is_seen() {
    let contract =
        [File::new("c.rs", "/// - [EX-01] A.\n/// - [EX-02] B, unlike [EX-07].\n/// - [EX-02] C.\n// - [EX-09]\n")];
    let suite = [File::new(
        "k.rs",
        "Case::new(\"EX-01\", t),\nCase::new(\n  \"EX-01\", u),\nCase::new(\"EX-08\", v), other(\"EX-02\")",
    )];
    assert_eq!(
        unpaired(&stated(&contract), &mentioned(&contract), &cases(&suite)),
        [
            "[EX-02] is stated 2 times: c.rs:2, c.rs:3",
            "[EX-02] has no case in the testkit: c.rs:2, c.rs:3",
            "[EX-01] has 2 cases: k.rs:1, k.rs:2",
            "[EX-08] is stated in no contract: k.rs:4",
            "[EX-07] is stated in no contract: c.rs:2",
        ]
    );
}
