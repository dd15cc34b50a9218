//! The engine's end of the link, as simple as it can be.

use std::collections::HashMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use script_engine_agent::plan::{Entry, IdRange, Plan};
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
    /// The user that scripts get.
    pub(crate) uid: u32,
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
        // With a descriptor that a careless host left open.
        let script = format!("exec 7</etc/passwd; exec {} serve", binary().display());
        Self::connect(Command::new("sh").args(["-c", &script]), &[])
    }

    /// Starts an agent as process 1, with `/scripts`, `/work`, `/tmp`, `/dev/shm`, `/dev/mqueue` and
    /// `/proc` of its own. Needs root.
    pub(crate) fn init() -> Self {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        // A user of its own: the kernel counts processes by user.
        let uid = UID + count;
        let root = binary().with_file_name(format!("root-{count}"));
        fs::create_dir_all(&root).unwrap();
        let script = format!(
            "set -e; exec 7</etc/passwd; ip link set lo up; mount -t tmpfs tmpfs {root}; cd {root}; \
             mkdir -p usr bin lib lib64 etc proc dev/shm dev/mqueue scripts work tmp agent; \
             for it in usr bin lib lib64 etc; do test -e /$it && mount --rbind /$it $it; done; \
             for it in null zero full urandom; do touch dev/$it; mount --bind /dev/$it dev/$it; done; \
             ln -s /proc/self/fd dev/fd; ln -s /proc/self/fd/0 dev/stdin; ln -s /proc/self/fd/1 dev/stdout; \
             ln -s /proc/self/fd/2 dev/stderr; mount -t proc proc proc; \
             mount -t tmpfs -o mode=755 tmpfs scripts; \
             mount -t tmpfs -o mode=755,uid={uid},gid={uid} tmpfs work; mount -t tmpfs -o mode=1777 tmpfs tmp; \
             mount -t tmpfs -o mode=1777 tmpfs dev/shm; mount -t mqueue mqueue dev/mqueue; \
             cp {agent} agent/agent; \
             exec chroot . /agent/agent serve --private --script-uid {uid}:{uid}",
            root = root.display(),
            agent = binary().display(),
        );
        let mut command = Command::new("unshare");
        command.args(["--pid", "--mount", "--ipc", "--net", "--fork", "--kill-child", "sh", "-c", &script]);
        let mut agent = Self::connect(&mut command, &[]);
        agent.uid = uid;
        agent
    }

    /// Starts an agent in a sandbox of its own making, where each script has a stub: as root with a
    /// user for scripts, or as an ordinary user with one.
    pub(crate) fn nested(root: bool) -> Self {
        let folder = |path: &str| Entry::Folder { path: path.into(), mode: 0o755 };
        let bind = |path: &str| Entry::Bind { source: path.into(), path: path.into(), optional: true };
        let memory = |path: &str, mode, script| Entry::Memory {
            path: path.into(),
            bytes: 64 << 20,
            inodes: 4 << 20,
            mode,
            script,
        };
        let device = |name: &str| Entry::Device { name: name.into() };
        let link = |path: &str, target: &str| Entry::Link { path: path.into(), target: target.into() };
        let map = |inside, outside| IdRange { inside, outside, count: 1 };
        let ids = if root { vec![map(0, 600_000), map(UID, 600_001)] } else { vec![map(UID, 65534)] };
        let plan = Plan {
            uids: ids.clone(),
            gids: ids,
            setgroups: root,
            agent_id: if root { 0 } else { UID },
            script_id: UID,
            hostname: "sandbox".into(),
            root_bytes: 1 << 20,
            root_inodes: 1000,
            entries: vec![
                bind("/usr"),
                bind("/bin"),
                bind("/lib"),
                bind("/lib64"),
                folder("/dev"),
                device("null"),
                device("zero"),
                device("full"),
                device("urandom"),
                link("/dev/fd", "/proc/self/fd"),
                link("/dev/stdin", "/proc/self/fd/0"),
                link("/dev/stdout", "/proc/self/fd/1"),
                link("/dev/stderr", "/proc/self/fd/2"),
                folder("/dev/shm"),
                memory("/dev/shm", 0o1777, false),
                folder("/dev/mqueue"),
                Entry::Queues { path: "/dev/mqueue".into() },
                folder("/proc"),
                Entry::Processes { path: "/proc".into() },
                folder("/scripts"),
                memory("/scripts", 0o755, false),
                folder("/work"),
                memory("/work", 0o755, true),
                folder("/tmp"),
                memory("/tmp", 0o1777, false),
            ],
            ..Plan::default()
        };
        let mut command = Command::new(binary());
        command.arg("launch");
        if !root {
            command.uid(65534).gid(65534);
        }
        Self::connect(&mut command, &plan.encode().unwrap())
    }

    /// One agent of each kind.
    pub(crate) fn all() -> impl Iterator<Item = (&'static str, Self)> {
        ["child", "init", "nested, root", "nested, rootless"].into_iter().map(|name| {
            let agent = match name {
                "child" => Self::child(),
                "init" => Self::init(),
                _ => Self::nested(name == "nested, root"),
            };
            (name, agent)
        })
    }

    /// One agent of each kind that has a sandbox to itself.
    pub(crate) fn private() -> impl Iterator<Item = (&'static str, Self)> {
        Self::all().filter(|(_, it)| it.features & feature::RESET != 0)
    }

    /// Starts an agent and sends it `first` before anything else.
    pub(crate) fn connect(command: &mut Command, first: &[u8]) -> Self {
        let (mut link, theirs) = UnixStream::pair().unwrap();
        link.write_all(first).unwrap();
        let child = command.stdin(Stdio::from(OwnedFd::from(theirs))).spawn().unwrap();
        // The command holds the other end; it must not outlive the child.
        command.stdin(Stdio::null());
        link.set_read_timeout(Some(PATIENCE)).unwrap();
        link.set_write_timeout(Some(PATIENCE)).unwrap();
        let mut agent = Self { child, link, features: 0, uid: UID };
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
        match self.receive() {
            (1, FromAgent::Started { .. }) => Outcome { started: true, ..self.outcome(1, window) },
            (1, fault @ FromAgent::Fault { .. }) => Outcome { fault: Some(fault), ..Outcome::default() },
            other => panic!("before it was started: {other:?}"),
        }
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

    /// Takes messages until standard output has said exactly this.
    #[track_caller]
    pub(crate) fn await_output(&mut self, execution: u32, expected: &[u8]) {
        let mut said = Vec::new();
        while said != expected {
            said.extend(self.next_data(execution, Stream::Stdout));
            assert!(expected.starts_with(&said), "{:?}", String::from_utf8_lossy(&said));
        }
    }

    /// Takes messages until standard error has said this among other things.
    #[track_caller]
    pub(crate) fn await_errors(&mut self, execution: u32, needle: &[u8]) {
        let mut said: Vec<u8> = Vec::new();
        while !said.windows(needle.len()).any(|it| it == needle) {
            said.extend(self.next_data(execution, Stream::Stderr));
        }
    }

    #[track_caller]
    fn next_data(&mut self, execution: u32, wanted: Stream) -> Vec<u8> {
        loop {
            match self.receive() {
                (of, FromAgent::Data { stream, bytes, .. }) if of == execution && stream == wanted => return bytes,
                (_, FromAgent::Exited { .. } | FromAgent::Fault { .. }) => panic!("the script ended"),
                _ => {}
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
