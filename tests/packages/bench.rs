//! An engine with packages in a folder that a second engine can take over, with every index cut off.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use script_engine_core::contract::{IdSource as _, ScriptExecutor};
use script_engine_core::executor::PooledExecutor;
use script_engine_core::memory::{MemoryCache, SystemClock, UuidIds};
use script_engine_core::packages::DependencyLock;
use script_engine_core::sandbox::SessionSettings;
use script_engine_core::{
    Engine, EngineBuilder, EntryPoint, ExecutionRecord, ExecutionRequest, Identity, Outcome, OwnerId, Result,
    ScriptDependency, ScriptDraft, ScriptName, Shutdown,
};
use script_engine_languages::packages::{
    Ecosystem, PackageCounts, PackageSettings, PackageSources, SandboxedResolver, ecosystems,
};
use script_engine_sandbox::{Config, Manager};

/// A folder that is gone when this is.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Self(std::env::temp_dir().join(format!("script-engine-packages-{}-{number}", std::process::id())))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

pub(crate) struct Bench {
    pub(crate) engine: Engine,
    resolver: Arc<SandboxedResolver>,
    names: AtomicU32,
}

impl Bench {
    /// An engine with the packages in `folder`, which gets new ones from `sources`.
    pub(crate) async fn new(folder: &Folder, sources: PackageSources) -> Self {
        let settings = PackageSettings { sources, ..PackageSettings::new(folder.path().join("packages")) };
        Self::with(folder, settings, Arc::default()).await
    }

    /// An engine that decides every lock anew.
    pub(crate) async fn deciding(folder: &Folder) -> Self {
        let sources = PackageSources::of_this_machine();
        let settings = PackageSettings::new(folder.path().join("packages"));
        Self::with(folder, PackageSettings { sources, upgrade: true, ..settings }, Arc::default()).await
    }

    /// An engine that keeps compiled forms in `compiled`.
    pub(crate) async fn with(folder: &Folder, settings: PackageSettings, compiled: Arc<MemoryCache>) -> Self {
        Self::of(folder, settings, compiled, ecosystems()).await
    }

    /// An engine with ecosystems of a test's own.
    pub(crate) async fn of(
        folder: &Folder,
        settings: PackageSettings,
        compiled: Arc<MemoryCache>,
        ecosystems: Vec<Arc<dyn Ecosystem>>,
    ) -> Self {
        let owner = OwnerId::from_bits(UuidIds.fresh());
        let manager = Manager::open(Config::new(folder.path().join("state")), owner).expect("the backend opens");
        let executor = PooledExecutor::new(Arc::new(manager), SessionSettings::default()).await.expect("a sandbox");
        let executor: Arc<dyn ScriptExecutor> = Arc::new(executor);
        let resolver = SandboxedResolver::new(Arc::clone(&executor), ecosystems, Arc::new(SystemClock), settings);
        let resolver = Arc::new(resolver);
        let builder = Engine::builder(executor).with_owner(owner);
        let builder = script_engine_languages::builtin().into_iter().fold(builder, EngineBuilder::with_language);
        let builder = builder.with_dependency_resolver(Arc::<SandboxedResolver>::clone(&resolver));
        let builder = builder.with_compiled_cache(compiled);
        let engine = builder.build().await.expect("the engine is built");
        Self { engine, resolver, names: AtomicU32::new(0) }
    }

    /// Saves a script in a file of this name.
    pub(crate) async fn save(&self, file: &str, source: &str, beside: &[ScriptDependency]) -> Result<ScriptName> {
        let draft = self.draft(file, source, beside)?;
        let name = draft.name.clone();
        self.engine.save(&Identity::default(), draft).await?;
        Ok(name)
    }

    /// Decides what a script that declares packages beside its source gets.
    pub(crate) async fn lock(&self, file: &str, source: &str, beside: &[ScriptDependency]) -> Arc<DependencyLock> {
        let draft = self.draft(file, source, beside).expect("a script");
        let lock = self.engine.lock(&Identity::default(), &draft).await.expect("its packages can be had");
        lock.expect("it declares packages")
    }

    fn draft(&self, file: &str, source: &str, beside: &[ScriptDependency]) -> Result<ScriptDraft> {
        let number = self.names.fetch_add(1, Ordering::Relaxed);
        let name = ScriptName::parse(&format!("script-{number}"))?;
        let mut draft = ScriptDraft::new(name, Bytes::copy_from_slice(source.as_bytes()));
        draft.entry_point = Some(EntryPoint::parse(file)?);
        draft.dependencies = beside.to_vec();
        Ok(draft)
    }

    /// Runs what was saved, and gives what it printed.
    pub(crate) async fn run(&self, name: &ScriptName) -> String {
        let id = self.engine.submit(ExecutionRequest::new(name.clone())).await.expect("it is accepted");
        let record = self.engine.wait(id).await.expect("it ends");
        let ending = record.ending.as_ref().expect("it is over");
        let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
        let (stdout, stderr) = (text(&ending.output.stdout.bytes), text(&ending.output.stderr.bytes));
        assert_eq!(record.outcome(), Some(&Outcome::Succeeded), "{}\n{stdout}\n{stderr}", told(&record));
        assert_eq!(stderr, "");
        stdout
    }

    pub(crate) fn counts(&self) -> PackageCounts {
        self.resolver.counts()
    }

    pub(crate) async fn finish(self) {
        let report = self.engine.shutdown(Shutdown::Drain).await;
        assert!(report.errors.is_empty() && report.removed.is_empty(), "{report:?}");
    }
}

fn told(record: &ExecutionRecord) -> String {
    format!("{:?}", record.ending.as_ref().map(|it| &it.outcome))
}

/// Runs a script with packages, for which this many layers are made; then once more by an engine whose only way to an index leads nowhere, which therefore neither
/// resolves nor fetches.
pub(crate) async fn twice(file: &str, source: &str, expect: &str, layers: u64) {
    let folder = Folder::new();
    for cut in [false, true] {
        let sources = PackageSources::default();
        let http_proxy = if cut { Some("http://127.0.0.1:9".into()) } else { sources.http_proxy.clone() };
        let bench = Bench::new(&folder, PackageSources { http_proxy, ..sources }).await;
        let name = bench.save(file, source, &[]).await.expect("it is saved");
        assert_eq!(bench.run(&name).await, expect, "cut off: {cut}");
        let work = u64::from(!cut);
        assert_eq!(bench.counts(), PackageCounts { locked: work, built: work * layers }, "cut off: {cut}");
        bench.finish().await;
    }
}
