//! How scripts end, and what is told of it.

use script_engine_core::wire::{FromAgent, Start, Stream, ToAgent};

use crate::driver::{Agent, shell};

#[track_caller]
fn check(script: &str, code: i32, signal: i32) {
    for (name, mut agent) in Agent::all() {
        let outcome = agent.run(shell(script));
        let found = match outcome.signal() {
            0 => (outcome.code(), 0),
            signal => (0, signal),
        };
        assert_eq!(found, (code, signal), "{name}");
    }
}

#[test]
fn exit_codes_and_signals() {
    check("exit 0", 0, 0);
    check("exit 3", 3, 0);
    check("exit 255", 255, 0);
    check("kill -TERM $$", 0, 15);
    check("kill -KILL $$", 0, 9);
    check("kill -SEGV $$", 0, 11);
}

#[test]
fn what_survives_the_script_is_killed_and_counted() {
    for (name, mut agent) in Agent::all() {
        // Two processes in sessions of their own, orphaned, that hold nothing of the script's.
        let outcome = agent.run(shell(
            "for it in 1 2; do (setsid sh -c 'exec sleep 1000' >/dev/null 2>&1 </dev/null &); done; exit 4",
        ));
        assert_eq!((outcome.code(), outcome.leaked()), (4, 2), "{name}");
        let outcome = agent.run(shell("exit 0"));
        assert_eq!((outcome.code(), outcome.leaked()), (0, 0), "{name}");
    }
}

#[test]
fn who_holds_the_output_is_waited_for_and_then_killed() {
    for (name, mut agent) in Agent::all() {
        // Gets its word in before the time is over.
        let script = "exec 3<&0; (read line <&3; echo late) & echo early";
        agent.send(1, &ToAgent::Start(Box::new(Start { stdin: true, leak_ms: 20_000, ..shell(script) })));
        agent.await_output(1, b"early\n");
        agent.send(1, &ToAgent::Data { stream: Stream::Stdin, time_us: 0, bytes: b"\n".to_vec() });
        let outcome = agent.outcome(1, u32::MAX);
        assert_eq!((outcome.stdout().as_str(), outcome.leaked()), ("late\n", 0), "{name}");
        // Does not.
        let outcome = agent.run(Start { leak_ms: 50, ..shell("sleep 1000 & echo early") });
        assert_eq!((outcome.stdout().as_str(), outcome.leaked()), ("early\n", 1), "{name}");
    }
}

#[test]
fn a_signal_reaches_every_process() {
    for (name, mut agent) in Agent::all() {
        let script = "trap 'echo one; exit 1' TERM; setsid sh -c 'trap \"echo two; exit\" TERM; echo ready; \
                      while :; do sleep 0.01; done' & while :; do sleep 0.01; done";
        agent.send(1, &ToAgent::Start(Box::new(shell(script))));
        agent.await_output(1, b"ready\n");
        agent.send(1, &ToAgent::Signal { signal: 15 });
        let outcome = agent.outcome(1, u32::MAX);
        let mut lines: Vec<&str> = std::str::from_utf8(&outcome.stdout).unwrap().lines().collect();
        lines.sort_unstable();
        assert_eq!((lines, outcome.code()), (vec!["one", "two"], 1), "{name}");
    }
}

#[test]
fn killing_ends_what_ignores_and_what_is_stopped() {
    for (name, mut agent) in Agent::all() {
        let script = "trap '' TERM; (trap '' TERM; kill -STOP $(exec sh -c 'echo $PPID')) & \
                      setsid sh -c 'trap \"\" TERM; sleep 1000' & echo ready; kill -STOP $$";
        agent.send(1, &ToAgent::Start(Box::new(shell(script))));
        agent.await_output(1, b"ready\n");
        agent.send(1, &ToAgent::Signal { signal: 9 });
        let outcome = agent.outcome(1, u32::MAX);
        assert_eq!((outcome.signal(), outcome.leaked()), (9, 0), "{name}");
        // The sandbox is as usable as before.
        assert_eq!(agent.run(shell("exit 5")).code(), 5, "{name}");
    }
}

