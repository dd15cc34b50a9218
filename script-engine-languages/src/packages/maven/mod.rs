//! Maven packages: locked by the resolver of Maven itself, which a driver of ours starts without Maven's program and
//! plugins; fetched by their digests.
//!
//! A layer has the jars in the folder `lib`, and in the file `classpath` their names, in the order of the class path. Where
//! it was finished in place it has in `folders` the folders of their classes, and in `classes.jsa` the classes as an
//! archive that a virtual machine maps, if the one that will run them could make it.

use bytes::Bytes;
use script_engine_core::contract::{PackageTarget, Step, StepOutput};
use script_engine_core::packages::{Declared, DependencyLock, LayerUse, PackageSummary};
use script_engine_core::{DependencyScope, Error, JobFile, LanguageId, Limits, RelPath, Result, ScriptDependency};

use self::coordinates::Coordinates;
use super::ecosystem::{Ecosystem, LayerStep, Rules};
use super::sources::PackageSources;
use crate::source_text;

mod coordinates;
mod locked;
mod scan;
mod settings;

const DRIVER: &str = include_str!("Maven.java");
const RESOLVE: &str = include_str!("Resolve.java");
/// The jars of Maven's resolver, with their digests. They come from the same repository as the packages do, because a
/// runtime has a JDK and seldom Maven.
const RESOLVER: &str = include_str!("resolver.txt");

/// Maven packages, by a JDK of the runtime, 17 or newer.
#[derive(Clone, Debug)]
pub struct MavenPackages {
    language: LanguageId,
}

impl MavenPackages {
    /// Makes it. Fails never, in practice: its name is checked by the tests.
    pub fn new() -> Result<Self> {
        Ok(Self { language: LanguageId::parse("java")? })
    }

    /// Reads the directives `//DEPS` and `//JAVA` of a source, as JBang has them: comments that begin their line. Several
    /// packages may stand in one line. Directives that would do what no script can are refused.
    ///
    /// A source that is no text declares nothing; its check says what is wrong with it. Fails with `InvalidRequest` that
    /// names the place of what can't be meant.
    pub fn declared(source: &[u8]) -> Result<Declared> {
        scan::dependencies(source)
    }

    /// The names of the jars in a lock's layer, in the order of the class path.
    pub(crate) fn class_path(lock: &DependencyLock, wanted: LayerUse) -> Vec<&str> {
        let names = lock.file(locked::classpath(wanted)).and_then(|it| std::str::from_utf8(it).ok());
        names.unwrap_or_default().lines().collect()
    }
}

impl Ecosystem for MavenPackages {
    fn language(&self) -> &LanguageId {
        &self.language
    }

    fn limits(&self) -> Limits {
        Limits {
            timeout: std::time::Duration::from_secs(600),
            memory_bytes: 1 << 30,
            milli_cpus: 2000,
            pids: 512,
            work_bytes: 1 << 30,
            ..Limits::default()
        }
    }

    fn fingerprint(&self) -> String {
        "maven 1".to_owned()
    }

