//! A PostgreSQL server of the test's own: a cluster in a folder that goes away with it, on a free port.

use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::site::closed_port;

/// The user that owns everything in it.
pub(crate) const USER: &str = "ops";
/// The user's password.
pub(crate) const PASSWORD: &str = "p4ss-of-the-database";

/// The server. It ends with this.
pub(crate) struct Postgres {
    folder: PathBuf,
    server: Child,
    port: u16,
}

impl Postgres {
    pub(crate) fn start() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = PathBuf::from(format!("/var/tmp/script-engine-postgres-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::set_permissions(&folder, Permissions::from_mode(0o777)).unwrap();
        let password = folder.join("password");
        crate::stage::write(&password, PASSWORD.as_bytes());
        let (programs, port) = (programs(), closed_port());
        let data = folder.join("data");
        let made = ordinary(&programs.join("initdb"))
            .args(["--username", USER, "--auth", "scram-sha-256", "--no-sync", "--locale", "C", "--encoding", "UTF8"])
            .arg("--pwfile")
            .arg(&password)
            .arg("-D")
            .arg(&data)
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        let mut server = ordinary(&programs.join("postgres"))
            .arg("-D")
            .arg(&data)
            .args(["-h", "127.0.0.1", "-k", "", "-c", "fsync=off", "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(server.stderr.take().unwrap());
        let started = Self { folder, server, port };
        await_ready(log);
        started
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // SIGQUIT ends it at once, its children with it; SIGKILL would leave them.
        drop(Command::new("kill").args(["-QUIT", &self.server.id().to_string()]).status());
        drop(self.server.wait());
        drop(fs::remove_dir_all(&self.folder));
    }
}

/// Reads the server's log until it says that it is ready, and then on, so that it never waits for a reader.
fn await_ready(mut log: BufReader<ChildStderr>) {
    let mut said = String::new();
    while !said.contains("ready to accept connections") {
        assert!(log.read_line(&mut said).unwrap() > 0, "the server ended: {said}");
    }
    std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
}

/// A program of the server as an ordinary user: it refuses to be root's.
fn ordinary(program: &Path) -> Command {
    if Path::new("/proc/self").metadata().unwrap().uid() != 0 {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "--"]).arg(program);
    command.current_dir("/");
    command
}

/// Where Debian keeps the programs of the newest version that is installed.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").expect("postgresql is installed: `cargo xtask test` does that");
    let mut found: Vec<PathBuf> =
        versions.map(|it| it.unwrap().path().join("bin")).filter(|it| it.join("initdb").exists()).collect();
    found.sort();
    found.pop().expect("a server of postgresql is installed: `cargo xtask test` does that")
}
