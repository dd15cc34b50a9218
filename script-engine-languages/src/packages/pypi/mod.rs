//! PyPI and indexes like it, by uv where the runtime has it, else by pip: wheels only unless the policy lets packages run code of theirs.

use std::time::Duration;

use bytes::Bytes;
use script_engine_core::contract::Step;
use script_engine_core::packages::{Declared, DependencyLock, LayerUse, LockedPackage, PackageSummary};
use script_engine_core::{DependencyScope, Error, LanguageId, Limits, Problem, Result, ScriptDependency};
use serde::Deserialize;
use serde_json::{Value, json};

use super::driver::{Driver, Input, Secrets};
use super::{Ecosystem, LayerStep, PackageSources, Rules, reach};
use crate::source_text;

mod complaint;
pub(crate) mod requirement;
pub(crate) mod specifier;
mod uv_complaint;

const TOOL: (&str, &str) = ("tool.py", include_str!("tool.py"));
const WITH_UV: (&str, &str) = ("with_uv.py", include_str!("with_uv.py"));
// No user's site folder, no compiled forms beside the files; hashes of texts that do not change from one start to the next.
const INTERPRETER: &[&str] = &["python3", "-s", "-B"];
const ENV: &[(&str, &str)] = &[("PYTHONHASHSEED", "0")];
const LOCK: Driver = Driver {
    interpreter: INTERPRETER,
    main: "lock.py",
    files: &[TOOL, WITH_UV, ("lock.py", include_str!("lock.py"))],
    env: ENV,
};
const INSTALL: Driver = Driver {
    interpreter: INTERPRETER,
    main: "install.py",
    files: &[TOOL, WITH_UV, ("install.py", include_str!("install.py"))],
    env: ENV,
};

/// The ecosystem of Python.
#[derive(Clone, Debug)]
pub struct PyPi {
    language: LanguageId,
}

/// What the driver found.
#[derive(Debug, Deserialize)]
struct Resolved {
    python: String,
    platform: String,
    packages: Vec<Found>,
}

#[derive(Debug, Deserialize)]
struct Found {
    name: String,
    version: String,
    url: String,
    hashes: Vec<String>,
    requires: Vec<String>,
    #[serde(default)]
    summary: Option<String>,
}

impl PyPi {
    /// Makes it. Fails never, in practice: its name is checked by the tests.
    pub fn new() -> Result<Self> {
        Ok(Self { language: LanguageId::parse("python")? })
    }

    fn input(sources: &PackageSources, rules: Rules, mut json: Value) -> Input {
        json["before"] = json!(rules.published_before.map(|it| it.to_string()));
        json["scripts"] = json!(rules.install_scripts);
        Input::new(json, &sources.pypi_source, sources)
    }
}

impl Ecosystem for PyPi {
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
        "pypi 2".to_owned()
    }

    fn lock(&self, declared: &Declared, sources: &PackageSources, rules: Rules) -> Result<Step<DependencyLock>> {
        let wanted: Vec<&ScriptDependency> = declared.locked().collect();
        let problems = wanted.iter().filter_map(|it| {
            let message = requirement::problem(it)?;
            Some(Problem { field: format!("dependencies.{}", it.name), message })
        });
        let problems: Vec<Problem> = problems.collect();
        if !problems.is_empty() {
            return Err(Error::invalid_all(problems));
        }
        let texts: Vec<String> = wanted.iter().map(|it| requirement::text(it)).collect();
        let runtime = wanted.iter().filter(|it| it.scope == DependencyScope::Runtime);
        let roots: Vec<String> = runtime.map(|it| requirement::normal(&it.name)).collect();
        let (language, toolchain) = (self.language.clone(), declared.toolchain.clone());
        let young = rules.published_before.is_some();
        LOCK.step(
            Self::input(sources, rules, json!({ "wanted": texts })),
            move |failure| complaint::read(&failure, young),
            move |resolved: Resolved, _| {
                if let Some(problem) = toolchain.and_then(|it| specifier::problem(&it, &resolved.python)) {
                    return Err(Error::invalid("dependencies.requires-python", problem));
                }
                lock(language, resolved, &roots)
            },
        )
    }

    fn install(
        &self,
        lock: &DependencyLock,
        wanted: LayerUse,
        sources: &PackageSources,
        rules: Rules,
    ) -> Result<Option<LayerStep>> {
        let packages: Vec<&LockedPackage> = lock.packages_for(wanted).collect();
        if packages.is_empty() {
            return Ok(None);
        }
        let input = Self::input(sources, rules, json!({ "platform": lock.platform }));
        let step = INSTALL.step(
            input.file("requirements.txt", requirements(&packages)).for_layer(),
            |failure| complaint::read(&failure, false),
            |_: Value, layer| layer.ok_or_else(|| Error::internal("pip left no packages")),
        );
        step.map(Some)
    }

    /// Indexes of Python offer no search by words, only the package of a name: that is what is given.
    fn search(&self, text: &str, limit: usize, sources: &PackageSources) -> Result<Step<Vec<PackageSummary>>> {
        let name = requirement::parse(text).map_err(|it| Error::invalid("text", it))?.name;
        LOCK.step(
            Self::input(sources, Rules::default(), json!({ "wanted": [name], "search": true })),
            |failure| complaint::read(&failure, false),
            move |resolved: Resolved, _| {
                let found = resolved.packages.into_iter().filter(|it| is_plain(&it.name) && is_plain(&it.version));
                let summary = |it: Found| PackageSummary {
                    name: it.name,
                    version: Some(it.version).filter(|it| !it.is_empty()),
                    description: it.summary.map(|it| source_text::message(&it)).filter(|it| !it.is_empty()),
                };
                Ok(found.map(summary).take(limit).collect())
            },
        )
    }
}

