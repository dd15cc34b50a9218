//! What is reached in a closure from what a script names: the rest is there for others.

use std::collections::{BTreeMap, BTreeSet};

use script_engine_core::packages::LockedPackage;

/// The names of the packages that `roots` need, themselves included.
pub(crate) fn from(roots: &[String], packages: &[LockedPackage]) -> BTreeSet<String> {
    let edges: BTreeMap<&str, &[String]> =
        packages.iter().map(|it| (it.name.as_str(), it.requires.as_slice())).collect();
    let mut reached = BTreeSet::new();
    let mut left: Vec<&str> = roots.iter().map(String::as_str).collect();
    while let Some(name) = left.pop() {
        if reached.insert(name.to_owned()) {
            left.extend(edges.get(name).into_iter().copied().flatten().map(String::as_str));
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use script_engine_core::DependencyScope;

    use super::*;

    #[test]
    fn circles_end() {
        let package = |name: &str, requires: &[&str]| LockedPackage {
            name: name.into(),
            version: "1".into(),
            url: String::new(),
            hashes: Vec::new(),
            scope: DependencyScope::Runtime,
            requires: requires.iter().map(|it| (*it).to_owned()).collect(),
        };
        let all = [package("a", &["b"]), package("b", &["c", "a"]), package("c", &["b"]), package("d", &["a"])];
        let reached = from(&["a".into(), "virtual".into()], &all);
        assert_eq!(reached.into_iter().collect::<Vec<_>>(), ["a", "b", "c", "virtual"]);
    }
}
