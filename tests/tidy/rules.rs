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

/// The ids that a set of files names in strings.
fn named(files: &[File]) -> Tags {
    let mut tags = Tags::new();
    for file in files {
        for (number, tag) in tag_literals(&file.text) {
            tags.entry(tag).or_default().push(format!("{}:{number}", file.path));
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
    for (tag, places) in cases.iter().chain(mentioned) {
        if !stated.contains_key(tag) {
            faults.push(format!("[{tag}] is stated in no contract: {}", places.join(", ")));
        }
    }
    faults
}

fn contract() -> Vec<File> {
    rust().into_iter().filter(|file| file.is_in("script-engine-core/src/contract")).collect()
}

fn testkit() -> Vec<File> {
    rust().into_iter().filter(|file| file.is_in("script-engine-testkit/src")).collect()
}

#[test]
fn every_rule_has_a_case() {
    let contract = contract();
    assert_none(&unpaired(&stated(&contract), &mentioned(&contract), &named(&testkit())));
}

#[test]
fn a_rule_without_a_case_is_seen() {
    let contract =
        [File::new("c.rs", "/// - [EX-01] A.\n/// - [EX-02] B, unlike [EX-07].\n/// - [EX-02] C.\n// - [EX-09]\n")];
    let cases = [File::new("k.rs", "case(\"EX-01\"); case(\"EX-08\");")];
    assert_eq!(
        unpaired(&stated(&contract), &mentioned(&contract), &named(&cases)),
        [
            "[EX-02] is stated 2 times: c.rs:2, c.rs:3",
            "[EX-02] has no case in the testkit: c.rs:2, c.rs:3",
            "[EX-08] is stated in no contract: k.rs:1",
            "[EX-07] is stated in no contract: c.rs:2",
        ]
    );
}
