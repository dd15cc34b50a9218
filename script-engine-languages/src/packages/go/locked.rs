//! Reads what the Go command decided into a lock. All of it is hostile: names and versions come from modules.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use script_engine_core::contract::StepOutput;
use script_engine_core::packages::{DependencyLock, LockedPackage};
use script_engine_core::{DependencyScope, Error, LanguageId, Result};

use super::complaint;
use super::standard::Standard;
use crate::source_text;

/// Modules of one lock.
const MOST_MODULES: usize = 10_000;

/// Makes the lock, or says in one line why there is none. `before` is a time as the step printed them, or `-`.
pub(super) fn read(language: LanguageId, stub: &str, before: &str, output: StepOutput) -> Result<DependencyLock> {
    let [Some(packages), Some(env), Some(manifest), sums] = <[_; 4]>::try_from(output.files.clone())
        .map_err(|_| Error::internal("the step of a Go lock was asked for other files than it left"))?
    else {
        return Err(complaint::read(&output, std::iter::empty()));
    };
    if output.exit_code != Some(0) {
        return Err(complaint::read(&output, std::iter::empty()));
    }
    if let Some(error) = complaint::retracted(&output) {
        return Err(error);
    }
    let sums = sums.unwrap_or_default();
    let packages = String::from_utf8_lossy(&packages).into_owned();
    let env = String::from_utf8_lossy(&env).into_owned();
    let mut env = env.lines();
    let mut next = || env.next().unwrap_or_default().trim();
    let (proxy, system, architecture, toolchain) = (next(), next(), next(), next());
    let modules = modules(&packages)?;
    young(&modules, before)?;
    let hashes = hashes(&sums);
    let mut locked = Vec::new();
    for (name, module) in &modules {
        let (fetched, version) = module.replaced.as_ref().unwrap_or(&module.own);
        let hash = hashes.get(&(fetched.as_str(), version.as_str())).ok_or_else(|| {
            Error::invalid("dependencies", format!("{name} {version}: the Go command has no checksum of it"))
        })?;
        locked.push(LockedPackage {
            name: name.clone(),
            version: version.clone(),
            url: url(proxy, fetched, version),
            hashes: vec![(*hash).to_owned()],
            scope: DependencyScope::Runtime,
            requires: module.requires.iter().cloned().collect(),
        });
    }
    let files = vec![
        ("go.mod".to_owned(), manifest),
        ("go.sum".to_owned(), sums),
        ("imports.go".to_owned(), Bytes::from(stub.to_owned())),
    ];
    DependencyLock::new(language, format!("{system}/{architecture} {toolchain}"), locked, files)
}

#[derive(Debug)]
struct Module {
    own: (String, String),
    replaced: Option<(String, String)>,
    published: String,
    requires: BTreeSet<String>,
}

/// The lock of a script without modules, as its step decides it, for the same toolchain as another.
pub(super) fn without_modules(lock: &DependencyLock, standard: Standard) -> Result<DependencyLock> {
    let version = lock.platform.rsplit(" go").next().unwrap_or_default();
    let language: Vec<&str> = version.split('.').take(2).collect();
    let manifest = format!("{}\nmodule script\n\ngo {}\n", standard.line(), language.join("."));
    let files = vec![
        ("go.mod".to_owned(), Bytes::from(manifest)),
        ("go.sum".to_owned(), Bytes::new()),
        ("imports.go".to_owned(), Bytes::from(super::stub(standard, &[]))),
    ];
    DependencyLock::new(lock.language.clone(), lock.platform.clone(), Vec::new(), files)
}

