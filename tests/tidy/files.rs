//! Rules about single files: their length, their names, their first lines, and what must not be in them.

use crate::assert_none;
use crate::source::{File, all, code, identifiers, rust};

/// Lines of a file, its tests apart.
const LINES_AT_MOST: usize = 500;

/// Names that say of what kind things are and not what they are.
const NO_NAMES: &[&str] = &["common", "enums", "helper", "helpers", "imp", "misc", "models", "types", "util", "utils"];

/// The only folder with unsafe code: the agent talks to the kernel without a library in between.
const UNSAFE: &str = "script-engine-agent";

fn too_long(file: &File) -> Option<String> {
    let lines = lines_without_tests(&file.text);
    (!file.is_test() && lines > LINES_AT_MOST)
        .then(|| format!("{}: {lines} lines, {LINES_AT_MOST} are the most: split it by what it is about", file.path))
}

/// Leaves out each `#[cfg(test)]` block; the format is rustfmt's, so a block ends at its own depth.
fn lines_without_tests(text: &str) -> usize {
    let mut lines = text.lines();
    let mut count = 0;
    while let Some(line) = lines.next() {
        if line.trim_start() != "#[cfg(test)]" {
            count += 1;
            continue;
        }
        let end = format!("{}}}", &line[..line.len() - line.trim_start().len()]);
        if lines.by_ref().find(|line| !line.trim_start().starts_with("#[")).is_some_and(|line| line.ends_with('{')) {
            lines.by_ref().find(|line| *line == end);
        }
    }
    count
}

fn forbidden_name(file: &File) -> Option<String> {
    let part = file.path.split('/').find(|part| NO_NAMES.contains(&part.trim_end_matches(".rs")))?;
    Some(format!("{}: `{part}` says nothing: name the thing that is in it", file.path))
}

fn no_first_line(file: &File) -> Option<String> {
    let first = file.text.lines().find(|line| !line.starts_with("#!/")).unwrap_or_default();
    let says = first.strip_prefix("//! ").is_some_and(|says| !says.trim().is_empty())
        // A crate's front page may be a document.
        || first.starts_with("#![doc = include_str!(");
    (!says).then(|| format!("{}: the first line is no `//!` that says what the file is for", file.path))
}

fn unsafe_outside(file: &File) -> Option<String> {
    let code = code(&file.text);
    let lines = code.lines().filter(|line| !line.contains("forbid(unsafe_code)"));
    let has = lines.flat_map(identifiers).any(|word| word == "unsafe" || word == "unsafe_code");
    (has && !file.is_in(UNSAFE)).then(|| format!("{}: unsafe code outside `{UNSAFE}`", file.path))
}

/// Folders of somebody's machine, in pieces so that this file is not one that names them.
fn private_place(file: &File) -> Option<String> {
    let home = concat!("/", "root/.");
    let places = ["wt/", "main/", "shared/", ".library", ".mirror"].map(|place| format!("/work/{place}"));
    let place = places.iter().map(String::as_str).chain([home]).find(|place| file.text.contains(place))?;
    Some(format!("{}: names `{place}`, which is on one machine only", file.path))
}

/// A test that is never run looks like one that passes: an ignored one must say which of our commands runs it.
fn ignored_test(file: &File) -> Option<String> {
    let ignored = file.text.lines().filter(|line| line.trim_start().starts_with("#[ignore"));
    let never = ignored.filter(|line| !line.contains("cargo xtask ")).count();
    (never > 0).then(|| format!("{}: {never} tests are never run: make their missing set-up a failure", file.path))
}

#[test]
fn files_are_short() {
    assert_none(&rust().iter().filter_map(too_long).collect::<Vec<_>>());
    let long = "x\n".repeat(LINES_AT_MOST + 1);
    assert!(too_long(&File::new("a/src/b.rs", &long)).is_some());
    assert!(too_long(&File::new("a/src/b/tests.rs", &long)).is_none());
    assert_eq!(lines_without_tests("a\n#[cfg(test)]\nmod tests {\n    b\n}\nc\n"), 2);
    assert_eq!(lines_without_tests("a\n#[cfg(test)]\nmod tests;\nc\n"), 2);
    assert_eq!(lines_without_tests("a\n#[cfg(test)]\n#[path = \"x\"]\nmod tests {\n}\nc\n"), 2);
}

#[test]
fn files_are_named_after_what_is_in_them() {
    assert_none(&rust().iter().filter_map(forbidden_name).collect::<Vec<_>>());
    for bad in ["a/src/utils.rs", "a/src/common/x.rs", "a/src/types.rs"] {
        assert!(forbidden_name(&File::new(bad, "")).is_some(), "{bad}");
    }
}

#[test]
fn files_say_what_they_are_for() {
    assert_none(&rust().iter().filter_map(no_first_line).collect::<Vec<_>>());
    for bad in ["", "//!\n", "use a;\n", "// a\n//! b"] {
        assert!(no_first_line(&File::new("a.rs", bad)).is_some(), "{bad}");
    }
}

#[test]
fn only_the_agent_has_unsafe_code() {
    assert_none(&rust().iter().filter_map(unsafe_outside).collect::<Vec<_>>());
    for (path, text, bad) in [
        ("script-engine-core/src/a.rs", "fn f() { unsafe { g() } }", true),
        ("script-engine-core/src/a.rs", "#![allow(unsafe_code)]", true),
        ("script-engine-core/src/a.rs", "#![forbid(unsafe_code)]", false),
        ("script-engine-core/src/a.rs", "// unsafe to retry\nlet x = \"unsafe\";", false),
        ("script-engine-agent/guest/a.rs", "unsafe {}", false),
        ("script-engine-agent-x/a.rs", "unsafe {}", true),
    ] {
        assert_eq!(unsafe_outside(&File::new(path, text)).is_some(), bad, "{path}: {text}");
    }
}

#[test]
fn no_file_names_a_place_of_one_machine() {
    assert_none(&all().iter().filter_map(private_place).collect::<Vec<_>>());
    assert!(private_place(&File::new("a.md", concat!("see /work", "/shared/x"))).is_some());
    assert!(private_place(&File::new("a.md", "scratch space is at /work/tmp")).is_none());
}

#[test]
fn no_test_is_never_run() {
    assert_none(&rust().iter().filter_map(ignored_test).collect::<Vec<_>>());
    assert!(ignored_test(&File::new("a.rs", "#[test]\n    #[ignore = \"later\"]\nfn f() {}")).is_some());
    assert!(ignored_test(&File::new("a.rs", "#[ignore = \"cargo xtask test-cgroup2\"]\n")).is_none());
}