#[test]
fn a_stopped_script_wakes_to_be_told() {
    for (name, mut agent) in Agent::all() {
        let script = "trap 'echo told; exit 6' TERM; echo ready; kill -STOP $$; sleep 1000";
        agent.send(1, &ToAgent::Start(Box::new(shell(script))));
        agent.await_output(1, b"ready\n");
        agent.send(1, &ToAgent::Signal { signal: 15 });
        let outcome = agent.outcome(1, u32::MAX);
        assert_eq!((outcome.stdout().as_str(), outcome.code()), ("told\n", 6), "{name}");
    }
}

#[test]
fn a_fork_bomb_stays_within_its_limit_and_leaves_nothing() {
    for (name, mut agent) in Agent::all() {
        // Under the test's own real user no limit of this kind is enforced.
        if name == "child" {
            continue;
        }
        let script = "bomb() { bomb & bomb & sleep 1000; }; bomb; sleep 1000";
        agent.send(1, &ToAgent::Start(Box::new(Start { processes: 40, ..shell(script) })));
        agent.await_errors(1, b"fork");
        agent.send(1, &ToAgent::Signal { signal: 9 });
        // Its own first shell may have given up before.
        agent.outcome(1, u32::MAX).signal();
        let outcome = agent.run(shell("set -- /proc/[0-9]*; echo $#"));
        // Process 1, where it is another than the script, and the script.
        assert!(outcome.stdout().trim().parse::<u32>().unwrap() <= 2, "{name}: {}", outcome.stdout());
    }
}

#[test]
fn a_supervised_script_is_ended_at_its_limits() {
    for (name, mut agent) in Agent::all() {
        let hog = "/usr/bin/python3 -c 'import time; x = bytearray(b\"x\") * 40000000; time.sleep(1000)'";
        let outcome = agent.run(Start { supervised_memory: 20 << 20, ..shell(hog) });
        let Some(FromAgent::Exited { out_of_memory, too_many_processes, peak_memory, .. }) = outcome.exited else {
            panic!("{name}: {outcome:?}");
        };
        assert!(out_of_memory && !too_many_processes && peak_memory > 20 << 20, "{name}: {peak_memory}");
        let many = "for it in 1 2 3 4 5 6 7 8 9; do sleep 1000 & done; sleep 1000";
        let outcome = agent.run(Start { supervised_processes: 5, ..shell(many) });
        let Some(FromAgent::Exited { out_of_memory, too_many_processes, .. }) = outcome.exited else {
            panic!("{name}: {outcome:?}");
        };
        assert!(!out_of_memory && too_many_processes, "{name}");
    }
}

#[test]
fn scratch_space_counts_as_memory() {
    for (name, mut agent) in Agent::private() {
        let outcome = agent
            .run(Start { supervised_memory: 20 << 20, ..shell("head -c 30000000 /dev/zero >/work/x; sleep 1000") });
        assert!(matches!(outcome.exited, Some(FromAgent::Exited { out_of_memory: true, .. })), "{name}: {outcome:?}");
    }
}

#[test]
fn memory_that_hides_is_found() {
    let python = |code: &str| Start {
        argv: vec![b"/usr/bin/python3".to_vec(), b"-c".to_vec(), code.as_bytes().to_vec()],
        supervised_memory: 60 << 20,
        ..shell("")
    };
    let hidden = [
        // A file without a name, written and not mapped.
        "import os, time; os.write(os.memfd_create('x'), bytes(40 << 20)); os.write(1, b'x'); \
         os.write(os.memfd_create('y'), bytes(40 << 20)); time.sleep(1000)",
        // A segment that is touched and let go of.
        "import ctypes, time; c = ctypes.CDLL(None); c.shmat.restype = ctypes.c_void_p; \
         i = c.shmget(0, 80 << 20, 0o1600); a = c.shmat(i, None, 0); ctypes.memset(a, 1, 80 << 20); \
         c.shmdt(ctypes.c_void_p(a)); time.sleep(1000)",
        // Shared and anonymous.
        "import mmap, time; m = mmap.mmap(-1, 80 << 20); m.write(bytes(30 << 20)); m.write(bytes(40 << 20)); time.sleep(1000)",
        // In a process of another session.
        "import os, time; os.fork() and os._exit(0) if os.fork() == 0 else None; os.setsid(); x = bytearray(80 << 20); time.sleep(1000)",
    ];
    for (name, mut agent) in Agent::private() {
        for code in hidden {
            let outcome = agent.run(Start { leak_ms: 20_000, ..python(code) });
            assert!(
                matches!(outcome.exited, Some(FromAgent::Exited { out_of_memory: true, .. })),
                "{name}: {outcome:?}"
            );
        }
    }
}