/// Reads lines of `package|module|version|time|replacing module|its version|imports`.
fn modules(text: &str) -> Result<BTreeMap<String, Module>> {
    let lines: Vec<Vec<&str>> = text.lines().map(|it| it.split('|').collect()).collect();
    let mut home = BTreeMap::new();
    let mut modules = BTreeMap::new();
    for line in &lines {
        let [package, name, version, published, replacing, replaced_by, _] = line.as_slice() else {
            return Err(nonsense());
        };
        // The script itself has no version.
        if version.is_empty() {
            continue;
        }
        let sound = |name: &str, version: &str| super::scan::is_module_path(name) && is_version(version);
        if !sound(name, version) || (!replacing.is_empty() && !sound(replacing, replaced_by)) {
            return Err(nonsense());
        }
        home.insert(*package, *name);
        let module = Module {
            own: ((*name).to_owned(), (*version).to_owned()),
            replaced: (!replacing.is_empty()).then(|| ((*replacing).to_owned(), (*replaced_by).to_owned())),
            published: (*published).to_owned(),
            requires: BTreeSet::new(),
        };
        modules.entry((*name).to_owned()).or_insert(module);
    }
    if modules.len() > MOST_MODULES {
        let message = format!("needs {} modules; at most {MOST_MODULES} are locked", modules.len());
        return Err(Error::invalid("dependencies", message));
    }
    for line in &lines {
        let Some(module) = modules.get_mut(line[1]) else { continue };
        let needed = line[6].split(' ').filter_map(|it| home.get(it)).filter(|it| **it != line[1]);
        module.requires.extend(needed.map(|it| (*it).to_owned()));
    }
    Ok(modules)
}

fn nonsense() -> Error {
    Error::invalid("dependencies", "the Go command named a module that no index has")
}

/// Refuses versions that were published too late, and those of which the time isn't known.
fn young(modules: &BTreeMap<String, Module>, before: &str) -> Result<()> {
    if before == "-" {
        return Ok(());
    }
    let young = modules.iter().filter(|(_, it)| it.published.is_empty() || it.published.as_str() > before);
    let named: Vec<String> = young
        .map(|(name, it)| match it.published.as_str() {
            "" => format!("{name} {} has no time of publication", it.own.1),
            time => format!("{name} {} was published on {}", it.own.1, source_text::message(time)),
        })
        .take(20)
        .collect();
    if named.is_empty() {
        return Ok(());
    }
    let message = format!("{}, and only what was before {before} is accepted; take an older version", named.join(", "));
    Err(Error::invalid("dependencies", message))
}

/// The digests of packed modules in a `go.sum`, by path and version.
fn hashes(sums: &[u8]) -> BTreeMap<(&str, &str), &str> {
    let text = std::str::from_utf8(sums).unwrap_or_default();
    let words = text.lines().map(|it| it.split(' ').collect::<Vec<_>>());
    words
        .filter_map(|it| match it.as_slice() {
            [path, version, hash] if !version.ends_with("/go.mod") && hash.starts_with("h1:") => {
                Some(((*path, *version), *hash))
            }
            _ => None,
        })
        .collect()
}

/// Whether it has the characters of a version, which go into addresses and file names.
pub(super) fn is_version(text: &str) -> bool {
    text.starts_with('v') && text.len() <= 128 && text.chars().all(|c| c.is_ascii_alphanumeric() || ".+-".contains(c))
}

/// Where the first index has the packed module. Capitals are escaped: <https://go.dev/ref/mod#goproxy-protocol>.
fn url(proxies: &str, path: &str, version: &str) -> String {
    let escaped = |text: &str| {
        let mut escaped = String::with_capacity(text.len());
        for c in text.chars() {
            if c.is_ascii_uppercase() {
                escaped.push('!');
            }
            escaped.push(c.to_ascii_lowercase());
        }
        escaped
    };
    let first = proxies.split([',', '|']).next().unwrap_or_default();
    let base = match first.split_once("://") {
        // User and password are nobody's to keep.
        Some((scheme, rest)) => match rest.split_once('/') {
            Some((host, path)) => format!("{scheme}://{}/{path}", without_user(host)),
            None => format!("{scheme}://{}", without_user(rest)),
        },
        None => String::new(),
    };
    format!("{}/{}/@v/{}.zip", base.trim_end_matches('/'), escaped(path), escaped(version))
}

fn without_user(host: &str) -> &str {
    host.rsplit('@').next().unwrap_or_default()
}

#[cfg(test)]
mod tests;
