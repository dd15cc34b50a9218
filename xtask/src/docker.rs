//! The Docker Engine that tests and images use: the one that is there, else a private one, with a bridge, a socket
//! and a data folder of its own, which ends with the command that needed it.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use crate::command::{capture, cargo, found, root, run};
use crate::podman::Podman;
use crate::setup::{self, Need, need};
use crate::{Outcome, images};

/// Where a daemon listens unless it was told otherwise.
const DEFAULT_SOCKET: &str = "/var/run/docker.sock";
/// How long a daemon may take to answer, and to end.
const START_WITHIN: Duration = Duration::from_secs(60);
const STOP_WITHIN: Duration = Duration::from_secs(30);
/// What a daemon says when it answers.
const READY: &str = "API listen on";
/// `SIGTERM`, as `kill` names it.
const TERM: &str = "-TERM";

/// What a private engine needs.
pub(crate) const ENGINE: &[Need] = &[
    need("dockerd", "docker.io"),
    need("docker", "docker.io"),
    need("iptables", "iptables"),
    need("ip", "iproute2"),
    need("setpriv", "util-linux"),
];

/// What the tests need beside it: they start further engines and a registry, ask Compose, and look
/// at what a terminal shows.
const TEST_NEEDS: &[Need] = &[
    need("docker-registry", "docker-registry"),
    need("docker-compose", "docker-compose"),
    need("script", "bsdutils"),
    need("unzip", "unzip"),
];

/// A daemon that answers.
#[derive(Debug)]
pub(crate) struct Engine {
    /// Where it listens, as `DOCKER_HOST` says it.
    host: String,
    /// The daemon, if it was started here.
    started: Option<Started>,
}

#[derive(Debug)]
struct Started {
    daemon: Child,
    /// Tells once that it answers; ends with it.
    ready: Receiver<()>,
    bridge: String,
    folder: PathBuf,
}

impl Engine {
    /// The daemon of `DOCKER_HOST` or of the usual socket if it answers, else a private one.
    pub(crate) fn ensure() -> Outcome<Self> {
        let host = std::env::var("DOCKER_HOST").unwrap_or_else(|_| format!("unix://{DEFAULT_SOCKET}"));
        let usual = Self { host, started: None };
        if found("docker") && usual.answers() {
            return Ok(usual);
        }
        if std::env::var_os("DOCKER_HOST").is_some() {
            return Err(format!("no Docker Engine answers at DOCKER_HOST={}", usual.host).into());
        }
        Self::private()
    }

