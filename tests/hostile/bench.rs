//! An engine on the Linux sandbox or on containers, with a state folder of its own, and the search for what is left when it ends.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::id;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use script_engine_core::contract::{IdSource as _, OutputStream, RuntimeManager};
use script_engine_core::executor::PooledExecutor;
use script_engine_core::gateway::Gateway;
use script_engine_core::memory::{MemorySecrets, SystemClock, UuidIds};
use script_engine_core::output::{OutputCursor, OutputItem};
use script_engine_core::sandbox::SessionSettings;
use script_engine_core::{
    Capability, EgressSettings, Engine, ExecutionId, ExecutionRecord, ExecutionRequest, Identity, LanguageId,
    LimitOverrides, Open, Outcome, OwnerId, ScriptDraft, ScriptName, Settings, Shutdown,
};
use script_engine_docker as containers;
use script_engine_sandbox::{Config, Manager};

use crate::egress::Names;
use crate::{leftovers, user};

/// As whom the engine runs, and what its sandboxes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Root,
    User,
    /// Root, with containers of the Docker Engine that [`Who::ENDPOINT`] names.
    Containers,
}

impl Who {
    /// The variable that says where the Docker Engine for tests listens.
    pub(crate) const ENDPOINT: &str = "SCRIPT_ENGINE_TEST_DOCKER";

    /// All of them.
    const ALL: [Self; 3] = [Self::Root, Self::User, Self::Containers];

    /// What it is called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::User => "user",
            Self::Containers => "containers",
        }
    }

    /// The one of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }

    /// Whether sandboxes have users of their own.
    pub(crate) fn has_ids(self) -> bool {
        self != Self::User
    }

    /// The folder of the backend's records in a state folder.
    pub(crate) fn owners(self, state: &Path) -> PathBuf {
        state.join(if self == Self::Containers { "docker/owners" } else { "sandbox/owners" })
    }

    fn manager(self, state: &Path, ids: &Range<u32>, owner: OwnerId) -> Arc<dyn RuntimeManager> {
        let id_range = (ids.start, ids.end);
        if self == Self::Containers {
            let endpoint = std::env::var(Self::ENDPOINT).expect("an engine for tests");
            let config = containers::Config { endpoint, id_range, ..containers::Config::new(state) };
            return Arc::new(containers::Manager::open(config, owner).expect("the backend opens"));
        }
        let config = Config { id_range, ..Config::new(state) }.with_roots_in(&roots());
        Arc::new(Manager::open(config, owner).expect("the backend opens"))
    }
}

/// How long what is dropped may take to be gone.
const PATIENCE: Duration = Duration::from_secs(10);
/// The user ids that sandboxes may get where the backend chooses.
const ALL_IDS: Range<u32> = 0x7000_0000..0x7ffe_0000;

/// An engine under attack.
pub(crate) struct Bench {
    pub(crate) who: Who,
    pub(crate) engine: Engine,
    pub(crate) owner: OwnerId,
    pub(crate) capability: Capability,
    pub(crate) secrets: Arc<MemorySecrets>,
    /// The names that scripts with an allow-list may resolve.
    pub(crate) names: Arc<Names>,
    /// Whether nobody else of its user is there.
    alone: bool,
    state: PathBuf,
    ids: Range<u32>,
    numbers: AtomicU32,
}

impl Bench {
    /// How many user ids one engine's sandboxes get when it is root's.
    pub(crate) const IDS_EACH: u32 = 512;

    /// Builds an engine with a state folder that nobody else uses.
    pub(crate) async fn new(who: Who) -> Self {
        let ids = fresh_ids();
        let state = std::env::temp_dir().join(format!("script-engine-hostile-state-{}-{}", id(), ids.start));
        Self { alone: std::env::var_os(user::ALONE).is_some(), ..Self::on(who, &state, ids).await }
    }

