//! An engine on the Linux sandbox whose C# has the root that was made for the tests.

use std::path::PathBuf;
use std::process::id;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use script_engine_core::contract::{DependencyResolver, IdSource as _, Language};
use script_engine_core::executor::PooledExecutor;
use script_engine_core::memory::UuidIds;
use script_engine_core::sandbox::SessionSettings;
use script_engine_core::{
    Engine, EntryPoint, Error, ExecutionRecord, ExecutionRequest, Exit, Identity, LanguageSettings, Outcome, OwnerId,
    ScriptDraft, ScriptName, Settings, Shutdown,
};
use script_engine_languages::{Bash, CSharp};
use script_engine_sandbox::{Config, Manager, Root};

/// Tells a copy of this program where the root is.
pub(crate) const ROOT: &str = "SCRIPT_ENGINE_CSHARP_ROOT";

/// Where `cargo xtask test` has put the root: beside what cargo builds.
pub(crate) fn root() -> PathBuf {
    let root = match std::env::var_os(ROOT) {
        Some(root) => PathBuf::from(root),
        None => {
            let program = std::env::current_exe().unwrap();
            let target = program.ancestors().nth(3).unwrap();
            target.join("runtime-roots/csharp")
        }
    };
    assert!(root.is_dir(), "{} is not there; run `cargo xtask setup`", root.display());
    root
}

/// An engine.
pub(crate) struct Bench {
    pub(crate) engine: Engine,
    state: PathBuf,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::with(Arc::new(CSharp::new().unwrap()), None).await
    }

    /// Builds an engine whose compiler has this much time.
    pub(crate) async fn hurried(timeout: Duration) -> Self {
        let changed = LanguageSettings { step_timeout: Some(timeout), ..LanguageSettings::default() };
        let settings = Settings { languages: [("csharp".to_owned(), changed)].into(), ..Settings::default() };
        Self::set(Arc::new(CSharp::new().unwrap()), None, settings).await
    }

    /// Builds an engine with this C#, which gets packages from `resolver`.
    pub(crate) async fn with(csharp: Arc<dyn Language>, resolver: Option<Arc<dyn DependencyResolver>>) -> Self {
        Self::set(csharp, resolver, Settings::default()).await
    }

    async fn set(csharp: Arc<dyn Language>, resolver: Option<Arc<dyn DependencyResolver>>, settings: Settings) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let state = std::env::temp_dir().join(format!("script-engine-csharp-{}-{number}", id()));
        let owner = OwnerId::from_bits(UuidIds.fresh());
        let mut config = Config::new(&state);
        config.spare_launchers = 0;
        // The shell of that root serves for what needs no C#.
        config.roots.extend(["csharp", "bash"].map(|it| (it.to_owned(), Root::Folder(root()))));
        let manager = Arc::new(Manager::open(config, owner).unwrap());
        let executor = PooledExecutor::new(manager, SessionSettings::default()).await.unwrap();
        let mut builder = Engine::builder(Arc::new(executor)).with_owner(owner).with_settings(settings);
        for language in [csharp, Arc::new(Bash::new().unwrap())] {
            builder = builder.with_language(language);
        }
        if let Some(resolver) = resolver {
            builder = builder.with_dependency_resolver(resolver);
        }
        Self { engine: builder.build().await.unwrap(), state }
    }

    /// Saves a script as a file of this name.
    pub(crate) async fn save(&self, file: &str, source: &str) -> Result<ScriptName, Error> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = ScriptName::parse(&format!("script-{}", NUMBER.fetch_add(1, Ordering::Relaxed))).unwrap();
        let draft = ScriptDraft::new(name.clone(), source.as_bytes().to_vec())
            .with_entry_point(EntryPoint::parse(file).unwrap());
        self.engine.save(&Identity::default(), draft).await?;
        Ok(name)
    }

    /// Saves a script and runs it to its end.
    pub(crate) async fn run(
        &self,
        file: &str,
        source: &str,
        set: impl FnOnce(ExecutionRequest) -> ExecutionRequest,
    ) -> ExecutionRecord {
        let name = self.save(file, source).await.unwrap_or_else(|error| panic!("{file} is refused: {error}"));
        let id = self.engine.submit(set(ExecutionRequest::new(name))).await.unwrap();
        self.engine.wait(id).await.unwrap()
    }

    pub(crate) async fn finish(self) {
        self.engine.shutdown(Shutdown::Drain).await;
        std::fs::remove_dir_all(self.state).unwrap();
    }
}

/// What an execution printed.
pub(crate) fn printed(record: &ExecutionRecord) -> (String, String) {
    let output = &record.ending.as_ref().unwrap().output;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout.bytes), text(&output.stderr.bytes))
}

/// How it ended: the exit code, or the reason in words.
pub(crate) fn end(record: &ExecutionRecord) -> Result<i32, String> {
    match &record.ending.as_ref().unwrap().outcome {
        Outcome::Succeeded => Ok(0),
        Outcome::Failed(Exit::Code(code)) => Ok(*code),
        Outcome::NotCompiled(found) => Err(found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")),
        other => Err(other.explain().unwrap_or_default()),
    }
}
