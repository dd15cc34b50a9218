//! What the engine and the agent say to each other. Each message is one frame.
//!
//! Kinds 1 to 63 go to the agent, 64 to 127 come from it. Kinds 5 (prime) and 66 (primed) belong to a
//! capability that an agent announces as a feature bit in its hello, as are 9 (listen), 17 (traffic), 72 (accepted),
//! 77 (traffic) and 78 (listening).
//!
//! A primed program waits at its gate: it writes [`gate::READY`] to descriptor [`gate::REPORT`] when it does, then
//! reads descriptor [`gate::JOB`]. What comes there are NUL-terminated fields: how many follow, the number of
//! environment variables, both in decimal, the variables as `NAME=value`, and the arguments that it was not started
//! with. It writes [`gate::TAKEN`], waits for [`gate::GO`], closes both descriptors, and goes on as if it had found
//! all that at its start. The end of the descriptor in place of an answer means that it is not wanted.

use super::connection::{Listen, Traffic};
use super::frame::{Header, Reader, Stream, WireError, Writer};

/// Feature bits of [`FromAgent::Hello`].
pub mod feature {
    /// The agent is process 1 of its pid namespace.
    pub const INIT: u32 = 1;
    /// Scripts run under a stub init in a nested pid namespace.
    pub const NESTED: u32 = 1 << 1;
    /// The script gets a user id of its own.
    pub const SCRIPT_UID: u32 = 1 << 2;
    /// Resets are possible: the agent can wipe and verify.
    pub const RESET: u32 = 1 << 3;
    /// The agent can start an interpreter ahead of its script.
    pub const PRIME: u32 = 1 << 4;
    /// The agent can listen for the script's connections.
    pub const LISTEN: u32 = 1 << 5;
}

/// Where a primed program waits for its job.
pub mod gate {
    /// The descriptor from which it reads its job.
    pub const JOB: i32 = 4;
    /// The descriptor to which it says how far it is.
    pub const REPORT: i32 = 5;
    /// It waits.
    pub const READY: u8 = b'R';
    /// It has its job.
    pub const TAKEN: u8 = b'T';
    /// It was silent until now, and from here on is the script.
    pub const GO: u8 = b'G';
    /// The folder below `/scripts` of [`Place::Gate`](super::Place::Gate).
    pub const FOLDER: &str = ".prime";
}

/// The most bytes of environment that a job may have.
pub const MAX_ENVIRONMENT: usize = 1024 * 1024;

/// Where a file of a job goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// `/scripts`: read-only to the script.
    Scripts,
    /// `/work`: the script's own scratch space, owned by it.
    Work,
    /// A folder below `/scripts` for what a program needs to be primed; gone before there is a script.
    Gate,
}

/// What a script may do with the files beneath a path: bits of `LANDLOCK_ACCESS_FS_*`
/// (`include/uapi/linux/landlock.h`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LandlockRule {
    /// An absolute path inside the sandbox; a path that is not there is passed over.
    pub path: Vec<u8>,
    /// The allowed access bits; the agent masks those that do not apply to a plain file.
    pub access: u64,
}

/// A landlock domain, made for the newest kernel; the agent masks what the running one lacks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Landlock {
    /// The lowest ABI with which the domain is still what was promised; 0: no domain is wanted.
    pub min_abi: u32,
    /// File system access that is denied unless a rule allows it.
    pub handled_fs: u64,
    /// TCP access that is denied: bits of `LANDLOCK_ACCESS_NET_*`.
    pub handled_net: u64,
    /// Scopes: bits of `LANDLOCK_SCOPE_*` (abstract unix sockets, signals).
    pub scoped: u64,
    /// What is allowed.
    pub rules: Vec<LandlockRule>,
}

