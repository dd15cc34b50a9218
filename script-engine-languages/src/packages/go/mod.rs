//! Go modules: locked by `go mod tidy`, fetched by `go build`, which checks them against the lock's `go.sum`.
//!
//! A layer has the folder `gomod` (a `GOMODCACHE`) and the folder `gocache` (a `GOCACHE` with the standard library and the
//! modules compiled, for `CGO_ENABLED=0 -trimpath`). A program needs neither once it is linked.

use bytes::Bytes;
use script_engine_core::contract::{Step, StepOutput};
use script_engine_core::packages::{Declared, DependencyLock, LayerUse, LockedPackage, PackageSummary};
use script_engine_core::{Error, JobFile, LanguageId, Limits, RelPath, Result};

use self::standard::Standard;
use super::ecosystem::{Ecosystem, LayerStep, Rules};
use super::sources::PackageSources;
use crate::source_text;

mod complaint;
mod locked;
mod scan;
mod settings;
mod standard;
mod tokens;

const LOCK: &str = include_str!("lock.sh");
const INSTALL: &str = include_str!("install.sh");
const SEARCH: &str = include_str!("search.sh");

/// Go modules, by the Go command of the runtime.
#[derive(Clone, Debug)]
pub struct GoModules {
    language: LanguageId,
}

impl GoModules {
    /// Makes it. Fails never, in practice: its name is checked by the tests.
    pub fn new() -> Result<Self> {
        Ok(Self { language: LanguageId::parse("go")? })
    }

    /// Reads the imports of a source, and the block that begins with the line `// go.mod`. An import whose first element
    /// has a dot is of a module; all others are of the standard library.
    ///
    /// A script without modules gets a manifest too: so it has a lock, and that a layer with the standard library compiled.
    /// A source that is no text declares nothing; its check says what is wrong with it. Fails with `InvalidRequest` that
    /// names the place of what can't be meant.
    pub fn declared(source: &[u8]) -> Result<Declared> {
        scan::dependencies(source)
    }

    /// The line that a `go.mod` needs before what a script says of it: none if the script names its module.
    pub(crate) fn module_line(block: &str) -> &'static str {
        let named = block.lines().any(|it| it.split_whitespace().next() == Some("module"));
        if named { "" } else { "module script\n\n" }
    }
}

impl Ecosystem for GoModules {
    fn language(&self) -> &LanguageId {
        &self.language
    }

    fn limits(&self) -> Limits {
        Limits {
            timeout: std::time::Duration::from_secs(600),
            // The compiler takes most of it, and nothing else is left of a step.
            memory_bytes: 2 << 30,
            milli_cpus: 2000,
            pids: 1024,
            work_bytes: 2 << 30,
            tmp_bytes: 256 << 20,
            files: 200_000,
            ..Limits::default()
        }
    }

    fn fingerprint(&self) -> String {
        "go modules 2".to_owned()
    }

    fn lock(&self, declared: &Declared, sources: &PackageSources, rules: Rules) -> Result<Step<DependencyLock>> {
        let manifest = declared.manifest.as_deref().unwrap_or("module script\n");
        let wanted = declared.packages.iter().filter(|it| it.scope != script_engine_core::DependencyScope::Test);
        let (imports, versions): (Vec<_>, Vec<_>) = wanted.partition(|it| it.requirement.is_empty());
        let paths: Vec<&str> = imports.iter().map(|it| it.name.as_str()).collect();
        let stub = stub(Standard::of(manifest), &paths);
        let settings = settings::of(sources, "/work/gomod", "/work/gocache")?;
        let mut files = settings.files;
        files.push(file("lock.sh", LOCK)?);
        files.push(file("module/go.mod", manifest)?);
        files.push(file("module/imports.go", &stub)?);
        let before = rules.published_before.map(seconds).unwrap_or_else(|| "-".to_owned());
        let mut argv = argv("lock.sh");
        argv.push(before.clone());
        argv.extend(versions.iter().map(|it| format!("{}@{}", it.name, it.requirement)));
        let language = self.language.clone();
        Ok(Step {
            files,
            argv,
            env: settings.env,
            collect: ["packages", "env", "go.mod", "go.sum"].map(|it| format!("/work/out/{it}")).to_vec(),
            read: Box::new(move |output| locked::read(language, &stub, &before, output)),
        })
    }

