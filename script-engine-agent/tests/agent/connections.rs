//! Listening for a script's connections: credit in both directions, ends, and what breaks the protocol.

use std::io::Write as _;

use script_engine_core::wire::{FromAgent, Listen, Start, Stream, ToAgent, Traffic};

use crate::driver::{Agent, shell};

const PORT: u16 = 7000;

fn bash(script: &str) -> Start {
    Start { argv: vec![b"/bin/bash".to_vec(), b"-c".to_vec(), script.as_bytes().to_vec()], ..shell("") }
}

/// Listens at an address that is nobody's, and starts a script.
fn start(agent: &mut Agent, script: &str) {
    listen(agent);
    agent.send(1, &ToAgent::Start(Box::new(bash(script))));
    assert!(matches!(agent.receive(), (1, FromAgent::Started { .. })));
}

fn listen(agent: &mut Agent) {
    let listen = Listen { entries: vec![("10.1.2.3".into(), PORT)], ports: Vec::new() };
    agent.send(1, &ToAgent::Listen(listen));
    assert_eq!(agent.receive(), (1, FromAgent::Listening));
}

/// The first connection's id and the credit that came with it.
fn accepted(agent: &mut Agent) -> (u32, u32) {
    match agent.receive() {
        (1, FromAgent::Accepted { id, host, port, credit }) => {
            assert_eq!((host.as_str(), port), ("10.1.2.3", PORT));
            (id, credit)
        }
        other => panic!("no connection: {other:?}"),
    }
}

fn say(agent: &mut Agent, id: u32, traffic: Traffic) {
    agent.send(1, &ToAgent::Traffic { id, traffic });
}

fn bytes(text: &[u8]) -> Traffic {
    Traffic::Bytes(text.to_vec())
}

#[test]
fn bytes_go_both_ways_within_their_credit() {
    for (name, mut agent) in Agent::private() {
        start(&mut agent, "exec 3<>/dev/tcp/10.1.2.3/7000; printf hello >&3; cat <&3");
        let (id, credit) = accepted(&mut agent);
        assert!(credit >= 1024, "{name}");
        let traffic = |traffic| (1, FromAgent::Traffic { id, traffic });
        say(&mut agent, id, Traffic::Credit(3));
        assert_eq!(agent.receive(), traffic(bytes(b"hel")), "{name}");
        say(&mut agent, id, Traffic::Credit(100));
        assert_eq!(agent.receive(), traffic(bytes(b"lo")), "{name}");
        say(&mut agent, id, bytes(b"answer"));
        assert_eq!(agent.receive(), traffic(Traffic::Credit(6)), "{name}");
        agent.await_output(1, b"answer");
        say(&mut agent, id, Traffic::End);
        // The script hears of the end, and so ends itself.
        assert_eq!(agent.receive(), traffic(Traffic::End), "{name}");
        assert_eq!(agent.outcome(1, u32::MAX).code(), 0, "{name}");
    }
}

#[test]
fn a_connection_that_is_reset_is_over_for_the_script() {
    for (name, mut agent) in Agent::private() {
        start(&mut agent, "exec 3<>/dev/tcp/10.1.2.3/7000; cat <&3 2>&1 | grep -o 'reset by peer'; exit 5");
        let (id, _) = accepted(&mut agent);
        say(&mut agent, id, Traffic::Reset);
        let outcome = agent.outcome(1, u32::MAX);
        assert_eq!((outcome.code(), outcome.stdout().as_str()), (5, "reset by peer\n"), "{name}");
    }
}

#[test]
fn what_the_script_sent_is_passed_on_before_its_end_is_told() {
    for (name, mut agent) in Agent::private() {
        start(&mut agent, "exec 3<>/dev/tcp/10.1.2.3/7000; printf last >&3; exit 0");
        let (id, _) = accepted(&mut agent);
        say(&mut agent, id, Traffic::Credit(100));
        let traffic = |traffic| (1, FromAgent::Traffic { id, traffic });
        assert_eq!(agent.receive(), traffic(bytes(b"last")), "{name}");
        assert_eq!(agent.receive(), traffic(Traffic::End), "{name}");
        assert_eq!(agent.outcome(1, u32::MAX).code(), 0, "{name}");
    }
}

#[test]
fn what_nobody_takes_is_given_up_at_the_end() {
    for (name, mut agent) in Agent::private() {
        start(&mut agent, "exec 3<>/dev/tcp/10.1.2.3/7000; printf last >&3; exit 0");
        accepted(&mut agent);
        assert_eq!(agent.outcome(1, u32::MAX).code(), 0, "{name}");
    }
}

#[test]
fn the_next_job_finds_neither_listener_nor_address() {
    for (name, mut agent) in Agent::private() {
        let tries = "exec 3<>/dev/tcp/10.1.2.3/7000";
        start(&mut agent, tries);
        accepted(&mut agent);
        assert_eq!(agent.outcome(1, u32::MAX).code(), 0, "{name}");
        assert_ne!(agent.run(bash(tries)).code(), 0, "{name}");
        // Nor does one after a start that failed, or after a reset.
        listen(&mut agent);
        assert!(agent.run(Start { argv: vec![b"/nowhere".to_vec()], ..shell("") }).fault.is_some(), "{name}");
        assert_ne!(agent.run(bash(tries)).code(), 0, "{name}");
        listen(&mut agent);
        agent.send(0, &ToAgent::Reset);
        assert!(matches!(agent.receive(), (0, FromAgent::ResetDone { .. })), "{name}");
        assert_ne!(agent.run(bash(tries)).code(), 0, "{name}");
    }
}

#[test]
fn nothing_is_listened_for_while_a_script_is_under_way() {
    for (name, mut agent) in Agent::private() {
        agent.send(1, &ToAgent::Start(Box::new(Start { stdin: true, ..bash("read line") })));
        assert!(matches!(agent.receive(), (1, FromAgent::Started { .. })), "{name}");
        agent.send(1, &ToAgent::Listen(Listen { entries: vec![("localhost".into(), PORT)], ports: Vec::new() }));
        loop {
            match agent.receive() {
                (1, FromAgent::Credit { .. }) => {}
                (1, FromAgent::Fault { operation, fatal: false, .. }) => {
                    break assert_eq!(operation, "listen", "{name}");
                }
                other => panic!("{name}: {other:?}"),
            }
        }
        agent.send(1, &ToAgent::End { stream: Stream::Stdin });
        agent.outcome(1, u32::MAX);
    }
}

#[test]
fn who_breaks_the_protocol_of_connections_is_left() {
    for (what, messages) in [
        ("a connection that is none", vec![(7, Traffic::End)]),
        // The kernel takes some of them for the script, which are granted again.
        ("more bytes than were granted", vec![(1, bytes(&[0; 50_000])); 1000]),
        ("bytes after the end", vec![(1, Traffic::End), (1, bytes(b"x"))]),
    ] {
        for (name, mut agent) in Agent::private() {
            start(&mut agent, "exec 3<>/dev/tcp/10.1.2.3/7000; sleep 1000");
            accepted(&mut agent);
            for (id, traffic) in messages.clone() {
                let message = ToAgent::Traffic { id, traffic };
                // It may be gone before the last one.
                if agent.link.write_all(&message.encode(1).unwrap()).is_err() {
                    break;
                }
            }
            assert_eq!(agent.wait(), 1, "{what}, {name}");
        }
    }
}
