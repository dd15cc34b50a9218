//! Whether a version of Python is among those that `requires-python` names (PEP 440, releases only).

/// Why `version` will not do for `wanted`; `None` if it will.
pub(crate) fn problem(wanted: &str, version: &str) -> Option<String> {
    let Some(version) = release(version) else {
        return Some(format!("this runtime's Python tells the version `{}`", version.escape_debug()));
    };
    for part in wanted.split(',').map(str::trim).filter(|it| !it.is_empty()) {
        match meets(part, &version) {
            Some(true) => {}
            Some(false) => {
                let has: Vec<String> = version.iter().map(ToString::to_string).collect();
                return Some(format!("it needs Python {}, and this runtime has {}", shown(wanted), has.join(".")));
            }
            None => {
                return Some(format!("`{}` is no version requirement; write it such as `>=3.12`", shown(part)));
            }
        }
    }
    None
}

fn shown(text: &str) -> String {
    text.escape_debug().take(60).collect()
}

fn meets(part: &str, version: &[u32]) -> Option<bool> {
    let operator = ["===", "==", "~=", "!=", "<=", ">=", "<", ">"].into_iter().find(|it| part.starts_with(*it))?;
    let text = part[operator.len()..].trim();
    let (text, prefix) = match text.strip_suffix(".*") {
        Some(text) if matches!(operator, "==" | "!=") => (text, true),
        Some(_) => return None,
        None => (text, false),
    };
    let wanted = release(text)?;
    let begins = |length: usize| (0..length).all(|it| number(version, it) == number(&wanted, it));
    let equal = if prefix { begins(wanted.len()) } else { begins(wanted.len().max(version.len())) };
    let less = (0..wanted.len().max(version.len()))
        .map(|it| number(version, it).cmp(&number(&wanted, it)))
        .find(|it| it.is_ne())
        .is_some_and(std::cmp::Ordering::is_lt);
    Some(match operator {
        "==" | "===" => equal,
        "!=" => !equal,
        "<" => less,
        "<=" => less || equal,
        ">" => !less && !equal,
        ">=" => !less,
        _ if wanted.len() < 2 => return None,
        _ => !less && begins(wanted.len() - 1),
    })
}

fn number(release: &[u32], at: usize) -> u32 {
    release.get(at).copied().unwrap_or(0)
}

/// The numbers of a release; what follows them (`rc1`) is left out.
fn release(text: &str) -> Option<Vec<u32>> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let plain = |c: char| c.is_ascii_alphanumeric() || ".+!-_".contains(c);
    if !text.chars().all(plain) {
        return None;
    }
    let numbers: Option<Vec<u32>> = text[..end].trim_end_matches('.').split('.').map(|it| it.parse().ok()).collect();
    numbers.filter(|it| it.len() <= 8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn versions_are_compared_as_python_does() {
        for (wanted, version, fits) in [
            ("", "3.11.2", true),
            (">=3.11", "3.11.2", true),
            (">=3.12", "3.11.2", false),
            (">=3.8,<3.12", "3.11.2", true),
            (">= 3.8, < 3.11", "3.11.2", false),
            (">3.11", "3.11.2", true),
            (">3.11.2", "3.11.2", false),
            ("<=3.11.2", "3.11.2", true),
            ("==3.11.*", "3.11.2", true),
            ("==3.1.*", "3.11.2", false),
            ("!=3.11.*", "3.11.2", false),
            ("==3.11", "3.11.0", true),
            ("==3.11", "3.11.2", false),
            ("~=3.10", "3.11.2", true),
            ("~=3.11.3", "3.11.2", false),
            ("~=3.11.1", "3.12.0", false),
            (">=3.13rc1", "3.13.0", true),
            ("===3.11.2", "3.11.2", true),
        ] {
            let found = problem(wanted, version);
            assert_eq!(found.is_none(), fits, "{wanted} {version}: {found:?}");
        }
        for wanted in ["3.12", ">=", "~=3", ">=3.*", ">=three", ">=99999999999", "\n>=3\u{1b}"] {
            assert!(problem(wanted, "3.11.2").unwrap().contains("is no version requirement"), "{wanted}");
        }
        assert_eq!(problem(">=3.12", "3.11.2").unwrap(), "it needs Python >=3.12, and this runtime has 3.11.2");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_text_is_judged(wanted in "[<>=!~0-9.*, a-c\u{e4}]{0,24}", version in "[0-9.]{0,10}") {
            drop(problem(&wanted, &version));
        }
    }
}
