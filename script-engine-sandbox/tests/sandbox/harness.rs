//! One backend on a state folder of its own, scripts in its sandboxes, and the search for what is left.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use script_engine_core::contract::{
    BootSpec, Booted, Machine, OutputStream, RuntimeManager, Sandbox as _, ScriptControl, ScriptEvent, Unheard,
};
use script_engine_core::gateway::Gateway;
use script_engine_core::sandbox::{AgentSandbox, SessionSettings};
use script_engine_core::{
    BrokenLimit, Capability, Connections, EgressSettings, Exit, Finding, Job, Limits, NetworkPolicy, Open, OwnerId,
    Result, RuntimeSpec, Usage,
};
use script_engine_sandbox::{Config, Manager, examine};

/// Set for the copy of this program that is an engine to be killed: its state folder and owner.
const VICTIM: &str = "SCRIPT_ENGINE_TEST_VICTIM";
/// The user that owns nothing.
const NOBODY: &str = "65534";
/// How long anything here may take before the test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Harness {
    pub(crate) manager: Manager,
    pub(crate) limits: Limits,
    pub(crate) capability: Capability,
    pub(crate) owner: OwnerId,
    state: PathBuf,
}

impl Harness {
    pub(crate) async fn new(name: &str) -> Self {
        Self::with(name, |_| {}).await
    }

    pub(crate) async fn with(name: &str, change: impl FnOnce(&mut Config)) -> Self {
        let state = std::env::temp_dir().join(format!("script-engine-test-{name}-{}", std::process::id()));
        let owner = owner_of(&state);
        let mut config = Config::new(&state);
        change(&mut config);
        let manager = Manager::open(config, owner).expect("the backend opens");
        let capability = manager.probe().await.expect("a sandbox can be made");
        Self { manager, limits: Limits::default(), capability, owner, state }
    }

    pub(crate) async fn boot(&self) -> Result<Booted> {
        let spec = RuntimeSpec { language: "bash".into(), image: String::new(), layer: None };
        let lease = self.manager.provide(&spec, &Unheard).await?;
        self.manager.boot(&lease, &BootSpec::new(self.limits.clone())).await
    }

    pub(crate) async fn start(&self, script: &str) -> Running {
        self.start_keeping(script).await.1
    }

    pub(crate) async fn start_keeping(&self, script: &str) -> (Arc<dyn Machine>, Running) {
        let booted = self.boot().await.expect("boots");
        let machine = Arc::clone(&booted.machine);
        let sandbox = AgentSandbox::connect(booted, SessionSettings::default()).await.expect("connects");
        (machine, self.run_in(sandbox, script).await)
    }

    /// Runs a script with a way out to its end; gives what it connected to, too.
    pub(crate) async fn sh_with_network(
        &self,
        script: &str,
        policy: &NetworkPolicy,
        gateway: &Gateway,
    ) -> (Run, Connections) {
        let booted = self.boot().await.expect("boots");
        let mut sandbox = AgentSandbox::connect(booted, SessionSettings::default()).await.expect("connects");
        let settings = EgressSettings { loopback: Open::Resolved, ..EgressSettings::default() };
        let log = sandbox.listen(policy, &settings, gateway).await.expect("listens");
        let mut running = self.run_in(sandbox, script).await;
        let run = running.end().await;
        running.destroy().await;
        (run, log.snapshot())
    }

    async fn run_in(&self, mut sandbox: AgentSandbox, script: &str) -> Running {
        let job = Job {
            runtime: RuntimeSpec { language: "bash".into(), image: String::new(), layer: None },
            files: Vec::new(),
            argv: vec!["/bin/sh".into(), "-c".into(), script.into()],
            env: vec![("PATH".into(), b"/usr/bin:/bin".to_vec())],
            stdin: false,
            limits: self.limits.clone(),
            network: NetworkPolicy::Off,
            target: None,
            tenant: None,
            given: Vec::new(),
            egress: EgressSettings::default(),
        };
        let control = sandbox.start(&job).await.expect("starts");
        Running { sandbox, _control: control }
    }

    /// Runs a script to its end and removes its sandbox.
    pub(crate) async fn sh(&self, script: &str) -> Run {
        let mut running = self.start(script).await;
        let run = running.end().await;
        running.destroy().await;
        run
    }

    /// The launchers of this backend that have a sandbox: children of ours with a child.
    pub(crate) fn launchers(&self) -> Vec<i32> {
        marked(self.owner).into_iter().filter(|it| is_ours(*it) && !children(*it).is_empty()).collect()
    }

    pub(crate) fn processes(&self) -> Vec<i32> {
        let mut all = marked(self.owner);
        let mut next = 0;
        while let Some(pid) = all.get(next).copied() {
            all.extend(children(pid).into_iter().filter(|it| !all.contains(it)).collect::<Vec<_>>());
            next += 1;
        }
        all
    }

    /// Whether there is neither process nor cgroup of this backend.
    pub(crate) fn is_gone(&self) -> bool {
        left_of(self.owner).is_empty()
    }

