//! Packages as plain data: what a version declares, the lock that pins it, and what a search finds.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{Digest, Error, ErrorKind, LanguageId, Problem, Result};

/// The format of a lock's text.
const FORMAT: u32 = 1;
/// Declared packages of one version, and the length of one name, requirement and manifest.
const MAX_DECLARED: usize = 1000;
const MAX_TEXT: usize = 256;
const MAX_MANIFEST: usize = 64 << 10;

/// What the sandboxes may reach in which packages are looked up and fetched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PackageNetwork {
    /// Every public address on the usual ports, and the places that the settings name, wherever those are.
    #[default]
    Public,
    /// Only the places that the settings name: mirrors, the proxy and further hosts.
    Named,
    /// Nothing: only what is there already is served.
    Off,
}

/// In which situations a dependency is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DependencyScope {
    /// The script runs with it.
    Runtime,
    /// Only the script's tests need it.
    Test,
    /// Only the compiler needs it.
    Build,
}

impl DependencyScope {
    /// The scope in lower case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Runtime => "runtime",
            Self::Test => "test",
            Self::Build => "build",
        }
    }
}

/// A package that a script needs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ScriptDependency {
    /// The package's name in its ecosystem; for Maven `group:artifact`, for Go an import path.
    pub name: String,
    /// Which versions will do, in the ecosystem's own notation; empty for any.
    pub requirement: String,
    /// When it is needed.
    pub scope: DependencyScope,
}

impl ScriptDependency {
    /// A package that the script runs with.
    #[must_use]
    pub fn runtime(name: impl Into<String>, requirement: impl Into<String>) -> Self {
        Self { name: name.into(), requirement: requirement.into(), scope: DependencyScope::Runtime }
    }
}

/// All that a version says about the packages it needs, in the request and inline in its source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declared {
    /// The packages.
    pub packages: Vec<ScriptDependency>,
    /// The ecosystem's own manifest as far as the source carries one (the block of a `go.mod`).
    pub manifest: Option<String>,
    /// Which versions of the toolchain will do (`requires-python`, `//JAVA 21+`).
    pub toolchain: Option<String>,
}

impl Declared {
    /// Puts more packages to these, sorts them and leaves out repetitions, so that the order of
    /// declaration does not matter.
    #[must_use]
    pub fn with(mut self, more: &[ScriptDependency]) -> Self {
        self.packages.extend(more.iter().cloned());
        self.packages.sort();
        self.packages.dedup();
        self
    }

    /// Gives the packages that a lock is to hold: those that only tests need are in none.
    pub fn locked(&self) -> impl Iterator<Item = &ScriptDependency> {
        self.packages.iter().filter(|it| it.scope != DependencyScope::Test)
    }

    /// Whether a lock is to be made for it.
    #[must_use]
    pub fn needs_lock(&self) -> bool {
        self.manifest.is_some() || self.locked().next().is_some()
    }

    /// Names everything that no ecosystem would take: options, paths, addresses and control
    /// characters in place of names and versions.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut say = |field: String, message: String| problems.push(Problem { field, message });
        if self.packages.len() > MAX_DECLARED {
            say("dependencies".into(), format!("has {} packages; give at most {MAX_DECLARED}", self.packages.len()));
        }
        for it in self.packages.iter().take(MAX_DECLARED) {
            let field = || format!("dependencies.{}", it.name.escape_debug().take(80).collect::<String>());
            if let Some(problem) = name_problem(&it.name) {
                say(field(), problem.into());
            }
            if let Some(problem) = requirement_problem(&it.requirement) {
                say(field(), problem.into());
            }
        }
        if self.manifest.as_ref().is_some_and(|it| it.len() > MAX_MANIFEST) {
            say("dependencies.manifest".into(), format!("is longer than {MAX_MANIFEST} bytes; shorten it"));
        }
        problems
    }
}

fn name_problem(name: &str) -> Option<&'static str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@/._-:~+[],".contains(c);
    if name.is_empty() || name.len() > MAX_TEXT {
        Some("is not a package name: it has no or more than 256 bytes")
    } else if !name.chars().all(plain) {
        Some("is not a package name: it holds a character that no ecosystem has in one")
    } else if name.starts_with(['-', '.', '/']) || name.contains("//") || name.split('/').any(|it| it == "..") {
        Some("is an option, a path or an address; name a package of the index")
    } else {
        None
    }
}

