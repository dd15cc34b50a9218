//! The engine's end of the link, as simple as it can be.

use std::collections::HashMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use script_engine_core::wire::{FromAgent, HEADER_LEN, Header, Place, Start, Stream, ToAgent, feature};

/// How long anything may take before a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// The user that scripts get; nobody else has it.
pub(crate) const UID: u32 = 71_234;

/// An agent and the engine's end of its link.
#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) child: Child,
    pub(crate) link: UnixStream,
    pub(crate) features: u32,
    #[expect(dead_code, reason = "the tests of what is left come next")]
    pub(crate) root: PathBuf,
}

/// All that came for one execution until it ended.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) ends: HashMap<Stream, u64>,
    pub(crate) exited: Option<FromAgent>,
    pub(crate) fault: Option<FromAgent>,
    pub(crate) started: bool,
}

impl Outcome {
    #[track_caller]
    pub(crate) fn code(&self) -> i32 {
        match self.exited {
            Some(FromAgent::Exited { code, signal: 0, .. }) => code,
            _ => panic!("did not exit: {self:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn signal(&self) -> i32 {
        match self.exited {
            Some(FromAgent::Exited { signal, .. }) => signal,
            _ => panic!("did not exit: {self:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn leaked(&self) -> u32 {
        match self.exited {
            Some(FromAgent::Exited { leaked, .. }) => leaked,
            _ => panic!("did not exit: {self:?}"),
        }
    }

    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}

/// The agent as a file, written once.
pub(crate) fn binary() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let folder = std::env::temp_dir().join(format!("script-engine-agent-test-{}", std::process::id()));
        fs::DirBuilder::new().mode(0o755).recursive(true).create(&folder).unwrap();
        let path = folder.join("agent");
        // By a temporary name, so that no child of another test holds it open for writing.
        fs::write(&path, script_engine_agent::AGENT).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    })
}

/// A shell job with the usual settings.
pub(crate) fn shell(script: &str) -> Start {
    Start {
        argv: vec![b"/bin/sh".to_vec(), b"-c".to_vec(), script.as_bytes().to_vec()],
        env: vec![b"PATH=/usr/bin:/bin".to_vec()],
        cwd: b"/".to_vec(),
        open_files: 256,
        file_bytes: u64::MAX,
        leak_ms: 200,
        window: 1 << 20,
        ..Start::default()
    }
}

impl Agent {
    /// Starts an agent as an ordinary child.
    pub(crate) fn child() -> Self {
        Self::spawn(Command::new(binary()).arg("serve"), PathBuf::from("/"))
    }

    /// Starts an agent as process 1, with `/scripts`, `/work`, `/tmp`, `/dev/shm`, `/dev/mqueue` and
    /// `/proc` of its own. Needs root.
    pub(crate) fn init() -> Self {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let root = binary().with_file_name(format!("root-{count}"));
        fs::create_dir_all(&root).unwrap();
        let script = format!(
            "set -e; mount -t tmpfs tmpfs {root}; cd {root}; \
             mkdir -p usr bin lib lib64 etc proc dev/shm dev/mqueue scripts work tmp agent; \
             for it in usr bin lib lib64 etc; do test -e /$it && mount --rbind /$it $it; done; \
             for it in null zero full urandom; do touch dev/$it; mount --bind /dev/$it dev/$it; done; \
             ln -s /proc/self/fd dev/fd; ln -s /proc/self/fd/0 dev/stdin; ln -s /proc/self/fd/1 dev/stdout; \
             ln -s /proc/self/fd/2 dev/stderr; mount -t proc proc proc; \
             mount -t tmpfs -o mode=755 tmpfs scripts; \
             mount -t tmpfs -o mode=755,uid={UID},gid={UID} tmpfs work; mount -t tmpfs -o mode=1777 tmpfs tmp; \
             mount -t tmpfs -o mode=1777 tmpfs dev/shm; mount -t mqueue mqueue dev/mqueue; \
             cp {agent} agent/agent; \
             exec chroot . /agent/agent serve --script-uid {UID}:{UID}",
            root = root.display(),
            agent = binary().display(),
        );
        let mut command = Command::new("unshare");
        command.args(["--pid", "--mount", "--ipc", "--net", "--fork", "--kill-child", "sh", "-c", &script]);
        Self::spawn(&mut command, root)
    }