/// Makes the lock of what the driver found: a package is of scope `build` if only packages of that scope
/// need it.
fn lock(language: LanguageId, resolved: Resolved, roots: &[String]) -> Result<DependencyLock> {
    let mut packages = resolved.packages.iter().map(locked).collect::<Result<Vec<LockedPackage>>>()?;
    let reached = reach::from(roots, &packages);
    for it in packages.iter_mut().filter(|it| !reached.contains(&it.name)) {
        it.scope = DependencyScope::Build;
    }
    if !is_plain(&resolved.platform) {
        return Err(Error::internal("python tells a platform that is none"));
    }
    packages.sort();
    let of = |scope: DependencyScope| packages.iter().filter(move |it| it.scope == scope).collect::<Vec<_>>();
    let mut files = vec![("requirements.txt".to_owned(), Bytes::from(requirements(&of(DependencyScope::Runtime))))];
    let build = of(DependencyScope::Build);
    if !build.is_empty() {
        files.push(("requirements-build.txt".to_owned(), Bytes::from(requirements(&build))));
    }
    DependencyLock::new(language, resolved.platform, packages, files)
}

/// Checks one package that was found. Names and versions go into a file that pip reads line by line.
fn locked(it: &Found) -> Result<LockedPackage> {
    let refused = |problem: &str| {
        Error::invalid("dependencies", source_text::message(&format!("{} {} {problem}", it.name, it.version)))
    };
    if !is_plain(&it.name) || !is_plain(&it.version) {
        return Err(refused("has a name or version that no index can have"));
    }
    let url = Secrets::default().cleaned(&it.url);
    if !(url.starts_with("https://") || url.starts_with("http://")) || url.chars().any(char::is_whitespace) {
        return Err(refused("does not come from an index"));
    }
    let is_hash = |it: &String| {
        it.strip_prefix("sha256:").is_some_and(|it| it.len() == 64 && it.bytes().all(|it| it.is_ascii_hexdigit()))
    };
    let hashes: Vec<String> = it.hashes.iter().filter(|it| is_hash(it)).cloned().collect();
    if hashes.is_empty() {
        return Err(refused("has no SHA-256 on the index, so it can't be locked"));
    }
    Ok(LockedPackage {
        name: it.name.clone(),
        version: it.version.clone(),
        url,
        hashes,
        scope: DependencyScope::Runtime,
        requires: it.requires.iter().filter(|it| is_plain(it)).cloned().collect(),
    })
}

fn is_plain(text: &str) -> bool {
    let plain = |it: u8| it.is_ascii_alphanumeric() || b"._-+!".contains(&it);
    !text.is_empty() && text.len() <= 256 && text.bytes().all(plain) && !text.starts_with('-')
}

/// The packages as pip's own file of exact versions and hashes.
fn requirements(packages: &[&LockedPackage]) -> String {
    let mut text = String::new();
    for it in packages {
        text.push_str(&format!("{}=={}", it.name, it.version));
        for hash in &it.hashes {
            text.push_str(&format!(" --hash={hash}"));
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests;
