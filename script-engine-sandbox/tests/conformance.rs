//! The testkit's suites over real sandboxes of this machine: as root, if the tests run as root, and as
//! an ordinary user, from a copy of this program.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;

use async_trait::async_trait;
use nix::fcntl::{Flock, FlockArg};
use script_engine_core::contract::{RuntimeManager, ScriptExecutor};
use script_engine_core::executor::PooledExecutor;
use script_engine_core::sandbox::SessionSettings;
use script_engine_core::{OwnerId, Result, RuntimeSpec};
use script_engine_sandbox::{Config, Isolation, Manager};
use script_engine_testkit::executor::{ExecutorBackend, script_executor};
use script_engine_testkit::sandbox::{
    AgentSource, RuntimeBackend, SandboxBackend, SandboxSource, TestTargets, runtime_manager, sandbox,
};
use script_engine_testkit::{Case, Conformance, TestMachine, processes_here};

/// The user that owns nothing.
const NOBODY: u32 = 65534;

fn main() -> ExitCode {
    let root = nix::unistd::geteuid().is_root();
    let user = if root { "root" } else { "user" };
    let folder = Folder::new(user);
    let linux = |isolation| Arc::new(Linux { state: folder.0.clone(), isolation });
    let code = Conformance::new()
        .with(user, include_str!("conformance/namespaces.ledger"), cases(linux(Isolation::Namespaces)))
        .with(&format!("{user}::process"), include_str!("conformance/process.ledger"), cases(linux(Isolation::Process)))
        .main();
    drop(folder);
    let passes_for_others = !root || is_passed_as_ordinary_user();
    if passes_for_others { code } else { ExitCode::FAILURE }
}

fn cases(machine: Arc<Linux>) -> Vec<Case> {
    let mut cases = script_executor(Arc::clone(&machine) as _);
    cases.extend(sandbox(Arc::clone(&machine) as _));
    cases.extend(runtime_manager(machine));
    cases
}

/// Does the same as a user that owns nothing, from a copy that this user can read.
fn is_passed_as_ordinary_user() -> bool {
    let folder = Folder::new("copy");
    let copy = folder.0.join("conformance");
    fs::set_permissions(&folder.0, Permissions::from_mode(0o777)).expect("the folder is opened");
    fs::copy(std::env::current_exe().expect("this program has a path"), &copy).expect("this program is copied");
    fs::set_permissions(&copy, Permissions::from_mode(0o755)).expect("the copy is made executable");
    let status = Command::new(&copy)
        .args(std::env::args_os().skip(1))
        .current_dir("/")
        .env("TMPDIR", &folder.0)
        .uid(NOBODY)
        .gid(NOBODY)
        .status()
        .expect("the copy is started");
    status.success()
}

/// A folder for temporary files that is removed in the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("script-engine-conformance-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder for temporary files can be made");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// This machine. All engines share a state folder, as they would.
#[derive(Debug)]
struct Linux {
    state: PathBuf,
    isolation: Isolation,
}

impl Linux {
    fn manager(&self, owner: OwnerId) -> Result<Arc<Manager>> {
        // What is held ahead of time is what `reap` of a living owner would find.
        let config = Config { spare_launchers: 0, isolation: self.isolation, ..Config::new(&self.state) };
        Ok(Arc::new(Manager::open(config, owner)?))
    }
}

#[async_trait]
impl TestMachine for Linux {
    fn runtime(&self) -> RuntimeSpec {
        RuntimeSpec { language: "bash".into(), image: String::new(), layer: None }
    }

    async fn leftovers(&self, owner: OwnerId) -> Result<Vec<String>> {
        let mark = owner.to_string();
        let mut left = processes_here(&mark)?;
        left.extend(named_below(Path::new("/sys/fs/cgroup"), &mark));
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        left.extend(mounts.lines().filter(|it| it.contains(&mark)).map(str::to_owned));
        let record = self.state.join("sandbox").join("owners").join(&mark);
        let work = fs::read_dir(record.join("work")).into_iter().flatten().filter_map(std::result::Result::ok);
        left.extend(work.map(|it| it.path().display().to_string()));
        if record.exists() && !is_locked(&record.join("lock")) {
            left.push(record.display().to_string());
        }
        Ok(left)
    }

    async fn processes(&self, marker: &str) -> Result<Vec<String>> {
        processes_here(marker)
    }
}

#[async_trait]
impl ExecutorBackend for Linux {
    async fn executor(&self, owner: OwnerId) -> Result<Arc<dyn ScriptExecutor>> {
        Ok(Arc::new(PooledExecutor::new(self.manager(owner)?, SessionSettings::default()).await?))
    }
}

#[async_trait]
impl SandboxBackend for Linux {
    async fn source(&self, owner: OwnerId) -> Result<Arc<dyn SandboxSource>> {
        Ok(Arc::new(AgentSource::new(self.manager(owner)?, self.runtime())))
    }

    fn resets(&self) -> Result<(), String> {
        match self.isolation {
            Isolation::Namespaces => Ok(()),
            Isolation::Process => Err("without namespaces there is no telling what a script left".to_owned()),
        }
    }

    fn primes(&self) -> Result<(), String> {
        Ok(())
    }
}

#[async_trait]
impl RuntimeBackend for Linux {
    async fn manager(&self, owner: OwnerId) -> Result<Arc<dyn RuntimeManager>> {
        Ok(self.manager(owner)?)
    }

    fn provisions(&self) -> Result<u64, String> {
        Err("a root is the host's own or a folder that is given: there is no work to be done once".to_owned())
    }

    fn targets(&self) -> Result<Arc<dyn TestTargets>, String> {
        Err("there are no containers, so none can be entered".to_owned())
    }
}

/// The folders below `folder`, at any depth, whose name begins with `mark`.
fn named_below(folder: &Path, mark: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().filter_map(std::result::Result::ok) {
        if !entry.file_type().is_ok_and(|it| it.is_dir()) {
            continue;
        }
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(mark)) {
            found.push(entry.path().display().to_string());
        }
        found.extend(named_below(&entry.path(), mark));
    }
    found
}

/// Whether somebody holds the lock, which is how an engine proves that it lives.
fn is_locked(path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return false };
    Flock::lock(file, FlockArg::LockExclusiveNonblock).is_err()
}
