//! Standard streams.

use crate::driver::{Agent, shell};

#[test]
fn output_arrives_apart_and_counted() {
    for mut agent in [Agent::child(), Agent::init()] {
        let outcome = agent.run(shell("echo out; echo err >&2"));
        assert_eq!((outcome.stdout(), outcome.stderr()), ("out\n".to_owned(), "err\n".to_owned()));
    }
}