/// One job for the agent: what to start and within which bounds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Start {
    /// Program and arguments; the program is an absolute path or is looked up in the job's `PATH`.
    pub argv: Vec<Vec<u8>>,
    /// The whole environment, as `NAME=value`.
    pub env: Vec<Vec<u8>>,
    /// The working directory.
    pub cwd: Vec<u8>,
    /// Whether standard input is a pipe that `Data` frames feed; else it is empty.
    pub stdin: bool,
    /// `RLIMIT_NOFILE`.
    pub open_files: u32,
    /// `RLIMIT_NPROC`; 0 leaves it alone.
    pub processes: u32,
    /// `RLIMIT_FSIZE` in bytes.
    pub file_bytes: u64,
    /// Bytes of memory (processes and scratch space) above which the agent kills the script as
    /// out of memory; 0 where the kernel does it.
    pub supervised_memory: u64,
    /// Processes above which the agent kills the script; 0 where the kernel does it.
    pub supervised_processes: u32,
    /// Milliseconds that left-over processes may hold stdout and stderr open after the script's
    /// exit before they are killed.
    pub leak_ms: u32,
    /// Bytes of stdout and of stderr that the agent may send before it gets credit.
    pub window: u32,
    /// How many of `argv` a primed program was started with: it is handed the rest, and `env`. 0 starts a
    /// program afresh, and so does the agent when there is no primed one, or one that has done something.
    pub primed_with: u32,
}

/// What the engine says to the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant's documentation names its fields")]
pub enum ToAgent {
    /// First message: after `lease_ms` without one the agent kills everything and exits; beats are
    /// sent every `beat_ms` while a script runs.
    Hello { lease_ms: u32, beat_ms: u32 },
    /// Renews the lease.
    Ping,
    /// Sets the filters that every later script gets: seccomp programs in the order in which they
    /// are to be installed (each a list of 8-byte `sock_filter`), and a landlock domain.
    Filter { seccomp: Vec<Vec<u8>>, landlock: Landlock },
    /// A piece of a file. A piece at offset 0 creates the file (and its folders); it must not be
    /// there yet. `last` ends it and sets its mode.
    File { place: Place, path: Vec<u8>, mode: u32, offset: u64, last: bool, data: Vec<u8> },
    /// Adds variables (`NAME=value`) to the environment of the job that the next `Start` starts, for
    /// environments that do not fit one frame. The agent takes [`MAX_ENVIRONMENT`] bytes in all.
    Env { vars: Vec<Vec<u8>> },
    /// Starts a program that waits for its job at its gate, as `start` says and within `limit_ms`. Answered by
    /// `Primed`, or by `Fault` if nothing waits. It serves the next `Start` or nothing.
    Prime { start: Box<Start>, limit_ms: u32 },
    /// Starts the job. Answered by `Started`, or by `Fault` if nothing was started.
    Start(Box<Start>),
    /// Bytes for stdin, within the credit the agent gave.
    Data { stream: Stream, time_us: u64, bytes: Vec<u8> },
    /// No more bytes on this stream.
    End { stream: Stream },
    /// The agent may send this many more bytes on the stream.
    Credit { stream: Stream, bytes: u32 },
    /// Sends a signal to every process of the execution. `SIGKILL` ends them for certain.
    Signal { signal: i32 },
    /// Listens for the connections of the job that the next `Start` starts, and of no other. Answered by
    /// `Listening`, or by `Fault` if not all of it can be had; nothing is listened for then.
    Listen(Listen),
    /// What happens on a connection that the agent told of.
    Traffic { id: u32, traffic: Traffic },
    /// Asks for a file of the script: an absolute path below `/work` or `/tmp`, a plain file, no link
    /// anywhere in the path. Answered by `FileBegin`, `Data` and `End` on stream `File`.
    Collect { path: Vec<u8>, max_bytes: u64 },
    /// Kills what is left of the last script, wipes all that it could write, and verifies it.
    Reset,
    /// Asks how a script would find itself.
    Posture,
    /// Kills everything and exits.
    Shutdown,
}

