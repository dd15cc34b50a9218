//! Connections of a script, against an agent and hosts played by the test.

use std::net::IpAddr;

use tokio::net::TcpListener;

use super::super::switchboard::Switchboard;
use super::*;
use crate::gateway::Resolver;
use crate::memory::SystemClock;
use crate::wire::{CONNECTION_WINDOW, Listen, MAX_CONNECTIONS, Traffic};
use crate::{Connection, ConnectionEnd, Open};

/// Gives each name the loopback address.
#[derive(Debug)]
struct Here;

#[async_trait]
impl Resolver for Here {
    async fn resolve(&self, _name: &str) -> std::io::Result<Vec<IpAddr>> {
        Ok(vec![[127, 0, 0, 1].into()])
    }
}

/// Never answers.
#[derive(Debug)]
struct Silent;

#[async_trait]
impl Resolver for Silent {
    async fn resolve(&self, _name: &str) -> std::io::Result<Vec<IpAddr>> {
        std::future::pending().await
    }
}

fn gateway() -> Gateway {
    Gateway::new(Arc::new(Here), Arc::new(SystemClock))
}

fn settings() -> EgressSettings {
    EgressSettings { loopback: Open::Resolved, ..EgressSettings::default() }
}

/// A sandbox whose script was just started with this policy.
async fn started_with(policy: &NetworkPolicy) -> (Agent, AgentSandbox, ConnectionLog) {
    started_through(policy, &gateway()).await
}

async fn started_through(policy: &NetworkPolicy, gateway: &Gateway) -> (Agent, AgentSandbox, ConnectionLog) {
    let (mut agent, _, booted) = booted(1);
    let (connected, ()) = tokio::join!(AgentSandbox::connect(booted, SessionSettings::default()), agent.greet());
    let mut sandbox = connected.unwrap();
    let settings = settings();
    let (log, ()) = tokio::join!(sandbox.listen(policy, &settings, gateway), async {
        assert!(matches!(agent.hear().await, ToAgent::Listen(_)));
        agent.say(1, FromAgent::Listening).await;
    });
    let job = job();
    let (control, ()) = tokio::join!(sandbox.start(&job), async {
        assert!(matches!(agent.hear().await, ToAgent::Env { .. }));
        assert!(matches!(agent.hear().await, ToAgent::Start(_)));
        agent.say(1, FromAgent::Started { time_us: 1 }).await;
    });
    control.unwrap();
    (agent, sandbox, log.unwrap())
}

async fn host() -> (TcpListener, NetworkPolicy, u16) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, NetworkPolicy::allow([format!("a.example:{port}")]).unwrap(), port)
}

fn accepted(id: u32, host: &str, port: u16, credit: u32) -> FromAgent {
    FromAgent::Accepted { id, host: host.into(), port, credit }
}

fn says(id: u32, traffic: Traffic) -> FromAgent {
    FromAgent::Traffic { id, traffic }
}

fn bytes(text: &[u8]) -> Traffic {
    Traffic::Bytes(text.to_vec())
}

/// The one connection of a sandbox that is over.
async fn only(sandbox: AgentSandbox, log: &ConnectionLog) -> Connection {
    Box::new(sandbox).destroy().await.unwrap();
    let found = log.snapshot();
    assert_eq!((found.list.len(), found.left_out), (1, 0), "{found:?}");
    found.list[0].clone()
}