    fn lock(&self, declared: &Declared, sources: &PackageSources, rules: Rules) -> Result<Step<DependencyLock>> {
        let wanted: Vec<ScriptDependency> = declared.locked().cloned().collect();
        let lines = wanted.iter().map(line).collect::<Result<Vec<String>>>()?;
        // Models whose versions count for the others come first.
        let (models, others): (Vec<&String>, Vec<&String>) = lines.iter().partition(|it| it.starts_with("import "));
        let mut files = settings::of(sources)?;
        for (path, content) in [
            ("Maven.java", DRIVER.to_owned()),
            ("Resolve.java", RESOLVE.to_owned()),
            ("resolver", RESOLVER.to_owned()),
            ("wanted", models.into_iter().chain(others).map(|it| format!("{it}\n")).collect()),
            ("before", rules.published_before.map(|it| it.to_string()).unwrap_or_default()),
        ] {
            files.push(file(path, content)?);
        }
        let language = self.language.clone();
        Ok(Step {
            files,
            argv: argv("java", "lock", "/scripts", None),
            env: Vec::new(),
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
            let coordinates = Coordinates::read(&it.name)?;
            let sha256 = it.hashes.iter().find_map(|it| it.strip_prefix("sha256:")).unwrap_or_default();
            let (path, file) = (coordinates.path(&it.version), coordinates.file(&it.version));
            packages.push_str(&format!("{sha256} {path} {}@{} {file}\n", it.name, it.version));
        }
        if packages.is_empty() {
            return Ok(None);
        }
        let mut files = settings::of(sources)?;
        let classpath = lock.file(locked::classpath(wanted)).cloned().unwrap_or_default();
        files.push(JobFile { path: RelPath::parse("classpath")?, content: classpath, executable: false });
        files.push(file("packages", packages)?);
        files.push(file("Maven.java", DRIVER.to_owned())?);
        Ok(Some(Step {
            files,
            argv: argv("java", "install", "/scripts", None),
            env: Vec::new(),
            collect: vec!["/work/layer.tar".to_owned()],
            read: Box::new(read_layer),
        }))
    }

    fn finish(&self, lock: &DependencyLock, wanted: LayerUse, target: &PackageTarget) -> Result<Option<LayerStep>> {
        if lock.packages_for(wanted).next().is_none() {
            return Ok(None);
        }
        // The archive fits the virtual machine that made it, and no other.
        let java = format!("{}/bin/java", target.toolchain.place);
        Ok(Some(Step {
            files: vec![file("Maven.java", DRIVER.to_owned())?],
            argv: argv(&java, "share", &target.packages_dir, None),
            env: Vec::new(),
            collect: vec!["/work/layer.tar".to_owned()],
            read: Box::new(read_layer),
        }))
    }

    fn search(&self, text: &str, limit: usize, sources: &PackageSources) -> Result<Step<Vec<PackageSummary>>> {
        let name = text.trim().to_owned();
        if Coordinates::read(&name).is_err() {
            let message = format!(
                "{:?} is no package name; a Maven repository knows no words: give group:artifact",
                source_text::message(&name)
            );
            return Err(Error::invalid("text", message));
        }
        let mut files = settings::of(sources)?;
        files.push(file("Maven.java", DRIVER.to_owned())?);
        Ok(Step {
            files,
            argv: argv("java", "newest", "/scripts", Some(&name)),
            env: Vec::new(),
            collect: Vec::new(),
            read: Box::new(move |output| {
                let found =
                    locked::newest(&output)?.map(|it| PackageSummary { name, version: Some(it), description: None });
                Ok(found.into_iter().take(limit).collect())
            }),
        })
    }
}

/// What the driver reads of a package: `scope group artifact classifier version`.
fn line(wanted: &ScriptDependency) -> Result<String> {
    let coordinates = Coordinates::read(&wanted.name)?;
    let version = wanted.requirement.trim();
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-+[](),~".contains(c);
    if !version.chars().all(plain) {
        let message = format!(
            "{} {version:?}: not a version or range of Maven; give one such as 1.2.3 or [1.0,2.0)",
            wanted.name
        );
        return Err(Error::invalid("dependencies", message));
    }
    if version.ends_with("-SNAPSHOT") {
        let message = format!("{} {version}: a snapshot changes from day to day; take a release", wanted.name);
        return Err(Error::invalid("dependencies", message));
    }
    let scope = match wanted.scope {
        _ if coordinates.model => "import",
        DependencyScope::Build => "provided",
        DependencyScope::Runtime | DependencyScope::Test => "compile",
    };
    Ok(format!("{scope} {} {} {} {version}", coordinates.group, coordinates.artifact, coordinates.classifier))
}

/// Starts the driver from its source, with the folder that it reads.
fn argv(java: &str, what: &str, from: &str, more: Option<&str>) -> Vec<String> {
    let options = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData", "-Xmx640m", "-Duser.home=/work"];
    let own = ["/scripts/Maven.java", what, from, "/work"];
    [java].iter().chain(&options).chain(&own).copied().chain(more).map(str::to_owned).collect()
}

fn file(path: &str, content: String) -> Result<JobFile> {
    Ok(JobFile { path: RelPath::parse(path)?, content: content.into(), executable: false })
}

fn read_layer(mut output: StepOutput) -> Result<Bytes> {
    locked::SOURCE.answer(&output)?;
    let archive = output.files.first_mut().and_then(Option::take);
    archive.ok_or_else(|| Error::internal("the driver of Maven packages left no archive"))
}

#[cfg(test)]
mod tests;
