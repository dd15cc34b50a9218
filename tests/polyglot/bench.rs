//! An engine on the Linux sandbox with all languages, and a state folder of its own.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use script_engine_core::contract::IdSource as _;
use script_engine_core::executor::PooledExecutor;
use script_engine_core::memory::UuidIds;
use script_engine_core::sandbox::SessionSettings;
use script_engine_core::{
    Engine, EngineBuilder, EntryPoint, ExecutionRecord, ExecutionRequest, Identity, LanguageId, OwnerId, Result,
    ScriptDraft, ScriptName, Shutdown,
};
use script_engine_sandbox::{Config, Manager};

pub(crate) struct Bench {
    pub(crate) engine: Engine,
    state: PathBuf,
    names: AtomicU32,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::with(|builder| builder).await
    }

    pub(crate) async fn with(set: impl FnOnce(EngineBuilder) -> EngineBuilder) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let state = std::env::temp_dir().join(format!("script-engine-polyglot-{}-{number}", std::process::id()));
        let owner = OwnerId::from_bits(UuidIds.fresh());
        let config = Config::new(&state).with_roots_in(&roots());
        let manager = Manager::open(config, owner).expect("the backend opens");
        let executor = PooledExecutor::new(Arc::new(manager), SessionSettings::default()).await.expect("a sandbox");
        let builder = Engine::builder(Arc::new(executor)).with_owner(owner);
        let builder = script_engine_languages::builtin().into_iter().fold(builder, EngineBuilder::with_language);
        let engine = set(builder).build().await.expect("the engine is built");
        Self { engine, state, names: AtomicU32::new(0) }
    }

    /// Saves a script in a file of this name.
    pub(crate) async fn save(&self, file: &str, source: &str) -> Result<ScriptName> {
        let number = self.names.fetch_add(1, Ordering::Relaxed);
        let name = ScriptName::parse(&format!("script-{number}"))?;
        let mut draft = ScriptDraft::new(name.clone(), Bytes::copy_from_slice(source.as_bytes()));
        draft.entry_point = Some(EntryPoint::parse(file)?);
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
        let name = self.save(file, source).await.expect("it is saved");
        let id = self.engine.submit(set(ExecutionRequest::new(name))).await.expect("it is accepted");
        self.engine.wait(id).await.expect("it ends")
    }

    pub(crate) async fn finish(self) {
        let report = self.engine.shutdown(Shutdown::Drain).await;
        assert!(report.errors.is_empty() && report.removed.is_empty(), "{report:?}");
        drop(self.engine);
        std::fs::remove_dir_all(&self.state).unwrap();
    }
}

/// The roots that `cargo xtask test` has put beside what cargo builds, for languages that the machine has no toolchain for.
fn roots() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let roots = program.ancestors().nth(3).unwrap().join("runtime-roots");
    assert!(roots.is_dir(), "{} is not there; run `cargo xtask setup`", roots.display());
    roots
}

pub(crate) fn language(name: &str) -> LanguageId {
    LanguageId::parse(name).unwrap()
}

/// What a script printed.
pub(crate) fn stdout(record: &ExecutionRecord) -> String {
    let ending = record.ending.as_ref().expect("it is over");
    String::from_utf8_lossy(&ending.output.stdout.bytes).into_owned()
}

/// All that there is to tell of an execution.
pub(crate) fn story(record: &ExecutionRecord) -> String {
    let ending = record.ending.as_ref().expect("it is over");
    let stderr = String::from_utf8_lossy(&ending.output.stderr.bytes);
    format!("{:?}\nstdout: {}\nstderr: {stderr}", ending.outcome, stdout(record))
}