/// What the agent says to the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant's documentation names its fields")]
pub enum FromAgent {
    /// First message. `features` are bits of [`feature`].
    Hello { build: String, arch: String, features: u32, landlock_abi: u32 },
    /// The job's program was executed.
    Started { time_us: u64 },
    /// A program waits for its job.
    Primed,
    /// Bytes of stdout, stderr or a collected file; `time_us` is microseconds since 1970.
    Data { stream: Stream, time_us: u64, bytes: Vec<u8> },
    /// The stream ended after `total` bytes.
    End { stream: Stream, total: u64 },
    /// The script is gone, and everything it started. `signal` is 0 unless one ended it. `leaked`
    /// counts the processes that had to be killed after the script's own end.
    Exited {
        code: i32,
        signal: i32,
        user_us: u64,
        system_us: u64,
        peak_memory: u64,
        out_of_memory: bool,
        too_many_processes: bool,
        leaked: u32,
    },
    /// A sign of life while a script runs: what it has used so far.
    Beat { cpu_us: u64, memory: u64, processes: u32 },
    /// The engine may send this many more bytes of stdin.
    Credit { stream: Stream, bytes: u32 },
    /// Everything that `Listen` asked for is listened for.
    Listening,
    /// The script has connected to a host and port of `Listen`. The engine may send `credit` bytes; without any
    /// credit the agent has too many connections and has turned this one away.
    Accepted { id: u32, host: String, port: u16, credit: u32 },
    /// What happens on a connection.
    Traffic { id: u32, traffic: Traffic },
    /// Answers `Collect`: `size` bytes follow, `u64::MAX` if there is no such file, and `note` says
    /// why something that is there can't be had (not a plain file, longer than asked for).
    FileBegin { size: u64, note: String },
    /// The reset is done; `findings` names what was still there afterwards and must be empty.
    ResetDone { findings: Vec<String> },
    /// How a script would find itself, as name and value.
    PostureReport { facts: Vec<(String, String)> },
    /// The agent could not do what it was told; `fatal` ends the sandbox.
    Fault { operation: String, message: String, errno: i32, fatal: bool },
}

impl ToAgent {
    /// Makes the frame of this message for `execution`. Fails if it does not fit one frame.
    pub fn encode(&self, execution: u32) -> Result<Vec<u8>, WireError> {
        let mut w = Writer::default();
        let (kind, stream) = match self {
            Self::Hello { lease_ms, beat_ms } => {
                w.u32(*lease_ms).u32(*beat_ms);
                (1, Stream::Control)
            }
            Self::Ping => (2, Stream::Control),
            Self::Filter { seccomp, landlock } => {
                w.list(seccomp, |w, it| {
                    w.bytes(it);
                });
                w.u32(landlock.min_abi).u64(landlock.handled_fs).u64(landlock.handled_net).u64(landlock.scoped);
                w.list(&landlock.rules, |w, it| {
                    w.bytes(&it.path).u64(it.access);
                });
                (3, Stream::Control)
            }
            Self::File { place, path, mode, offset, last, data } => {
                w.u8(match place {
                    Place::Scripts => 0,
                    Place::Work => 1,
                    Place::Gate => 2,
                });
                w.bytes(path).u32(*mode).u64(*offset).bool(*last).bytes(data);
                (4, Stream::File)
            }
            Self::Env { vars } => {
                w.list(vars, |w, it| {
                    w.bytes(it);
                });
                (16, Stream::Control)
            }
            Self::Prime { start, limit_ms } => {
                start.write(&mut w);
                w.u32(*limit_ms);
                (5, Stream::Control)
            }
            Self::Start(start) => {
                start.write(&mut w);
                (6, Stream::Control)
            }
            Self::Data { stream, time_us, bytes } => {
                w.u64(*time_us).0.extend_from_slice(bytes);
                (7, *stream)
            }
            Self::End { stream } => (8, *stream),
            Self::Credit { stream, bytes } => {
                w.u32(*bytes);
                (10, *stream)
            }
            Self::Signal { signal } => {
                w.i32(*signal);
                (11, Stream::Control)
            }
            Self::Listen(listen) => {
                listen.write(&mut w);
                (9, Stream::Control)
            }
            Self::Traffic { id, traffic } => {
                traffic.write(*id, &mut w);
                (17, Stream::Control)
            }
            Self::Collect { path, max_bytes } => {
                w.bytes(path).u64(*max_bytes);
                (12, Stream::File)
            }
            Self::Reset => (13, Stream::Control),
            Self::Posture => (14, Stream::Control),
            Self::Shutdown => (15, Stream::Control),
        };
        w.frame(kind, stream, execution)
    }

