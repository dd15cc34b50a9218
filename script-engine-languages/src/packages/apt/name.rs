//! Names and versions of packages of the system, and the comment lines `# apt: …` by which a script names them.

use script_engine_core::ScriptDependency;
use script_engine_core::contract::Diagnostic;

use crate::source_text;

/// Whether this can be the name of a package. A name that ends in `-` would mean that the package is to go.
pub(crate) fn is_name(text: &str) -> bool {
    let plain = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || b"+.-_".contains(&it);
    text.len() >= 2
        && text.len() <= 128
        && text.bytes().next().is_some_and(|it| it.is_ascii_lowercase() || it.is_ascii_digit())
        && text.bytes().all(plain)
        && !text.ends_with('-')
}

/// Whether this can be a version, or the beginning of one with a `*`.
fn is_version(text: &str) -> bool {
    let plain = |it: u8| it.is_ascii_alphanumeric() || b".+~:-_".contains(&it);
    let text = text.strip_suffix('*').unwrap_or(text);
    text.bytes().next().is_some_and(|it| it.is_ascii_alphanumeric()) && text.bytes().all(plain)
}

/// What is wrong with a package that was declared.
pub(crate) fn problem(package: &ScriptDependency) -> Option<&'static str> {
    let requirement = package.requirement.trim();
    if !is_name(&package.name) {
        Some("is not the name of a package of the system")
    } else if !matches!(requirement, "" | "*") && !is_version(version(requirement)) {
        Some("has a version requirement that is none; give a version such as `=1.6-2`, or its beginning such as `=1.*`")
    } else {
        None
    }
}

/// The package as the package manager is asked for it.
pub(crate) fn text(package: &ScriptDependency) -> String {
    match package.requirement.trim() {
        "" | "*" => package.name.clone(),
        requirement => format!("{}={}", package.name, version(requirement)),
    }
}

fn version(requirement: &str) -> &str {
    requirement.strip_prefix('=').unwrap_or(requirement).trim()
}

/// The packages that comment lines of a Bash source name, a `#` first on the line. Lines of a here-document are none.
pub(crate) fn read(source: &[u8]) -> std::result::Result<Vec<ScriptDependency>, Diagnostic> {
    let text = String::from_utf8_lossy(source.strip_prefix(source_text::BYTE_ORDER_MARK).unwrap_or(source));
    let mut declared = Vec::new();
    if !text.contains("apt:") {
        return Ok(declared);
    }
    let lines: Vec<&str> = text.lines().collect();
    let mut at = 0;
    while let Some(line) = lines.get(at).copied() {
        at += 1;
        let comment = line.trim_start().strip_prefix('#').map(str::trim_start);
        if let Some(said) = comment.and_then(|it| it.strip_prefix("apt:")) {
            let column = line.chars().count() - said.chars().count();
            read_list(said, at, column, &mut declared)?;
        } else if comment.is_none()
            && let Some(end) = here_document(line).and_then(|word| end_of(&lines[at..], &word))
        {
            at += end;
        }
    }
    Ok(declared)
}

fn read_list(
    said: &str,
    line: usize,
    column: usize,
    declared: &mut Vec<ScriptDependency>,
) -> std::result::Result<(), Diagnostic> {
    let mut column = column;
    for part in said.split([',', ' ', '\t']) {
        let place = column + 1;
        column += part.chars().count() + 1;
        if part.is_empty() {
            continue;
        }
        let (name, requirement) = part.find('=').map_or((part, ""), |at| part.split_at(at));
        let package = ScriptDependency::runtime(name, requirement);
        if let Some(message) = problem(&package) {
            let shown: String = part.escape_debug().take(80).collect();
            let number = |it: usize| u32::try_from(it).unwrap_or(u32::MAX);
            let message = source_text::message(&format!("`{shown}` {message}; write such as `# apt: jq, curl=7.*`"));
            return Err(Diagnostic { line: number(line), column: number(place), message });
        }
        declared.push(package);
    }
    Ok(())
}

/// The word that ends the here-document which this line begins.
fn here_document(line: &str) -> Option<String> {
    let after = line.split_once("<<")?.1;
    if after.starts_with('<') {
        return None;
    }
    let word = after.strip_prefix('-').unwrap_or(after).trim_start().trim_start_matches(['\'', '"', '\\']);
    let end = word.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(word.len());
    (end > 0).then(|| word[..end].to_owned())
}

/// How many lines there are up to the one that ends a here-document, that one included.
fn end_of(lines: &[&str], word: &str) -> Option<usize> {
    lines.iter().position(|it| it.trim_start_matches('\t') == word).map(|it| it + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(source: &str, expect: &[(&str, &str)]) {
        let expect: Vec<_> = expect.iter().map(|(name, wanted)| ScriptDependency::runtime(*name, *wanted)).collect();
        assert_eq!(read(source.as_bytes()).unwrap(), expect, "{source:?}");
    }

    #[track_caller]
    fn fails(source: &str, expect: &str) {
        let found = read(source.as_bytes()).unwrap_err().to_string();
        assert!(found.starts_with(expect), "{source:?}: {found}");
    }

    #[test]
    fn comment_lines_name_packages() {
        check("#!/bin/bash\n# apt: jq\necho hi\n", &[("jq", "")]);
        check("\u{feff}# apt: jq, curl=8.*\r\n  #apt:g++\r\n", &[("jq", ""), ("curl", "=8.*"), ("g++", "")]);
        check("set -e\n# apt: jq libxml2-utils=2.9+dfsg-1~1\n", &[("jq", ""), ("libxml2-utils", "=2.9+dfsg-1~1")]);
        check("# apt:\n# apt\n# adapt: x\necho '# apt: no'\n", &[]);
        check("cat <<'END'\n# apt: no\nEND\n# apt: jq\n", &[("jq", "")]);
        check("cat <<-END\n# apt: no\n\tEND\n# apt: jq\n", &[("jq", "")]);
        check("x=$((1<<n))\n# apt: jq\ncat <<<a\n# apt: curl\n", &[("jq", ""), ("curl", "")]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        fails(
            "# apt: jq, ../x\n",
            "line 1, column 12: `../x` is not the name of a package of the system; write such as",
        );
        fails("\n#apt: jq=\n", "line 2, column 7: `jq=` has a version requirement that is none");
        fails("# apt: jq-\n", "line 1, column 8: `jq-` is not the name");
        fails("# apt: -o\n", "line 1, column 8: `-o` is not the name");
        fails("# apt: jq=1/2\n", "line 1, column 8: `jq=1/2` has a version");
        fails("# apt: ä\n", "line 1, column 8: `ä` is not the name");
    }

    #[test]
    fn what_was_declared_apart_is_written_for_the_package_manager() {
        for (name, requirement, expect) in [
            ("jq", "", Some("jq")),
            ("jq", "*", Some("jq")),
            ("jq", "1.6", Some("jq=1.6")),
            ("jq", "= 1.*", Some("jq=1.*")),
            ("jq", ">=1.6", None),
            ("JQ", "", None),
            ("jq:amd64", "", None),
        ] {
            let package = ScriptDependency::runtime(name, requirement);
            assert_eq!(problem(&package).is_none().then(|| text(&package)).as_deref(), expect, "{name}{requirement}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_are_read_or_refused(source in "(# ?apt: ?|<<-?E|E|\n|\r|[a-z=,.*:/ -]|\u{e4}){0,40}") {
            for it in read(source.as_bytes()).unwrap_or_default() {
                let text = text(&it);
                prop_assert!(!text.starts_with('-') && !text.contains(['/', ' ', '\n']), "{}", text);
            }
        }
    }
}
