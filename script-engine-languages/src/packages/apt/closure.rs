//! Reads what apt and apk say of a closure: addresses, hashes and what needs what. What every system has is left out.

use std::collections::{BTreeMap, BTreeSet};

use script_engine_core::packages::LockedPackage;
use script_engine_core::{DependencyScope, Error, Result};
use serde::Deserialize;

use crate::packages::driver::Secrets;
use crate::packages::reach;
use crate::source_text;

/// What the driver leaves of a lock.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Resolved {
    pub(super) platform: String,
    manager: String,
    /// The names of what every system has; for apt those of its files.
    base: String,
    /// For apt: lines of address in quotation marks, file name, size and a hash that may be missing.
    uris: String,
    /// For apt: records of the index.
    facts: String,
    /// For apk: addresses, hashes with file names, and a drawing of what needs what, in the language of Graphviz.
    urls: String,
    sums: String,
    graph: String,
}

/// The packages of a lock. Of scope `build` is what only `build` needs.
pub(super) fn closure(resolved: &Resolved, runtime: &[String], build: &[String]) -> Result<Vec<LockedPackage>> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if resolved.platform.is_empty() || !resolved.platform.chars().all(plain) {
        return Err(Error::internal("the runtime's system has a name that is none"));
    }
    let mut packages = if resolved.manager == "apk" { of_apk(resolved)? } else { of_apt(resolved)? };
    let (for_run, for_build) = (reach::from(runtime, &packages), reach::from(build, &packages));
    for it in &mut packages {
        if for_build.contains(&it.name) && !for_run.contains(&it.name) {
            it.scope = DependencyScope::Build;
        }
    }
    Ok(packages)
}

fn of_apt(resolved: &Resolved) -> Result<Vec<LockedPackage>> {
    let base: BTreeSet<&str> = resolved.base.lines().filter_map(|it| it.split('_').next()).collect();
    let records: BTreeMap<String, Record<'_>> = resolved
        .facts
        .split("\n\n")
        .filter_map(Record::read)
        .map(|it| (format!("{} {}", it.name, it.version), it))
        .collect();
    let mut found = Vec::new();
    for line in resolved.uris.lines() {
        let mut words = line.split(' ');
        let (Some(url), Some(file)) = (words.next(), words.next()) else { continue };
        let mut parts = file.split('_');
        let (Some(name), Some(version)) = (parts.next(), parts.next()) else { continue };
        if base.contains(name) {
            continue;
        }
        let version = version.replace("%3a", ":");
        let record = records.get(&format!("{name} {version}"));
        let hash = record.and_then(|it| it.sha256).unwrap_or_default();
        found.push((name.to_owned(), version, url.trim_matches('\'').to_owned(), hash.to_owned(), record));
    }
    let names: BTreeSet<&str> = found.iter().map(|it| it.0.as_str()).collect();
    found
        .iter()
        .map(|(name, version, url, hash, record)| {
            let requires = record.map(|it| it.requires(&names)).unwrap_or_default();
            locked(name, version, url, hash, requires)
        })
        .collect()
}

fn of_apk(resolved: &Resolved) -> Result<Vec<LockedPackage>> {
    let base: BTreeSet<&str> = resolved.base.lines().collect();
    let sums: BTreeMap<&str, &str> =
        resolved.sums.lines().filter_map(|it| it.split_once("  ")).map(|(sum, file)| (file.trim(), sum)).collect();
    let mut found = Vec::new();
    for url in resolved.urls.lines().map(str::trim) {
        let file = url.rsplit('/').next().unwrap_or_default();
        let Some((name, version)) = file.strip_suffix(".apk").and_then(apart) else { continue };
        if !base.contains(name) {
            found.push((name, version, url, sums.get(file).copied().unwrap_or_default()));
        }
    }
    let names: BTreeSet<&str> = found.iter().map(|it| it.0).collect();
    let edges: BTreeSet<(&str, &str)> = resolved.graph.lines().filter_map(edge).collect();
    let requires = |name: &str| {
        let needed = edges.iter().filter(|it| it.0 == name && it.1 != name && names.contains(it.1));
        needed.map(|it| it.1.to_owned()).collect()
    };
    found.iter().map(|(name, version, url, hash)| locked(name, version, url, hash, requires(name))).collect()
}

