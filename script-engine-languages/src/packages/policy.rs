//! What packages scripts may have: allow and deny lists, hashes, install scripts, age. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use script_engine_core::packages::{Declared, DependencyLock};
use script_engine_core::{Error, LanguageId, Problem, Result};

/// The names of one ecosystem that are let in and kept out. A name that ends in `*` means all that begin
/// as it does. Names are compared in lower case, with `_` and `.` as `-` for Python.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameLists {
    /// If it is not empty, only these.
    pub allow: Vec<String>,
    /// None of these, whatever `allow` says.
    pub deny: Vec<String>,
}

/// What packages scripts may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackagePolicy {
    /// Names, by language.
    pub names: BTreeMap<String, NameLists>,
    /// Whether every package needs a hash of its index.
    pub require_hashes: bool,
    /// Whether packages may run code of their own when they are installed.
    pub install_scripts: bool,
    /// How long ago a version must have been published, where the index tells.
    pub minimum_age: Option<Duration>,
}

impl Default for PackagePolicy {
    fn default() -> Self {
        Self { names: BTreeMap::new(), require_hashes: true, install_scripts: false, minimum_age: None }
    }
}

impl PackagePolicy {
    /// Refuses declared packages, before anything is looked up. Names every one.
    pub(super) fn check_declared(&self, language: &LanguageId, declared: &Declared) -> Result<()> {
        let names = declared.locked().map(|it| it.name.as_str());
        verdict(names.filter_map(|name| self.name_problem(language, name, "")).collect())
    }

    /// Refuses a lock for what is in its closure. Names every package.
    pub(super) fn check_lock(&self, lock: &DependencyLock) -> Result<()> {
        let mut problems = Vec::new();
        for it in &lock.packages {
            let how = format!("{} ", it.version);
            problems.extend(self.name_problem(&lock.language, &it.name, &how));
            if self.require_hashes && it.hashes.is_empty() {
                let message = format!("{} has no hash at its index, and the policy requires one", it.version);
                problems.push(Problem { field: format!("dependencies.{}", it.name), message });
            }
        }
        verdict(problems)
    }

    fn name_problem(&self, language: &LanguageId, name: &str, how: &str) -> Option<Problem> {
        let lists = self.names.get(language.as_str())?;
        let is_in = |list: &[String]| list.iter().any(|pattern| matches(language, pattern, name));
        let message = if is_in(&lists.deny) {
            format!("{how}is denied by the policy on packages; use another")
        } else if !lists.allow.is_empty() && !is_in(&lists.allow) {
            format!("{how}is not among the packages that the policy allows; use one of those or ask for it")
        } else {
            return None;
        };
        Some(Problem { field: format!("dependencies.{name}"), message })
    }
}

fn verdict(problems: Vec<Problem>) -> Result<()> {
    if problems.is_empty() { Ok(()) } else { Err(Error::invalid_all(problems)) }
}

fn matches(language: &LanguageId, pattern: &str, name: &str) -> bool {
    let plain = |text: &str| {
        let lower = text.to_lowercase();
        // PEP 503: runs of these are one dash.
        if language.as_str() == "python" { lower.replace(['_', '.'], "-") } else { lower }
    };
    let (pattern, name) = (plain(pattern), plain(name));
    match pattern.strip_suffix('*') {
        Some(begin) => name.starts_with(begin),
        None => {
            // What a name asks for besides (`name[extra]`) is no part of it.
            let bare = name.split('[').next().unwrap_or_default();
            bare == pattern
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use script_engine_core::ScriptDependency;
    use script_engine_core::packages::{DependencyScope, LockedPackage};

    use super::*;

    fn policy(allow: &[&str], deny: &[&str]) -> PackagePolicy {
        let all = |it: &[&str]| it.iter().map(ToString::to_string).collect();
        let lists = NameLists { allow: all(allow), deny: all(deny) };
        PackagePolicy { names: BTreeMap::from([("python".to_owned(), lists)]), ..PackagePolicy::default() }
    }

    fn lock(name: &str, hashes: &[&str]) -> DependencyLock {
        let package = LockedPackage {
            name: name.into(),
            version: "1.0".into(),
            url: String::new(),
            hashes: hashes.iter().map(ToString::to_string).collect(),
            scope: DependencyScope::Runtime,
            requires: Vec::new(),
        };
        let files = vec![("requirements.txt".to_owned(), Bytes::new())];
        DependencyLock::new(LanguageId::parse("python").unwrap(), "x".into(), vec![package], files).unwrap()
    }

    #[track_caller]
    fn check(allow: &[&str], deny: &[&str], name: &str, expect: &str) {
        let declared = Declared::default().with(&[ScriptDependency::runtime(name, "")]);
        let policy = policy(allow, deny);
        let python = LanguageId::parse("python").unwrap();
        let found = policy.check_declared(&python, &declared).map_err(|it| it.to_string());
        assert_eq!(found.clone().err().is_some(), !expect.is_empty(), "{found:?}");
        assert!(found.err().unwrap_or_default().contains(expect));
        policy.check_declared(&LanguageId::parse("go").unwrap(), &declared).unwrap();
        assert_eq!(policy.check_lock(&lock(name, &["sha256:00"])).is_err(), !expect.is_empty());
    }

    #[test]
    fn lists_let_in_and_keep_out() {
        check(&[], &[], "requests", "");
        check(&["requests"], &[], "requests[socks]", "");
        check(&["requests"], &[], "urllib3", "urllib3: is not among the packages that the policy allows");
        check(&[], &["evil*"], "evil-package", "is denied by the policy");
        check(&["*"], &["A.B_c"], "a-b-C", "is denied by the policy");
    }

    #[test]
    fn a_package_without_a_hash_is_refused_unless_that_is_allowed() {
        let mut policy = PackagePolicy::default();
        let error = policy.check_lock(&lock("a", &[])).unwrap_err().to_string();
        assert!(error.contains("dependencies.a: 1.0 has no hash"), "{error}");
        policy.require_hashes = false;
        policy.check_lock(&lock("a", &[])).unwrap();
    }
}
