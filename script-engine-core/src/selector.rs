//! How a caller names a version, and the pure rule that resolves the name.

use std::fmt;
use std::str::FromStr;

use semver::{Version, VersionReq};

use crate::script::{DEFAULT_BRANCH, RefKind, ScriptRef};
use crate::{Digest, Error, ErrorKind, RefName, Result, VersionId};

/// Names a version of a script.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Selector {
    /// The highest release among the ancestors of the default branch's head, the head included.
    #[default]
    Latest,
    /// This number.
    Number(Version),
    /// The highest number that satisfies the requirement.
    Requirement(VersionReq),
    /// The head of a branch.
    Branch(RefName),
    /// What a tag points at.
    Tag(RefName),
    /// A version id, or a source digest that exactly one version has.
    Digest(Digest),
}

impl FromStr for Selector {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad = || {
            Error::invalid(
                "selector",
                format!(
                    "{text:?} names no version; give `latest`, a number (`1.4.2`), a requirement (`^1.4`), \
                     `branch:NAME`, `tag:NAME` or `sha256:DIGEST`"
                ),
            )
        };
        if text.is_empty() || text == "latest" {
            return Ok(Self::Latest);
        }
        match text.split_once(':') {
            Some(("branch", name)) => RefName::parse(name).map(Self::Branch),
            Some(("tag", name)) => RefName::parse(name).map(Self::Tag),
            Some(("sha256", digest)) => digest.parse().map(Self::Digest).map_err(|_| bad()),
            Some(_) => Err(bad()),
            None => match Version::parse(text) {
                Ok(version) => Ok(Self::Number(version)),
                Err(_) => VersionReq::parse(text).map(Self::Requirement).map_err(|_| bad()),
            },
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str("latest"),
            Self::Number(version) => version.fmt(f),
            Self::Requirement(requirement) => requirement.fmt(f),
            Self::Branch(name) => write!(f, "branch:{name}"),
            Self::Tag(name) => write!(f, "tag:{name}"),
            Self::Digest(digest) => write!(f, "sha256:{digest}"),
        }
    }
}

/// What resolution needs to know of one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionSummary {
    /// The version.
    pub id: VersionId,
    /// Its number.
    pub number: Version,
    /// The version it came after.
    pub parent: Option<VersionId>,
    /// The digest of its source.
    pub sha256: Digest,
}

/// Resolves `selector` among the versions and refs of one script. Fails with `NotFound` that says
/// what there is, or `InvalidRequest` that names the candidates where several fit.
pub fn resolve(selector: &Selector, versions: &[VersionSummary], refs: &[ScriptRef]) -> Result<VersionId> {
    let head = |kind: RefKind, name: &str| {
        refs.iter().find(|it| it.kind == kind && it.name.as_str() == name).map(|it| it.version)
    };
    let highest =
        |found: &mut dyn Iterator<Item = &VersionSummary>| found.max_by(|a, b| a.number.cmp(&b.number)).map(|it| it.id);
    let found = match selector {
        Selector::Latest => {
            let line = ancestors(head(RefKind::Branch, DEFAULT_BRANCH), versions);
            let releases = &mut line.iter().copied().filter(|it| it.number.pre.is_empty());
            highest(releases).or_else(|| line.first().map(|it| it.id))
        }
        Selector::Number(number) => versions.iter().find(|it| it.number == *number).map(|it| it.id),
        Selector::Requirement(wanted) => highest(&mut versions.iter().filter(|it| wanted.matches(&it.number))),
        Selector::Branch(name) => head(RefKind::Branch, name.as_str()),
        Selector::Tag(name) => head(RefKind::Tag, name.as_str()),
        Selector::Digest(digest) => by_digest(*digest, versions)?,
    };
    found.ok_or_else(|| not_found(selector, versions))
}

fn by_digest(digest: Digest, versions: &[VersionSummary]) -> Result<Option<VersionId>> {
    if let Some(version) = versions.iter().find(|it| it.id.0 == digest) {
        return Ok(Some(version.id));
    }
    let same_source: Vec<&VersionSummary> = versions.iter().filter(|it| it.sha256 == digest).collect();
    match same_source.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(one.id)),
        several => {
            let numbers: Vec<String> = several.iter().map(|it| it.number.to_string()).collect();
            Err(Error::invalid(
                "selector",
                format!("several versions have this source; name one of {}", numbers.join(", ")),
            ))
        }
    }
}

