//! Files for the script, files of the script, and what is left after a reset.

use script_engine_core::wire::{FromAgent, Place, Stream, ToAgent};

use crate::driver::{Agent, shell};

/// What came of a collected file: its bytes, or the note that says why it can't be had.
fn collect(agent: &mut Agent, path: &str, max_bytes: u64) -> Result<Vec<u8>, String> {
    agent.send(9, &ToAgent::Collect { path: path.as_bytes().to_vec(), max_bytes });
    let size = match agent.receive() {
        (9, FromAgent::FileBegin { size: u64::MAX, note }) => return Err(note),
        (9, FromAgent::FileBegin { size, note }) if note.is_empty() => size,
        other => panic!("{other:?}"),
    };
    let mut content = Vec::new();
    loop {
        match agent.receive() {
            (9, FromAgent::Data { stream: Stream::File, bytes, .. }) => content.extend(bytes),
            (9, FromAgent::End { stream: Stream::File, total }) => {
                assert_eq!((total, size), (content.len() as u64, total));
                return Ok(content);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[track_caller]
fn reset(agent: &mut Agent) -> Vec<String> {
    agent.send(8, &ToAgent::Reset);
    match agent.receive() {
        (8, FromAgent::ResetDone { findings }) => findings,
        other => panic!("{other:?}"),
    }
}

#[test]
fn files_arrive_where_the_script_finds_them() {
    for (name, mut agent) in Agent::private() {
        agent.put(Place::Scripts, "deep/er/main.sh", b"echo here; cat /work/in/put");
        agent.put(Place::Work, "in/put", b"input\n");
        let script = ". /scripts/deep/er/main.sh; stat -c '%U %a' /scripts/deep/er/main.sh /work/in /work/in/put; \
                      echo x >/scripts/deep/er/main.sh || echo x >/scripts/new || chmod 777 /scripts/deep/er/main.sh || \
                      rm -f /scripts/deep/er/main.sh || echo denied; echo more >>/work/in/put && echo allowed";
        let outcome = agent.run(shell(script));
        let lines: Vec<String> = outcome.stdout().lines().map(str::to_owned).collect();
        let said: Vec<&str> = lines.iter().map(|it| it.split(' ').next_back().unwrap()).collect();
        assert_eq!(said, ["here", "input", "644", "755", "644", "denied", "allowed"], "{name}: {outcome:?}");
    }
}

#[test]
fn large_files_come_in_pieces() {
    for (name, mut agent) in Agent::private() {
        let content: Vec<u8> = (0..1_000_000_u32).map(|it| (it / 3) as u8).collect();
        for (place, path) in [(Place::Work, "big"), (Place::Scripts, "big")] {
            for (index, piece) in content.chunks(60_000).enumerate() {
                let offset = index as u64 * 60_000;
                let last = offset + piece.len() as u64 == content.len() as u64;
                let path = path.as_bytes().to_vec();
                agent.send(1, &ToAgent::File { place, path, mode: 0o755, offset, last, data: piece.to_vec() });
            }
        }
        let outcome = agent.run(shell("cmp /work/big /scripts/big && test -x /work/big && wc -c </work/big"));
        assert_eq!(outcome.stdout(), "1000000\n", "{name}: {outcome:?}");
        assert_eq!(collect(&mut agent, "/work/big", 1_000_000), Ok(content), "{name}");
    }
}

#[track_caller]
fn check_refused(pieces: &[ToAgent], needle: &str) {
    for (name, mut agent) in Agent::private() {
        // A way out, for who follows links.
        agent.run(shell("ln -s / /work/out; ln -s /etc/passwd /work/file; mkfifo /work/pipe; echo x >/work/there"));
        for piece in pieces {
            agent.send(1, piece);
        }
        let outcome = agent.run(shell("exit 0"));
        match &outcome.fault {
            Some(FromAgent::Fault { operation, message, fatal: false, .. }) => {
                assert!(operation == "file" || operation == "env", "{name}: {operation}");
                assert!(message.contains(needle), "{name}: {message}");
            }
            _ => panic!("{name}: {outcome:?}"),
        }
        // Said once, and the next job is not held responsible.
        assert_eq!(agent.run(shell("exit 3")).code(), 3, "{name}");
    }
}

#[test]
fn a_job_does_not_start_without_its_files() {
    let file = |path: &[u8], offset, last| {
        let path = path.to_vec();
        ToAgent::File { place: Place::Work, path, mode: 0o644, offset, last, data: b"x".to_vec() }
    };
    let one = |path: &[u8]| [file(path, 0, true)];
    for path in [&b""[..], b"/etc/x", b"../x", b"a/../../x", b"a//b", b"a/", b"./a", b"a\0b", &[b'a'; 256]] {
        check_refused(&one(path), "not a relative path of plain names");
    }
    check_refused(&one(b"out/tmp/x"), "cannot create");
    check_refused(&one(b"file"), "File exists");
    check_refused(&one(b"pipe"), "File exists");
    check_refused(&one(b"there"), "File exists");
    check_refused(&one(b"there/x"), "Not a directory");
    check_refused(&[file(b"new", 5, true)], "no beginning");
    check_refused(&[file(b"new", 0, false), file(b"new", 2, true)], "out of order");
    check_refused(&[file(b"new", 0, false), file(b"other", 1, true)], "out of order");
    let vars = ToAgent::Env { vars: vec![vec![b'A'; 60_000]] };
    check_refused(&vec![vars; 20], "an environment of");
}

#[test]
fn a_long_environment_arrives() {
    for (name, mut agent) in Agent::all() {
        for index in 0..10 {
            let var = [format!("VAR_{index}=").into_bytes(), vec![b'x'; 50_000]].concat();
            agent.send(1, &ToAgent::Env { vars: vec![var] });
        }
        let outcome = agent.run(shell("echo ${#VAR_0} ${#VAR_9}"));
        assert_eq!(outcome.stdout(), "50000 50000\n", "{name}: {:?}", outcome.fault);
        assert_eq!(agent.run(shell("echo ${#VAR_0}")).stdout(), "0\n", "{name}");
    }
}

#[test]
fn only_plain_files_of_the_script_are_collected() {
    for (name, mut agent) in Agent::private() {
        let script = "cd /work; mkdir -p a/b; echo found >a/b/c; echo t >/tmp/t; ln -s a link; ln -s a/b/c file; \
                      ln -s /etc/passwd passwd; mkfifo pipe; echo no >closed; chmod 000 closed; \
                      head -c 100000 /dev/zero >long; : >empty; ln a/b/c hard; echo x >a/b/$(printf 'new\\nline')";
        assert_eq!(agent.run(shell(script)).code(), 0, "{name}");
        let mut check = |path: &str, expected: Result<&str, &str>| {
            let found = collect(&mut agent, path, 1000).map(|it| String::from_utf8(it).unwrap());
            match (&found, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{name}: {path}"),
                (Err(found), Err(expected)) => assert!(found.contains(expected), "{name}: {path}: {found}"),
                _ => panic!("{name}: {path}: {found:?}"),
            }
        };
        check("/work/a/b/c", Ok("found\n"));
        check("/tmp/t", Ok("t\n"));
        check("/work/hard", Ok("found\n"));
        check("/work/empty", Ok(""));
        check("/work/a/b/new\nline", Ok("x\n"));
        check("/work/none", Err(""));
        check("/work/none/x", Err(""));
        check("/work/link/b/c", Err("a link"));
        check("/work/file", Err("a link"));
        check("/work/passwd", Err("a link"));
        check("/work/pipe", Err("not a plain file"));
        check("/work/a", Err("not a plain file"));
        check("/work/long", Err("100000 bytes long, more than the 1000"));
        check("/work/../etc/passwd", Err("not an absolute path of plain names"));
        check("/etc/passwd", Err("not an absolute path of plain names"));
        check("/workx", Err("not an absolute path of plain names"));
        check("work/a", Err("not an absolute path of plain names"));
        check("/scripts/x", Err("not an absolute path of plain names"));
        if name == "init" {
            check("/work/closed", Err("Permission denied"));
        }
        // A name that is taken by a link is no file that is missing.
        assert_eq!(agent.run(shell("exit 0")).code(), 0, "{name}");
    }
}

#[test]
fn a_reset_removes_what_a_script_has_left() {
    for (name, mut agent) in Agent::private() {
        agent.put(Place::Scripts, "a/main.sh", b"");
        let script = "for it in /work /tmp /dev/shm; do cd $it; mkdir -p a/b/c .hidden; echo x >a/b/c/x; echo x >.hidden/x; \
                      mkdir closed; echo x >closed/x; chmod 000 closed; ln -s / root; mkfifo pipe; \
                      mkdir -p .reset-1/x .reset-2/.reset-3/x; done; chmod 000 /work; ipcmk -M 4096 -S 3 -Q; \
                      perl -e 'use strict; my $name = \"left\"; syscall(240, $name, 0102, 0600, 0) >= 0 or die $!; \
                      chdir \"/tmp\"; for (1..3000) { mkdir \"deep\"; chdir \"deep\" or die $! }'";
        let outcome = agent.run(shell(script));
        assert_eq!((outcome.code(), outcome.stderr().as_str()), (0, ""), "{name}");
        assert_eq!(reset(&mut agent), Vec::<String>::new(), "{name}");
        let look = "ls -A /work /tmp /dev/shm /scripts /dev/mqueue; ipcs | grep -E '^0x' && echo ipc; stat -c %a /work";
        let outcome = agent.run(shell(look));
        assert!(outcome.stdout().ends_with("755\n"), "{name}: {outcome:?}");
        assert_eq!(outcome.stdout().lines().count(), 5 + 4 + 1, "{name}: {outcome:?}");
    }
}

#[test]
fn a_reset_survives_a_million_files() {
    let mut agent = Agent::init();
    let script = "perl -e 'for (1..300000) { open F, \">/work/$_\" or die $! } for (1..20000) { mkdir \"/tmp/$_\"; mkdir \"/tmp/$_/x\" }'";
    assert_eq!(agent.run(shell(script)).code(), 0);
    agent.send(0, &ToAgent::Hello { lease_ms: 60_000, beat_ms: 1000 });
    assert_eq!(reset(&mut agent), Vec::<String>::new());
    assert_eq!(agent.run(shell("ls -A /work /tmp | wc -l")).stdout(), "3\n");
}

#[test]
fn a_reset_ends_a_script_that_is_under_way() {
    for (name, mut agent) in Agent::private() {
        agent.send(1, &ToAgent::Start(Box::new(shell("echo ready >&2; yes"))));
        agent.await_errors(1, b"ready\n");
        agent.send(8, &ToAgent::Reset);
        let mut exited = false;
        loop {
            match agent.receive() {
                (1, FromAgent::Exited { signal: 9, .. }) => exited = true,
                (8, FromAgent::ResetDone { findings }) => {
                    assert_eq!((exited, findings), (true, vec![]), "{name}");
                    break;
                }
                _ => {}
            }
        }
        assert_eq!(agent.run(shell("exit 3")).code(), 3, "{name}");
    }
}

#[test]
fn what_is_not_the_sandboxs_own_is_not_reset() {
    let mut agent = Agent::child();
    agent.send(8, &ToAgent::Reset);
    let refused = agent.receive();
    assert!(matches!(refused, (8, FromAgent::Fault { fatal: false, .. })), "{refused:?}");
}

#[test]
fn a_file_that_is_put_belongs_to_its_reader() {
    let mut agent = Agent::init();
    agent.put(Place::Work, "folder/file", b"");
    agent.put(Place::Scripts, "file", b"");
    let outcome = agent.run(shell("stat -c '%u %g' /work/folder /work/folder/file /scripts/file"));
    assert_eq!(outcome.stdout(), format!("{uid} {uid}\n{uid} {uid}\n0 0\n", uid = agent.uid));
}
