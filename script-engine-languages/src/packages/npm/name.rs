//! Names and version requirements of npm, as far as an index can meet them: no address, no path, no tag
//! of a repository.

use script_engine_core::ScriptDependency;

/// Modules of Node's own, which an import by that bare name always gets.
const BUILTIN: &str = "assert async_hooks buffer child_process cluster console constants crypto dgram \
    diagnostics_channel dns domain events fs http http2 https inspector module net os path perf_hooks process punycode \
    querystring readline repl stream string_decoder sys timers tls trace_events tty url util v8 vm wasi worker_threads zlib";

/// Whether an import of this bare name gets a module of Node's own, and never a package.
pub(crate) fn is_builtin(name: &str) -> bool {
    BUILTIN.split_whitespace().any(|it| it == name)
}

/// Whether this can be the name of a package.
pub(crate) fn is_name(text: &str) -> bool {
    let part = |it: &str| {
        !it.is_empty()
            && !it.starts_with(['.', '_'])
            && it.bytes().all(|it| it.is_ascii_alphanumeric() || b"._~-".contains(&it))
    };
    let plain = match text.strip_prefix('@') {
        Some(rest) => rest.split_once('/').is_some_and(|(scope, name)| part(scope) && part(name)),
        None => part(text) && !text.starts_with('-'),
    };
    plain && text.len() <= 214
}

/// Whether this can be a version requirement: a range of versions or a tag of the index, or nothing.
pub(crate) fn is_requirement(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || " .*+^~<>=|-".contains(c);
    // npm takes a requirement of such an end for a file.
    let file = [".tgz", ".tar", ".tar.gz"].iter().any(|it| text.to_ascii_lowercase().ends_with(it));
    text.chars().all(plain) && !file && !text.starts_with('-')
}

/// What is wrong with a package that was declared.
pub(crate) fn problem(package: &ScriptDependency) -> Option<&'static str> {
    if !is_name(&package.name) {
        Some("is not a package name of npm")
    } else if !is_requirement(&package.requirement) {
        Some("has a version requirement that is none; give one such as `^1.2`")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_requirements_are_told_from_addresses() {
        for (name, requirement, expect) in [
            ("zod", "^3", true),
            ("@scope/a.b_c", ">=1.2.0 <2 || 3.x", true),
            ("JSONStream", "latest", true),
            ("zod", "1.0.0-rc.1+b", true),
            ("zod", "", true),
            ("zod", "x.tgz", false),
            ("zod", "git+ssh://host/a", false),
            ("zod", "user/repo", false),
            ("zod", "npm:other@1", false),
            ("zod", "file:../x", false),
            ("zod", "--force", false),
            ("../zod", "", false),
            ("-g", "", false),
            ("@a", "", false),
            ("@a/b/c", "", false),
            ("a b", "", false),
        ] {
            assert_eq!(
                problem(&ScriptDependency::runtime(name, requirement)).is_none(),
                expect,
                "{name}@{requirement}"
            );
        }
        assert!(is_builtin("events") && !is_builtin("zod"));
    }
}