#[tokio::test]
async fn both_directions_are_carried_within_their_credit() {
    let (listener, policy, port) = host().await;
    let (mut agent, sandbox, log) = started_with(&policy).await;
    agent.say(1, accepted(1, "a.example", port, 3)).await;
    assert_eq!(agent.hear().await, ToAgent::Traffic { id: 1, traffic: Traffic::Credit(CONNECTION_WINDOW) });
    let (mut stream, _) = listener.accept().await.unwrap();
    agent.say(1, says(1, bytes(b"hello"))).await;
    let mut got = [0; 5];
    stream.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"hello");
    assert_eq!(agent.hear().await, ToAgent::Traffic { id: 1, traffic: Traffic::Credit(5) });
    stream.write_all(b"answer").await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(agent.hear().await, ToAgent::Traffic { id: 1, traffic: bytes(b"ans") });
    agent.say(1, says(1, Traffic::Credit(2))).await;
    assert_eq!(agent.hear().await, ToAgent::Traffic { id: 1, traffic: bytes(b"we") });
    agent.say(1, says(1, Traffic::Credit(2))).await;
    assert_eq!(agent.hear().await, ToAgent::Traffic { id: 1, traffic: bytes(b"r") });
    assert_eq!(agent.hear().await, ToAgent::Traffic { id: 1, traffic: Traffic::End });
    agent.say(1, says(1, Traffic::End)).await;
    assert_eq!(stream.read(&mut got).await.unwrap(), 0);
    let it = only(sandbox, &log).await;
    assert_eq!((it.sent, it.received, it.end), (5, 6, ConnectionEnd::Closed));
}

#[tokio::test]
async fn what_can_t_be_had_is_reset_and_on_record() {
    let (listener, policy, port) = host().await;
    drop(listener);
    for (host, at, end) in [
        ("a.example", port, "failed"),
        ("b.example", port, "refused"),
        ("a.example", port + 1, "refused"),
        ("127.0.0.1", port, "refused"),
        ("not a host", port, "refused"),
    ] {
        let (mut agent, sandbox, log) = started_with(&policy).await;
        agent.say(1, accepted(1, host, at, 3)).await;
        assert_eq!(agent.hear().await, ToAgent::Traffic { id: 1, traffic: Traffic::Reset }, "{host}");
        let it = only(sandbox, &log).await;
        assert_eq!((it.host.as_str(), it.port, it.end.as_str()), (host, at, end));
    }
}

#[tokio::test]
async fn what_is_open_at_the_end_is_cut_and_what_waits_is_sent() {
    let (listener, policy, port) = host().await;
    let (mut agent, sandbox, log) = started_with(&policy).await;
    agent.say(1, accepted(1, "a.example", port, 3)).await;
    agent.hear().await;
    let (mut stream, _) = listener.accept().await.unwrap();
    agent.say(1, says(1, bytes(b"last words"))).await;
    assert_eq!(agent.hear().await, ToAgent::Traffic { id: 1, traffic: Traffic::Credit(10) });
    let it = only(sandbox, &log).await;
    assert_eq!((it.sent, it.end), (10, ConnectionEnd::Cut));
    let mut got = String::new();
    stream.read_to_string(&mut got).await.unwrap();
    assert_eq!(got, "last words");
}

#[tokio::test]
async fn a_sandbox_that_is_dropped_breaks_its_connections_off() {
    let (listener, policy, port) = host().await;
    let (mut agent, sandbox, _log) = started_with(&policy).await;
    agent.say(1, accepted(1, "a.example", port, 3)).await;
    agent.hear().await;
    let (mut stream, _) = listener.accept().await.unwrap();
    drop(sandbox);
    assert!(matches!(stream.read(&mut [0; 1]).await, Ok(0) | Err(_)));
}