    /// Examines this machine, with a state folder of its own below the harness's.
    pub(crate) async fn examine(&self) -> Vec<Finding> {
        let state = self.state.join("examined");
        examine(&Config::new(&state), owner_of(&state)).await
    }

    /// Shuts the backend down and looks for processes, cgroups and records of it.
    pub(crate) async fn assert_nothing_left(self) {
        self.manager.shutdown().await.expect("shut down");
        let report = self.manager.reap(self.owner).await.expect("reaped");
        drop(self.manager);
        assert_eq!(left_of(self.owner), Vec::<String>::new());
        assert!(report.removed.is_empty(), "{report:?}");
        std::fs::remove_dir_all(&self.state).expect("the state folder is removed");
    }

    /// Removes what a dead owner left, and finds nothing the second time.
    pub(crate) async fn manager_reaps(&self, dead: OwnerId) {
        let is_dead = async {
            loop {
                let found = self.manager.owners().await.expect("listed");
                if found.iter().any(|it| it.owner == dead && !it.alive) {
                    break;
                }
                // It was starting a spare launcher when it was killed, which has its lock for a moment.
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, is_dead).await.expect("it is on record, and dead");
        assert!(!self.manager.reap(dead).await.expect("reaped").removed.is_empty());
        assert!(self.manager.reap(dead).await.expect("again").removed.is_empty());
    }

    /// Has a copy of this program (its test `test`) run a script in a sandbox with the same state
    /// folder, and kills it with nothing but SIGKILL. Gives its owner.
    pub(crate) async fn another_engine_killed_while_it_runs(&self, test: &str, script: &str) -> OwnerId {
        use tokio::io::{AsyncBufReadExt as _, BufReader};
        let state = self.state.to_str().expect("a plain path");
        let mut engine = tokio::process::Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", test, "--nocapture", "--include-ignored"])
            .env(VICTIM, format!("{state}\n{script}"))
            .stdout(std::process::Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("started");
        let mut lines = BufReader::new(engine.stdout.take().expect("piped")).lines();
        let owner = loop {
            let line = lines.next_line().await.expect("read").expect("the engine says its owner");
            // The test runner has begun the line.
            if let Some(owner) = line.split_whitespace().find_map(|it| it.parse::<OwnerId>().ok()) {
                break owner;
            }
        };
        engine.start_kill().expect("killed");
        engine.wait().await.expect("ended");
        owner
    }
}

/// The other side of [`Harness::another_engine_killed_while_it_runs`].
pub(crate) async fn be_the_engine_that_will_be_killed() {
    let Ok(text) = std::env::var(VICTIM) else { return };
    let (state, script) = text.split_once('\n').expect("two lines");
    let owner = owner_of(Path::new(state));
    let manager = Manager::open(Config::new(state), owner).expect("the backend opens");
    let capability = manager.probe().await.expect("a sandbox can be made");
    let harness = Harness { manager, limits: Limits::default(), capability, owner, state: state.into() };
    let _running = harness.start(script).await;
    println!("{owner}");
    std::future::pending::<()>().await;
}

fn owner_of(state: &Path) -> OwnerId {
    use std::hash::{BuildHasher as _, RandomState};
    let seed = RandomState::new();
    OwnerId::from_bits(u128::from(seed.hash_one(state)) << 64 | u128::from(seed.hash_one(std::process::id())))
}

/// A script that runs.
pub(crate) struct Running {
    sandbox: AgentSandbox,
    _control: Arc<dyn ScriptControl>,
}

/// How a script ended.
#[derive(Debug, Default)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) usage: Usage,
    pub(crate) broke: Option<BrokenLimit>,
}

impl Running {
    async fn next(&mut self) -> ScriptEvent {
        tokio::time::timeout(PATIENCE, self.sandbox.next()).await.expect("something happens in time")
    }

    /// Waits until the script has printed something.
    pub(crate) async fn has_printed(&mut self) {
        loop {
            match self.next().await {
                ScriptEvent::Output { .. } => return,
                ScriptEvent::Beat(_) => {}
                ScriptEvent::Exited(_) | ScriptEvent::Lost { .. } => panic!("the script ended and printed nothing"),
            }
        }
    }

    pub(crate) async fn end(&mut self) -> Run {
        let mut run = Run::default();
        loop {
            match self.next().await {
                ScriptEvent::Output { stream: OutputStream::Stdout, bytes, .. } => {
                    run.stdout.push_str(&String::from_utf8_lossy(&bytes));
                }
                ScriptEvent::Output { stream: OutputStream::Stderr, bytes, .. } => {
                    run.stderr.push_str(&String::from_utf8_lossy(&bytes));
                }
                ScriptEvent::Beat(_) => {}
                ScriptEvent::Exited(report) => {
                    run.usage = report.usage;
                    run.broke = report.broke;
                    if let Exit::Code(code) = report.exit {
                        run.code = Some(code);
                    }
                    return run;
                }
                ScriptEvent::Lost { reason, .. } => panic!("the sandbox is lost: {reason}"),
            }
        }
    }