#[test]
fn memory_that_is_shared_counts_once() {
    for (name, mut agent) in Agent::private() {
        // In a container this is the kernel's to do: the agent may not look as closely.
        if name == "init" {
            continue;
        }
        let code = "import os, mmap; m = mmap.mmap(-1, 30 << 20); m.write(bytes(30 << 20)); x = bytearray(30 << 20)\n\
                    for _ in range(5):\n  if os.fork() == 0:\n    break\nelse:\n  for _ in range(5): os.wait()\n  print('all')\n\
                    import time; time.sleep(0.2)";
        let start = Start {
            argv: vec![b"/usr/bin/python3".to_vec(), b"-c".to_vec(), code.as_bytes().to_vec()],
            supervised_memory: 120 << 20,
            ..shell("")
        };
        let outcome = agent.run(start);
        assert_eq!((outcome.stdout().as_str(), outcome.signal()), ("all\n", 0), "{name}: {outcome:?}");
    }
}

#[test]
fn beats_tell_what_is_used() {
    for (name, mut agent) in Agent::all() {
        agent.send(0, &ToAgent::Hello { lease_ms: 60_000, beat_ms: 10 });
        agent.send(1, &ToAgent::Start(Box::new(shell("while :; do :; done"))));
        loop {
            if let (1, FromAgent::Beat { cpu_us, memory, processes }) = agent.receive()
                && cpu_us > 0
            {
                assert!(memory > 0 && processes >= 1, "{name}");
                break;
            }
        }
        agent.send(1, &ToAgent::Signal { signal: 9 });
        let outcome = agent.outcome(1, u32::MAX);
        let Some(FromAgent::Exited { user_us, peak_memory, .. }) = outcome.exited else { panic!("{name}") };
        assert!(user_us > 0 && peak_memory > 0, "{name}");
    }
}

#[track_caller]
fn check_fault(start: &Start, operation: &str, needle: &str) {
    for (name, mut agent) in Agent::all() {
        let outcome = agent.run(start.clone());
        match &outcome.fault {
            Some(FromAgent::Fault { operation: found, message, fatal: false, .. }) => {
                assert_eq!(found, operation, "{name}: {message}");
                assert!(message.contains(needle), "{name}: {message}");
            }
            _ => panic!("{name}: {outcome:?}"),
        }
        assert!(!outcome.started, "{name}");
        assert_eq!(agent.run(shell("exit 7")).code(), 7, "{name}");
    }
}

#[test]
fn what_cannot_be_started_says_why_and_leaves_the_sandbox_usable() {
    let program = |it: &str| Start { argv: vec![it.as_bytes().to_vec()], ..shell("") };
    check_fault(&program("no-such-program"), "exec", "cannot find no-such-program in PATH /usr/bin:/bin");
    check_fault(&program("/no/such/program"), "exec", "cannot execute /no/such/program");
    check_fault(&program("/usr"), "exec", "Permission denied");
    check_fault(&Start { env: vec![], ..program("sh") }, "exec", "has no PATH");
    check_fault(&Start { cwd: b"/no/such".to_vec(), ..shell("") }, "cwd", "/no/such");
    check_fault(&Start { argv: vec![], ..shell("") }, "start", "no program");
    check_fault(&Start { argv: vec![b"a\0b".to_vec()], ..shell("") }, "start", "NUL");
    check_fault(&Start { env: vec![b"A=\0".to_vec()], ..shell("") }, "start", "NUL");
}

#[test]
fn one_script_at_a_time() {
    let mut agent = Agent::child();
    agent.send(1, &ToAgent::Start(Box::new(shell("echo ready; sleep 1000"))));
    agent.await_output(1, b"ready\n");
    agent.send(2, &ToAgent::Start(Box::new(shell("exit 0"))));
    let refused = agent.receive();
    assert!(matches!(refused, (2, FromAgent::Fault { fatal: false, .. })), "{refused:?}");
    // Neither does what is said about another execution touch this one.
    agent.send(2, &ToAgent::Signal { signal: 9 });
    agent.send(2, &ToAgent::Data { stream: Stream::Stdin, time_us: 0, bytes: vec![0] });
    agent.send(1, &ToAgent::Signal { signal: 15 });
    assert_eq!(agent.outcome(1, u32::MAX).signal(), 15);
}
