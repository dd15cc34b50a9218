//! Packages of the system for Bash, by apt or apk as the runtime's `os-release` says. They are unpacked into a tree of
//! their own: nothing is installed, and no script of a package runs. What every system has is left out of a lock.

use std::time::Duration;

use bytes::Bytes;
use script_engine_core::contract::Step;
use script_engine_core::packages::{Declared, DependencyLock, LayerUse, LockedPackage, PackageSummary};
use script_engine_core::{DependencyScope, Error, LanguageId, Limits, Problem, RelPath, Result, ScriptDependency};
use serde::Deserialize;
use serde_json::{Value, json};

use self::closure::{Resolved, closure};
use super::driver::{Driver, Input};
use super::{Ecosystem, IndexSource, LayerStep, PackageSources, Rules};
use crate::source_text;

mod closure;
mod complaint;
pub(crate) mod name;
pub(crate) mod tree;

const TOOL: (&str, &str) = ("tool.sh", include_str!("tool.sh"));
const INTERPRETER: &[&str] = &["bash", "--norc"];
const LOCK: Driver = Driver {
    interpreter: INTERPRETER,
    main: "lock.sh",
    files: &[TOOL, ("lock.sh", include_str!("lock.sh"))],
    env: &[],
};
const INSTALL: Driver = Driver {
    interpreter: INTERPRETER,
    main: "install.sh",
    files: &[TOOL, ("install.sh", include_str!("install.sh"))],
    env: &[],
};

/// The ecosystem of Bash: packages of the runtime's system.
///
/// The settings' `more` are files of `/etc/apt` by their names there, such as `sources.list.d/debian.sources`; a name that
/// ends in `.gpg` has its content in hexadecimal digits. Without any, and without a mirror as the address, the runtime's
/// own sources are taken.
#[derive(Clone, Debug)]
pub struct Apt {
    language: LanguageId,
}

#[derive(Debug, Deserialize)]
struct Searched {
    found: String,
}

impl Apt {
    /// Makes it. Fails never, in practice: its name is checked by the tests.
    pub fn new() -> Result<Self> {
        Ok(Self { language: LanguageId::parse("bash")? })
    }
}

impl Ecosystem for Apt {
    fn language(&self) -> &LanguageId {
        &self.language
    }

    fn limits(&self) -> Limits {
        Limits {
            timeout: Duration::from_secs(900),
            memory_bytes: 1 << 30,
            milli_cpus: 2000,
            work_bytes: 2 << 30,
            files: 500_000,
            ..Limits::default()
        }
    }

    fn fingerprint(&self) -> String {
        "apt 2".to_owned()
    }

    fn lock(&self, declared: &Declared, sources: &PackageSources, rules: Rules) -> Result<Step<DependencyLock>> {
        if rules.published_before.is_some() {
            let message =
                "packages of the system have no date of their own in the index, so no minimum age can be kept";
            return Err(Error::new(script_engine_core::ErrorKind::Unsupported, message));
        }
        let wanted: Vec<&ScriptDependency> = declared.locked().collect();
        let problems: Vec<Problem> = wanted
            .iter()
            .filter_map(|it| {
                let message = name::problem(it)?;
                Some(Problem { field: format!("dependencies.{}", it.name), message: message.to_owned() })
            })
            .collect();
        if !problems.is_empty() {
            return Err(Error::invalid_all(problems));
        }
        let lines: Vec<String> = wanted.iter().map(|it| name::text(it)).collect();
        let of = |scope: DependencyScope| -> Vec<String> {
            wanted.iter().filter(|it| it.scope == scope).map(|it| it.name.clone()).collect()
        };
        let (runtime, build) = (of(DependencyScope::Runtime), of(DependencyScope::Build));
        let language = self.language.clone();
        LOCK.step(
            input(sources)?.file("wanted", lines.join("\n") + "\n"),
            |failure| complaint::read(&failure),
            move |resolved: Resolved, _| {
                let packages = closure(&resolved, &runtime, &build)?;
                let text: String = packages.iter().map(|it| format!("{}={}\n", it.name, it.version)).collect();
                let files = vec![("packages.txt".to_owned(), Bytes::from(text))];
                DependencyLock::new(language, resolved.platform, packages, files)
            },
        )
    }