    pub(crate) fn spawn(command: &mut Command, root: PathBuf) -> Self {
        let (link, theirs) = UnixStream::pair().unwrap();
        let child = command.stdin(Stdio::from(OwnedFd::from(theirs))).spawn().unwrap();
        link.set_read_timeout(Some(PATIENCE)).unwrap();
        link.set_write_timeout(Some(PATIENCE)).unwrap();
        let mut agent = Self { child, link, features: 0, root };
        match agent.receive() {
            (0, FromAgent::Hello { build, features, .. }) => {
                assert_eq!(build, script_engine_agent::BUILD);
                agent.features = features;
            }
            other => panic!("no hello: {other:?}"),
        }
        agent.send(0, &ToAgent::Hello { lease_ms: 60_000, beat_ms: 60_000 });
        agent
    }

    pub(crate) fn is_init(&self) -> bool {
        self.features & feature::INIT != 0
    }

    #[track_caller]
    pub(crate) fn send(&mut self, execution: u32, message: &ToAgent) {
        self.link.write_all(&message.encode(execution).unwrap()).unwrap();
    }

    /// Waits for the next message.
    #[track_caller]
    pub(crate) fn receive(&mut self) -> (u32, FromAgent) {
        self.try_receive().expect("the agent closed the link")
    }

    /// Waits for the next message; `None` if the link ends.
    #[track_caller]
    pub(crate) fn try_receive(&mut self) -> Option<(u32, FromAgent)> {
        let mut head = [0; HEADER_LEN];
        match self.link.read_exact(&mut head) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return None,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
            Err(error) => panic!("cannot read from the agent: {error}"),
        }
        let header = Header::decode(&head).unwrap();
        let mut payload = vec![0; header.length];
        self.link.read_exact(&mut payload).unwrap();
        Some((header.execution, FromAgent::decode(&header, &payload).unwrap()))
    }

    /// Puts a file.
    pub(crate) fn put(&mut self, place: Place, path: &str, data: &[u8]) {
        let file = ToAgent::File {
            place,
            path: path.as_bytes().to_vec(),
            mode: 0o644,
            offset: 0,
            last: true,
            data: data.to_vec(),
        };
        self.send(0, &file);
    }

    /// Starts a job and takes everything until it ends.
    #[track_caller]
    pub(crate) fn run(&mut self, start: Start) -> Outcome {
        let window = start.window;
        self.send(1, &ToAgent::Start(Box::new(start)));
        self.outcome(1, window)
    }

    /// Takes everything until the execution ends, granting what was used.
    #[track_caller]
    pub(crate) fn outcome(&mut self, execution: u32, window: u32) -> Outcome {
        let mut outcome = Outcome::default();
        loop {
            let (of, message) = self.receive();
            assert_eq!(of, execution, "{message:?}");
            match message {
                FromAgent::Started { .. } => outcome.started = true,
                FromAgent::Data { stream, bytes, .. } => {
                    assert!(!bytes.is_empty() && bytes.len() <= window as usize);
                    match stream {
                        Stream::Stdout => outcome.stdout.extend_from_slice(&bytes),
                        Stream::Stderr => outcome.stderr.extend_from_slice(&bytes),
                        other => panic!("data on {other:?}"),
                    }
                    self.send(execution, &ToAgent::Credit { stream, bytes: bytes.len() as u32 });
                }
                FromAgent::End { stream, total } => {
                    outcome.ends.insert(stream, total);
                }
                FromAgent::Credit { .. } | FromAgent::Beat { .. } => {}
                it @ FromAgent::Exited { .. } => {
                    outcome.exited = Some(it);
                    return outcome;
                }
                it @ FromAgent::Fault { .. } => {
                    outcome.fault = Some(it);
                    return outcome;
                }
                other => panic!("unexpected {other:?}"),
            }
        }
    }

    /// Waits for the agent's end and gives its exit code.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> i32 {
        let started = Instant::now();
        while self.try_receive().is_some() {
            assert!(started.elapsed() < PATIENCE, "the agent goes on");
        }
        self.child.wait().unwrap().code().expect("the agent was killed")
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // The link's end is what ends an agent; it is waited for so that nothing outlives a test.
        drop(self.link.shutdown(std::net::Shutdown::Both));
        drop(self.child.wait());
    }
}
