//! What the flows have in common: an engine over a fake, and scripts by name.

use std::sync::Arc;

use bytes::Bytes;
use script_engine_core::contract::{
    Check, Compilation, Diagnostic, Language, LanguageInfo, Prepared, Requirement, Source, Step, Toolchain, Work,
};
use script_engine_core::memory::MemorySecrets;
use script_engine_core::packages::{Declared, DependencyLock};
use script_engine_core::{
    Engine, EngineBuilder, EntryPoint, ExecutionRecord, ExecutionRequest, Identity, JobFile, LanguageId,
    LimitOverrides, Limits, Prime, RelPath, Result, ScriptDraft, ScriptName, Settings,
};
use script_engine_testkit::fake::{Action, FakeExecutor};

/// A language whose scripts are names of action lists of the fake. One whose name begins with `compiled` does its
/// list once as a step, and then again; one whose name begins with `refused` as a step that finds a fault.
#[derive(Debug)]
struct Acts(LanguageInfo);

impl Language for Acts {
    fn info(&self) -> &LanguageInfo {
        &self.0
    }

    fn check(&self, _source: &Source) -> Result<Work<Check>> {
        Ok(Work::Done(Check::new()))
    }

    fn dependencies(&self, _source: &Source) -> Result<Declared> {
        Ok(Declared::default())
    }

    fn prepare(&self, source: &Source, _lock: Option<&DependencyLock>) -> Result<Work<Compilation>> {
        let file = JobFile { path: RelPath::parse("main.act")?, content: source.bytes.clone(), executable: false };
        let (files, argv) = (vec![file], vec!["act".into()]);
        if source.bytes.starts_with(b"act compiled") {
            let prepared = Prepared { files: files.clone(), argv: argv.clone(), env: Vec::new(), with_packages: true };
            let read = Box::new(|_| Ok(Ok(prepared)));
            return Ok(Work::InSandbox(Step { files, argv, env: Vec::new(), collect: Vec::new(), read }));
        }
        if source.bytes.starts_with(b"act refused") {
            let found = Diagnostic { line: 3, column: 7, message: "no such act".into() };
            let read = Box::new(|_| Ok(Err(vec![found])));
            return Ok(Work::InSandbox(Step { files, argv, env: Vec::new(), collect: Vec::new(), read }));
        }
        Ok(Work::Done(Ok(Prepared { files, argv, env: Vec::new(), with_packages: true })))
    }

    fn fit(&self, prepared: Prepared, _limits: &Limits) -> Prepared {
        prepared
    }

    fn toolchain(&self, _source: Option<&Source>) -> Result<Work<Toolchain>> {
        Ok(Work::Done(Toolchain { name: "acts".into(), version: "1".into(), place: String::new() }))
    }

    fn prime(&self) -> Option<Prime> {
        None
    }

    fn fingerprint(&self) -> String {
        "1".into()
    }
}

pub(crate) fn acts() -> Arc<dyn Language> {
    Arc::new(Acts(LanguageInfo {
        id: LanguageId::parse("acts").unwrap(),
        title: "Acts".into(),
        extensions: vec!["act".into()],
        interpreters: Vec::new(),
        entry_point: EntryPoint::parse("main.act").unwrap(),
        limits: Limits::default(),
        step_limits: LimitOverrides::default(),
        requirement: Requirement { least: "1".into(), mend: String::new() },
        image: String::new(),
        env: Vec::new(),
        code_variables: vec!["ACTS_*".into()],
        packages_dir: "/packages".into(),
    }))
}

/// An engine, its fake, and nothing else.
pub(crate) struct Bench {
    pub(crate) engine: Engine,
    pub(crate) fake: Arc<FakeExecutor>,
}

impl Bench {
    /// Builds an engine whose scripts do what `scripts` says, each known by its name.
    pub(crate) async fn new(settings: Settings, scripts: Vec<(&str, Vec<Action>)>) -> Self {
        Self::on(FakeExecutor::new(), settings, scripts).await
    }

    /// The same over a fake that is given.
    pub(crate) async fn on(fake: FakeExecutor, settings: Settings, scripts: Vec<(&str, Vec<Action>)>) -> Self {
        let names: Vec<String> = scripts.iter().map(|it| it.0.to_owned()).collect();
        let fake =
            scripts.into_iter().fold(fake, |fake, (name, actions)| fake.with_source(&format!("act {name};"), actions));
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        Self::build(fake, |builder| builder.with_settings(settings), &names).await
    }

    /// Builds an engine over a fake and secrets, with a script for each name.
    pub(crate) async fn with(fake: FakeExecutor, secrets: Option<Arc<MemorySecrets>>, names: &[&str]) -> Self {
        let set = |builder: EngineBuilder| match secrets {
            Some(secrets) => builder.with_secret_provider(secrets),
            None => builder,
        };
        Self::build(fake, set, names).await
    }

    async fn build(fake: FakeExecutor, set: impl FnOnce(EngineBuilder) -> EngineBuilder, names: &[&str]) -> Self {
        let fake = Arc::new(fake);
        let owner = fake.owner();
        let builder = Engine::builder(Arc::clone(&fake) as _).with_owner(owner).with_language(acts());
        let engine = set(builder).build().await.unwrap();
        for name in names {
            let source = Bytes::from(format!("act {name};"));
            let draft = ScriptDraft::new(ScriptName::parse(name).unwrap(), source)
                .with_language(LanguageId::parse("acts").unwrap());
            engine.save(&Identity::default(), draft).await.unwrap();
        }
        Self { engine, fake }
    }

    /// Submits and waits.
    pub(crate) async fn run(&self, request: ExecutionRequest) -> ExecutionRecord {
        let id = self.engine.submit(request).await.unwrap();
        self.engine.wait(id).await.unwrap()
    }

    /// Asserts that nothing is left anywhere.
    #[track_caller]
    pub(crate) fn assert_clean(&self) {
        let left = self.fake.host().leftovers(self.fake.owner());
        assert!(left.is_empty(), "{left:?}");
    }
}

pub(crate) fn request(name: &str) -> ExecutionRequest {
    ExecutionRequest::new(ScriptName::parse(name).unwrap())
}
