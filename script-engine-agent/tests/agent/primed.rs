//! Programs that wait at their gate, and those that do not do as they should.

use script_engine_core::wire::{FromAgent, Place, Start, ToAgent};

use crate::driver::{Agent, shell};

/// Takes a job, in Bash.
const TAKE: &str = "printf R >&5; mapfile -d '' -n 1 -u 4 total; mapfile -d '' -n \"${total[0]}\" -u 4 job; \
                    printf T >&5; mapfile -d '' -u 4 go";

/// A job that a program which has its first three arguments can be handed.
fn job() -> Start {
    Start { primed_with: 3, ..shell("echo afresh; exit 4") }
}

/// A program that does all by itself, and starts no other to wait for its job.
fn waiting(script: &str) -> Start {
    Start { argv: ["/bin/bash", "-c", script].map(|it| it.as_bytes().to_vec()).to_vec(), ..shell("") }
}

/// Primes `script` and gives the answer.
fn prime(agent: &mut Agent, script: &str, limit_ms: u32) -> FromAgent {
    agent.send(1, &ToAgent::Prime { start: Box::new(waiting(script)), limit_ms });
    let (execution, answer) = agent.receive();
    assert_eq!(execution, 1);
    answer
}

/// What is said of a program that is not fit to wait; the next start works all the same.
#[track_caller]
fn check_refused(script: &str, limit_ms: u32, says: &str) {
    for (name, mut agent) in Agent::all() {
        match prime(&mut agent, script, limit_ms) {
            FromAgent::Fault { operation, message, fatal: false, .. } => {
                assert!(operation == "prime" && message.contains(says), "{name}: {operation}: {message}");
            }
            other => panic!("{name}: {other:?}"),
        }
        agent.send(2, &ToAgent::Start(Box::new(job())));
        let outcome = agent.outcome(2, u32::MAX);
        assert_eq!((outcome.stdout().as_str(), outcome.code()), ("afresh\n", 4), "{name}");
    }
}

#[test]
fn who_does_not_come_to_the_gate_or_does_more_is_refused() {
    check_refused("sleep 1000", 100, "it took too long");
    check_refused("exit 0", 20_000, "left its gate");
    check_refused("printf x >&5; sleep 1000", 20_000, "left its gate");
    check_refused("printf RT >&5; sleep 1000", 20_000, "left its gate");
    check_refused("echo word; printf R >&5; sleep 1000", 20_000, "it printed something");
    check_refused("sleep 1000 & printf R >&5; wait", 20_000, "it started 1 more");
}

/// What comes of the job that is handed to `script`, which waits for it.
#[track_caller]
fn check_handed(script: &str, limit_ms: u32, wanted: &Start, stdout: &str, code: i32) {
    for (name, mut agent) in Agent::all() {
        assert_eq!(prime(&mut agent, script, limit_ms), FromAgent::Primed, "{name}");
        agent.send(2, &ToAgent::Start(Box::new(wanted.clone())));
        let outcome = agent.outcome(2, u32::MAX);
        assert_eq!((outcome.stdout().as_str(), outcome.code()), (stdout, code), "{name}");
        // And it is over with that program.
        agent.send(3, &ToAgent::Start(Box::new(job())));
        assert_eq!(agent.outcome(3, u32::MAX).stdout(), "afresh\n", "{name}");
    }
}

#[test]
fn a_job_is_handed_over_whole_or_not_at_all() {
    let takes = format!("{TAKE}; exec 4<&- 5>&-; printf '%s,' \"${{job[@]}}\"; exit 6");
    let takes = takes.as_str();
    let mut wanted = job();
    wanted.argv.extend([b"more".to_vec(), Vec::new()]);
    check_handed(takes, 20_000, &wanted, "1,PATH=/usr/bin:/bin,more,,", 6);
    // It may use the time that it has for more than one thing.
    let reads = "printf R >&5; mapfile -d '' -n 1 -u 4 total";
    check_handed(&format!("{reads}; exit 3"), 20_000, &wanted, "afresh\n", 4);
    check_handed(&format!("{reads}; sleep 1000"), 500, &wanted, "afresh\n", 4);
    check_handed(&format!("{reads}; printf x >&5; sleep 1000"), 20_000, &wanted, "afresh\n", 4);
    // What it says before it is let go on is not the script's.
    let talks = TAKE.replace("printf T", "echo early; printf T");
    check_handed(&format!("{talks}; exit 6"), 20_000, &wanted, "afresh\n", 4);
    check_handed(takes, 20_000, &Start { open_files: 255, ..wanted.clone() }, "afresh\n", 4);
    check_handed(takes, 20_000, &Start { primed_with: 0, ..wanted.clone() }, "afresh\n", 4);
    check_handed(takes, 20_000, &Start { primed_with: 9, ..wanted }, "afresh\n", 4);
}

#[test]
fn what_a_program_needed_is_gone_before_there_is_a_script() {
    for (name, mut agent) in Agent::private() {
        agent.put(Place::Gate, "hook", format!("{TAKE}; exec ls -A /scripts").as_bytes());
        let start = Start { argv: vec![b"/bin/bash".to_vec(), b"/scripts/.prime/hook".to_vec()], ..shell("") };
        agent.send(1, &ToAgent::Prime { start: Box::new(start), limit_ms: 20_000 });
        assert_eq!(agent.receive(), (1, FromAgent::Primed), "{name}");
        agent.put(Place::Scripts, "script", b"");
        agent.send(2, &ToAgent::Start(Box::new(job())));
        assert_eq!(agent.outcome(2, u32::MAX).stdout(), "script\n", "{name}");
    }
}

#[test]
fn a_reset_takes_a_program_that_waits() {
    for (name, mut agent) in Agent::private() {
        assert_eq!(prime(&mut agent, "printf R >&5; mapfile -d '' -u 4 job", 20_000), FromAgent::Primed, "{name}");
        agent.send(1, &ToAgent::Reset);
        assert_eq!(agent.receive(), (1, FromAgent::ResetDone { findings: Vec::new() }), "{name}");
        assert_eq!(agent.run(job()).stdout(), "afresh\n", "{name}");
    }
}
