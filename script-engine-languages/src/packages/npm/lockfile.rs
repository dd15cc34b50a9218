//! Reads npm's own lock file (version 3): which packages it pins, where they come from and which needs which.

use std::collections::{BTreeMap, BTreeSet};

use script_engine_core::packages::LockedPackage;
use script_engine_core::{DependencyScope, Error, Result};
use serde::Deserialize;

use crate::packages::driver::Secrets;
use crate::source_text;

/// The folder that every package's place begins with.
const FOLDER: &str = "node_modules/";

#[derive(Debug, Deserialize)]
struct LockFile {
    packages: BTreeMap<String, Entry>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Entry {
    name: Option<String>,
    version: Option<String>,
    resolved: Option<String>,
    integrity: Option<String>,
    dev: bool,
    dev_optional: bool,
    link: bool,
    in_bundle: bool,
    dependencies: BTreeMap<String, String>,
    optional_dependencies: BTreeMap<String, String>,
    peer_dependencies: BTreeMap<String, String>,
}

/// The packages of a lock file. Fails if one does not come from an index, or has no hash.
pub(super) fn packages(text: &str) -> Result<Vec<LockedPackage>> {
    let file: LockFile = serde_json::from_str(text)
        .map_err(|error| Error::internal("npm's lock file can't be read").with_source(error))?;
    let mut packages = Vec::new();
    for (place, entry) in &file.packages {
        // The entry without a place is the script itself; what is bundled comes with the package it is in.
        if place.is_empty() || entry.in_bundle {
            continue;
        }
        packages.push(locked(place, entry, &file.packages)?);
    }
    Ok(packages)
}

fn locked(place: &str, entry: &Entry, all: &BTreeMap<String, Entry>) -> Result<LockedPackage> {
    let name = entry.name.as_deref().or_else(|| place.rsplit(FOLDER).next()).unwrap_or_default();
    let version = entry.version.as_deref().unwrap_or_default();
    let refused =
        |problem: &str| Error::invalid("dependencies", source_text::message(&format!("{name} {version} {problem}")));
    if !super::name::is_name(name) || version.is_empty() || !version.chars().all(is_plain) {
        return Err(refused("has a name or version that no index can have"));
    }
    let url = Secrets::default().cleaned(entry.resolved.as_deref().unwrap_or_default());
    let fetched = url.starts_with("https://") || url.starts_with("http://");
    if entry.link || !fetched || url.chars().any(char::is_whitespace) {
        return Err(refused("does not come from the index; name a package that needs none of that kind"));
    }
    let hashes: Vec<String> = entry
        .integrity
        .iter()
        .flat_map(|it| it.split_whitespace())
        .filter(|it| is_hash(it))
        .map(str::to_owned)
        .collect();
    if hashes.is_empty() {
        return Err(refused("has no hash in the index, so it can't be locked"));
    }
    Ok(LockedPackage {
        name: name.to_owned(),
        version: version.to_owned(),
        url,
        hashes,
        scope: if entry.dev || entry.dev_optional { DependencyScope::Build } else { DependencyScope::Runtime },
        requires: requires(place, entry, all),
    })
}

/// The names of what a package needs, as far as it was found: beside it or further out.
fn requires(place: &str, entry: &Entry, all: &BTreeMap<String, Entry>) -> Vec<String> {
    let names =
        entry.dependencies.keys().chain(entry.optional_dependencies.keys()).chain(entry.peer_dependencies.keys());
    let found = names.filter_map(|name| {
        let mut folder = place;
        loop {
            let inner = if folder.is_empty() { format!("{FOLDER}{name}") } else { format!("{folder}/{FOLDER}{name}") };
            if let Some(entry) = all.get(&inner) {
                return Some(entry.name.clone().unwrap_or_else(|| name.clone()));
            }
            if folder.is_empty() {
                return None;
            }
            folder = folder.rfind("/node_modules/").map_or("", |at| &folder[..at]);
        }
    });
    found.collect::<BTreeSet<String>>().into_iter().collect()
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || ".-+".contains(c)
}

fn is_hash(text: &str) -> bool {
    let encoded = |it: &str| it.bytes().all(|it| it.is_ascii_alphanumeric() || b"+/=".contains(&it));
    text.split_once('-').is_some_and(|(name, value)| {
        matches!(name, "sha512" | "sha384" | "sha256" | "sha1") && value.len() > 20 && encoded(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str =
        "sha512-gzUt/qt81nXsFGKIFcC3YnfEAx5NkunCfnDlvuBSSFS02bcXu4Lmea0AFIUwbLWxWPx3d9p8S5QoaujKcNQxcQ==";

    fn file(entries: &str) -> String {
        format!("{{\"lockfileVersion\":3,\"packages\":{{\"\":{{\"dependencies\":{{\"a\":\"1\"}}}},{entries}}}}}")
    }

    fn entry(place: &str, more: &str) -> String {
        format!(
            "\"{place}\":{{\"version\":\"1.0.0\",\"resolved\":\"https://u:p@index.test/a.tgz\",\"integrity\":\"{HASH}\"{more}}}"
        )
    }

    #[test]
    fn packages_come_with_their_edges_and_scope() {
        let entries = [
            entry(
                "node_modules/a",
                ",\"dependencies\":{\"b\":\"1\",\"none\":\"1\"},\"peerDependencies\":{\"@s/c\":\"1\"}",
            ),
            entry("node_modules/a/node_modules/b", ",\"dependencies\":{\"@s/c\":\"1\"}"),
            entry("node_modules/@s/c", ",\"dev\":true,\"dependencies\":{\"alias\":\"1\"}"),
            entry("node_modules/alias", ",\"name\":\"real\""),
            "\"node_modules/a/node_modules/in\":{\"version\":\"1.0.0\",\"inBundle\":true}".to_owned(),
        ];
        let found = packages(&file(&entries.join(","))).unwrap();
        let found: Vec<_> =
            found.iter().map(|it| (it.name.as_str(), it.scope.as_str(), it.requires.join(" "))).collect();
        let expect = [
            ("@s/c", "build", "real".to_owned()),
            ("a", "runtime", "@s/c b".to_owned()),
            ("b", "runtime", "@s/c".to_owned()),
            ("real", "runtime", String::new()),
        ];
        assert_eq!(found, expect);
        assert_eq!(packages(&file(&entries[0])).unwrap()[0].url, "https://index.test/a.tgz");
    }

    #[test]
    fn what_does_not_come_from_an_index_is_refused() {
        for (entry, expect) in [
            (
                "\"node_modules/a\":{\"version\":\"1.0.0\",\"resolved\":\"git+ssh://git@host/a.git#1\"}",
                "does not come from the index",
            ),
            (
                "\"node_modules/a\":{\"version\":\"1.0.0\",\"resolved\":\"../a\",\"link\":true}",
                "does not come from the index",
            ),
            ("\"node_modules/a\":{\"version\":\"1.0.0\",\"resolved\":\"https://host/a.tgz\"}", "has no hash"),
            (
                "\"node_modules/a\":{\"version\":\"1.0.0\",\"resolved\":\"https://host/a.tgz\",\"integrity\":\"md5-0\"}",
                "has no hash",
            ),
            ("\"node_modules/a\":{\"resolved\":\"https://host/a.tgz\"}", "has a name or version"),
            ("\"node_modules/../a\":{\"version\":\"1.0.0\"}", "has a name or version"),
        ] {
            let error = packages(&file(entry)).unwrap_err().to_string();
            assert!(error.contains(expect), "{error}");
        }
        assert!(packages("{").is_err());
    }
}
