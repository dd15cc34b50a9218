//! A private Podman service for tests, with roots and a socket of its own, which ends with the command that needed it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use crate::Outcome;
use crate::command::capture;
use crate::docker::{Engine, listen, name};
use crate::setup::{self, Need, need};

/// What it needs. Its usual runtime, `crun`, makes no containers where control groups of both versions are mounted.
pub(crate) const NEEDS: &[Need] = &[
    need("podman", "podman"),
    need("runc", "runc"),
    need("conmon", "conmon"),
    need("setpriv", "util-linux"),
    need("pkill", "procps"),
];

/// A machine without systemd.
const SETTINGS: &str = "[engine]\nruntime = \"runc\"\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n[network]\ndns_bind_port = 0\n";
/// What a service says when it answers.
const READY: &str = "API service listening on";
const START_WITHIN: Duration = Duration::from_secs(30);

/// A service that answers.
#[derive(Debug)]
pub(crate) struct Podman {
    service: Child,
    folder: PathBuf,
    host: String,
}

impl Podman {
    /// Starts one whose images are those that `engine` has under `names`.
    pub(crate) fn start(engine: &Engine, names: &[String]) -> Outcome<Self> {
        setup::ensure(NEEDS)?;
        let folder = Path::new("/var/tmp").join(format!("script-engine-podman-{}", name()));
        // What an aborted command left is of no use.
        clear(&folder)?;
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("containers.conf"), SETTINGS)?;
        let host = format!("unix://{}", folder.join("podman.sock").display());
        println!("starting Podman in {}", folder.display());
        let mut service = Command::new("setpriv")
            // It ends with this program, however that ends.
            .args(["--pdeathsig", "TERM", "podman", "--root"])
            .arg(folder.join("root"))
            .arg("--runroot")
            .arg(folder.join("run"))
            .args(["--cgroup-manager", "cgroupfs", "--log-level", "info", "system", "service", "--time=0", &host])
            .env("CONTAINERS_CONF", folder.join("containers.conf"))
            // It forgets the archives that it was given.
            .env("TMPDIR", &folder)
            // Its monitors leave files where they were started.
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let told = service.stderr.take().ok_or("no stderr was made")?;
        let (tell, ready) = sync_channel(1);
        let log = folder.join("podman.log");
        let file = std::fs::File::create(&log)?;
        std::thread::spawn(move || listen(told, file, READY, &tell));
        let podman = Self { service, folder, host };
        if ready.recv_timeout(START_WITHIN).is_err() {
            let told = std::fs::read_to_string(&log).unwrap_or_default();
            return Err(format!("Podman does not start; it says:\n{told}").into());
        }
        podman.bring(engine, names)?;
        Ok(podman)
    }

    /// Where it listens, as `DOCKER_HOST` says it.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    fn bring(&self, engine: &Engine, names: &[String]) -> Outcome {
        let archive = self.folder.join("images.tar");
        capture(engine.docker().args(["save", "--output"]).arg(&archive).args(names))?;
        capture(self.docker().args(["load", "--quiet", "--input"]).arg(&archive))?;
        std::fs::remove_file(&archive)?;
        Ok(())
    }

    fn docker(&self) -> Command {
        let mut docker = Command::new("docker");
        docker.env("DOCKER_HOST", &self.host).stdin(Stdio::null());
        docker
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        let pid = self.service.id().to_string();
        drop(Command::new("kill").args(["-TERM", &pid]).status());
        drop(self.service.wait());
        if let Err(error) = clear(&self.folder) {
            eprintln!("xtask: {} can't be removed: {error}", self.folder.display());
        }
    }
}

/// Removes the folder of a service that has ended, with what goes on in it: monitors of programs in containers live on
/// for minutes, and its storage is mounted on itself once for each of Podman's programs.
fn clear(folder: &Path) -> Outcome {
    const ROUNDS: usize = 100;
    let name = folder.to_string_lossy();
    for _ in 0..ROUNDS {
        drop(Command::new("pkill").args(["--signal", "KILL", "--full", &name]).status());
        let mounts = std::fs::read_to_string("/proc/self/mountinfo")?;
        let points: Vec<&str> =
            mounts.lines().filter_map(|it| it.split(' ').nth(4)).filter(|it| it.starts_with(&*name)).collect();
        if points.is_empty() {
            break;
        }
        for point in points.iter().rev() {
            capture(Command::new("umount").args(["--lazy", point]))?;
        }
    }
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}
