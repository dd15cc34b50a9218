//! The session against an agent played by the test: every protocol breach is a lost sandbox, never a
//! panic, a hang or unbounded memory.

use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

mod connections;

use super::*;
use crate::contract::{Filter, OutputStream};
use crate::wire::{FromAgent, HEADER_LEN, Header, feature};
use crate::{EgressSettings, Exit, Limits, NetworkPolicy, RuntimeSpec, Usage};

#[derive(Debug, Default)]
struct FakeMachine {
    destroyed: AtomicUsize,
}

#[async_trait]
impl Machine for FakeMachine {
    async fn kill(&self) -> Result<()> {
        Ok(())
    }
    async fn usage(&self) -> Option<Usage> {
        None
    }
    async fn resize(&self, _limits: &Limits) -> Result<()> {
        Ok(())
    }
    async fn verdict(&self) -> Verdict {
        Verdict::Gone
    }
    async fn destroy(&self) -> Result<()> {
        self.destroyed.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

/// The agent's end of the link.
struct Agent(DuplexStream);

impl Agent {
    /// Says something; an engine that hung up already does not hear it.
    async fn say(&mut self, execution: u32, message: FromAgent) {
        let frame = message.encode(execution).unwrap();
        drop(self.0.write_all(&frame).await);
    }

    /// The next message but for pings.
    async fn hear(&mut self) -> ToAgent {
        loop {
            let mut head = [0; HEADER_LEN];
            self.0.read_exact(&mut head).await.unwrap();
            let header = Header::decode(&head).unwrap();
            let mut payload = vec![0; header.length];
            self.0.read_exact(&mut payload).await.unwrap();
            let message = ToAgent::decode(&header, &payload).unwrap();
            if message != ToAgent::Ping {
                return message;
            }
        }
    }

    async fn greet(&mut self) {
        self.greet_with(feature::LISTEN).await;
    }

    async fn greet_with(&mut self, features: u32) {
        self.say(0, FromAgent::Hello { build: "b".into(), arch: "a".into(), features, landlock_abi: 5 }).await;
        assert!(matches!(self.hear().await, ToAgent::Hello { .. }));
        assert!(matches!(self.hear().await, ToAgent::Filter { .. }));
    }

    async fn print(&mut self, stream: Stream, bytes: &[u8]) {
        self.say(1, FromAgent::Data { stream, time_us: 5, bytes: bytes.to_vec() }).await;
    }
}

fn booted(min_abi: u32) -> (Agent, Arc<FakeMachine>, Booted) {
    let (ours, theirs) = tokio::io::duplex(256 << 10);
    let machine = Arc::new(FakeMachine::default());
    let mut filter = Filter::default();
    filter.landlock.min_abi = min_abi;
    let booted = Booted {
        link: Box::new(ours),
        machine: Arc::clone(&machine) as Arc<dyn Machine>,
        enforcement: EnforcementReport::default(),
        filter: Arc::new(filter),
        supervise_memory: false,
        supervise_pids: false,
        paths: SandboxPaths::default(),
    };
    (Agent(theirs), machine, booted)
}

fn job() -> Job {
    Job {
        runtime: RuntimeSpec { language: "bash".into(), image: String::new(), layer: None },
        files: Vec::new(),
        argv: vec!["bash".into(), "/scripts/main.sh".into()],
        env: vec![("A".into(), b"b".to_vec())],
        stdin: true,
        limits: Limits::default(),
        network: NetworkPolicy::Off,
        target: None,
        tenant: None,
        given: Vec::new(),
        egress: EgressSettings::default(),
    }
}

/// A sandbox whose script was just started.
async fn started() -> (Agent, AgentSandbox, Arc<dyn ScriptControl>) {
    let (mut agent, _, booted) = booted(1);
    let (connected, ()) = tokio::join!(AgentSandbox::connect(booted, SessionSettings::default()), agent.greet());
    let mut sandbox = connected.unwrap();
    let job = job();
    let (control, ()) = tokio::join!(sandbox.start(&job), async {
        assert_eq!(agent.hear().await, ToAgent::Env { vars: vec![b"A=b".to_vec()] });
        assert!(matches!(agent.hear().await, ToAgent::Start(_)));
        agent.say(1, FromAgent::Started { time_us: 1 }).await;
    });
    (agent, sandbox, control.unwrap())
}

#[tokio::test]
async fn what_a_user_gives_names_the_places_that_he_means() {
    let (mut agent, _, mut booted) = booted(1);
    let below = |name: &str| format!("/elsewhere/{name}");
    booted.paths = SandboxPaths { scripts: below("scripts"), work: below("work"), tmp: below("tmp") };
    let (connected, ()) = tokio::join!(AgentSandbox::connect(booted, SessionSettings::default()), agent.greet());
    let mut sandbox = connected.unwrap();
    let env = [("HOME", "/work"), ("TMPDIR", "/tmp/x"), ("PARAM_AT", "/tmp/data"), ("OTHER", "/workshop")];
    let env = env.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())).to_vec();
    let job = Job { env, given: vec!["PARAM_AT".into()], ..job() };
    let (control, ()) = tokio::join!(sandbox.start(&job), async {
        let expected = ["HOME=/elsewhere/work", "TMPDIR=/elsewhere/tmp/x", "PARAM_AT=/tmp/data", "OTHER=/workshop"];
        let vars = expected.map(|it| it.as_bytes().to_vec()).to_vec();
        assert_eq!(agent.hear().await, ToAgent::Env { vars });
        let ToAgent::Start(start) = agent.hear().await else { panic!("it is not started") };
        assert_eq!(start.argv[1], b"/elsewhere/scripts/main.sh");
        agent.say(1, FromAgent::Started { time_us: 1 }).await;
    });
    control.unwrap();
}

