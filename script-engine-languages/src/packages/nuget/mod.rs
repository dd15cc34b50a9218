//! NuGet packages: a driver of ours follows NuGet's rules over a feed of protocol version 3, because a runtime with .NET
//! seldom has the SDK whose `restore` would.
//!
//! A layer has what a script runs with in the folder `lib`, assemblies and native libraries, and in `refs` the assemblies that
//! the compiler is to see in place of some of those. Of several frameworks the one that fits best is taken.

use bytes::Bytes;
use script_engine_core::contract::{Step, StepOutput};
use script_engine_core::packages::{Declared, DependencyLock, LayerUse, PackageSummary};
use script_engine_core::{Error, JobFile, LanguageId, Limits, RelPath, Result, ScriptDependency};

use self::locked::{SOURCE, is_id};
use super::ecosystem::{Ecosystem, LayerStep, Rules};
use super::sources::PackageSources;
use crate::source_text;

mod locked;

const DRIVER: &str = include_str!("NuGet.cs");
const START: &str = include_str!("nuget.sh");
/// Compiles it, as all C# is compiled.
const BUILD: &str = include_str!("../../csharp/build.sh");

/// NuGet packages, by the .NET of the runtime.
#[derive(Clone, Debug)]
pub struct NuGetPackages {
    language: LanguageId,
}

impl NuGetPackages {
    /// Makes it. Fails never, in practice: its name is checked by the tests.
    pub fn new() -> Result<Self> {
        Ok(Self { language: LanguageId::parse("csharp")? })
    }
}

impl Ecosystem for NuGetPackages {
    fn language(&self) -> &LanguageId {
        &self.language
    }

    fn limits(&self) -> Limits {
        Limits {
            timeout: std::time::Duration::from_secs(600),
            memory_bytes: 1536 << 20,
            milli_cpus: 2000,
            pids: 512,
            work_bytes: 1 << 30,
            ..Limits::default()
        }
    }

    fn fingerprint(&self) -> String {
        "nuget 1".to_owned()
    }

    fn lock(&self, declared: &Declared, sources: &PackageSources, rules: Rules) -> Result<Step<DependencyLock>> {
        let wanted: Vec<ScriptDependency> = declared.locked().cloned().collect();
        let mut lines = String::new();
        for it in &wanted {
            if !is_id(&it.name) {
                let message = format!("{:?} is no package id of NuGet; correct it", source_text::message(&it.name));
                return Err(Error::invalid("dependencies", message));
            }
            lines.push_str(&format!("{} {} {}\n", it.scope.as_str(), it.name, it.requirement.trim()));
        }
        let mut files = files(sources)?;
        files.push(file("wanted", lines)?);
        files.push(file("before", rules.published_before.map(|it| it.to_string()).unwrap_or_default())?);
        let language = self.language.clone();
        Ok(Step {
            files,
            argv: argv(&["lock"]),
            env: env(sources),
            collect: Vec::new(),
            read: Box::new(move |output| locked::read(language, &wanted, &output)),
        })
    }

    fn install(
        &self,
        lock: &DependencyLock,
        wanted: LayerUse,
        sources: &PackageSources,
        _rules: Rules,
    ) -> Result<Option<LayerStep>> {
        let mut packages = String::new();
        for it in lock.packages_for(wanted) {
            let digest = it.hashes.iter().find_map(|it| it.strip_prefix("sha512-")).unwrap_or_default();
            packages.push_str(&format!("{} {} {digest}\n", it.name, it.version));
        }
        if packages.is_empty() {
            return Ok(None);
        }
        let mut files = files(sources)?;
        files.push(file("packages", packages)?);
        Ok(Some(Step {
            files,
            argv: argv(&["install"]),
            env: env(sources),
            collect: vec!["/work/layer.tar".to_owned()],
            read: Box::new(read_layer),
        }))
    }

    fn search(&self, text: &str, limit: usize, sources: &PackageSources) -> Result<Step<Vec<PackageSummary>>> {
        Ok(Step {
            files: files(sources)?,
            argv: argv(&["search", text.trim(), &limit.to_string()]),
            env: env(sources),
            collect: Vec::new(),
            read: Box::new(move |output| locked::found(&output, limit)),
        })
    }
}

fn argv(what: &[&str]) -> Vec<String> {
    ["sh", "/scripts/nuget.sh", "/scripts"].iter().chain(what).map(|it| (*it).to_owned()).collect()
}

/// The driver and its settings. Fails with `InvalidRequest` of the field `nuget_source`.
fn files(sources: &PackageSources) -> Result<Vec<JobFile>> {
    let source = &sources.nuget_source;
    if let Some((name, _)) = source.more.first() {
        let message = format!("has the setting {name:?}; it takes an address, a user and a password only");
        return Err(Error::invalid("nuget_source", message));
    }
    let mut settings = String::new();
    let mut set = |name: &str, value: Option<&String>| {
        if let Some(value) = value {
            settings.push_str(&format!("{name}={}\n", escaped(value)));
        }
    };
    set("url", source.url.as_ref());
    set("user", source.credentials.as_ref().map(|it| &it.0));
    set("password", source.credentials.as_ref().map(|it| &it.1));
    set("proxy", sources.http_proxy.as_ref());
    let mut files = vec![
        file("settings", settings)?,
        file("nuget.sh", START.to_owned())?,
        file(".build/build.sh", BUILD.to_owned())?,
        // For a compiler of today and for an old one, which takes another file.
        file(".build/modern.cs", DRIVER.to_owned())?,
        file(".build/classic.cs", DRIVER.to_owned())?,
    ];
    if let Some(certificates) = &sources.ca_certificates {
        let path = RelPath::parse("certificates.pem")?;
        files.push(JobFile { path, content: certificates.clone(), executable: false });
    }
    Ok(files)
}

fn env(sources: &PackageSources) -> Vec<(String, String)> {
    let mut env =
        vec![("HOME", "/work"), ("DOTNET_SYSTEM_GLOBALIZATION_INVARIANT", "1"), ("DOTNET_EnableDiagnostics", "0")];
    if sources.ca_certificates.is_some() {
        // Besides what the runtime has in its folder of certificates.
        env.push(("SSL_CERT_FILE", "/scripts/certificates.pem"));
    }
    env.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Each byte percent-encoded.
fn escaped(value: &str) -> String {
    value.bytes().map(|it| format!("%{it:02X}")).collect()
}

fn file(path: &str, content: String) -> Result<JobFile> {
    Ok(JobFile { path: RelPath::parse(path)?, content: content.into(), executable: false })
}

fn read_layer(mut output: StepOutput) -> Result<Bytes> {
    SOURCE.answer(&output)?;
    let archive = output.files.first_mut().and_then(Option::take);
    archive.ok_or_else(|| Error::internal("the driver of NuGet packages left no archive"))
}

#[cfg(test)]
mod tests;
