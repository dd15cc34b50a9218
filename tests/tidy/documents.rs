//! Documents that must agree with what they describe: the list of decisions, the README's first example, and what backends
//! skip.

use crate::assert_none;
use crate::source::{File, all, root};

/// Faults in the list of decisions: one that is not linked, a link to none, a number twice or left out.
fn unlisted(index: &str, decisions: &[&str]) -> Vec<String> {
    let linked: Vec<_> = index.split("](").skip(1).filter_map(|link| link.split(')').next()).collect();
    let missing = decisions.iter().filter(|name| !linked.contains(name));
    let mut faults: Vec<_> = missing.map(|name| format!("docs/adr/README.md does not list `{name}`")).collect();
    let dead = linked.iter().filter(|link| link.ends_with(".md") && !link.contains('/') && !decisions.contains(link));
    faults.extend(dead.map(|link| format!("docs/adr/README.md lists `{link}`, which does not exist")));
    for (expected, name) in (1..).zip(decisions) {
        if !name.starts_with(&format!("{expected:04}-")) {
            faults.push(format!("docs/adr/{name}: the next number is {expected:04}"));
        }
    }
    faults
}

/// The first block of Rust in a document.
fn first_example(document: &str) -> Option<String> {
    let mut lines = document.lines().skip_while(|line| !line.starts_with("```rust")).skip(1).peekable();
    lines.peek()?;
    Some(lines.take_while(|line| !line.starts_with("```")).map(|line| format!("{line}\n")).collect())
}

/// The README shows a program that runs: the whole of it, except that its `//!` lines may be left out.
fn other_example(readme: &str, program: &str) -> Option<String> {
    let Some(shown) = first_example(readme) else {
        return Some("README.md shows no Rust: show examples/quickstart.rs".to_owned());
    };
    let without_header: String = program
        .lines()
        .skip_while(|line| line.starts_with("//!") || line.is_empty())
        .map(|line| format!("{line}\n"))
        .collect();
    (shown != program && shown != without_header)
        .then(|| "README.md's first example is not examples/quickstart.rs: copy it".to_owned())
}

/// Relative links of a document that lead nowhere.
fn dead_links(document: &File, exists: impl Fn(&str) -> bool) -> Vec<String> {
    let folder = document.path.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
    let prose: String = document.text.split("```").step_by(2).collect();
    let links = prose.split("](").skip(1).filter_map(|link| link.split(')').next()?.split('#').next());
    let relative = links.filter(|link| {
        !link.is_empty() && !link.contains("://") && !link.contains("::") && !link.starts_with("mailto:")
    });
    let dead = relative.filter(|link| !exists(&format!("{folder}{link}")));
    dead.map(|link| format!("{}: the link to `{link}` leads nowhere", document.path)).collect()
}

/// The rows of docs/backends.md that the ledgers make, each given as its name and its text.
fn skipped<'a>(ledgers: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    let row = |name: &str, line: &str| {
        let (rule, why) = line.split_once(": ")?;
        Some(format!("| `{name}` | {rule} | {} |", why.trim()))
    };
    let lines = |text: &'a str| text.lines().map(str::trim).filter(|it| !it.is_empty() && !it.starts_with('#'));
    ledgers
        .into_iter()
        .flat_map(|(name, text)| lines(text).filter_map(move |it| row(name, it)).collect::<Vec<_>>())
        .collect()
}

#[test]
fn what_backends_skip_is_told() {
    let found: Vec<_> =
        all().into_iter().filter(|it| it.path.ends_with(".ledger") && it.path.contains("/conformance/")).collect();
    let name = |path: &str| path.rsplit('/').next().unwrap_or_default().trim_end_matches(".ledger").to_owned();
    let named: Vec<(String, &str)> = found.iter().map(|it| (name(&it.path), it.text.as_str())).collect();
    let rows = skipped(named.iter().map(|(name, text)| (name.as_str(), *text)));
    assert!(rows.len() > 5, "{rows:?}");
    let page = std::fs::read_to_string(root().join("docs/backends.md")).expect("docs/backends.md");
    let told: Vec<&str> = page.lines().filter(|it| it.starts_with("| `")).collect();
    let missing =
        rows.iter().filter(|it| !told.contains(&it.as_str())).map(|it| format!("docs/backends.md lacks {it}"));
    let stale = told.iter().filter(|it| !rows.iter().any(|row| row == *it)).map(|it| format!("no ledger says {it}"));
    assert_none(&missing.chain(stale).collect::<Vec<_>>());

    assert_eq!(skipped([("a", "# x\nRM-02: no work\n")]), ["| `a` | RM-02 | no work |"]);
}

#[test]
fn every_decision_is_listed() {
    let folder = root().join("docs/adr");
    let index = std::fs::read_to_string(folder.join("README.md")).expect("docs/adr/README.md");
    let entries = folder.read_dir().expect("docs/adr").map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<_> = entries.map(|name| name.to_string_lossy().into_owned()).collect();
    names.retain(|name| name != "README.md");
    names.sort();
    assert!(!names.is_empty());
    assert_none(&unlisted(&index, &names.iter().map(String::as_str).collect::<Vec<_>>()));

    let broken = unlisted("[a](0001-a.md) [c](0009-c.md)", &["0001-a.md", "0003-b.md"]);
    assert_eq!(broken.len(), 3, "{broken:?}");
}

#[test]
fn readme_shows_a_program_that_runs() {
    let program = "//! What you learn here.\n\nfn main() {}\n";
    assert!(other_example("# x\n", program).is_some());
    assert!(other_example("```rust\nfn main() { }\n```", program).is_some());
    assert_eq!(other_example("```rust\nfn main() {}\n```\n```rust\nother\n```", program), None);
    assert_eq!(other_example(&format!("```rust,no_run\n{program}```"), program), None);

    let readme = std::fs::read_to_string(root().join("README.md")).expect("README.md");
    let program = std::fs::read_to_string(root().join("examples/quickstart.rs")).expect("examples/quickstart.rs");
    assert_eq!(other_example(&readme, &program), None);
}

#[test]
fn links_lead_somewhere() {
    let documents: Vec<_> = all().into_iter().filter(|file| file.path.ends_with(".md")).collect();
    let exists = |path: &str| root().join(path).exists();
    assert_none(&documents.iter().flat_map(|document| dead_links(document, exists)).collect::<Vec<_>>());

    let broken = File::new("docs/a.md", "[x](b.md#part) [y](../c.md) [z](https://example.com) ```\n[n](no.md)\n```");
    assert_eq!(dead_links(&broken, |path| path == "docs/b.md"), ["docs/a.md: the link to `../c.md` leads nowhere"]);
}
