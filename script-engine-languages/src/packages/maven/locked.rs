//! Reads the driver's line of JSON. All of it is hostile: names and versions come from models in a repository.

use bytes::Bytes;
use script_engine_core::contract::StepOutput;
use script_engine_core::packages::{DependencyLock, LayerUse, LockedPackage};
use script_engine_core::{DependencyScope, LanguageId, Result, ScriptDependency};
use serde_json::Value;

use super::super::answer::{Source, without_user};
use super::coordinates::{Coordinates, is_word};

pub(super) const SOURCE: Source = Source {
    packages: "Maven packages",
    index: "the Maven repository",
    setting: "maven_source",
    noise: &["SLF4J", "Picked up "],
};

/// Makes the lock of what is wanted, or says in one line why there is none.
pub(super) fn read(language: LanguageId, wanted: &[ScriptDependency], output: &StepOutput) -> Result<DependencyLock> {
    let answer = SOURCE.answer(output)?;
    let (Some(repository), Some(list)) = (answer["repository"].as_str(), answer["packages"].as_array()) else {
        return Err(SOURCE.nonsense());
    };
    let mut packages = Vec::with_capacity(list.len());
    // The answer has them in the order of the class path.
    let (mut run, mut compile) = (String::new(), String::new());
    for it in list {
        let package = package(repository, it).ok_or_else(|| SOURCE.nonsense())?;
        let file = format!("{}\n", Coordinates::read(&package.name)?.file(&package.version));
        compile.push_str(&file);
        if package.scope == DependencyScope::Runtime {
            run.push_str(&file);
        }
        packages.push(package);
    }
    let files = vec![
        ("pom.xml".to_owned(), Bytes::from(model(wanted, &packages))),
        (classpath(LayerUse::Run).to_owned(), Bytes::from(run)),
        (classpath(LayerUse::Compile).to_owned(), Bytes::from(compile)),
    ];
    // Which packages a model asks for may depend on the system.
    DependencyLock::new(language, format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH), packages, files)
}

/// The lock's file that has the order of the class path.
pub(super) fn classpath(wanted: LayerUse) -> &'static str {
    match wanted {
        LayerUse::Run => "classpath.run",
        LayerUse::Compile => "classpath.compile",
    }
}

/// Reads `[name, version, path, sha256, scope, requires]`.
fn package(repository: &str, it: &Value) -> Option<LockedPackage> {
    let (name, version, sha256) = (it[0].as_str()?, it[1].as_str()?, it[3].as_str()?);
    let coordinates = Coordinates::read(name).ok().filter(|it| !it.model)?;
    let is_digest = sha256.len() == 64 && sha256.chars().all(|c| c.is_ascii_hexdigit());
    let path = coordinates.path(version);
    if !is_word(version) || !is_digest || it[2].as_str() != Some(path.as_str()) {
        return None;
    }
    let requires: Option<Vec<String>> = it[5].as_array()?.iter().map(|it| it.as_str().map(str::to_owned)).collect();
    let requires = requires.filter(|it| it.iter().all(|it| Coordinates::read(it).is_ok()))?;
    Some(LockedPackage {
        name: name.to_owned(),
        version: version.to_owned(),
        url: format!("{}/{path}", without_user(repository)),
        hashes: vec![format!("sha256:{sha256}")],
        scope: if it[4] == "provided" { DependencyScope::Build } else { DependencyScope::Runtime },
        requires,
    })
}

/// The newest version that the driver found.
pub(super) fn newest(output: &StepOutput) -> Result<Option<String>> {
    let answer = SOURCE.answer(output)?;
    match &answer["newest"] {
        Value::String(version) if is_word(version) => Ok(Some(version.clone())),
        Value::Null => Ok(None),
        _ => Err(SOURCE.nonsense()),
    }
}

/// The model of a project that has what is wanted in the versions that were chosen.
fn model(wanted: &[ScriptDependency], chosen: &[LockedPackage]) -> String {
    let (mut managed, mut direct) = (String::new(), String::new());
    for it in wanted {
        let Ok(coordinates) = Coordinates::read(&it.name) else { continue };
        let version =
            chosen.iter().find(|other| other.name == it.name).map_or(it.requirement.as_str(), |it| &it.version);
        let Coordinates { group, artifact, classifier, model } = coordinates;
        let (scope, kind) = match (model, it.scope) {
            (true, _) => ("import", "<type>pom</type>"),
            (_, DependencyScope::Build) => ("provided", ""),
            _ => ("compile", ""),
        };
        let classifier =
            if classifier.is_empty() { String::new() } else { format!("<classifier>{classifier}</classifier>") };
        let text = format!(
            "    <dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version>\
             {kind}{classifier}<scope>{scope}</scope></dependency>\n"
        );
        let list = if model { &mut managed } else { &mut direct };
        list.push_str(&text);
    }
    let managed = if managed.is_empty() {
        String::new()
    } else {
        format!("  <dependencyManagement><dependencies>\n{managed}  </dependencies></dependencyManagement>\n")
    };
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\">\n  <modelVersion>4.0.0</modelVersion>\n  \
         <groupId>script</groupId>\n  <artifactId>script</artifactId>\n  <version>1</version>\n{managed}  \
         <dependencies>\n{direct}  </dependencies>\n</project>\n"
    )
}

#[cfg(test)]
mod tests;