#[tokio::test]
async fn an_agent_that_can_t_listen_is_not_asked_to() {
    let (_listener, policy, _) = host().await;
    let (mut agent, _, booted) = booted(1);
    let (connected, ()) = tokio::join!(AgentSandbox::connect(booted, SessionSettings::default()), agent.greet_with(0));
    let refused = connected.unwrap().listen(&policy, &settings(), &gateway()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn what_can_t_be_listened_for_is_unsupported() {
    let (_listener, policy, _) = host().await;
    let (mut agent, _, booted) = booted(1);
    let (connected, ()) = tokio::join!(AgentSandbox::connect(booted, SessionSettings::default()), agent.greet());
    let mut sandbox = connected.unwrap();
    let (settings, gateway) = (settings(), gateway());
    let (found, ()) = tokio::join!(sandbox.listen(&policy, &settings, &gateway), async {
        agent.hear().await;
        let (operation, message) = ("listen".into(), "cannot take the address".into());
        agent.say(1, FromAgent::Fault { operation, message, errno: 1, fatal: false }).await;
    });
    assert_eq!(found.unwrap_err().kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn an_agent_that_breaks_the_protocol_of_connections_is_lost() {
    let (_listener, policy, port) = host().await;
    let first = || accepted(1, "a.example", port, 3);
    let many: Vec<FromAgent> =
        (1..=2 * MAX_CONNECTIONS as u32 + 1).map(|id| accepted(id, "a.example", port, 3)).collect();
    for (what, messages) in [
        ("an id twice", vec![first(), first()]),
        ("an id that goes back", vec![accepted(2, "a.example", port, 3), first()]),
        ("more first credit than a window", vec![accepted(1, "a.example", port, CONNECTION_WINDOW + 1)]),
        ("bytes without credit", vec![first(), says(1, bytes(b"x"))]),
        ("more credit than a window", vec![first(), says(1, Traffic::Credit(CONNECTION_WINDOW))]),
        ("more connections than there may be", many),
    ] {
        // Nothing is over before the next message comes.
        let gateway = Gateway::new(Arc::new(Silent), Arc::new(SystemClock));
        let (mut agent, mut sandbox, _log) = started_through(&policy, &gateway).await;
        for message in messages {
            agent.say(1, message).await;
        }
        match sandbox.next().await {
            ScriptEvent::Lost { reason, .. } => assert!(reason.contains("broke the protocol"), "{what}: {reason}"),
            other => panic!("{what}: {other:?}"),
        }
    }
    // Nothing was listened for.
    for message in [first(), says(1, Traffic::End)] {
        let (mut agent, mut sandbox, _control) = started().await;
        agent.say(1, message).await;
        assert!(matches!(sandbox.next().await, ScriptEvent::Lost { .. }));
    }
}

#[tokio::test]
async fn the_agent_hears_what_the_policy_says() {
    let (mut agent, _, booted) = booted(1);
    let (connected, ()) = tokio::join!(AgentSandbox::connect(booted, SessionSettings::default()), agent.greet());
    let mut sandbox = connected.unwrap();
    let (settings, gateway) = (settings(), gateway());
    let allow = NetworkPolicy::allow(["B.example.:80", "[2001:db8::1]:443"]).unwrap();
    let entries = vec![("b.example".to_owned(), 80), ("2001:db8::1".to_owned(), 443)];
    for (policy, expected) in [
        (allow, Listen { entries, ports: Vec::new() }),
        (
            NetworkPolicy::Public { ports: vec![443, 80, 443], entries: Vec::new() },
            Listen { entries: Vec::new(), ports: vec![80, 443] },
        ),
    ] {
        let (log, ()) = tokio::join!(sandbox.listen(&policy, &settings, &gateway), async {
            assert_eq!(agent.hear().await, ToAgent::Listen(expected));
            agent.say(1, FromAgent::Listening).await;
        });
        assert_eq!(log.unwrap().snapshot(), crate::Connections::default());
    }
    // Without a policy nothing is asked for.
    sandbox.listen(&NetworkPolicy::Off, &settings, &gateway).await.unwrap();
    let (_either, heard) = tokio::join!(sandbox.reset(), async {
        let heard = agent.hear().await;
        agent.say(0, FromAgent::ResetDone { findings: Vec::new() }).await;
        heard
    });
    assert_eq!(heard, ToAgent::Reset);
}

proptest! {
    #[test]
    fn whatever_an_agent_says_of_connections_is_sorted_or_refused(
        frames in proptest::collection::vec((72u8..79, 0u32..4, 0u8..5, proptest::collection::vec(any::<u8>(), 0..40)), 1..20),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (outbox, _kept) = pump::Outbox::kept();
            let policy = NetworkPolicy::Public { ports: vec![1], entries: Vec::new() };
            let board = Arc::new(Switchboard::new(1, policy, settings(), gateway(), outbox));
            let inbox = Inbox::new(u64::from(WINDOW));
            inbox.begin(1, Some(Arc::clone(&board)));
            for (kind, id, tag, payload) in frames {
                let payload = [&id.to_le_bytes()[..], &[tag], &payload].concat();
                let header = Header { length: payload.len(), kind, stream: Stream::Control, execution: 1 };
                let _either = inbox.take(&header, payload.into(), &Semaphore::new(0));
            }
            board.cut();
        });
    }
}
