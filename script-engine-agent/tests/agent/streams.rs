//! Standard streams: whole, in order, apart, within what was granted.

use std::fs;

use script_engine_core::wire::{FromAgent, Start, Stream, ToAgent, feature};

use crate::driver::{Agent, shell};

const GIGABYTE: u64 = 1_000_000_000;

#[test]
fn output_arrives_apart_and_counted() {
    for (name, mut agent) in Agent::all() {
        let outcome = agent.run(shell("echo out; echo err >&2"));
        assert_eq!((outcome.stdout(), outcome.stderr()), ("out\n".to_owned(), "err\n".to_owned()), "{name}");
        assert_eq!((outcome.ends[&Stream::Stdout], outcome.ends[&Stream::Stderr]), (4, 4), "{name}");
    }
}

#[test]
fn bytes_pass_unchanged() {
    // NUL, invalid UTF-8, an escape sequence, and a frame of the agent's own.
    let mut bytes = b"\0\xff\xfe\x1b[31m".to_vec();
    bytes.extend(
        FromAgent::Exited {
            code: 0,
            signal: 0,
            user_us: 0,
            system_us: 0,
            peak_memory: 0,
            out_of_memory: false,
            too_many_processes: false,
            leaked: 0,
        }
        .encode(1)
        .unwrap(),
    );
    let octal: String = bytes.iter().map(|it| format!("\\{it:03o}")).collect();
    for (name, mut agent) in Agent::all() {
        let outcome = agent.run(shell(&format!("printf '{octal}'; printf '{octal}' >&2; exit 9")));
        assert_eq!((&outcome.stdout, &outcome.stderr, outcome.code()), (&bytes, &bytes, 9), "{name}");
    }
}

#[test]
fn the_streams_can_be_opened_by_their_names() {
    for (name, mut agent) in Agent::all() {
        let script = "echo a >/dev/stdout; echo b >/dev/stderr; echo c >/proc/self/fd/1; cat /dev/stdin";
        let outcome = agent.run(shell(script));
        assert_eq!(
            (outcome.stdout().as_str(), outcome.stderr().as_str(), outcome.code()),
            ("a\nc\n", "b\n", 0),
            "{name}"
        );
    }
}

#[test]
fn nothing_else_is_open() {
    for (name, mut agent) in Agent::all() {
        let outcome = agent
            .run(shell("for it in 0 1 2 3 4 5 6 7 8 9 10 20 30 33 40; do test -e /proc/self/fd/$it && echo $it; done"));
        // `test` is built in: the shell looks at its own descriptors.
        assert_eq!(outcome.stdout(), "0\n1\n2\n", "{name}");
    }
}

#[test]
fn input_is_fed_within_what_was_granted() {
    for (name, mut agent) in Agent::all() {
        agent.send(1, &ToAgent::Start(Box::new(Start { stdin: true, ..shell("cat") })));
        let input: Vec<u8> = (0..3_000_000_u32).map(|it| (it / 7) as u8).collect();
        let (mut sent, mut granted, mut output) = (0, 0, Vec::new());
        loop {
            let count = (input.len() - sent).min(granted).min(50_000);
            if count > 0 {
                let bytes = input[sent..sent + count].to_vec();
                agent.send(1, &ToAgent::Data { stream: Stream::Stdin, time_us: 0, bytes });
                sent += count;
                granted -= count;
                if sent == input.len() {
                    agent.send(1, &ToAgent::End { stream: Stream::Stdin });
                }
            } else {
                match agent.receive().1 {
                    FromAgent::Credit { stream: Stream::Stdin, bytes } => granted += bytes as usize,
                    FromAgent::Data { stream: Stream::Stdout, bytes, .. } => {
                        agent.send(1, &ToAgent::Credit { stream: Stream::Stdout, bytes: bytes.len() as u32 });
                        output.extend(bytes);
                    }
                    FromAgent::Exited { code: 0, .. } => break,
                    _ => {}
                }
            }
        }
        assert!(output == input, "{name}: {} of {}", output.len(), input.len());
    }
}