/// The name and the version of `name-1.2.3-r4`.
fn apart(stem: &str) -> Option<(&str, &str)> {
    let (rest, _) = stem.rsplit_once('-')?;
    let (name, _) = rest.rsplit_once('-')?;
    Some((name, &stem[name.len() + 1..]))
}

/// The two names of a line such as `"jq-1.7.1-r0" -> "musl-1.2.4-r2"[…];`.
fn edge(line: &str) -> Option<(&str, &str)> {
    let mut quoted = line.split('"');
    let (_, from, arrow, to) = (quoted.next()?, quoted.next()?, quoted.next()?, quoted.next()?);
    (arrow.trim() == "->").then_some(())?;
    Some((apart(from)?.0, apart(to)?.0))
}

fn locked(name: &str, version: &str, url: &str, hash: &str, requires: Vec<String>) -> Result<LockedPackage> {
    let refused =
        |problem: &str| Error::invalid("dependencies", source_text::message(&format!("{name} {version} {problem}")));
    let plain = |c: char| c.is_ascii_alphanumeric() || ".+~:-_".contains(c);
    if !super::name::is_name(name) || version.is_empty() || !version.chars().all(plain) {
        return Err(refused("has a name or version that no index can have"));
    }
    let url = Secrets::default().cleaned(url);
    if !(url.starts_with("http://") || url.starts_with("https://")) || url.chars().any(char::is_whitespace) {
        return Err(refused("does not come from an index that is reached by HTTP"));
    }
    if hash.len() != 64 || !hash.bytes().all(|it| it.is_ascii_hexdigit()) {
        return Err(refused("has no SHA-256 in the index, so it can't be locked"));
    }
    Ok(LockedPackage {
        name: name.to_owned(),
        version: version.to_owned(),
        url,
        hashes: vec![format!("sha256:{hash}")],
        scope: DependencyScope::Runtime,
        requires,
    })
}

/// What an index says of one package.
#[derive(Debug, Default)]
struct Record<'a> {
    name: &'a str,
    version: &'a str,
    sha256: Option<&'a str>,
    depends: Vec<&'a str>,
}

