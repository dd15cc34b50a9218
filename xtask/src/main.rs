//! `cargo xtask`: the project's own commands, which set up what they need and say what they can't. Not part of the library.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for a terminal")]

mod cgroup2;
mod command;
mod examples;
mod host_crate;
mod initramfs;
mod metadata;
mod setup;
mod suite;

use std::process::ExitCode;

/// What a command ends with; the message says what to do.
type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

const HELP: &str = "\
usage: cargo xtask <command>

  test [ARGS]    set up what the tests need, then run all of them; ARGS go to `cargo test`, and with any
                 of them only `cargo test` is run
  setup          only set up what the tests need
  examples       run every example
  host-crate     build a host outside the workspace from the packaged crates; tell time and crate count
  test-cgroup2   run the control group tests on a kernel with cgroup v2, emulated";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["test", rest @ ..] => suite::test(rest),
        ["setup"] => setup::ensure(setup::TESTS),
        ["examples"] => setup::ensure(setup::TESTS).and_then(|()| examples::run_all()),
        ["host-crate"] => host_crate::build(),
        ["test-cgroup2"] => cgroup2::test(),
        [] | ["help" | "--help" | "-h"] => {
            println!("{HELP}");
            Ok(())
        }
        [other, ..] => Err(format!("no such command: `{other}`\n\n{HELP}").into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
