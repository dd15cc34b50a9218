//! What Python calls a requirement (PEP 508), as far as an index can meet it: name, extras, versions and
//! a marker. Addresses and paths are refused here, so that none reaches a resolver.

use script_engine_core::ScriptDependency;

/// Comparisons of versions, longest first.
const OPERATORS: [&str; 8] = ["===", "==", "~=", "!=", "<=", ">=", "<", ">"];

/// Reads a requirement as it stands in a script: `requests[socks]>=2; python_version < "3.13"`.
pub(crate) fn parse(text: &str) -> std::result::Result<ScriptDependency, String> {
    let text = text.trim();
    let shown = || shown(text);
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c))).unwrap_or(text.len());
    let (name, mut rest) = text.split_at(end);
    if !is_name(name) {
        return Err(format!("`{}` is no requirement; it begins with a package name, such as `requests>=2`", shown()));
    }
    let mut full = name.to_owned();
    rest = rest.trim_start();
    if let Some(inside) = rest.strip_prefix('[') {
        let Some((extras, after)) = inside.split_once(']') else {
            return Err(format!("`{}` has a `[` without its `]`", shown()));
        };
        let extras: Vec<&str> = extras.split(',').map(str::trim).filter(|it| !it.is_empty()).collect();
        if !extras.iter().all(|it| is_name(it)) {
            return Err(format!("`{}` has an extra that is no name", shown()));
        }
        full = format!("{name}[{}]", extras.join(","));
        rest = after.trim_start();
    }
    if rest.starts_with('@') {
        return Err(format!(
            "`{}` asks for an address; packages come from the index: give a version requirement",
            shown()
        ));
    }
    let rest = match rest.strip_prefix('(').and_then(|it| it.split_once(')')) {
        Some((versions, marker)) => format!("{versions}{marker}"),
        None => rest.to_owned(),
    };
    check(&rest).map_err(|problem| format!("`{}` {problem}", shown()))?;
    Ok(ScriptDependency::runtime(full, rest.trim()))
}

/// What is wrong with a name with its extras and a version requirement that were declared apart.
pub(crate) fn problem(package: &ScriptDependency) -> Option<String> {
    let (name, extras) = split(&package.name);
    if !is_name(name) || !extras.iter().all(|it| is_name(it)) {
        return Some("is not a package name of Python".to_owned());
    }
    check(&package.requirement).err()
}

/// The requirement as one text, in the resolver's notation. A bare version means exactly that one.
pub(crate) fn text(package: &ScriptDependency) -> String {
    let requirement = package.requirement.trim();
    if requirement.starts_with(|c: char| c.is_ascii_digit()) {
        format!("{}=={requirement}", package.name)
    } else if requirement == "*" {
        package.name.clone()
    } else {
        format!("{}{requirement}", package.name)
    }
}

/// A name as indexes compare it: in lower case, with `-` for each run of `-`, `_` and `.`.
pub(crate) fn normal(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in split(name).0.chars() {
        match c {
            '-' | '_' | '.' if out.ends_with('-') => {}
            '-' | '_' | '.' => out.push('-'),
            c => out.push(c.to_ascii_lowercase()),
        }
    }
    out
}

/// The name without its extras, and those.
fn split(name: &str) -> (&str, Vec<&str>) {
    match name.strip_suffix(']').and_then(|it| it.split_once('[')) {
        Some((name, extras)) => (name, extras.split(',').filter(|it| !it.is_empty()).collect()),
        None => (name, Vec::new()),
    }
}

fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    let ends = |it: Option<&u8>| it.is_some_and(u8::is_ascii_alphanumeric);
    ends(bytes.first())
        && ends(bytes.last())
        && bytes.iter().all(|it| it.is_ascii_alphanumeric() || b"._-".contains(it))
}

