//! Daemons and registries of a test's own, which end with it.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

/// How long a program may take to be ready: a daemon that was killed first clears up what it had, one by one.
const WITHIN: Duration = Duration::from_secs(240);

/// A Docker Engine with a bridge, a socket and a data folder of its own.
pub(crate) struct Private {
    folder: PathBuf,
    bridge: String,
    live_restore: bool,
    running: Option<Program>,
}

impl Private {
    /// Starts one that has nothing yet.
    pub(crate) fn start(live_restore: bool) -> Self {
        let mut private = Self::prepare(live_restore);
        private.start_again();
        private
    }

    /// Starts one whose data lie on a small disk of their own.
    pub(crate) fn start_on_a_small_disk() -> Self {
        let mut private = Self::prepare(false);
        let data = private.folder.join("data");
        fs::create_dir(&data).unwrap();
        call("mount", &["-t", "tmpfs", "-o", "size=400m", "tmpfs", &data.display().to_string()]);
        private.start_again();
        private
    }

    /// Fills its disk to the last byte.
    pub(crate) fn fill_disk(&self) {
        let mut file = File::create(self.filler()).unwrap();
        for piece in [1 << 20, 4096, 1] {
            let piece = vec![0; piece];
            while file.write_all(&piece).is_ok() {}
        }
    }

    /// Makes room again.
    pub(crate) fn free_disk(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.folder.join("data/filler")
    }

    fn prepare(live_restore: bool) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{number}", std::process::id());
        let folder = Path::new("/var/tmp").join(format!("script-engine-daemon-{name}"));
        fs::create_dir_all(&folder).unwrap();
        let bridge = format!("sed{name}");
        call("ip", &["link", "add", &bridge, "type", "bridge"]);
        Self { folder, bridge, live_restore, running: None }
    }

    /// Starts it again, with what it has.
    pub(crate) fn start_again(&mut self) {
        let path = |name: &str| self.folder.join(name).display().to_string();
        let mut daemon = Command::new("setpriv");
        daemon.args(["--pdeathsig", "TERM", "dockerd", "--bridge", &self.bridge, "--host", &self.endpoint()]);
        daemon.args(["--data-root", &path("data"), "--exec-root", &path("exec"), "--pidfile", &path("pid")]);
        daemon.args(["--iptables=false", "--ip6tables=false", "--ip-masq=false"]);
        daemon.arg(format!("--live-restore={}", self.live_restore));
        drop(fs::remove_file(self.folder.join("pid")));
        self.running = Some(Program::start(&mut daemon, "API listen on", &self.folder.join("log")));
    }

    /// Where it listens.
    pub(crate) fn endpoint(&self) -> String {
        format!("unix://{}/docker.sock", self.folder.display())
    }

    /// Signals the daemon, and waits for its end if it is to end.
    pub(crate) fn signal(&mut self, signal: &str) {
        let running = self.running.as_ref().unwrap();
        call("kill", &[signal, &running.child.id().to_string()]);
        if ["-KILL", "-TERM"].contains(&signal) {
            self.running.take().unwrap().await_end();
        }
    }

    /// The `docker` program's answer.
    pub(crate) fn docker(&self, arguments: &[&str]) -> String {
        docker(&self.endpoint(), arguments)
    }

    /// Copies an image of another daemon.
    pub(crate) fn load(&self, from: &str, image: &str) {
        let mut save = Command::new("docker")
            .args(["--host", from, "save", image])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let archive = save.stdout.take().unwrap();
        let loaded =
            Command::new("docker").args(["--host", &self.endpoint(), "load", "--quiet"]).stdin(archive).output();
        assert!(save.wait().unwrap().success());
        assert!(loaded.unwrap().status.success());
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        if self.running.is_none() {
            // What a daemon that was killed left is removed by one that lives.
            self.live_restore = false;
            self.start_again();
        }
        let ids = self.docker(&["ps", "--all", "--quiet"]);
        for id in ids.split_whitespace() {
            self.docker(&["rm", "--force", id]);
        }
        let running = self.running.take().unwrap();
        call("kill", &["-TERM", &running.child.id().to_string()]);
        running.await_end();
        call("ip", &["link", "delete", &self.bridge]);
        // A daemon that was killed has left its data folder mounted on itself; of others there is nothing to unmount.
        drop(Command::new("umount").arg(self.folder.join("data")).output());
        drop(fs::remove_dir_all(&self.folder));
    }
}

/// The user and the password of registries with a login, and both as such a registry has them.
pub(crate) const USER: &str = "me";
pub(crate) const PASSWORD: &str = "s3cret:word";
const KNOWN: &str = "me:$2b$05$abcdefghijklmnopqrstuu2JDQLR7mbHhdpill4/jMLDoVbsBhlUi\n";

/// A registry on a port of its own.
pub(crate) struct Registry {
    folder: PathBuf,
    /// Its name, as that of an image begins with.
    pub(crate) name: String,
    running: Option<Program>,
}

impl Registry {
    /// Starts one without a login.
    pub(crate) fn start() -> Self {
        Self::with("")
    }

    /// Starts one that asks for a login.
    pub(crate) fn start_closed() -> Self {
        Self::with("auth: {htpasswd: {realm: tests, path: FOLDER/known}}\n")
    }

    fn with(more: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = Path::new("/var/tmp").join(format!("script-engine-registry-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        // The port is free when it was given to nobody; what takes it meanwhile makes the registry end.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let name = format!("127.0.0.1:{port}");
        fs::write(folder.join("known"), KNOWN).unwrap();
        let more = more.replace("FOLDER", &folder.display().to_string());
        let settings = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '{name}'}}\n{more}",
            folder.join("data").display()
        );
        fs::write(folder.join("settings.yml"), settings).unwrap();
        let mut registry = Command::new("docker-registry");
        registry.arg("serve").arg(folder.join("settings.yml"));
        let running = Program::start(&mut registry, "listening on", &folder.join("log"));
        Self { folder, name, running: Some(running) }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let running = self.running.take().unwrap();
        call("kill", &["-TERM", &running.child.id().to_string()]);
        running.await_end();
        drop(fs::remove_dir_all(&self.folder));
    }
}

/// A started program, whose standard error is written down.
struct Program {
    child: Child,
}

impl Program {
    /// Starts it and waits until it says `ready`.
    fn start(command: &mut Command, ready: &'static str, log: &Path) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let told = BufReader::new(child.stderr.take().unwrap());
        let mut file = File::create(log).unwrap();
        let (tell, said) = sync_channel(1);
        std::thread::spawn(move || {
            for line in told.split(b'\n').map_while(Result::ok) {
                if String::from_utf8_lossy(&line).contains(ready) {
                    let _ = tell.try_send(());
                }
                drop(file.write_all(&[line.as_slice(), b"\n"].concat()));
            }
        });
        let started = said.recv_timeout(WITHIN);
        assert!(started.is_ok(), "{command:?} is not ready: {}", fs::read_to_string(log).unwrap_or_default());
        Self { child }
    }

    fn await_end(mut self) {
        self.child.wait().unwrap();
    }
}

/// The `docker` program's answer, of the daemon at `endpoint`.
pub(crate) fn docker(endpoint: &str, arguments: &[&str]) -> String {
    let arguments: Vec<&str> = ["--host", endpoint].iter().chain(arguments).copied().collect();
    call("docker", &arguments)
}

fn call(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().unwrap();
    let (said, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program} {arguments:?}: {said}{told}");
    said.into_owned()
}