    /// Builds an engine with this state folder and these user ids for its sandboxes.
    pub(crate) async fn on(who: Who, state: &Path, ids: Range<u32>) -> Self {
        let owner = OwnerId::from_bits(UuidIds.fresh());
        let manager = who.manager(state, &ids, owner);
        let capability = manager.probe().await.expect("a sandbox can be made");
        let executor = PooledExecutor::new(manager, SessionSettings::default()).await.expect("a sandbox can be made");
        let resolver = Arc::new(Names::default());
        let executor = executor.with_gateway(Gateway::new(Arc::clone(&resolver) as _, Arc::new(SystemClock)));
        let secrets = Arc::new(MemorySecrets::new());
        let egress = EgressSettings { loopback: Open::Resolved, ..EgressSettings::default() };
        let settings = Settings { grace: Duration::from_millis(300), egress, ..Settings::default() };
        let mut builder = Engine::builder(Arc::new(executor))
            .with_owner(owner)
            .with_settings(settings)
            .with_secret_provider(Arc::clone(&secrets) as _);
        for language in script_engine_languages::builtin() {
            builder = builder.with_language(language);
        }
        let engine = builder.build().await.expect("the engine is built");
        Self {
            who,
            engine,
            owner,
            capability,
            secrets,
            state: state.to_owned(),
            ids,
            alone: false,
            names: resolver,
            numbers: AtomicU32::new(0),
        }
    }

    /// User ids for one more engine.
    pub(crate) fn more_ids(&self) -> Range<u32> {
        fresh_ids()
    }

    /// Runs a Python script to its end.
    pub(crate) async fn python(&self, source: &str) -> ExecutionRecord {
        self.run("python", source, |request| request).await
    }

    /// Runs a Bash script to its end.
    pub(crate) async fn bash(&self, source: &str) -> ExecutionRecord {
        self.run("bash", source, |request| request).await
    }

    /// Runs a script to its end, with what `set` asks for.
    pub(crate) async fn run(
        &self,
        language: &str,
        source: &str,
        set: impl FnOnce(ExecutionRequest) -> ExecutionRequest,
    ) -> ExecutionRecord {
        let id = self.submit(language, source, set).await;
        self.end(id).await
    }

    /// Saves a script and submits it.
    pub(crate) async fn submit(
        &self,
        language: &str,
        source: &str,
        set: impl FnOnce(ExecutionRequest) -> ExecutionRequest,
    ) -> ExecutionId {
        let request = set(ExecutionRequest::new(self.save(language, source).await));
        self.engine.submit(request).await.expect("the request is accepted")
    }

    /// Saves a script under a name of its own.
    pub(crate) async fn save(&self, language: &str, source: &str) -> ScriptName {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let name = ScriptName::parse(&format!("hostile-{number}")).unwrap();
        let draft = ScriptDraft::new(name.clone(), source.to_owned().into_bytes())
            .with_language(LanguageId::parse(language).unwrap());
        self.engine.save(&Identity::default(), draft).await.expect("the script is saved");
        name
    }

    /// Waits for an execution's end, after which no process of any execution of this bench may be there: for
    /// cases with one at a time.
    pub(crate) async fn end(&self, id: ExecutionId) -> ExecutionRecord {
        let record = self.engine.wait(id).await.expect("it ends");
        let left = self.script_processes();
        assert!(left.is_empty(), "after {:?}: {left:?}", record.outcome());
        record
    }

    /// Waits until a script has printed `text` to its standard output.
    pub(crate) async fn await_text(&self, id: ExecutionId, text: &str) -> String {
        let mut reader = self.engine.output(id, OutputCursor::default()).await.expect("it can be read");
        let mut seen = Vec::new();
        while let Some(item) = reader.next().await {
            if let OutputItem::Chunk { stream: OutputStream::Stdout, bytes, .. } = item {
                seen.extend_from_slice(&bytes);
            }
            if String::from_utf8_lossy(&seen).contains(text) {
                return String::from_utf8_lossy(&seen).into_owned();
            }
        }
        let record = self.engine.get(id).await.expect("it has a record");
        panic!("it ended without saying `{text}`: {}", story(&record));
    }

    /// Names the processes of scripts, and what they run under.
    fn script_processes(&self) -> Vec<String> {
        let mut found = leftovers::of_users(&self.users());
        // Launchers that are kept ready have the host program's user and are its children, which no process of a
        // sandbox is or can become.
        let child_of_ours = format!("PPid:\t{})", id());
        found.retain(|it| !it.contains(&self.owner.to_string()) && !it.contains(&child_of_ours) && !it.contains("()"));
        found
    }