    /// Reads the message of a frame that came from the engine.
    pub fn decode(header: &Header, payload: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(payload);
        let stream = header.stream;
        let message = match header.kind {
            1 => Self::Hello { lease_ms: r.u32()?, beat_ms: r.u32()? },
            2 => Self::Ping,
            3 => Self::Filter {
                seccomp: r.list(Reader::bytes)?,
                landlock: Landlock {
                    min_abi: r.u32()?,
                    handled_fs: r.u64()?,
                    handled_net: r.u64()?,
                    scoped: r.u64()?,
                    rules: r.list(|r| Ok(LandlockRule { path: r.bytes()?, access: r.u64()? }))?,
                },
            },
            4 => Self::File {
                place: match r.u8()? {
                    0 => Place::Scripts,
                    1 => Place::Work,
                    2 => Place::Gate,
                    _ => return Err(WireError::Value("place")),
                },
                path: r.bytes()?,
                mode: r.u32()?,
                offset: r.u64()?,
                last: r.bool()?,
                data: r.bytes()?,
            },
            5 => Self::Prime { start: Box::new(Start::read(&mut r)?), limit_ms: r.u32()? },
            6 => Self::Start(Box::new(Start::read(&mut r)?)),
            7 => Self::Data { stream, time_us: r.u64()?, bytes: r.rest().to_vec() },
            8 => Self::End { stream },
            9 => Self::Listen(Listen::read(&mut r)?),
            10 => Self::Credit { stream, bytes: r.u32()? },
            11 => Self::Signal { signal: r.i32()? },
            12 => Self::Collect { path: r.bytes()?, max_bytes: r.u64()? },
            13 => Self::Reset,
            14 => Self::Posture,
            15 => Self::Shutdown,
            16 => Self::Env { vars: r.list(Reader::bytes)? },
            17 => {
                let (id, traffic) = Traffic::read(&mut r)?;
                Self::Traffic { id, traffic }
            }
            kind => return Err(WireError::Kind(kind)),
        };
        r.end()?;
        Ok(message)
    }
}

impl Start {
    fn write(&self, w: &mut Writer) {
        let bytes = |w: &mut Writer, it: &Vec<u8>| {
            w.bytes(it);
        };
        w.list(&self.argv, bytes).list(&self.env, bytes).bytes(&self.cwd).bool(self.stdin);
        w.u32(self.open_files).u32(self.processes).u64(self.file_bytes);
        w.u64(self.supervised_memory).u32(self.supervised_processes).u32(self.leak_ms).u32(self.window);
        w.u32(self.primed_with);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            argv: r.list(Reader::bytes)?,
            env: r.list(Reader::bytes)?,
            cwd: r.bytes()?,
            stdin: r.bool()?,
            open_files: r.u32()?,
            processes: r.u32()?,
            file_bytes: r.u64()?,
            supervised_memory: r.u64()?,
            supervised_processes: r.u32()?,
            leak_ms: r.u32()?,
            window: r.u32()?,
            primed_with: r.u32()?,
        })
    }
}

impl FromAgent {
    /// The kind of `Data` frames, which readers may take apart without a copy: eight bytes of
    /// timestamp, then the bytes.
    pub const DATA: u8 = 67;
    /// The kind of `Traffic` frames, which readers may take apart too: see [`super::connection`].
    pub const TRAFFIC: u8 = 77;

