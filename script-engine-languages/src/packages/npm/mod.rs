//! npm and registries like it. Install scripts of packages are not run unless the policy allows it.

use std::time::Duration;

use bytes::Bytes;
use script_engine_core::contract::Step;
use script_engine_core::packages::{Declared, DependencyLock, LayerUse, PackageSummary};
use script_engine_core::{DependencyScope, Error, LanguageId, Limits, Problem, Result, ScriptDependency};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::driver::{Driver, Input};
use super::{Ecosystem, LayerStep, PackageSources, Rules};
use crate::source_text;

mod complaint;
mod lockfile;
pub(crate) mod name;

const TOOL: (&str, &str) = ("tool.cjs", include_str!("tool.cjs"));
const LOCK: Driver = Driver {
    interpreter: &["node"],
    main: "lock.cjs",
    files: &[TOOL, ("lock.cjs", include_str!("lock.cjs"))],
    env: &[],
};
const INSTALL: Driver = Driver {
    interpreter: &["node"],
    main: "install.cjs",
    files: &[TOOL, ("install.cjs", include_str!("install.cjs"))],
    env: &[],
};
/// npm's own manifest and lock file.
const MANIFEST: &str = "package.json";
const LOCK_FILE: &str = "package-lock.json";

/// The ecosystem of TypeScript and JavaScript.
#[derive(Clone, Debug)]
pub struct Npm {
    language: LanguageId,
}

#[derive(Debug, Deserialize)]
struct Resolved {
    platform: String,
    lock: String,
}

#[derive(Debug, Deserialize)]
struct Searched {
    found: Vec<Found>,
}

#[derive(Debug, Deserialize)]
struct Found {
    name: String,
    version: Option<String>,
    description: Option<String>,
}

impl Npm {
    /// Makes it. Fails never, in practice: its name is checked by the tests.
    pub fn new() -> Result<Self> {
        Ok(Self { language: LanguageId::parse("typescript")? })
    }

    fn input(sources: &PackageSources, rules: Rules, mut json: Value) -> Input {
        json["scripts"] = json!(rules.install_scripts);
        Input::new(json, &sources.npm_source, sources)
    }
}

impl Ecosystem for Npm {
    fn language(&self) -> &LanguageId {
        &self.language
    }

    fn limits(&self) -> Limits {
        Limits {
            timeout: Duration::from_secs(900),
            memory_bytes: 2 << 30,
            milli_cpus: 2000,
            work_bytes: 2 << 30,
            files: 500_000,
            ..Limits::default()
        }
    }

    fn fingerprint(&self) -> String {
        "npm 1".to_owned()
    }

    fn lock(&self, declared: &Declared, sources: &PackageSources, rules: Rules) -> Result<Step<DependencyLock>> {
        let manifest = manifest(declared)?;
        let language = self.language.clone();
        let before = rules.published_before.map(|it| it.to_string());
        LOCK.step(
            Self::input(sources, rules, json!({ "manifest": manifest, "before": before })),
            |failure| complaint::read(&failure),
            move |resolved: Resolved, _| {
                let packages = lockfile::packages(&resolved.lock)?;
                let plain = |it: u8| it.is_ascii_alphanumeric() || it == b'-';
                if !resolved.platform.bytes().all(plain) {
                    return Err(Error::internal("node tells a platform that is none"));
                }
                let files = vec![
                    (MANIFEST.to_owned(), Bytes::from(manifest)),
                    (LOCK_FILE.to_owned(), Bytes::from(resolved.lock)),
                ];
                DependencyLock::new(language, resolved.platform, packages, files)
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
        if lock.packages_for(wanted).next().is_none() {
            return Ok(None);
        }
        let build = wanted == LayerUse::Compile;
        let mut input = Self::input(sources, rules, json!({ "platform": lock.platform, "build": build })).for_layer();
        for name in [MANIFEST, LOCK_FILE] {
            let content = lock.file(name).ok_or_else(|| Error::internal("a lock of npm has not its files"))?;
            input = input.file(name, content.clone());
        }
        let packages = lock.packages.clone();
        let step = INSTALL.step(
            input,
            move |failure| complaint::of_lock(&failure, &packages),
            |_: Value, layer| layer.ok_or_else(|| Error::internal("npm left no packages")),
        );
        step.map(Some)
    }

    /// By words where the registry offers it, else the package of the name.
    fn search(&self, text: &str, limit: usize, sources: &PackageSources) -> Result<Step<Vec<PackageSummary>>> {
        let text = text.trim();
        let plain = |c: char| c.is_alphanumeric() || " @/._~-".contains(c);
        if text.is_empty() || text.len() > 200 || !text.chars().all(plain) {
            return Err(Error::invalid("text", "is no name and no words; give letters and digits"));
        }
        let json = json!({ "search": text, "limit": limit.min(250), "name": name::is_name(text) });
        LOCK.step(
            Self::input(sources, Rules::default(), json),
            |failure| complaint::read(&failure),
            move |searched: Searched, _| {
                let clean = |it: Option<String>| it.map(|it| source_text::message(&it)).filter(|it| !it.is_empty());
                let found = searched.found.into_iter().filter(|it| name::is_name(&it.name)).take(limit);
                Ok(found
                    .map(|it| PackageSummary {
                        name: it.name,
                        version: clean(it.version),
                        description: clean(it.description),
                    })
                    .collect())
            },
        )
    }
}

/// npm's manifest of what is declared. What several declarations ask of one package has to hold at once.
fn manifest(declared: &Declared) -> Result<String> {
    let wanted: Vec<&ScriptDependency> = declared.locked().collect();
    let problem = |it: &&ScriptDependency| {
        let message = name::problem(it)?;
        Some(Problem { field: format!("dependencies.{}", it.name), message: message.to_owned() })
    };
    let problems: Vec<Problem> = wanted.iter().filter_map(problem).collect();
    if !problems.is_empty() {
        return Err(Error::invalid_all(problems));
    }
    let mut scopes = [Map::new(), Map::new()];
    for it in wanted {
        let requirement = if it.requirement.trim().is_empty() { "*" } else { it.requirement.trim() };
        let scope = &mut scopes[usize::from(it.scope == DependencyScope::Build)];
        match scope.get_mut(&it.name) {
            None => {
                scope.insert(it.name.clone(), json!(requirement));
            }
            Some(Value::String(other)) => {
                if let Some(both) = both(other, requirement) {
                    *other = both;
                } else {
                    let message = format!("is asked for as `{other}` and as `{requirement}`; settle on one");
                    return Err(Error::invalid(format!("dependencies.{}", it.name), message));
                }
            }
            Some(_) => {}
        }
    }
    for it in &mut scopes {
        it.sort_keys();
    }
    let [runtime, build] = scopes;
    Ok(format!(
        "{:#}\n",
        json!({ "name": "script", "private": true, "dependencies": runtime, "devDependencies": build })
    ))
}

/// One requirement that asks for what two ask; `None` if there is no notation for it.
fn both(one: &str, other: &str) -> Option<String> {
    match (one, other) {
        (one, other) if one == other || other == "*" => Some(one.to_owned()),
        ("*", other) => Some(other.to_owned()),
        _ if one.contains("||") || other.contains("||") || one.contains(" - ") || other.contains(" - ") => None,
        // A tag can't be put together with anything.
        _ if [one, other].iter().any(|it| it.starts_with(|c: char| c.is_ascii_alphabetic() && !"xXvV".contains(c))) => {
            None
        }
        _ => Some(format!("{one} {other}")),
    }
}

#[cfg(test)]
mod tests;