    /// A private daemon, started now.
    pub(crate) fn private() -> Outcome<Self> {
        setup::ensure(ENGINE)?;
        let name = name();
        let folder = Path::new("/var/tmp").join(format!("script-engine-docker-{name}"));
        std::fs::create_dir_all(&folder)?;
        let bridge = format!("sedock-{name}");
        // One that an aborted command left is as good.
        if !Path::new("/sys/class/net").join(&bridge).exists() {
            capture(Command::new("ip").args(["link", "add", &bridge, "type", "bridge"]))?;
        }
        let socket = folder.join("docker.sock");
        let host = format!("unix://{}", socket.display());
        println!("starting a Docker Engine in {}", folder.display());
        let mut daemon = Command::new("setpriv")
            // It ends with this program, however that ends.
            .args(["--pdeathsig", "TERM", "dockerd", "--log-level", "info"])
            .arg("--data-root")
            .arg(folder.join("data"))
            .arg("--exec-root")
            .arg(folder.join("exec"))
            .arg("--pidfile")
            .arg(folder.join("docker.pid"))
            .args(["--host", &host, "--bridge", &bridge])
            .args(["--iptables=false", "--ip6tables=false", "--ip-masq=false"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let told = daemon.stderr.take().ok_or("no stderr was made")?;
        let (tell, ready) = sync_channel(1);
        let log = folder.join("dockerd.log");
        let file = std::fs::File::create(&log)?;
        std::thread::spawn(move || listen(told, file, READY, &tell));
        let engine = Self { host, started: Some(Started { daemon, ready, bridge, folder }) };
        engine.await_answer(&log)?;
        Ok(engine)
    }

    fn await_answer(&self, log: &Path) -> Outcome {
        let ready = self.started.as_ref().is_some_and(|it| it.ready.recv_timeout(START_WITHIN).is_ok());
        if ready && self.answers() {
            return Ok(());
        }
        let told = std::fs::read_to_string(log).unwrap_or_default();
        Err(format!("the Docker Engine does not start; it says:\n{told}").into())
    }

    fn answers(&self) -> bool {
        self.docker().args(["version", "--format", "{{.Server.Version}}"]).output().is_ok_and(|it| it.status.success())
    }

    /// Where it listens.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The `docker` program, speaking to this engine with its classic builder.
    pub(crate) fn docker(&self) -> Command {
        let mut docker = Command::new("docker");
        docker.env("DOCKER_HOST", &self.host).env("DOCKER_BUILDKIT", "0").stdin(Stdio::null());
        docker
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let Some(Started { daemon, ready, bridge, folder }) = &mut self.started else { return };
        let pid = daemon.id().to_string();
        drop(Command::new("kill").args([TERM, &pid]).status());
        // Its end is the end of what it says.
        while ready.recv_timeout(STOP_WITHIN).is_ok() {}
        drop(daemon.kill());
        drop(daemon.wait());
        drop(capture(Command::new("ip").args(["link", "delete", bridge])));
        drop(std::fs::remove_dir_all(folder.join("exec")));
    }
}

/// Writes down what a daemon says, and tells when it says that it answers.
pub(crate) fn listen(told: ChildStderr, mut log: std::fs::File, answers: &str, tell: &SyncSender<()>) {
    for line in BufReader::new(told).split(b'\n').map_while(Result::ok) {
        if String::from_utf8_lossy(&line).contains(answers) {
            let _ = tell.try_send(());
        }
        drop(log.write_all(&[line.as_slice(), b"\n"].concat()));
    }
}

/// What tests find the engine by. Without it, those that need one are not there.
const TEST_ENDPOINT: &str = "SCRIPT_ENGINE_TEST_DOCKER";
/// What tests find this program by.
const TEST_XTASK: &str = "SCRIPT_ENGINE_TEST_XTASK";

/// What has tests that need an engine.
const TESTED: &[&[&str]] = &[
    &["--package", "script-engine-docker"],
    &["--package", "script-engine-cli", "--test", "docker"],
    &["--package", "script-engine-tests", "--test", "hostile"],
];

/// Runs the tests on containers.
pub(crate) fn test() -> Outcome {
    test_with(&[])
}

/// The same, with arguments for `cargo test`.
pub(crate) fn test_with(arguments: &[&str]) -> Outcome {
    setup::ensure(ENGINE)?;
    setup::ensure(TEST_NEEDS)?;
    let engine = Engine::ensure()?;
    images::ensure(&engine, &images::named(&[])?, None)?;
    let this = std::env::current_exe()?;
    // All are run even if one fails, so that one round tells everything.
    let mut failed = Vec::new();
    for tested in TESTED {
        let mut tests = cargo();
        tests.args(["test", "--no-fail-fast"]).env(TEST_ENDPOINT, engine.host()).env(TEST_XTASK, &this);
        if let Err(error) = run(tests.args(*tested).args(arguments)) {
            failed.push(error.to_string());
        }
    }
    if let Err(error) = test_podman(&engine, arguments) {
        failed.push(format!("Podman: {error}"));
    }
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n").into()) }
}

/// Runs what holds of every backend on containers of Podman.
fn test_podman(engine: &Engine, arguments: &[&str]) -> Outcome {
    let podman = Podman::start(engine, &["bash", "python"].map(images::tag))?;
    let mut tests = cargo();
    tests.args(["test", "--package", "script-engine-docker", "--test", "conformance"]);
    run(tests.env(TEST_ENDPOINT, podman.host()).args(arguments))
}

/// Runs a command with the engine and its images: `DOCKER_HOST` says where it is.
pub(crate) fn with_engine(command: &[&str]) -> Outcome {
    let [program, arguments @ ..] = command else { return Err("name a command to run".into()) };
    let engine = Engine::ensure()?;
    images::ensure(&engine, &images::named(&[])?, None)?;
    run(Command::new(program).args(arguments).env("DOCKER_HOST", engine.host()))
}

/// Eight hex digits that this clone has and others hardly have.
pub(crate) fn name() -> String {
    let mut hasher = DefaultHasher::new();
    root().hash(&mut hasher);
    format!("{:08x}", hasher.finish() as u32)
}