fn requirement_problem(requirement: &str) -> Option<&'static str> {
    if requirement.len() > MAX_TEXT {
        Some("has a version requirement of more than 256 bytes; shorten it")
    } else if requirement.chars().any(|c| c.is_control()) {
        Some("has a control character in its version requirement; take it out")
    } else if requirement.contains(['/', '\\', '`', '$']) || has_colon_beyond_epochs(requirement) {
        Some("asks for an address, a path or a command; give a version requirement of the index")
    } else if requirement.starts_with('-') {
        Some("has an option in place of a version requirement; give a version")
    } else {
        None
    }
}

/// Whether a colon is there that is not an epoch's, as in `=1:2.3-4` of Debian's packages.
fn has_colon_beyond_epochs(requirement: &str) -> bool {
    let mut parts = requirement.split(':').peekable();
    while let (Some(before), Some(after)) = (parts.next(), parts.peek()) {
        let rest = before.trim_end_matches(|c: char| c.is_ascii_digit());
        let is_epoch =
            rest.len() < before.len() && !rest.ends_with(|c: char| c.is_ascii_alphanumeric() || "._-+".contains(c));
        if !is_epoch || !after.starts_with(|c: char| c.is_ascii_digit()) {
            return true;
        }
    }
    false
}

/// One package of a lock.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LockedPackage {
    /// Its name.
    pub name: String,
    /// Its exact version.
    pub version: String,
    /// Where it is fetched from, without credentials.
    pub url: String,
    /// Its digests in the ecosystem's own notation, such as `sha256:…` or `sha512-…`.
    pub hashes: Vec<String>,
    /// Whether the script runs with it, or only its compiler needs it.
    pub scope: DependencyScope,
    /// The names of the packages it needs.
    pub requires: Vec<String>,
}

/// The exact closure of what a version declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DependencyLock {
    /// The language whose ecosystem it is.
    pub language: LanguageId,
    /// What its layer can be used with: architecture, libc and interpreter ABI.
    pub platform: String,
    /// The packages, by name.
    pub packages: Vec<LockedPackage>,
    /// The ecosystem's own manifests and lock files, by name.
    pub files: Vec<(String, Bytes)>,
    /// The digest over all of them.
    pub digest: Digest,
}

/// The text of a lock. Files are text in every ecosystem.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    format: u32,
    language: String,
    platform: String,
    packages: Vec<LockedPackage>,
    files: Vec<(String, String)>,
}

impl DependencyLock {
    /// Makes a lock of its parts: sorts packages and files and computes the digest. Fails with
    /// `Internal` if a file is not text.
    pub fn new(
        language: LanguageId,
        platform: String,
        mut packages: Vec<LockedPackage>,
        mut files: Vec<(String, Bytes)>,
    ) -> Result<Self> {
        packages.sort();
        packages.dedup();
        files.sort();
        let mut lock = Self { language, platform, packages, files, digest: Digest::of(b"") };
        lock.digest = Digest::of(lock.to_json()?.as_bytes());
        Ok(lock)
    }

    /// The lock as compact JSON (format 1). Equal locks have equal text; the digest is that of the text.
    pub fn to_json(&self) -> Result<String> {
        let text = |content: &Bytes| String::from_utf8(content.to_vec());
        let files = self.files.iter().map(|(name, content)| Ok((name.clone(), text(content)?)));
        let files: std::result::Result<Vec<_>, std::string::FromUtf8Error> = files.collect();
        let stored = Stored {
            format: FORMAT,
            language: self.language.to_string(),
            platform: self.platform.clone(),
            packages: self.packages.clone(),
            files: files.map_err(|error| Error::internal("a lock holds a file that is not text").with_source(error))?,
        };
        serde_json::to_string(&stored).map_err(|error| Error::internal("a lock can't be written").with_source(error))
    }

    /// Reads the text of a lock. Fails with `Corrupted`.
    pub fn from_json(text: &[u8]) -> Result<Self> {
        let stored: Stored =
            serde_json::from_slice(text).map_err(|error| corrupted("is no lock").with_source(error))?;
        if stored.format != FORMAT {
            return Err(corrupted("has another format than 1"));
        }
        let files = stored.files.into_iter().map(|(name, content)| (name, Bytes::from(content))).collect();
        Self::new(LanguageId::parse(&stored.language)?, stored.platform, stored.packages, files)
    }

    /// Fails with `Corrupted` if the digest is not that of the content.
    pub fn verify(&self) -> Result<()> {
        if Digest::of(self.to_json()?.as_bytes()) == self.digest {
            Ok(())
        } else {
            Err(corrupted("does not have its digest"))
        }
    }

