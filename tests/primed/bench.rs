//! Sandboxes of this machine, and jobs of the languages as the engine would make them.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use script_engine_core::contract::{
    BootSpec, IdSource as _, Language, OutputStream, RuntimeManager, Sandbox, ScriptEvent, Source, Unheard, Work,
};
use script_engine_core::memory::UuidIds;
use script_engine_core::sandbox::{AgentSandbox, SessionSettings};
use script_engine_core::{EgressSettings, Exit, Job, Limits, NetworkPolicy, OwnerId, RuntimeSpec};
use script_engine_sandbox::{Config, Manager};

/// The backend, with a state folder that goes with it.
pub(crate) struct Bench {
    manager: Manager,
    state: PathBuf,
    pub(crate) language: Arc<dyn Language>,
}

/// What came of a job, and when: from its start to its first output, and to its end.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) seen: Seen,
    pub(crate) first: Duration,
    pub(crate) end: Duration,
}

/// What a script showed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) exit: Exit,
}

impl Bench {
    pub(crate) fn new(language: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let state = std::env::temp_dir().join(format!("script-engine-primed-{}-{number}", std::process::id()));
        let manager = Manager::open(Config::new(&state), OwnerId::from_bits(UuidIds.fresh())).expect("it opens");
        let known = script_engine_languages::builtin();
        let language = known.into_iter().find(|it| it.info().id.as_str() == language).expect("the language is known");
        Self { manager, state, language }
    }

    /// The job of a script of the language's usual name.
    pub(crate) fn job(&self, source: &str, arguments: &[&str]) -> Job {
        let info = self.language.info();
        let source = Source { entry_point: info.entry_point.clone(), bytes: Bytes::copy_from_slice(source.as_bytes()) };
        let Work::Done(Ok(prepared)) = self.language.prepare(&source, None).expect("it can be prepared") else {
            panic!("it takes a step")
        };
        let base =
            [("PATH", "/usr/local/bin:/usr/bin:/bin"), ("HOME", "/work"), ("TMPDIR", "/tmp"), ("LANG", "C.UTF-8")];
        let own = base.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()));
        let more = info.env.iter().chain(&prepared.env).map(|(name, value)| (name.clone(), value.clone().into_bytes()));
        let mut argv = prepared.argv;
        argv.extend(arguments.iter().map(|it| (*it).to_owned()));
        Job {
            runtime: RuntimeSpec { language: info.id.to_string(), image: String::new(), layer: None },
            files: prepared.files,
            argv,
            env: own.chain(more).collect(),
            stdin: false,
            limits: Limits { memory_bytes: 256 << 20, ..Limits::default() },
            network: NetworkPolicy::Off,
            target: None,
            tenant: None,
            given: Vec::new(),
            egress: EgressSettings::default(),
        }
    }

    /// Carries a job out in a sandbox of its own, in which an interpreter waits for it if that is wanted.
    pub(crate) async fn run(&self, job: &Job, primed: bool) -> Outcome {
        let lease = self.manager.provide(&job.runtime, &Unheard).await.expect("the runtime is there");
        let booted = self.manager.boot(&lease, &BootSpec::new(job.limits.clone())).await.expect("it boots");
        let mut sandbox = AgentSandbox::connect(booted, SessionSettings::default()).await.expect("the agent answers");
        if primed {
            // As a pool would: with a job like it, which has none of what is this one's own.
            let like = Job { files: Vec::new(), argv: Vec::new(), ..self.job("0\n", &[]) };
            let prime = self.language.prime().expect("the language can prime");
            assert!(prime.can_serve(&like, job), "it would be started afresh: {job:?}");
            sandbox.prime(&prime, &like).await.expect("it is primed");
        }
        let begin = Instant::now();
        sandbox.put(&job.files).await.expect("the files are put");
        sandbox.start(job).await.expect("it starts");
        let (mut stdout, mut stderr, mut first) = (Vec::new(), Vec::new(), None);
        let exit = loop {
            match sandbox.next().await {
                ScriptEvent::Output { stream, bytes, .. } => {
                    first.get_or_insert_with(|| begin.elapsed());
                    match stream {
                        OutputStream::Stdout => stdout.extend_from_slice(&bytes),
                        OutputStream::Stderr => stderr.extend_from_slice(&bytes),
                    }
                }
                ScriptEvent::Beat(_) => {}
                ScriptEvent::Exited(report) => break report.exit,
                ScriptEvent::Lost { reason, .. } => panic!("the sandbox was lost: {reason}"),
            }
        };
        let end = begin.elapsed();
        Box::new(sandbox).destroy().await.expect("it is destroyed");
        let text = |it: Vec<u8>| String::from_utf8(it).expect("it is text");
        let seen = Seen { stdout: text(stdout), stderr: text(stderr), exit };
        Outcome { seen, first: first.unwrap_or(end), end }
    }

    pub(crate) async fn finish(self) {
        self.manager.shutdown().await.expect("it shuts down");
        drop(self.manager);
        drop(std::fs::remove_dir_all(&self.state));
    }
}
