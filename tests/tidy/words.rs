//! The glossary is law: a word that it rules out is in no public name.

use std::collections::BTreeSet;

use crate::assert_none;
use crate::source::{File, code, identifiers, root, rust};

/// The line of the glossary that rules words out.
const LINE: &str = "Not used: ";

/// Reads the words from the glossary's line: `Not used: **a**, **b**.`
fn ruled_out(glossary: &str) -> BTreeSet<String> {
    let line = glossary.lines().find_map(|line| line.strip_prefix(LINE)).unwrap_or_default();
    line.split("**").skip(1).step_by(2).map(str::to_lowercase).collect()
}

fn names_with(words: &BTreeSet<String>, file: &File) -> Vec<String> {
    let code = code(&file.text);
    let names = code.lines().filter_map(public_type);
    let bad = names.filter_map(|name| Some((name, parts(name).into_iter().find(|part| words.contains(part))?)));
    bad.map(|(name, word)| format!("{}: `{name}`: the glossary has another word for `{word}`", file.path)).collect()
}

/// The name in `pub struct Name`, and so on; what is visible in its crate only is not public.
fn public_type(line: &str) -> Option<&str> {
    let mut words = identifiers(line.trim_start().strip_prefix("pub ")?);
    matches!(words.next()?, "struct" | "enum" | "trait" | "type" | "union").then(|| words.next())?
}

/// `HttpTaskId` is `http`, `task`, `id`.
fn parts(name: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for c in name.chars() {
        match parts.last_mut() {
            Some(part) if !c.is_uppercase() => part.push(c),
            _ => parts.push(c.to_lowercase().collect()),
        }
    }
    parts
}

#[test]
fn public_types_keep_to_the_glossary() {
    let glossary = std::fs::read_to_string(root().join("docs/glossary.md")).expect("docs/glossary.md");
    let words = ruled_out(&glossary);
    assert!(words.contains("task"), "docs/glossary.md has no line that begins with `{LINE}`");
    assert_none(&rust().iter().flat_map(|file| names_with(&words, file)).collect::<Vec<_>>());
}

#[test]
fn words_that_are_ruled_out_are_seen() {
    let words = ruled_out("# Words\nNot used: **task**, **worker** (say job).\n");
    assert_eq!(words.iter().map(String::as_str).collect::<Vec<_>>(), ["task", "worker"]);
    let bad =
        File::new("a.rs", "pub struct HttpTask;\npub enum Worker {}\npub(crate) struct Task;\n// pub struct Task\n");
    assert_eq!(names_with(&words, &bad).len(), 2);
    assert!(names_with(&words, &File::new("a.rs", "pub struct Multitasking;")).is_empty());
}