    fn install(
        &self,
        lock: &DependencyLock,
        wanted: LayerUse,
        sources: &PackageSources,
        _rules: Rules,
    ) -> Result<Option<LayerStep>> {
        let packages: Vec<&LockedPackage> = lock.packages_for(wanted).collect();
        if packages.is_empty() {
            return Ok(None);
        }
        let mut fetch = String::new();
        for (number, it) in packages.iter().enumerate() {
            let hash = it.hashes.first().and_then(|it| it.strip_prefix("sha256:")).unwrap_or_default();
            let kind = if it.url.ends_with(".apk") { "apk" } else { "deb" };
            fetch.push_str(&format!("{}\n{number}.{kind}\nSHA256:{hash}\n", it.url));
        }
        let step = INSTALL.step(
            input(sources)?.file("platform", lock.platform.clone()).file("fetch", fetch).for_layer(),
            |failure| complaint::read(&failure),
            |_: Value, layer| layer.ok_or_else(|| Error::internal("apt left no packages")),
        );
        step.map(Some)
    }

    fn search(&self, text: &str, limit: usize, sources: &PackageSources) -> Result<Step<Vec<PackageSummary>>> {
        let text = text.trim();
        let plain = |c: char| c.is_ascii_alphanumeric() || " +.-".contains(c);
        if text.is_empty() || text.len() > 200 || !text.chars().all(plain) || text.starts_with('-') {
            return Err(Error::invalid("text", "is no name and no words; give letters and digits"));
        }
        let wanted = text.to_owned();
        LOCK.step(
            input(sources)?.file("search", text.to_owned()),
            |failure| complaint::read(&failure),
            move |searched: Searched, _| Ok(found(&searched.found, &wanted, limit)),
        )
    }
}

/// The lines `name - description` that a search printed, the name itself first, then those that begin with it.
fn found(text: &str, wanted: &str, limit: usize) -> Vec<PackageSummary> {
    let mut lines: Vec<(&str, &str)> = text.lines().filter_map(|it| it.split_once(" - ")).collect();
    lines.retain(|(name, _)| !name.is_empty() && name.bytes().all(|it| it.is_ascii_graphic()));
    lines.sort_by_key(|(name, _)| (*name != wanted, !name.starts_with(wanted), *name));
    let summary = |(name, description): (&str, &str)| PackageSummary {
        name: name.to_owned(),
        version: None,
        description: Some(source_text::message(description)),
    };
    lines.into_iter().take(limit).map(summary).collect()
}

/// The settings as files.
fn input(sources: &PackageSources) -> Result<Input> {
    let index = &sources.apt;
    // The driver reads no JSON: everything it needs is in files.
    let mut input =
        Input::new(json!({}), &IndexSource { more: Vec::new(), credentials: None, ..index.clone() }, sources);
    if let Some(url) = &index.url {
        if url.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(Error::invalid("apt.url", "has a space or a control character; give the address of a mirror"));
        }
        input = input.file("mirror", url.clone());
    }
    if let (Some(url), Some((user, password))) = (&index.url, &index.credentials) {
        let host = url.split("://").nth(1).unwrap_or(url);
        input = input.file("auth.conf", format!("machine {host} login {user} password {password}\n"));
    }
    if let Some(proxy) = &sources.http_proxy {
        input = input.file("proxy", proxy.clone());
    }
    if let Some(certificates) = &sources.ca_certificates {
        input = input.file("certificates.pem", certificates.clone());
    }
    for (name, content) in &index.more {
        let path = format!("etc/{name}");
        RelPath::parse(&path)?;
        let content = match name.ends_with(".gpg") {
            true => bytes_of(content).ok_or_else(|| {
                Error::invalid(format!("apt.more.{name}"), "is not in hexadecimal digits, as a `.gpg` file has to be")
            })?,
            false => Bytes::from(content.clone()),
        };
        input = input.file(path, content);
    }
    Ok(input)
}

/// The bytes that hexadecimal digits say.
fn bytes_of(digits: &str) -> Option<Bytes> {
    let value = |it: u8| char::from(it).to_digit(16).and_then(|it| u8::try_from(it).ok());
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    digits
        .as_bytes()
        .chunks(2)
        .map(|it| Some(value(it[0])? << 4 | value(it[1])?))
        .collect::<Option<Vec<u8>>>()
        .map(Bytes::from)
}

#[cfg(test)]
mod tests;
