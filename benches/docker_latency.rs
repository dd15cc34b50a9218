//! How long a script takes in a container, cold and warm, against `docker run` and `docker exec` of the same script:
//! a container for it, one that is there already, a sandbox that is booted, one whose interpreter waits. The daemon is
//! the one of `DOCKER_HOST`: `cargo xtask docker cargo bench -p script-engine-benches --bench docker_latency`.
#![expect(clippy::expect_used, reason = "a bench that can't run has nothing to say")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use script_engine::contract::{
    BootSpec, IdSource as _, Language, RuntimeManager, Sandbox as _, ScriptEvent, Source, Target, Unheard, Work,
};
use script_engine::docker::{Config, Manager};
use script_engine::languages::packages::PackageSettings;
use script_engine::languages::{Bash, Python};
use script_engine::memory::UuidIds;
use script_engine::sandbox::{AgentSandbox, SessionSettings};
use script_engine::{
    EgressSettings, Engine, ExecutionRequest, Exit, Job, Limits, NetworkPolicy, Outcome, OwnerId, RuntimeSpec,
    ScriptName, Settings, Shutdown, Targets,
};
use script_engine_benches::{Way, compare, run, save};

const ROUNDS: usize = 40;

#[tokio::main]
async fn main() {
    let state = PathBuf::from(format!("/var/tmp/script-engine-bench-{}", std::process::id()));
    let python: Arc<dyn Language> = Arc::new(Python::new().expect("Python"));
    let bash: Arc<dyn Language> = Arc::new(Bash::new().expect("Bash"));
    group(&state, bash, "main.sh", "echo hello\n", &["/bin/bash"]).await;
    group(&state, python, "main.py", "print('hello')\n", &["python3"]).await;
    std::fs::remove_dir_all(&state).expect("the state can be removed");
}

/// The same script in every way, by turns.
async fn group(state: &Path, language: Arc<dyn Language>, file: &str, source: &str, program: &[&str]) {
    let info = language.info().clone();
    let image = format!("stella-runtime/{}:base", info.id);
    let engine = engine(state).await;
    let script = save(&engine, file, source).await;
    let scripts = state.join("scripts");
    std::fs::create_dir_all(&scripts).expect("a folder");
    std::fs::write(scripts.join(file), source).expect("the script");
    let bind = format!("{}:/scripts:ro", scripts.display());
    let path = format!("/scripts/{file}");
    let there = ["run", "--detach", "--network", "none", "-v", &bind, &image, "sleep", "infinity"];
    let container = docker(&there).trim().to_owned();
    let target = Target { name: container.clone(), user: None };
    let warm = Warm::new(state, Arc::clone(&language), source);

    let cold = [&["run", "--rm", "--network", "none", "-v", &bind, &image], program, &[&path]].concat();
    let exec = [&["exec", &container], program, &[path.as_str()]].concat();
    let (engine, script, target, warm, cold, exec) = (&engine, &script, &target, &warm, &cold, &exec);
    let mut ways = vec![
        Way::new("docker run", || async move { drop(docker(cold)) }),
        Way::new("engine, a container for it", || async move { drop(run(engine, script).await) }),
        Way::new("docker exec", || async move { drop(docker(exec)) }),
        Way::new("engine, in that container", || async move { enter(engine, script, target).await }),
        Way::timed("a sandbox that is booted", || async move { warm.run(false).await }),
    ];
    if language.prime().is_some() {
        ways.push(Way::timed("one whose interpreter waits", || async move { warm.run(true).await }));
    }
    compare(&format!("{}: a line of output, in containers", info.id), ROUNDS, ways).await;
    engine.shutdown(Shutdown::Drain).await;
    warm.manager.shutdown().await.expect("it shuts down");
    docker(&["rm", "--force", &container]);
}

fn config(state: &Path) -> Config {
    let mut config = Config::new(state.join("engine"));
    config.endpoint = std::env::var("DOCKER_HOST").expect("DOCKER_HOST says where the daemon is");
    config
}

async fn engine(state: &Path) -> Engine {
    let builder = script_engine::docker_with(config(state), PackageSettings::new(state.join("packages"))).await;
    let settings = Settings { targets: Targets::All, ..Settings::default() };
    builder.expect("containers").with_settings(settings).build().await.expect("an engine")
}

/// The program's answer.
fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).stdin(Stdio::null()).output().expect("docker");
    assert!(output.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

async fn enter(engine: &Engine, script: &ScriptName, target: &Target) {
    let request = ExecutionRequest::new(script.clone()).with_target(target.clone());
    let id = engine.submit(request).await.expect("accepted");
    let record = engine.wait(id).await.expect("a record");
    assert_eq!(record.outcome().map(Outcome::class), Some("succeeded"), "{record:?}");
}

/// Sandboxes that are there before their script is, as a pool has them.
struct Warm {
    manager: Manager,
    language: Arc<dyn Language>,
    job: Job,
}

impl Warm {
    fn new(state: &Path, language: Arc<dyn Language>, source: &str) -> Self {
        let owner = OwnerId::from_bits(UuidIds.fresh());
        let manager = Manager::open(config(state), owner).expect("the backend opens");
        let info = language.info();
        let source = Source { entry_point: info.entry_point.clone(), bytes: Bytes::copy_from_slice(source.as_bytes()) };
        let Ok(Work::Done(Ok(prepared))) = language.prepare(&source, None) else {
            unreachable!("an interpreter takes it")
        };
        let base = [("PATH", "/usr/local/bin:/usr/bin:/bin"), ("HOME", "/work"), ("TMPDIR", "/tmp")];
        let base = base.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let env = base.iter().chain(&info.env).chain(&prepared.env);
        let job = Job {
            runtime: RuntimeSpec { language: info.id.to_string(), image: info.image.clone(), layer: None },
            target: None,
            tenant: None,
            files: prepared.files,
            argv: prepared.argv,
            env: env.map(|(name, value)| (name.clone(), value.clone().into_bytes())).collect(),
            given: Vec::new(),
            stdin: false,
            limits: Limits::default(),
            network: NetworkPolicy::Off,
            egress: EgressSettings::default(),
        };
        Self { manager, language, job }
    }

    /// How long the script takes from its hand-over to its end.
    async fn run(&self, primed: bool) -> Duration {
        let lease = self.manager.provide(&self.job.runtime, &Unheard).await.expect("the image is there");
        let booted = self.manager.boot(&lease, &BootSpec::new(self.job.limits.clone())).await.expect("it boots");
        let mut sandbox = AgentSandbox::connect(booted, SessionSettings::default()).await.expect("the agent answers");
        if let Some(prime) = self.language.prime().filter(|_| primed) {
            let like = Job { files: Vec::new(), ..self.job.clone() };
            sandbox.prime(&prime, &like).await.expect("it is primed");
        }
        let begin = Instant::now();
        sandbox.put(&self.job.files).await.expect("the files are put");
        sandbox.start(&self.job).await.expect("it starts");
        let exit = loop {
            match sandbox.next().await {
                ScriptEvent::Output { .. } | ScriptEvent::Beat(_) => {}
                ScriptEvent::Exited(report) => break Some(report.exit),
                ScriptEvent::Lost { .. } => break None,
            }
        };
        let time = begin.elapsed();
        assert_eq!(exit, Some(Exit::Code(0)));
        Box::new(sandbox).destroy().await.expect("it is destroyed");
        time
    }
}