impl<'a> Record<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let mut record = Self::default();
        for line in text.lines() {
            let Some((key, value)) = line.split_once(": ") else { continue };
            match key {
                "Package" => record.name = value.trim(),
                "Version" => record.version = value.trim(),
                "SHA256" => record.sha256 = Some(value.trim()),
                "Depends" | "Pre-Depends" => record.depends.push(value),
                _ => {}
            }
        }
        (!record.name.is_empty()).then_some(record)
    }

    /// The packages of the closure among those that it needs, alternatives included.
    fn requires(&self, names: &BTreeSet<&str>) -> Vec<String> {
        let words = self.depends.iter().flat_map(|it| it.split([',', '|']));
        let needed = words.filter_map(|it| it.split([' ', '(', ':']).find(|it| !it.is_empty()));
        let needed: BTreeSet<String> = needed.filter(|it| names.contains(it)).map(str::to_owned).collect();
        needed.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "59ecfce6d88c7c4b09496ce182b3b8303e8e8477664e009b16ae83a09cd12be7";

    #[test]
    fn what_apt_says_becomes_packages_without_what_every_system_has() {
        let resolved = Resolved {
            platform: "debian-12-amd64".into(),
            manager: "apt".into(),
            base: "libc6_2.36_amd64.deb\nzlib1g_1%3a1.2_amd64.deb\n".into(),
            uris: "'http://u:p@mirror.test/pool/libc6_2.36_amd64.deb' libc6_2.36_amd64.deb 2759320 MD5Sum:8d\n'http://mirror.test/pool/jq_1.6%2bdeb_amd64.deb' jq_1%3a1.6+deb_amd64.deb 64432 \n'http://u:p@mirror.test/pool/libjq1_1_amd64.deb' libjq1_1_amd64.deb 1 MD5Sum:8d\n".into(),
            facts: format!("Package: jq\nVersion: 1:1.6+deb\nDepends: libjq1 (= 1), libc6 (>= 2.34) | none:any\nSHA256: {HASH}\n\nPackage: libjq1\nVersion: 1\nSHA256: {HASH}\n\n"),
            ..Resolved::default()
        };
        let found = closure(&resolved, &["jq".into()], &[]).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].name.as_str(), found[0].version.as_str()), ("jq", "1:1.6+deb"));
        assert_eq!(found[0].requires, ["libjq1"]);
        assert_eq!(found[1].url, "http://mirror.test/pool/libjq1_1_amd64.deb");
        assert_eq!(found[1].hashes, [format!("sha256:{HASH}")]);
        let scopes = |runtime: &[String], build: &[String]| {
            let found = closure(&resolved, runtime, build).unwrap();
            found.iter().map(|it| it.scope.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(scopes(&["libjq1".into()], &["jq".into()]), ["build", "runtime"]);
        let silent = Resolved { facts: String::new(), ..resolved };
        let error = closure(&silent, &["jq".into()], &[]).unwrap_err().to_string();
        assert!(error.contains("jq 1:1.6+deb has no SHA-256 in the index"), "{error}");
    }

    #[test]
    fn what_apk_says_becomes_packages() {
        let resolved = Resolved {
            platform: "alpine-3.19.1-x86_64".into(),
            manager: "apk".into(),
            base: "musl\n".into(),
            urls: ["musl-1.2.4_git20230717-r4", "oniguruma-6.9.9-r0", "jq-dev-1.7.1-r0"]
                .map(|it| format!("https://mirror.test/v3.19/main/x86_64/{it}.apk\n"))
                .concat(),
            sums: ["musl-1.2.4_git20230717-r4", "oniguruma-6.9.9-r0", "jq-dev-1.7.1-r0"]
                .map(|it| format!("{HASH}  {it}.apk\n"))
                .concat(),
            // What apk 2.14 and 3 really draw.
            graph: "digraph \"apkindex\" {\n  rankdir=LR;\n  node [shape=box];\n  \"jq-dev-1.7.1-r0\" -> \"musl-1.2.4_git20230717-r4\"[arrowhead=inv,label=\"so:libc.musl-x86_64.so.1\",];\n  \"jq-dev-1.7.1-r0\" -> \"oniguruma-6.9.9-r0\"[arrowhead=inv,label=\"so:libonig.so.5\",];\n}\n".into(),
            ..Resolved::default()
        };
        let found = closure(&resolved, &["jq-dev".into()], &[]).unwrap();
        let told: Vec<_> =
            found.iter().map(|it| (it.name.as_str(), it.version.as_str(), it.requires.join(" "))).collect();
        assert_eq!(told, [("oniguruma", "6.9.9-r0", String::new()), ("jq-dev", "1.7.1-r0", "oniguruma".into())]);
    }

    #[test]
    fn what_is_said_may_be_hostile() {
        for (uris, expect) in [
            ("'file:///etc/shadow' jq_1_amd64.deb 1 \n", "does not come from an index"),
            ("'http://m.test/a' jq_1_amd64.deb 1 \n", "no SHA-256"),
            ("'http://m.test/a' ../jq_1_amd64.deb 1 \n", "has a name or version"),
        ] {
            let resolved = Resolved { platform: "x".into(), uris: uris.into(), ..Resolved::default() };
            let error = closure(&resolved, &["jq".into()], &[]).unwrap_err().to_string();
            assert!(error.contains(expect), "{error}");
        }
        assert!(closure(&Resolved::default(), &[], &[]).is_err());
    }
}
