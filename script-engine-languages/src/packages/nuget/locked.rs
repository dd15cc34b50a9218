//! Reads the driver's line of JSON into a lock. All of it is hostile: names and versions come from a feed.

use bytes::Bytes;
use script_engine_core::contract::StepOutput;
use script_engine_core::packages::{DependencyLock, LockedPackage, PackageSummary};
use script_engine_core::{DependencyScope, LanguageId, Result, ScriptDependency};
use serde_json::Value;

use super::super::answer::{Source, without_user};
use crate::source_text;

pub(super) const SOURCE: Source =
    Source { packages: "NuGet packages", index: "the NuGet feed", setting: "nuget_source", noise: &["warning "] };

/// Makes the lock of what is wanted, or says in one line why there is none.
pub(super) fn read(language: LanguageId, wanted: &[ScriptDependency], output: &StepOutput) -> Result<DependencyLock> {
    let answer = SOURCE.answer(output)?;
    let (Some(framework), Some(list)) = (answer["framework"].as_str(), answer["packages"].as_array()) else {
        return Err(SOURCE.nonsense());
    };
    let packages: Option<Vec<LockedPackage>> = list.iter().map(package).collect();
    let packages = packages.filter(|_| is_version(framework)).ok_or_else(|| SOURCE.nonsense())?;
    let files = vec![("script.csproj".to_owned(), Bytes::from(project(framework, wanted, &packages)))];
    let platform = format!("{}/{} {framework}", std::env::consts::OS, std::env::consts::ARCH);
    DependencyLock::new(language, platform, packages, files)
}

/// Reads `[id, version, address, sha512, scope, requires]`.
fn package(it: &Value) -> Option<LockedPackage> {
    let (name, version, digest) = (it[0].as_str()?, it[1].as_str()?, it[3].as_str()?);
    let is_digest = digest.len() == 88 && digest.chars().all(|c| c.is_ascii_alphanumeric() || "+/=".contains(c));
    let requires: Option<Vec<String>> = it[5].as_array()?.iter().map(|it| it.as_str().map(str::to_owned)).collect();
    let requires = requires.filter(|it| it.iter().all(|it| is_id(it)))?;
    (is_id(name) && is_version(version) && is_digest).then(|| LockedPackage {
        name: name.to_owned(),
        version: version.to_owned(),
        url: without_user(&it[2].as_str().map(source_text::message).unwrap_or_default()),
        hashes: vec![format!("sha512-{digest}")],
        scope: if it[4] == "build" { DependencyScope::Build } else { DependencyScope::Runtime },
        requires,
    })
}

/// What the driver's search found.
pub(super) fn found(output: &StepOutput, limit: usize) -> Result<Vec<PackageSummary>> {
    let answer = SOURCE.answer(output)?;
    let list = answer["found"].as_array().ok_or_else(|| SOURCE.nonsense())?;
    let summary = |it: &Value| {
        Some(PackageSummary {
            name: it[0].as_str().filter(|it| is_id(it))?.to_owned(),
            version: it[1].as_str().filter(|it| is_version(it)).map(str::to_owned),
            description: it[2].as_str().map(source_text::message).filter(|it| !it.is_empty()),
        })
    };
    Ok(list.iter().filter_map(summary).take(limit).collect())
}

/// Whether it is a package id, which goes into addresses: <https://learn.microsoft.com/nuget/reference/nuspec#id>.
pub(super) fn is_id(text: &str) -> bool {
    is_word(text, 100) && !text.contains('+')
}

fn is_version(text: &str) -> bool {
    is_word(text, 128)
}

fn is_word(text: &str, most: usize) -> bool {
    !text.is_empty()
        && text.len() <= most
        && !text.starts_with(['.', '-'])
        && !text.contains("..")
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-+".contains(c))
}

/// The project that has what is wanted in the versions that were chosen.
fn project(framework: &str, wanted: &[ScriptDependency], chosen: &[LockedPackage]) -> String {
    let mut references = String::new();
    let mut last = None;
    for it in wanted.iter().filter(|it| is_id(&it.name)) {
        let Some(package) = chosen.iter().find(|other| other.name.eq_ignore_ascii_case(&it.name)) else { continue };
        // Declared twice, it is one.
        if last.replace(&package.name) != Some(&package.name) {
            let private = if package.scope == DependencyScope::Build { " PrivateAssets=\"all\"" } else { "" };
            let (name, version) = (&package.name, &package.version);
            references
                .push_str(&format!("    <PackageReference Include=\"{name}\" Version=\"[{version}]\"{private} />\n"));
        }
    }
    format!(
        "<Project Sdk=\"Microsoft.NET.Sdk\">\n  <PropertyGroup>\n    <OutputType>Exe</OutputType>\n    \
         <TargetFramework>{framework}</TargetFramework>\n  </PropertyGroup>\n  <ItemGroup>\n{references}  \
         </ItemGroup>\n</Project>\n"
    )
}

#[cfg(test)]
mod tests;
