//! How scripts end, and what is told of it.

use crate::driver::{Agent, shell};

#[track_caller]
fn check(script: &str, code: i32, signal: i32) {
    for mut agent in [Agent::child(), Agent::init()] {
        let outcome = agent.run(shell(script));
        let found = match outcome.signal() {
            0 => (outcome.code(), 0),
            signal => (0, signal),
        };
        assert_eq!(found, (code, signal), "init: {}", agent.is_init());
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
    for mut agent in [Agent::child(), Agent::init()] {
        // A process in a session of its own that holds nothing of the script's.
        let outcome = agent.run(shell("(setsid sh -c 'sleep 1000 >/dev/null 2>&1' >/dev/null 2>&1 &) ; exit 4"));
        assert_eq!((outcome.code(), outcome.leaked() > 0), (4, true), "init: {}", agent.is_init());
    }
}

#[test]
fn the_end_of_the_link_ends_everything() {
    for mut agent in [Agent::child(), Agent::init()] {
        agent.put(script_engine_core::wire::Place::Work, "unused", b"");
        agent.link.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(agent.wait(), 0);
    }
}