    /// A file of the lock by name.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<&Bytes> {
        self.files.iter().find(|(it, _)| it == name).map(|(_, content)| content)
    }

    /// The packages of a layer of this use.
    pub fn packages_for(&self, wanted: LayerUse) -> impl Iterator<Item = &LockedPackage> {
        self.packages.iter().filter(move |it| wanted == LayerUse::Compile || it.scope == DependencyScope::Runtime)
    }
}

fn corrupted(problem: &str) -> Error {
    Error::new(ErrorKind::Corrupted, format!("the lock {problem}; lock the script again"))
}

/// What a dependency layer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LayerUse {
    /// A script runs with it: packages of scope `runtime`.
    Run,
    /// A compiler works with it: packages of scope `build` as well.
    Compile,
}

impl LayerUse {
    /// The use in lower case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Compile => "compile",
        }
    }
}

/// A package that a search found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageSummary {
    /// Its name.
    pub name: String,
    /// Its latest version, where the index tells it.
    pub version: Option<String>,
    /// What it is, in one line, where the index tells it.
    pub description: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock() -> DependencyLock {
        let package = |name: &str, scope| LockedPackage {
            name: name.into(),
            version: "1.0".into(),
            url: format!("https://index.test/{name}"),
            hashes: vec!["sha256:00".into()],
            scope,
            requires: Vec::new(),
        };
        let packages = vec![package("b", DependencyScope::Build), package("a", DependencyScope::Runtime)];
        let files = vec![("requirements.txt".to_owned(), Bytes::from_static(b"a==1.0\n"))];
        DependencyLock::new(LanguageId::parse("python").unwrap(), "x86_64".into(), packages, files).unwrap()
    }

    #[test]
    fn a_lock_comes_back_from_its_text_and_a_changed_one_is_found() {
        let lock = lock();
        let text = lock.to_json().unwrap();
        assert_eq!(DependencyLock::from_json(text.as_bytes()).unwrap(), lock);
        lock.verify().unwrap();
        let mut changed = lock.clone();
        changed.packages[0].version = "2.0".into();
        assert_eq!(changed.verify().unwrap_err().kind(), ErrorKind::Corrupted);
        assert_eq!(DependencyLock::from_json(b"{}").unwrap_err().kind(), ErrorKind::Corrupted);
        let names = |wanted| lock.packages_for(wanted).map(|it| it.name.as_str()).collect::<Vec<_>>();
        assert_eq!((names(LayerUse::Run), names(LayerUse::Compile)), (vec!["a"], vec!["a", "b"]));
    }

    #[test]
    fn the_order_of_declaration_does_not_matter() {
        let (a, b) = (ScriptDependency::runtime("a", "1"), ScriptDependency::runtime("b", ""));
        let one = Declared::default().with(&[a.clone(), b.clone()]);
        assert_eq!(one, Declared::default().with(&[b.clone(), a.clone(), b]));
        assert!(one.needs_lock());
        let test = ScriptDependency { scope: DependencyScope::Test, ..a };
        assert!(!Declared::default().with(&[test]).needs_lock());
    }

    #[test]
    fn what_is_no_package_is_named() {
        for (name, requirement) in [
            ("", ""),
            ("--index-url", ""),
            ("../x", ""),
            ("a b", ""),
            ("a", "git+https://x"),
            ("a", "file:x"),
            ("a", "host1:80"),
            ("a", "10.0.0.1:80"),
            ("a", "1:x"),
            ("a", ":1"),
            ("a", "$(rm)"),
            ("a", "--pre"),
            ("a", "1\n2"),
            ("/etc", ""),
        ] {
            let declared = Declared::default().with(&[ScriptDependency::runtime(name, requirement)]);
            assert_eq!(declared.problems().len(), 1, "{name:?} {requirement:?}");
        }
        for (name, requirement) in [
            ("requests", ">=2,<3"),
            ("tomli", ">=2; python_version < '3.11'"),
            ("@scope/name", "^1.2 || ~2"),
            ("com.google.code.gson:gson", "2.10"),
            ("uvicorn[standard]", "==0.1.*"),
            ("github.com/google/uuid", "v1.6.0"),
            ("bind9-dnsutils", "=1:9.18.28-1"),
            ("vim", "1:9.* | 2:8.2"),
        ] {
            let declared = Declared::default().with(&[ScriptDependency::runtime(name, requirement)]);
            assert_eq!(declared.problems(), vec![], "{name}");
        }
    }
}
