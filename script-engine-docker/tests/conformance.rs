//! The testkit's suites over containers of the Docker Engine that `SCRIPT_ENGINE_TEST_DOCKER` names. Without it
//! there are no tests here: `cargo xtask test` sets it, and has an engine started.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::Arc;

use async_trait::async_trait;
use bollard::query_parameters::ListContainersOptionsBuilder;
use bollard::{API_DEFAULT_VERSION, Docker};
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

/// Where the engine for tests listens.
const ENDPOINT: &str = "SCRIPT_ENGINE_TEST_DOCKER";

fn main() -> ExitCode {
    let Ok(endpoint) = std::env::var(ENDPOINT) else { return Conformance::new().main() };
    let folder = Folder::new();
    let daemon = |delivery| Arc::new(Daemon { endpoint: endpoint.clone(), state: folder.0.clone(), delivery });
    let ledger = include_str!("conformance/docker.ledger");
    let copied = cases(daemon(Delivery::Copied));
    // The agent's way in has nothing to do with scripts.
    let mounted = runtime_manager(daemon(Delivery::Mounted));
    let code = Conformance::new().with("docker", ledger, copied).with("docker::mounted", ledger, mounted).main();
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
    async fn containers(&self, owner: OwnerId) -> std::result::Result<Vec<String>, bollard::errors::Error> {
        let daemon = Docker::connect_with_unix(&self.endpoint, 60, API_DEFAULT_VERSION)?.negotiate_version().await?;
        let label = format!("script-engine.owner={owner}");
        let filters = HashMap::from([("label", vec![label.as_str()])]);
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let found = daemon.list_containers(Some(options)).await?;
        Ok(found.into_iter().map(|it| format!("container {:?} {:?}", it.names, it.state)).collect())
    }
}

#[async_trait]
impl TestMachine for Daemon {
    fn runtime(&self) -> RuntimeSpec {
        RuntimeSpec { language: "bash".into(), image: String::new(), layer: None }
    }

    async fn leftovers(&self, owner: OwnerId) -> Result<Vec<String>> {
        let looked = self.containers(owner).await;
        let mut left = looked.map_err(|error| Error::internal("can't list containers").with_source(error))?;
        let mark = owner.to_string();
        left.extend(processes_here(&mark)?);
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

/// Containers of somebody else's, made with the `docker` program.
#[derive(Debug)]
struct Targets(String);

impl Targets {
    fn docker(&self, arguments: &[&str]) -> Result<String> {
        let output = Command::new("docker").args(["--host", &self.0]).args(arguments).output();
        let output = output.map_err(|error| Error::internal("docker can't be started").with_source(error))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        Err(Error::internal(format!("docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr))))
    }

    fn run(&self, options: &[&str]) -> Result<Target> {
        let arguments: Vec<&str> = ["run", "--detach", "--network", "none"]
            .iter()
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
        // Its one writable folder lets no program be started.
        self.run(&["--read-only"])
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
