//! The agent's own life: the lease, the ends that it has, and what it makes of those who do not keep
//! to the protocol.

use std::fs;
use std::io::Write as _;
use std::net::Shutdown;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;
use script_engine_core::wire::{FromAgent, Header, Start, Stream, ToAgent};

use crate::driver::{Agent, binary, shell};

/// Starts a script that wants to stay, ends the agent somehow, and looks whether anything is left.
#[track_caller]
fn check(end: impl Fn(&mut Agent), code: i32) {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    for (name, mut agent) in Agent::all() {
        let mark = format!("STAYS={}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let mut start =
            shell("trap '' TERM HUP INT; (setsid sh -c 'while :; do sleep 1000; done' &) ; echo ready; sleep 1000");
        start.env.push(mark.as_bytes().to_vec());
        agent.send(1, &ToAgent::Start(Box::new(start)));
        agent.await_output(1, b"ready\n");
        assert!(!bearers(&mark).is_empty(), "{name}");
        end(&mut agent);
        assert_eq!(agent.wait(), code, "{name}");
        assert_eq!(bearers(&mark), Vec::<String>::new(), "{name}");
    }
}

/// The processes with this in their environment.
fn bearers(mark: &str) -> Vec<String> {
    let of = |entry: std::io::Result<fs::DirEntry>| {
        let path = entry.ok()?.path();
        let environment = fs::read(path.join("environ")).ok()?;
        environment.split(|it| *it == 0).any(|it| it == mark.as_bytes()).then(|| path.display().to_string())
    };
    fs::read_dir("/proc").unwrap().filter_map(of).collect()
}

#[test]
fn the_end_of_the_link_ends_everything() {
    check(|agent| agent.link.shutdown(Shutdown::Write).unwrap(), 0);
}

#[test]
fn shutdown_ends_everything() {
    check(|agent| agent.send(0, &ToAgent::Shutdown), 0);
}

#[test]
fn a_lease_that_is_not_renewed_ends_everything() {
    check(|agent| agent.send(0, &ToAgent::Hello { lease_ms: 50, beat_ms: 1000 }), 0);
}

#[test]
fn the_lease_holds_for_who_does_not_read() {
    let mut agent = Agent::child();
    agent.send(1, &ToAgent::Start(Box::new(Start { window: u32::MAX, ..shell("yes") })));
    agent.send(0, &ToAgent::Hello { lease_ms: 100, beat_ms: 1000 });
    // Not a byte is read before the agent has ended.
    assert_eq!(agent.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_root_with_nothing_in_it_is_enough() {
    let root = binary().with_file_name("scratch");
    fs::create_dir_all(&root).unwrap();
    let script = format!(
        "mount -t tmpfs tmpfs {root}; cd {root}; cp {agent} agent; exec chroot . /agent serve --script-uid 71:71 --private",
        root = root.display(),
        agent = binary().display()
    );
    let pid_one = ["--pid", "--mount", "--fork", "--kill-child"];
    for namespaces in [&pid_one[..], &["--mount"]] {
        let mut command = Command::new("unshare");
        command.args(namespaces).args(["sh", "-c", &script]);
        let mut agent = Agent::connect(&mut command, &[]);
        let start = Start { argv: vec![b"/agent".to_vec(), b"version".to_vec()], ..shell("") };
        let outcome = agent.run(start);
        if namespaces == pid_one {
            assert!(outcome.stdout().ends_with(&format!("{}\n", script_engine_agent::BUILD)), "{outcome:?}");
            assert_eq!(outcome.code(), 0);
        } else {
            // It could not find again what the script starts.
            let Some(FromAgent::Fault { message, .. }) = outcome.fault else { panic!("{outcome:?}") };
            assert!(message.starts_with("without /proc"), "{message}");
        }
    }
}

#[test]
fn what_cannot_be_served_is_said() {
    let check = |arguments: &[&str], needle: &str| {
        let output = Command::new(binary()).args(arguments).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(needle), "{said}");
    };
    check(&[], "usage: agent serve");
    check(&["other"], "usage: agent serve");
    check(&["serve", "--other", "x"], "unknown option --other");
    check(&["serve", "--script-uid"], "--script-uid needs a value");
    check(&["serve", "--script-uid", "5"], "`5` is not UID:GID");
    check(&["serve", "--script-uid", "5:x"], "`x` is not an id");
    check(&["serve", "--folder", "work"], "`work` is not absolute");
}

#[test]
fn pings_renew_the_lease() {
    let mut agent = Agent::child();
    agent.send(0, &ToAgent::Hello { lease_ms: 400, beat_ms: 50 });
    agent.send(1, &ToAgent::Start(Box::new(shell("sleep 1000"))));
    // Beats are the clock: twenty of them are more than two leases.
    let mut beats = 0;
    while beats < 20 {
        if let FromAgent::Beat { .. } = agent.receive().1 {
            beats += 1;
            agent.send(0, &ToAgent::Ping);
        }
    }
    agent.send(1, &ToAgent::Signal { signal: 15 });
    assert_eq!(agent.outcome(1, u32::MAX).signal(), 15);
}

#[test]
fn sigterm_ends_everything() {
    // The launcher passes nothing on; its agent's ends are the link and the lease.
    let mut agent = Agent::child();
    let mut start = shell("trap '' TERM; echo ready; sleep 1000");
    start.env.push(b"STAYS=sigterm".to_vec());
    agent.send(1, &ToAgent::Start(Box::new(start)));
    agent.await_output(1, b"ready\n");
    let pid = agent.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(agent.wait(), 0);
    assert_eq!(bearers("STAYS=sigterm"), Vec::<String>::new());
}

/// Sends what no engine would, and expects a last fault.
#[track_caller]
fn check_refused(bytes: &[u8], needle: &str) {
    for (name, mut agent) in [("child", Agent::child()), ("nested", Agent::nested(true))] {
        agent.link.write_all(bytes).unwrap();
        loop {
            match agent.try_receive() {
                Some((_, FromAgent::Fault { message, fatal: true, .. })) => {
                    assert!(message.contains(needle), "{name}: {message}");
                    break;
                }
                Some(_) => {}
                None => panic!("{name}: no fault"),
            }
        }
        assert_eq!(agent.wait(), 1, "{name}");
    }
}

#[test]
fn what_is_not_the_protocol_is_refused() {
    let header = |kind, length| Header { length, kind, stream: Stream::Control, execution: 0 }.encode();
    let frame = |message: ToAgent| message.encode(1).unwrap();
    check_refused(&[0xff; 64], "protocol version 65535");
    check_refused(&header(200, 0), "unknown message kind 200");
    check_refused(&header(64, 0), "unknown message kind 64");
    check_refused(&header(2, 65_525), "payload of 65525 bytes");
    check_refused(&[&header(2, 1)[..], &[0]].concat(), "bytes after the end");
    check_refused(&[&header(6, 4)[..], &[0xff; 4]].concat(), "ends inside");
    check_refused(&frame(ToAgent::Hello { lease_ms: 0, beat_ms: 1 }), "lease");
    check_refused(&frame(ToAgent::Signal { signal: 65 }), "not a signal");
    check_refused(&frame(ToAgent::Signal { signal: -1 }), "not a signal");
    check_refused(&frame(ToAgent::End { stream: Stream::Stdout }), "not standard input");
    let data = ToAgent::Data { stream: Stream::Stdin, time_us: 0, bytes: vec![0; 60_000] }.encode(1).unwrap();
    let start = frame(ToAgent::Start(Box::new(Start { stdin: true, ..shell("sleep 1000") })));
    // Six pieces are more than the pipe and the window together take.
    let more = [&start[..], &data, &data, &data, &data, &data, &data].concat();
    check_refused(&more, "more standard input than was granted");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_end_the_agent_and_nothing_else(bytes in prop::collection::vec(any::<u8>(), 1..300)) {
        let mut agent = Agent::child();
        agent.link.write_all(&bytes).unwrap();
        agent.link.shutdown(Shutdown::Write).unwrap();
        let code = agent.wait();
        prop_assert!(code == 0 || code == 1, "{}", code);
    }

    #[test]
    fn random_payloads_end_the_agent_and_nothing_else(
        kind in 1_u8..20,
        stream in 0_u8..5,
        payload in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let mut agent = Agent::child();
        let header = Header { length: payload.len(), kind, stream: Stream::Control, execution: 1 };
        let mut frame = header.encode().to_vec();
        frame[5] = stream;
        frame.extend(payload);
        agent.link.write_all(&frame).unwrap();
        agent.link.shutdown(Shutdown::Write).unwrap();
        let code = agent.wait();
        prop_assert!(code == 0 || code == 1, "{}", code);
    }
}