fn exited(code: i32) -> FromAgent {
    FromAgent::Exited {
        code,
        signal: 0,
        user_us: 1,
        system_us: 2,
        peak_memory: 3,
        out_of_memory: false,
        too_many_processes: false,
        leaked: 0,
    }
}

#[track_caller]
fn assert_lost(event: &ScriptEvent, part: &str) {
    match event {
        ScriptEvent::Lost { reason, .. } => assert!(reason.contains(part), "{reason}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn output_is_joined_credited_and_followed_by_the_exit_as_often_as_asked() {
    let (mut agent, mut sandbox, _control) = started().await;
    agent.print(Stream::Stdout, b"one ").await;
    agent.print(Stream::Stdout, b"two").await;
    agent.print(Stream::Stderr, b"three").await;
    agent.say(1, exited(7)).await;
    let mut seen = Vec::new();
    let report = loop {
        match sandbox.next().await {
            ScriptEvent::Output { stream, bytes, .. } => seen.push((stream, bytes)),
            ScriptEvent::Exited(report) => break report,
            other => panic!("{other:?}"),
        }
    };
    let stdout: Vec<u8> = seen.iter().filter(|it| it.0 == OutputStream::Stdout).flat_map(|it| it.1.to_vec()).collect();
    assert_eq!(stdout, b"one two");
    assert_eq!(seen.last().unwrap().1, &b"three"[..]);
    assert_eq!(report.exit, Exit::Code(7));
    assert!(matches!(sandbox.next().await, ScriptEvent::Exited(again) if again == report));
    let mut credit = 0;
    for _ in 0..seen.len() {
        match agent.hear().await {
            ToAgent::Credit { bytes, .. } => credit += bytes,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(credit, 12);
}

#[tokio::test]
async fn an_agent_that_can_not_start_is_an_error_and_its_machine_is_destroyed() {
    let (mut agent, machine, booted) = booted(1);
    let fault = FromAgent::Fault { operation: "mount".into(), message: "/proc".into(), errno: 1, fatal: true };
    let (connected, ()) = tokio::join!(AgentSandbox::connect(booted, SessionSettings::default()), agent.say(0, fault));
    let error = connected.unwrap_err().to_string();
    assert!(error.contains("mount: /proc (Operation not permitted"), "{error}");
    assert_eq!(machine.destroyed.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_old_kernel_is_unsupported() {
    let (mut agent, machine, booted) = booted(6);
    let (connected, _) = tokio::join!(AgentSandbox::connect(booted, SessionSettings::default()), async {
        agent.say(0, FromAgent::Hello { build: "b".into(), arch: "a".into(), features: 0, landlock_abi: 5 }).await;
        agent.hear().await
    });
    assert_eq!(connected.unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(machine.destroyed.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_silent_agent_is_given_up() {
    let (_agent, machine, booted) = booted(1);
    let error = AgentSandbox::connect(booted, SessionSettings::default()).await.unwrap_err();
    assert!(error.to_string().contains("did not answer in time"), "{error}");
    assert_eq!(machine.destroyed.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn more_output_than_credit_is_a_breach() {
    let (mut agent, mut sandbox, _control) = started().await;
    let piece = vec![0; 60_000];
    let flood = async {
        for _ in 0..(3 * WINDOW as usize / piece.len()) {
            agent.print(Stream::Stdout, &piece).await;
        }
    };
    flood.await;
    // What came within the credit is still there.
    let last = loop {
        match sandbox.next().await {
            ScriptEvent::Output { .. } => {}
            other => break other,
        }
    };
    assert_lost(&last, "more output than it had credit for");
}

#[tokio::test]
async fn breaches_of_the_protocol_lose_the_sandbox() {
    let says: [(&str, FromAgent); 5] = [
        ("credit for a stream", FromAgent::Credit { stream: Stream::Stdout, bytes: 1 }),
        ("that has none", FromAgent::Data { stream: Stream::Stdin, time_us: 0, bytes: vec![1] }),
        ("not asked for", FromAgent::FileBegin { size: 1, note: String::new() }),
        ("not asked for", FromAgent::Data { stream: Stream::File, time_us: 0, bytes: vec![1] }),
        ("operation", FromAgent::Fault { operation: "x".into(), message: "operation".into(), errno: 0, fatal: true }),
    ];
    for (part, message) in says {
        let (mut agent, mut sandbox, _control) = started().await;
        agent.say(1, message).await;
        assert_lost(&sandbox.next().await, part);
    }
    let (mut agent, mut sandbox, _control) = started().await;
    agent.0.write_all(&[0xff; 64]).await.unwrap();
    assert_lost(&sandbox.next().await, "protocol version");
    let (agent, mut sandbox, control) = started().await;
    drop(agent);
    assert_lost(&sandbox.next().await, "closed the link");
    control.stop(Stop::Kill).await.unwrap();
    control.write_stdin(Bytes::from_static(b"x")).await.unwrap();
}

#[tokio::test]
async fn answers_that_nobody_asked_for_are_bounded() {
    let (mut agent, mut sandbox, _control) = started().await;
    for _ in 0..20 {
        agent.say(1, FromAgent::ResetDone { findings: Vec::new() }).await;
    }
    assert_lost(&sandbox.next().await, "nobody asked for");
}

#[tokio::test]
async fn stdin_waits_for_credit() {
    let (mut agent, _sandbox, control) = started().await;
    let write = control.write_stdin(Bytes::from_static(b"hello"));
    let (written, heard) = tokio::join!(write, async {
        agent.say(1, FromAgent::Credit { stream: Stream::Stdin, bytes: 2 }).await;
        let first = agent.hear().await;
        agent.say(1, FromAgent::Credit { stream: Stream::Stdin, bytes: 100 }).await;
        (first, agent.hear().await)
    });
    written.unwrap();
    let data = |bytes: &[u8]| ToAgent::Data { stream: Stream::Stdin, time_us: 0, bytes: bytes.to_vec() };
    assert_eq!(heard, (data(b"he"), data(b"llo")));
    control.close_stdin().await.unwrap();
    assert_eq!(agent.hear().await, ToAgent::End { stream: Stream::Stdin });
}

#[tokio::test]
async fn files_are_fetched_whole_or_not_at_all() {
    let (mut agent, mut sandbox, _control) = started().await;
    let file = |size: u64, pieces: &[&[u8]], total: u64| {
        let mut says = vec![FromAgent::FileBegin { size, note: String::new() }];
        says.extend(pieces.iter().map(|it| FromAgent::Data { stream: Stream::File, time_us: 0, bytes: it.to_vec() }));
        says.push(FromAgent::End { stream: Stream::File, total });
        says
    };
    let refused = vec![
        FromAgent::FileBegin { size: 0, note: "is a FIFO".into() },
        FromAgent::End { stream: Stream::File, total: 0 },
    ];
    type Expected = Result<Option<&'static [u8]>, &'static str>;
    let cases: Vec<(Vec<FromAgent>, Expected)> = vec![
        (file(5, &[b"he", b"llo"], 5), Ok(Some(b"hello"))),
        (file(0, &[], 0), Ok(Some(b""))),
        (vec![FromAgent::FileBegin { size: u64::MAX, note: String::new() }], Ok(None)),
        (refused, Err("is a FIFO")),
        (vec![FromAgent::FileBegin { size: 11, note: String::new() }], Err("longer than allowed")),
        (file(5, &[b"0123456789a"], 11), Err("lost")),
    ];
    for (says, expect) in cases {
        let (found, ()) = tokio::join!(sandbox.collect("/tmp/x", 10), async {
            assert!(matches!(agent.hear().await, ToAgent::Collect { .. }));
            for message in says {
                agent.say(1, message).await;
            }
        });
        match (found, expect) {
            (Ok(found), Ok(expect)) => assert_eq!(found.as_deref(), expect),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (found, expect) => panic!("{found:?}, expected {expect:?}"),
        }
    }
}

#[tokio::test]
async fn a_reset_that_finds_something_is_an_error() {
    let (mut agent, mut sandbox, _control) = started().await;
    let (reset, ()) = tokio::join!(sandbox.reset(), async {
        agent.hear().await;
        agent.say(0, FromAgent::ResetDone { findings: vec!["/tmp/x".into()] }).await;
    });
    assert!(reset.unwrap_err().to_string().contains("/tmp/x"));
}

proptest! {
    #[test]
    fn whatever_an_agent_says_is_sorted_or_refused(
        kind in 60u8..80, stream in 0u8..6, payload in proptest::collection::vec(any::<u8>(), 0..80),
    ) {
        let inbox = Inbox::new(u64::from(WINDOW));
        inbox.begin(1, None);
        let mut head = [0; HEADER_LEN];
        head[..4].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        (head[4], head[5], head[6], head[8]) = (kind, stream, 1, 1);
        if let Ok(header) = Header::decode(&head) {
            let _either = inbox.take(&header, payload.into(), &Semaphore::new(0));
        }
    }
}