    /// The users that nobody else has here.
    pub(crate) fn users(&self) -> Range<u32> {
        let own = user::uid();
        match self.who {
            Who::Root | Who::Containers => self.ids.clone(),
            Who::User if self.alone => own..own + 1,
            Who::User => 0..0,
        }
    }

    /// Runs a harmless script, ends the engine, and finds nothing left.
    pub(crate) async fn finish(self) {
        let next = self.python("import os; print('fine', os.getcwd(), os.listdir('/work'), os.listdir('/tmp'))").await;
        prints(&next, "fine /work [] []\n");
        let report = self.engine.shutdown(Shutdown::Drain).await;
        assert!(report.errors.is_empty() && report.removed.is_empty(), "{report:?}");
        let mut left = leftovers::of_owner(self.owner, &self.state);
        left.extend(leftovers::of_users(&self.users()));
        for folder in ["/dev/shm", "/dev/mqueue", "/tmp"] {
            left.extend(leftovers::files_of(folder, &self.ids));
        }
        assert!(left.is_empty(), "{left:?}");
        let Self { who, engine, state, .. } = self;
        let owners = who.owners(&state);
        drop(engine);
        let no_record = async {
            while std::fs::read_dir(&owners).unwrap().next().is_some() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, no_record).await.expect("the owner's record is removed");
        std::fs::remove_dir_all(&state).unwrap();
    }
}

/// The roots that `cargo xtask test` has put beside what cargo builds, for languages that the machine has no toolchain for.
pub(crate) fn roots() -> PathBuf {
    if let Some(roots) = std::env::var_os(ROOTS) {
        return PathBuf::from(roots);
    }
    let program = std::env::current_exe().unwrap();
    program.ancestors().nth(3).unwrap().join("runtime-roots")
}

/// Tells a copy of this program where they are.
pub(crate) const ROOTS: &str = "SCRIPT_ENGINE_RUNTIME_ROOTS";

/// User ids that no other engine of the machine's test programs has, as far as can be arranged.
fn fresh_ids() -> Range<u32> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let slots = (ALL_IDS.end - ALL_IDS.start) / Bench::IDS_EACH;
    let slot = id().wrapping_mul(128).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % slots;
    let first = ALL_IDS.start + slot * Bench::IDS_EACH;
    first..first + Bench::IDS_EACH
}

/// Limits of which a case sets some.
pub(crate) fn limits(overrides: LimitOverrides) -> impl FnOnce(ExecutionRequest) -> ExecutionRequest {
    move |request| request.with_limits(overrides)
}

/// What an execution printed to its standard output, as far as the record shows it.
pub(crate) fn stdout(record: &ExecutionRecord) -> String {
    let bytes = record.ending.as_ref().map(|it| it.output.stdout.bytes.clone()).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The same of its standard error.
pub(crate) fn stderr(record: &ExecutionRecord) -> String {
    let bytes = record.ending.as_ref().map(|it| it.output.stderr.bytes.clone()).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// All that tells why a record is not as a case expects it.
pub(crate) fn story(record: &ExecutionRecord) -> String {
    let shown = |text: String| text.chars().take(2000).collect::<String>();
    let notes = record.ending.as_ref().map(|it| it.notes.clone()).unwrap_or_default();
    let (stdout, stderr) = (shown(stdout(record)), shown(stderr(record)));
    format!("{:?}\nnotes: {notes:?}\nstdout: {stdout}\nstderr: {stderr}", record.outcome())
}

/// Asserts how an execution ended.
#[track_caller]
pub(crate) fn ends(record: &ExecutionRecord, expected: &Outcome) {
    assert!(record.outcome() == Some(expected), "expected {expected:?}: {}", story(record));
}

/// Asserts that an execution succeeded and printed exactly this.
#[track_caller]
pub(crate) fn prints(record: &ExecutionRecord, expected: &str) {
    ends(record, &Outcome::Succeeded);
    assert!(stdout(record) == expected, "expected {expected:?}: {}", story(record));
}

/// Asserts that an execution failed by its own fault or succeeded: that the engine and its limits had no part in
/// the end.
#[track_caller]
pub(crate) fn ends_by_itself(record: &ExecutionRecord) {
    assert!(matches!(record.outcome(), Some(Outcome::Succeeded | Outcome::Failed(_))), "{}", story(record));
}
