//! The testkit's suites over containers of the Docker Engine, or of Podman, that `SCRIPT_ENGINE_TEST_DOCKER` names. Without it
//! there are no tests here: `cargo xtask test` sets it, and has an engine started.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use script_engine_core::contract::{RuntimeManager, ScriptExecutor, Target};
use script_engine_core::executor::PooledExecutor;
use script_engine_core::sandbox::SessionSettings;
use script_engine_core::{Error, OwnerId, Result, RuntimeSpec};
use script_engine_docker::{Config, Delivery, Manager};
use script_engine_testkit::executor::{ExecutorBackend, script_executor};
use script_engine_testkit::sandbox::{
    AgentSource, RuntimeBackend, SandboxBackend, SandboxSource, TestTargets, runtime_manager, sandbox,
};
use script_engine_testkit::{Case, Conformance, TestMachine, processes_here};

/// How long Podman's monitor of a container may outlive it.
const MONITORS_END_WITHIN: Duration = Duration::from_secs(20);
/// Where the engine for tests listens.
const ENDPOINT: &str = "SCRIPT_ENGINE_TEST_DOCKER";

fn main() -> ExitCode {
    let Ok(endpoint) = std::env::var(ENDPOINT) else { return Conformance::new().main() };
    let folder = Folder::new();
    let daemon = |delivery| Arc::new(Daemon { endpoint: endpoint.clone(), state: folder.0.clone(), delivery });
    let parts = docker(&endpoint, &["version", "--format", "{{json .Server.Components}}"]).expect("it tells its parts");
    let (names, ledger) = if parts.contains("Podman") {
        (["podman", "podman::mounted"], include_str!("conformance/podman.ledger"))
    } else {
        (["docker", "docker::mounted"], include_str!("conformance/docker.ledger"))
    };
    let copied = cases(daemon(Delivery::Copied));
    // The agent's way in has nothing to do with scripts.
    let mounted = runtime_manager(daemon(Delivery::Mounted));
    let code = Conformance::new().with(names[0], ledger, copied).with(names[1], ledger, mounted).main();
    drop(folder);
    code
}

fn cases(daemon: Arc<Daemon>) -> Vec<Case> {
    let mut cases = script_executor(Arc::clone(&daemon) as _);
    cases.extend(sandbox(Arc::clone(&daemon) as _));
    cases.extend(runtime_manager(daemon));
    cases
}

/// A folder for temporary files that is removed in the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("script-engine-conformance-docker-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder for temporary files can be made");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// A daemon on this machine. All engines share a state folder, as they would.
#[derive(Debug)]
struct Daemon {
    endpoint: String,
    state: PathBuf,
    delivery: Delivery,
}

impl Daemon {
    fn manager(&self, owner: OwnerId) -> Result<Arc<Manager>> {
        // Of both settings, both values are tried; they have nothing to do with each other.
        let allow_host_network = self.delivery == Delivery::Mounted;
        let config = Config {
            endpoint: self.endpoint.clone(),
            delivery: self.delivery,
            allow_host_network,
            ..Config::new(&self.state)
        };
        Ok(Arc::new(Manager::open(config, owner)?))
    }

    /// A look that has nothing to do with the backend.
    fn things(&self, owner: OwnerId) -> Result<Vec<String>> {
        let label = format!("label=script-engine.owner={owner}");
        let form = "container {{.Names}} {{.Status}}";
        let told = docker(&self.endpoint, &["ps", "--all", "--filter", &label, "--format", form])?;
        let volumes = docker(&self.endpoint, &["volume", "ls", "--filter", &label, "--format", "volume {{.Name}}"])?;
        Ok(told.lines().chain(volumes.lines()).map(str::to_owned).collect())
    }
}

#[async_trait]
impl TestMachine for Daemon {
    fn runtime(&self) -> RuntimeSpec {
        RuntimeSpec { language: "bash".into(), image: String::new(), layer: None }
    }

    async fn leftovers(&self, owner: OwnerId) -> Result<Vec<String>> {
        let mut left = self.things(owner)?;
        let mark = owner.to_string();
        left.extend(own_processes(&mark).await?);
        let record = self.state.join("docker").join("owners").join(&mark);
        if record.exists() && fs::File::open(record.join("lock")).is_ok_and(|it| it.try_lock().is_ok()) {
            left.push(record.display().to_string());
        }
        Ok(left)
    }