    pub(crate) async fn next_is_lost(&mut self) -> bool {
        loop {
            match self.next().await {
                ScriptEvent::Lost { .. } => return true,
                ScriptEvent::Exited(_) => return false,
                ScriptEvent::Output { .. } | ScriptEvent::Beat(_) => {}
            }
        }
    }

    pub(crate) async fn destroy(self) {
        Box::new(self.sandbox).destroy().await.expect("destroyed");
    }
}

/// Makes a root folder with `/bin/sh`, what it is linked to, and an empty `/etc`.
pub(crate) fn root_folder_with_a_shell(name: &str) -> PathBuf {
    let root = std::env::temp_dir().join(format!("script-engine-test-root-{name}-{}", std::process::id()));
    let listed = Command::new("ldd").arg("/bin/sh").output().expect("ldd is there");
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    let libraries = text.split_whitespace().filter(|it| it.starts_with('/'));
    for path in libraries.chain(["/bin/sh"]) {
        let copy = root.join(path.trim_start_matches('/'));
        std::fs::create_dir_all(copy.parent().expect("below the root")).expect("made");
        std::fs::copy(path, copy).expect("copied");
    }
    std::fs::create_dir_all(root.join("etc")).expect("made");
    root
}

/// Makes a root folder that holds nothing but musl and a program linked to it in the shell's place.
pub(crate) fn musl_root() -> PathBuf {
    let root = std::env::temp_dir().join(format!("script-engine-test-root-musl-{}", std::process::id()));
    for folder in ["bin", "lib"] {
        std::fs::create_dir_all(root.join(folder)).expect("made");
    }
    let source = root.join("sh.c");
    std::fs::write(&source, "#include <stdio.h>\nint main(void) { puts(\"musl\"); return 5; }\n").expect("written");
    let status = Command::new("musl-gcc").arg("-o").arg(root.join("bin/sh")).arg(&source).status();
    assert!(status.expect("musl-gcc is there").success());
    std::fs::remove_file(source).expect("removed");
    let loader = format!("lib/ld-musl-{}.so.1", std::env::consts::ARCH);
    std::fs::copy(Path::new("/").join(&loader), root.join(&loader)).expect("copied");
    root
}

/// Runs the cases that begin with `filter` in a copy of this program, as a user that owns nothing.
pub(crate) fn repeat_as_ordinary_user(filter: &str) {
    let folder = std::env::temp_dir().join(format!("script-engine-test-user-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("made");
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).expect("opened");
    let copy = folder.join("cases");
    std::fs::copy(std::env::current_exe().expect("this program"), &copy).expect("copied");
    std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o755)).expect("executable");
    let output = Command::new("setpriv")
        .args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--inh-caps=-all"])
        .arg(&copy)
        .arg(filter)
        .current_dir("/")
        .env("TMPDIR", &folder)
        .output()
        .expect("setpriv is there");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(!text.contains(" 0 passed"), "{text}");
    std::fs::remove_dir_all(&folder).expect("removed");
}

pub(crate) fn kill(pid: i32) {
    let done = Command::new("kill").args(["-9", &pid.to_string()]).status().expect("kill is there");
    assert!(done.success());
}

/// What is on this machine that carries the owner's id.
pub(crate) fn left_of(owner: OwnerId) -> Vec<String> {
    let mut left: Vec<String> = marked(owner).iter().map(|it| format!("process {it}")).collect();
    let mark = owner.to_string();
    let found = Command::new("find").args(["/sys/fs/cgroup", "-name", &format!("{mark}*")]).output().expect("find");
    left.extend(String::from_utf8_lossy(&found.stdout).lines().map(str::to_owned));
    left
}

fn marked(owner: OwnerId) -> Vec<i32> {
    let mark = owner.to_string();
    let entries = std::fs::read_dir("/proc").expect("listed").filter_map(std::result::Result::ok);
    let pids = entries.filter_map(|it| it.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        command.split(|it| *it == 0).any(|it| it == mark.as_bytes())
    })
    .collect()
}

fn children(pid: i32) -> Vec<i32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|it| it.parse().ok()).collect()
}

fn is_ours(pid: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let parent = status.lines().find_map(|it| it.strip_prefix("PPid:")?.trim().parse::<u32>().ok());
    parent == Some(std::process::id())
}

/// Waits until processes that nobody here is the parent of are gone.
pub(crate) async fn await_end_of(pids: &[i32]) {
    let gone = async {
        let runs = |pid: &i32| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
        };
        while pids.iter().any(runs) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("they end");
}

/// The real user ids of processes.
pub(crate) fn users_of(pids: &[i32]) -> Vec<u32> {
    let user = |pid: &i32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        status.lines().find_map(|it| it.strip_prefix("Uid:"))?.split_whitespace().next()?.parse().ok()
    };
    pids.iter().filter_map(user).collect()
}