    /// Makes the frame of this message for `execution`. Fails if it does not fit one frame.
    pub fn encode(&self, execution: u32) -> Result<Vec<u8>, WireError> {
        let mut w = Writer::default();
        let (kind, stream) = match self {
            Self::Hello { build, arch, features, landlock_abi } => {
                w.text(build).text(arch).u32(*features).u32(*landlock_abi);
                (64, Stream::Control)
            }
            Self::Started { time_us } => {
                w.u64(*time_us);
                (65, Stream::Control)
            }
            Self::Primed => (66, Stream::Control),
            Self::Data { stream, time_us, bytes } => {
                w.u64(*time_us).0.extend_from_slice(bytes);
                (Self::DATA, *stream)
            }
            Self::End { stream, total } => {
                w.u64(*total);
                (68, *stream)
            }
            Self::Exited {
                code,
                signal,
                user_us,
                system_us,
                peak_memory,
                out_of_memory,
                too_many_processes,
                leaked,
            } => {
                w.i32(*code).i32(*signal).u64(*user_us).u64(*system_us).u64(*peak_memory);
                w.bool(*out_of_memory).bool(*too_many_processes).u32(*leaked);
                (69, Stream::Control)
            }
            Self::Beat { cpu_us, memory, processes } => {
                w.u64(*cpu_us).u64(*memory).u32(*processes);
                (70, Stream::Control)
            }
            Self::Credit { stream, bytes } => {
                w.u32(*bytes);
                (71, *stream)
            }
            Self::Accepted { id, host, port, credit } => {
                w.u32(*id).text(host).u16(*port).u32(*credit);
                (72, Stream::Control)
            }
            Self::Traffic { id, traffic } => {
                traffic.write(*id, &mut w);
                (Self::TRAFFIC, Stream::Control)
            }
            Self::Listening => (78, Stream::Control),
            Self::FileBegin { size, note } => {
                w.u64(*size).text(note);
                (73, Stream::File)
            }
            Self::ResetDone { findings } => {
                w.list(findings, |w, it| {
                    w.text(it);
                });
                (74, Stream::Control)
            }
            Self::PostureReport { facts } => {
                w.list(facts, |w, (name, value)| {
                    w.text(name).text(value);
                });
                (75, Stream::Control)
            }
            Self::Fault { operation, message, errno, fatal } => {
                w.text(operation).text(message).i32(*errno).bool(*fatal);
                (76, Stream::Control)
            }
        };
        w.frame(kind, stream, execution)
    }

    /// Reads the message of a frame that came from the agent.
    pub fn decode(header: &Header, payload: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(payload);
        let stream = header.stream;
        let message = match header.kind {
            64 => Self::Hello { build: r.text()?, arch: r.text()?, features: r.u32()?, landlock_abi: r.u32()? },
            65 => Self::Started { time_us: r.u64()? },
            66 => Self::Primed,
            Self::DATA => Self::Data { stream, time_us: r.u64()?, bytes: r.rest().to_vec() },
            68 => Self::End { stream, total: r.u64()? },
            69 => Self::Exited {
                code: r.i32()?,
                signal: r.i32()?,
                user_us: r.u64()?,
                system_us: r.u64()?,
                peak_memory: r.u64()?,
                out_of_memory: r.bool()?,
                too_many_processes: r.bool()?,
                leaked: r.u32()?,
            },
            70 => Self::Beat { cpu_us: r.u64()?, memory: r.u64()?, processes: r.u32()? },
            71 => Self::Credit { stream, bytes: r.u32()? },
            72 => Self::Accepted { id: r.u32()?, host: r.text()?, port: r.u16()?, credit: r.u32()? },
            73 => Self::FileBegin { size: r.u64()?, note: r.text()? },
            74 => Self::ResetDone { findings: r.list(Reader::text)? },
            75 => Self::PostureReport { facts: r.list(|r| Ok((r.text()?, r.text()?)))? },
            76 => Self::Fault { operation: r.text()?, message: r.text()?, errno: r.i32()?, fatal: r.bool()? },
            Self::TRAFFIC => {
                let (id, traffic) = Traffic::read(&mut r)?;
                Self::Traffic { id, traffic }
            }
            78 => Self::Listening,
            kind => return Err(WireError::Kind(kind)),
        };
        r.end()?;
        Ok(message)
    }
}