/// The version `head` and all it came after, newest first. Bounded by the number of versions, so
/// that a store with a loop in it ends as well.
fn ancestors(head: Option<VersionId>, versions: &[VersionSummary]) -> Vec<&VersionSummary> {
    let mut line: Vec<&VersionSummary> = Vec::new();
    let mut next = head;
    while let Some(version) = next.and_then(|id| versions.iter().find(|it| it.id == id)) {
        if line.len() >= versions.len() {
            break;
        }
        line.push(version);
        next = version.parent;
    }
    line
}

fn not_found(selector: &Selector, versions: &[VersionSummary]) -> Error {
    const SHOWN: usize = 5;
    let mut numbers: Vec<&Version> = versions.iter().map(|it| &it.number).collect();
    numbers.sort();
    let shown: Vec<String> = numbers.iter().rev().take(SHOWN).map(ToString::to_string).collect();
    let message = match numbers.len() {
        0 => "the script has no version yet".to_owned(),
        count if count > SHOWN => format!("no such version; the newest of {count} are {}", shown.join(", ")),
        _ => format!("no such version; there are {}", shown.join(", ")),
    };
    Error::new(ErrorKind::NotFound, message).with_context("selector", selector)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> VersionId {
        VersionId(Digest::of(&[n]))
    }

    fn version(n: u8, number: &str, parent: Option<u8>, source: &str) -> VersionSummary {
        VersionSummary {
            id: id(n),
            number: number.parse().unwrap(),
            parent: parent.map(id),
            sha256: Digest::of(source.as_bytes()),
        }
    }

    fn history() -> (Vec<VersionSummary>, Vec<ScriptRef>) {
        let versions = vec![
            version(1, "1.0.0", None, "a"),
            version(2, "1.1.0", Some(1), "b"),
            version(3, "2.0.0-beta.1", Some(2), "c"),
            version(4, "1.0.1", Some(1), "b"),
        ];
        let at = |name: &str, kind, n| ScriptRef { name: RefName::parse(name).unwrap(), kind, version: id(n) };
        (versions, vec![at("main", RefKind::Branch, 3), at("fix", RefKind::Branch, 4), at("prod", RefKind::Tag, 1)])
    }

    #[track_caller]
    fn check(selector: &str, expect: std::result::Result<u8, &str>) {
        let (versions, refs) = history();
        let found = selector.parse::<Selector>().and_then(|it| resolve(&it, &versions, &refs));
        match (found, expect) {
            (Ok(found), Ok(expect)) => assert_eq!(found, id(expect), "{selector}"),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{selector}: {error}"),
            (found, expect) => panic!("{selector}: {found:?}, expected {expect:?}"),
        }
    }

    #[test]
    fn selectors_resolve() {
        check("latest", Ok(2));
        check("", Ok(2));
        check("1.0.1", Ok(4));
        check("^1.0", Ok(2));
        check("~1.0", Ok(4));
        check("=2.0.0-beta.1", Ok(3));
        check("branch:main", Ok(3));
        check("branch:fix", Ok(4));
        check("tag:prod", Ok(1));
        check(&format!("sha256:{}", id(3)), Ok(3));
        check(&format!("sha256:{}", Digest::of(b"a")), Ok(1));
        check(&format!("sha256:{}", Digest::of(b"b")), Err("name one of 1.1.0, 1.0.1"));
        check("3.0.0", Err("there are 2.0.0-beta.1, 1.1.0, 1.0.1, 1.0.0"));
        check("branch:gone", Err("selector=`branch:gone`"));
        check("newest", Err("names no version"));
        check("commit:abc", Err("names no version"));
        check("sha256:abc", Err("names no version"));
        check("tag:../x", Err("ref"));
    }

    #[test]
    fn a_rollback_moves_latest_and_a_loop_ends() {
        let (versions, mut refs) = history();
        refs[0].version = id(1);
        assert_eq!(resolve(&Selector::Latest, &versions, &refs).unwrap(), id(1));
        let looped = vec![version(1, "1.0.0", Some(2), "a"), version(2, "1.1.0", Some(1), "b")];
        assert_eq!(resolve(&Selector::Latest, &looped, &refs).unwrap(), id(2));
    }
}
