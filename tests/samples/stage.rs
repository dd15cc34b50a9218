//! An engine on the Linux sandbox as a host gets it, on which samples are cloned and run.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::id;
use std::sync::atomic::{AtomicU32, Ordering};

use script_engine::languages::packages::{PackageSettings, PackageSources};
use script_engine::sandbox_linux::{Config, Root};
use script_engine::{
    EgressSettings, Engine, ExecutionRecord, ExecutionRequest, Identity, NetworkPolicy, Open, Outcome, Sample,
    ScriptName, Settings, Shutdown, Stdin, clone_sample, local_with, sample,
};
use serde_json::{Map, Value};

/// User ids that the sandboxes of one stage get, and where those of all begin.
const IDS_EACH: u32 = 64;
const FIRST_ID: u32 = 0x7000_0000;
const SLOTS: u32 = (0x7ffe_0000 - FIRST_ID) / IDS_EACH;

/// An engine with a folder that goes away with it.
pub(crate) struct Stage {
    pub(crate) engine: Engine,
    pub(crate) identity: Identity,
    folder: PathBuf,
    names: AtomicU32,
}

/// How a sample ended.
#[derive(Debug)]
pub(crate) struct Ended {
    sample: &'static Sample,
    record: ExecutionRecord,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        // Not below `/tmp`, which in a sandbox is its own.
        let folder = PathBuf::from(format!("/var/tmp/script-engine-samples-{}-{number}", id()));
        let shown = folder.join("shown");
        fs::create_dir_all(&shown).unwrap();
        for path in [&folder, &shown] {
            fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
        }
        let mut config = Config::new(folder.join("state"));
        let first = FIRST_ID + id().wrapping_mul(64).wrapping_add(number) % SLOTS * IDS_EACH;
        config.id_range = (first, first + IDS_EACH);
        config.root = Root::Host { more: vec![shown] };
        // Packages come from where this machine gets its own.
        let sources = PackageSources::of_this_machine();
        let packages = PackageSettings { sources, ..PackageSettings::new(folder.join("state/packages")) };
        // The services of the tests are on the loopback interface, which scripts reach only if an operator says so.
        let egress = EgressSettings { loopback: Open::Named, ..EgressSettings::default() };
        let builder = local_with(config, packages).await.expect("a sandbox can be made");
        let builder = builder.with_settings(Settings { egress, ..Settings::default() });
        let engine = builder.build().await.expect("the engine is built");
        Self { engine, identity: Identity::default(), folder, names: AtomicU32::new(0) }
    }

    /// A folder that scripts see too, for them read-only.
    pub(crate) fn shown(&self) -> PathBuf {
        self.folder.join("shown")
    }

    /// Clones a sample under a name of its own and runs it with these parameters, and with a network that opens what they
    /// lead to.
    pub(crate) async fn run(&self, id: &str, parameters: Value) -> Ended {
        self.run_with_stdin(id, parameters, "").await
    }

    /// The same with something on standard input.
    pub(crate) async fn run_with_stdin(&self, id: &str, parameters: Value, text: &str) -> Ended {
        let Value::Object(parameters) = parameters else { panic!("{parameters} are no parameters") };
        let sample = sample(id).unwrap();
        let number = self.names.fetch_add(1, Ordering::Relaxed);
        let name = ScriptName::parse(&format!("{id}-{number}")).unwrap();
        let version = clone_sample(&self.engine, &self.identity, id, name).await.expect("the sample is cloned");
        let opened = sample.destinations(&parameters).unwrap();
        let mut request = ExecutionRequest::new(version.name.clone())
            .with_network(NetworkPolicy::Allow(opened))
            .with_stdin(Stdin::Bytes(text.as_bytes().to_vec().into()));
        request.parameters = parameters;
        let execution = self.engine.submit(request).await.expect("the request is accepted");
        let record = self.engine.wait(execution).await.expect("it ends");
        Ended { sample, record }
    }

    /// Ends the engine and removes the folder.
    pub(crate) async fn finish(self) {
        let report = self.engine.shutdown(Shutdown::Drain).await;
        assert!(report.errors.is_empty(), "{report:?}");
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.folder));
    }
}

impl Ended {
    /// Asserts that the check passed and said so in all ways; gives the result.
    #[track_caller]
    pub(crate) fn passes(&self, message: &str) -> Map<String, Value> {
        assert_eq!(self.record.outcome(), Some(&Outcome::Succeeded), "{}", self.story());
        self.says(true, message)
    }

    /// Asserts that the check failed and said so in all ways; gives the result.
    #[track_caller]
    pub(crate) fn fails(&self, message: &str) -> Map<String, Value> {
        let code = self.record.ending.as_ref().and_then(|it| it.exit_code);
        assert_eq!(code, Some(1), "{}", self.story());
        self.says(false, message)
    }

    #[track_caller]
    fn says(&self, passed: bool, message: &str) -> Map<String, Value> {
        let ending = self.record.ending.as_ref().expect("it ended");
        let Some(Value::Object(result)) = &ending.result else { panic!("no result: {}", self.story()) };
        assert_eq!(result["check"], self.sample.id, "{}", self.story());
        assert_eq!(result["passed"], passed, "{}", self.story());
        let said = result["message"].as_str().unwrap();
        assert!(said.contains(message), "{said:?} does not say {message:?}: {}", self.story());
        // The record that is read while it runs is the result that is read afterwards, and people read the same.
        assert_eq!(ending.output.structured, [Value::Object(result.clone())], "{}", self.story());
        let stdout = String::from_utf8_lossy(&ending.output.stdout.bytes).into_owned();
        assert!(stdout.lines().any(|line| line == said), "{}", self.story());
        assert_eq!(ending.output.stderr.total, 0, "{}", self.story());
        assert!(ending.notes.is_empty(), "{}", self.story());
        result.clone()
    }

    /// Asserts that this text is nowhere in the record.
    #[track_caller]
    pub(crate) fn hides(&self, secret: &str) {
        // As it was printed, and as it is masked: a script that prints a secret fails although it is masked.
        let shown = format!("{:?}", self.record) + &self.story();
        assert!(!shown.contains(secret) && !self.story().contains("***"), "{}", self.story());
    }

    fn story(&self) -> String {
        let ending = self.record.ending.as_ref().expect("it ended");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).chars().take(4000).collect::<String>();
        let (stdout, stderr) = (text(&ending.output.stdout.bytes), text(&ending.output.stderr.bytes));
        format!("{:?}\nnotes: {:?}\nstdout: {stdout}\nstderr: {stderr}", ending.outcome, ending.notes)
    }
}

/// Writes a file that everybody may read.
pub(crate) fn write(path: &Path, content: &[u8]) {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
}