    /// The standard library, which the layer of a script without modules has.
    fn base(&self, lock: &DependencyLock) -> Result<Option<DependencyLock>> {
        if lock.packages.is_empty() {
            return Ok(None);
        }
        locked::without_modules(lock, standard_of(lock)).map(Some)
    }

    fn install(
        &self,
        lock: &DependencyLock,
        // A program has everything in it, so there is one layer, for the compiler.
        _wanted: LayerUse,
        sources: &PackageSources,
        _rules: Rules,
    ) -> Result<Option<LayerStep>> {
        let mut settings = settings::of(sources, "/work/layer/gomod", "/work/layer/gocache")?;
        // The lock's go.sum has them all: no database is asked, and what is not in it is refused.
        settings.set("GOSUMDB", "off");
        settings.set("GOFLAGS", "-mod=readonly -modcacherw -buildvcs=false");
        let mut files = settings.files;
        files.push(file("install.sh", INSTALL)?);
        for (name, content) in &lock.files {
            files.push(JobFile {
                path: RelPath::parse(&format!("module/{name}"))?,
                content: content.clone(),
                executable: false,
            });
        }
        let mut argv = argv("install.sh");
        argv.extend(standard_of(lock).packages().into_iter().map(str::to_owned));
        let packages = lock.packages.clone();
        Ok(Some(Step {
            files,
            argv,
            env: settings.env,
            collect: vec!["/work/layer.tar".to_owned()],
            read: Box::new(move |output| read_layer(output, &packages)),
        }))
    }

    fn search(&self, text: &str, limit: usize, sources: &PackageSources) -> Result<Step<Vec<PackageSummary>>> {
        let path = text.trim();
        if !scan::is_module_path(path) {
            let message = format!(
                "{:?} is no module path; Go's index knows no words: give a whole path such as example.org/module",
                source_text::message(path)
            );
            return Err(Error::invalid("text", message));
        }
        let settings = settings::of(sources, "/work/gomod", "/work/gocache")?;
        let mut files = settings.files;
        files.push(file("search.sh", SEARCH)?);
        let mut argv = argv("search.sh");
        argv.push(path.to_owned());
        let path = path.to_owned();
        Ok(Step {
            files,
            argv,
            env: settings.env,
            collect: Vec::new(),
            read: Box::new(move |output| found(&output, &path).map(|it| it.into_iter().take(limit).collect())),
        })
    }
}

/// The driver of ours and its two folders.
fn argv(driver: &str) -> Vec<String> {
    ["sh", &format!("/scripts/{driver}"), "/scripts", "/work"].map(str::to_owned).to_vec()
}

fn file(path: &str, content: &str) -> Result<JobFile> {
    Ok(JobFile { path: RelPath::parse(path)?, content: Bytes::from(content.to_owned()), executable: false })
}

/// The part of the standard library that a lock is with.
fn standard_of(lock: &DependencyLock) -> Standard {
    Standard::of(&lock.file("imports.go").map(|it| String::from_utf8_lossy(it)).unwrap_or_default())
}

/// A package that imports all that a script may import, for the Go command to look at in the script's place.
fn stub(standard: Standard, imports: &[&str]) -> String {
    let mut text = format!("{}\npackage script\n\nimport (\n", standard.line());
    for path in standard.packages().iter().chain(imports) {
        text.push_str(&format!("\t_ \"{path}\"\n"));
    }
    text.push_str(")\n");
    text
}

/// A point in time as the Go command's templates print it.
fn seconds(time: script_engine_core::Timestamp) -> String {
    let text = time.to_string();
    format!("{}Z", text.split('.').next().unwrap_or_default())
}

fn read_layer(mut output: StepOutput, packages: &[LockedPackage]) -> Result<Bytes> {
    match (output.exit_code, output.files.first_mut().and_then(Option::take)) {
        (Some(0), Some(archive)) => Ok(archive),
        _ => Err(complaint::read(&output, packages.iter().map(|it| it.name.as_str()))),
    }
}

fn found(output: &StepOutput, path: &str) -> Result<Option<PackageSummary>> {
    let printed = String::from_utf8_lossy(&output.stdout);
    match (output.exit_code, printed.split_whitespace().last()) {
        (Some(0), Some(version)) if locked::is_version(version) => {
            Ok(Some(PackageSummary { name: path.to_owned(), version: Some(version.to_owned()), description: None }))
        }
        (Some(0), _) => Ok(None),
        _ => complaint::missing_is_none(output, path),
    }
}

#[cfg(test)]
mod tests;