/// Checks versions and marker.
fn check(text: &str) -> std::result::Result<(), String> {
    let (versions, marker) = text.split_once(';').map_or((text, None), |(versions, marker)| (versions, Some(marker)));
    let versions = versions.trim();
    let bare = versions.starts_with(|c: char| c.is_ascii_digit()) && !versions.contains(',');
    for part in versions.split(',').map(str::trim).filter(|it| !it.is_empty() && !bare && *it != "*") {
        let version = OPERATORS.iter().find_map(|it| part.strip_prefix(it)).map(str::trim_start);
        if !version.is_some_and(is_version) {
            return Err(format!("has `{}` where a version requirement such as `>=2,<3` is expected", shown(part)));
        }
    }
    if bare && !is_version(versions) {
        return Err(format!("has `{}` where a version is expected", shown(versions)));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || " _.'\"<>=!~()*+-,".contains(c);
    match marker {
        Some(marker) if !marker.chars().all(plain) || marker.trim().is_empty() || marker.contains("--") => {
            Err("has a marker after `;` that can't be read".to_owned())
        }
        _ => Ok(()),
    }
}

fn is_version(text: &str) -> bool {
    let plain = |it: u8| it.is_ascii_alphanumeric() || b".*+!_-".contains(&it);
    text.bytes().next().is_some_and(|it| it.is_ascii_alphanumeric()) && text.bytes().all(plain)
}

fn shown(text: &str) -> String {
    text.escape_debug().take(80).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use script_engine_core::DependencyScope;

    use super::*;

    #[track_caller]
    fn check(written: &str, expect: std::result::Result<(&str, &str, &str), &str>) {
        match (parse(written), expect) {
            (Ok(it), Ok((name, requirement, normalised))) => {
                assert_eq!((&*it.name, &*it.requirement, &*normal(&it.name)), (name, requirement, normalised));
                assert_eq!(problem(&it), None);
            }
            (Err(found), Err(expect)) => assert!(found.contains(expect), "{found}"),
            (found, expect) => panic!("{written:?}: {found:?}, not {expect:?}"),
        }
    }

    #[test]
    fn requirements_are_read() {
        check("requests", Ok(("requests", "", "requests")));
        check(" Foo_.Bar >= 2 , < 3 ", Ok(("Foo_.Bar", ">= 2 , < 3", "foo-bar")));
        check("a [x, y_z] ==1.*", Ok(("a[x,y_z]", "==1.*", "a")));
        check("a (>=1,!=1.5)", Ok(("a", ">=1,!=1.5", "a")));
        check("a~=1.0rc1; python_version < '3.13'", Ok(("a", "~=1.0rc1; python_version < '3.13'", "a")));
        check("a===1!2.0+local.1", Ok(("a", "===1!2.0+local.1", "a")));
        check("a 2.31.0", Ok(("a", "2.31.0", "a")));
        check("a @ https://host/a.whl", Err("asks for an address"));
        check("./a.whl", Err("is no requirement"));
        check("--index-url=x", Err("is no requirement"));
        check("a --hash=sha256:0", Err("where a version requirement"));
        check("a>=1 --hash=sha256:0", Err("where a version requirement"));
        check("a>=1; --index-url", Err("marker"));
        check("a; python_version < '3' \n-r b", Err("marker"));
        check("a[x", Err("without its"));
        check("a[../x]", Err("extra"));
        check("a-", Err("is no requirement"));
        check("", Err("is no requirement"));
        check("a => 1", Err("`=> 1`"));
    }

    #[test]
    fn what_was_declared_apart_is_checked_alike_and_written_for_the_resolver() {
        for (name, requirement, expect) in [
            ("requests", "2.31.0", Ok("requests==2.31.0")),
            ("requests[socks]", ">=2,<3", Ok("requests[socks]>=2,<3")),
            ("requests", "*", Ok("requests")),
            ("requests", "", Ok("requests")),
            ("@a/b", "", Err("name")),
            ("a[b,-]", "", Err("name")),
            ("a", "latest", Err("expected")),
            ("a", "1 2", Err("expected")),
        ] {
            let package =
                ScriptDependency { scope: DependencyScope::Build, ..ScriptDependency::runtime(name, requirement) };
            match (problem(&package), expect) {
                (None, Ok(expect)) => assert_eq!(text(&package), expect),
                (Some(found), Err(expect)) => assert!(found.contains(expect), "{found}"),
                (found, expect) => panic!("{name} {requirement}: {found:?}, not {expect:?}"),
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn nothing_that_is_read_holds_an_option_or_an_address(written in "[a-z\\[\\]<>=~!@;:/ .,'\"#\n-]{0,40}") {
            if let Ok(it) = parse(&written) {
                prop_assert_eq!(problem(&it), None);
                let text = text(&it);
                prop_assert!(!text.starts_with('-') && !text.contains(['/', ':', '\n', '#', '@']), "{}", text);
            }
        }
    }
}