    async fn processes(&self, marker: &str) -> Result<Vec<String>> {
        processes_here(marker)
    }
}

/// Names the processes with this mark, but for Podman's monitors of containers: those end a moment after their container
/// is gone, which is waited for.
async fn own_processes(mark: &str) -> Result<Vec<String>> {
    let mut looks = tokio::time::interval(Duration::from_millis(20));
    let begun = tokio::time::Instant::now();
    loop {
        looks.tick().await;
        let found = processes_here(mark)?;
        let only_monitors = !found.is_empty() && found.iter().all(|it| it.contains("/conmon "));
        if !only_monitors || begun.elapsed() > MONITORS_END_WITHIN {
            return Ok(found);
        }
    }
}

#[async_trait]
impl ExecutorBackend for Daemon {
    async fn executor(&self, owner: OwnerId) -> Result<Arc<dyn ScriptExecutor>> {
        Ok(Arc::new(PooledExecutor::new(self.manager(owner)?, SessionSettings::default()).await?))
    }
}

#[async_trait]
impl SandboxBackend for Daemon {
    async fn source(&self, owner: OwnerId) -> Result<Arc<dyn SandboxSource>> {
        Ok(Arc::new(AgentSource::new(self.manager(owner)?, self.runtime())))
    }

    fn resets(&self) -> std::result::Result<(), String> {
        Ok(())
    }

    fn primes(&self) -> std::result::Result<(), String> {
        Ok(())
    }
}

#[async_trait]
impl RuntimeBackend for Daemon {
    async fn manager(&self, owner: OwnerId) -> Result<Arc<dyn RuntimeManager>> {
        Ok(self.manager(owner)?)
    }

    fn targets(&self) -> std::result::Result<Arc<dyn TestTargets>, String> {
        Ok(Arc::new(Targets(self.endpoint.clone())))
    }

    fn provisions(&self) -> std::result::Result<u64, String> {
        Err("an image that is there is only looked up: there is no work to be done once".to_owned())
    }
}

/// The `docker` program, speaking to the engine that listens there: what it printed.
fn docker(endpoint: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new("docker").args(["--host", endpoint]).args(arguments).output();
    let output = output.map_err(|error| Error::internal("docker can't be started").with_source(error))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    Err(Error::internal(format!("docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr))))
}

/// Containers of somebody else's, made with the `docker` program.
#[derive(Debug)]
struct Targets(String);

impl Targets {
    fn docker(&self, arguments: &[&str]) -> Result<String> {
        docker(&self.0, arguments)
    }

    fn run(&self, options: &[&str]) -> Result<Target> {
        // Podman asks for more than its machine may let it give where it is not told how much.
        let ulimits = ["--ulimit", "nofile=4096", "--ulimit", "nproc=4096"];
        let arguments: Vec<&str> = ["run", "--detach", "--network", "none"]
            .iter()
            .chain(&ulimits)
            .chain(options)
            .chain(&["stella-runtime/bash:base", "sleep", "infinity"])
            .copied()
            .collect();
        Ok(Target { name: self.docker(&arguments)?, user: None })
    }
}

#[async_trait]
impl TestTargets for Targets {
    async fn make(&self) -> Result<Target> {
        self.run(&[])
    }

    async fn make_unfit(&self) -> Result<Target> {
        // Its one writable folder lets no program be started. Podman would make more unless others are named.
        self.run(&["--read-only", "--tmpfs", "/tmp:ro", "--tmpfs", "/run:ro", "--tmpfs", "/var/tmp:ro"])
    }

    async fn inside(&self, target: &Target) -> Result<Vec<String>> {
        let state = self.docker(&["inspect", "--format", "{{.State.Status}} {{.State.StartedAt}}", &target.name])?;
        let processes = self.docker(&["top", &target.name, "-eo", "pid,args"])?;
        let look = "find /tmp /var /dev/shm /run /root /home -print 2>/dev/null | sort";
        let files = self.docker(&["exec", &target.name, "sh", "-c", look])?;
        Ok([state, processes, files].iter().flat_map(|it| it.lines()).map(str::to_owned).collect())
    }

    async fn remove(&self, target: &Target) -> Result<()> {
        self.docker(&["rm", "--force", &target.name]).map(drop)
    }
}