#[test]
fn a_script_that_does_not_read_its_input_holds_nobody_up() {
    for (name, mut agent) in Agent::all() {
        agent.send(1, &ToAgent::Start(Box::new(Start { stdin: true, ..shell("exec <&-; echo ready; sleep 1000") })));
        agent.await_output(1, b"ready\n");
        let mut granted = 256 * 1024;
        for _ in 0..40 {
            while granted < 50_000 {
                if let FromAgent::Credit { bytes, .. } = agent.receive().1 {
                    granted += bytes;
                }
            }
            agent.send(1, &ToAgent::Data { stream: Stream::Stdin, time_us: 0, bytes: vec![0; 50_000] });
            granted -= 50_000;
        }
        agent.send(1, &ToAgent::Signal { signal: 9 });
        assert_eq!(agent.outcome(1, u32::MAX).signal(), 9, "{name}");
    }
}

#[test]
fn without_input_there_is_its_end() {
    for (name, mut agent) in Agent::all() {
        assert_eq!(agent.run(shell("cat; exit 2")).code(), 2, "{name}");
    }
}

#[test]
fn no_more_comes_than_was_granted_and_the_agent_does_not_swell() {
    for (name, mut agent) in Agent::all() {
        agent.send(0, &ToAgent::Hello { lease_ms: 60_000, beat_ms: 20 });
        let start = Start { window: 100_000, ..shell(&format!("head -c {GIGABYTE} /dev/zero; echo end >&2")) };
        agent.send(1, &ToAgent::Start(Box::new(start)));
        let (mut got, mut beats, mut granted) = (0_u64, 0, 100_000_u64);
        // Some beats without a grant; the rest of it then in large grants.
        while beats < 10 {
            match agent.receive().1 {
                FromAgent::Data { bytes, .. } => got += bytes.len() as u64,
                FromAgent::Beat { .. } => beats += 1,
                _ => {}
            }
            assert!(got <= granted, "{name}");
        }
        assert_eq!(got, 100_000, "{name}");
        let before = memory(&agent);
        let mut outcome = None;
        while outcome.is_none() {
            if granted - got < 1 << 20 {
                agent.send(1, &ToAgent::Credit { stream: Stream::Stdout, bytes: 4 << 20 });
                granted += 4 << 20;
            }
            match agent.receive().1 {
                FromAgent::Data { stream: Stream::Stdout, bytes, .. } => got += bytes.len() as u64,
                FromAgent::End { stream: Stream::Stdout, total } => assert_eq!((total, got), (GIGABYTE, GIGABYTE)),
                FromAgent::Exited { code, .. } => outcome = Some(code),
                _ => {}
            }
        }
        assert_eq!(outcome, Some(0), "{name}");
        let after = memory(&agent);
        assert!(after < before + (4 << 20), "{name}: {before} {after}");
    }
}

#[test]
fn who_does_not_read_does_not_make_the_agent_swell() {
    let mut agent = Agent::child();
    agent.send(1, &ToAgent::Start(Box::new(Start { window: u32::MAX, ..shell("yes & yes >&2") })));
    // The agent answers on the link's other direction only when it reads it: a signal that it acts on
    // shows that it still does.
    let before = memory(&agent);
    for _ in 0..1000 {
        agent.send(0, &ToAgent::Ping);
    }
    agent.send(1, &ToAgent::Signal { signal: 9 });
    let outcome = agent.outcome(1, u32::MAX);
    assert_eq!(outcome.signal(), 9);
    assert!(memory(&agent) < before + (4 << 20));
}

#[test]
fn many_short_lines_arrive_in_order() {
    let mut agent = Agent::child();
    let outcome = agent.run(Start { window: 1 << 20, ..shell("seq 1000000") });
    let mut expected = 1..;
    assert!(outcome.stdout().lines().all(|it| it.parse() == Ok(expected.next().unwrap())));
    assert_eq!(expected.next(), Some(1_000_001));
}

/// Resident bytes of the agent: the child, or what the child has started.
fn memory(agent: &Agent) -> u64 {
    let child = agent.child.id();
    let children = fs::read_to_string(format!("/proc/{child}/task/{child}/children")).unwrap();
    let own = agent.features & (feature::INIT | feature::NESTED) == 0;
    let pid = if own { child.to_string() } else { children.trim().to_owned() };
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find(|it| it.starts_with("VmRSS:")).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}
