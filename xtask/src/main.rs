//! `cargo xtask`: the project's own commands, which set up what they need and say what they can't. Not part of the library.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for a terminal")]

mod cgroup2;
mod command;
mod docker;
mod examples;
mod fuzz;
mod host_crate;
mod images;
mod initramfs;
mod metadata;
mod podman;
mod runtime;
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
  fuzz           feed what reads scripts with sources that nobody would write: [SECONDS [TARGET...]]
  images         make the runtime images for containers, where they are not there or have changed: of the
                 official ones if their registry answers, else of packages; [LANGUAGE...] [--from REGISTRY],
                 which has the official ones instead of their own
  test-docker    run the tests on containers, with a Docker Engine and images
  docker CMD     run a command with a Docker Engine and these images; DOCKER_HOST says where it is
  host-crate     build a host outside the workspace from the packaged crates; tell time and crate count
  runtime-root   make root file systems with toolchains, of packages: [LANGUAGE...] --into DIR
  test-cgroup2   run the control group tests on a kernel with cgroup v2, emulated";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["test", rest @ ..] => suite::test(rest),
        ["setup"] => setup::ensure(setup::TESTS).and_then(|()| runtime::for_tests()),
        ["examples"] => setup::ensure(setup::TESTS).and_then(|()| examples::run_all()),
        ["fuzz"] => setup::ensure(setup::TESTS).and_then(|()| fuzz::test()),
        ["fuzz", seconds, named @ ..] => match seconds.parse() {
            Ok(seconds) => fuzz::fuzz(seconds, named),
            Err(_) => Err(format!("`{seconds}` is no number of seconds; say `fuzz [SECONDS [TARGET...]]`").into()),
        },
        ["images", rest @ ..] => images_of(rest),
        ["test-docker", rest @ ..] => docker::test_with(rest),
        ["docker", command @ ..] => docker::with_engine(command),
        ["host-crate"] => host_crate::build(),
        ["runtime-root", languages @ .., "--into", into] => runtime::make(languages, std::path::Path::new(into)),
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

fn images_of(arguments: &[&str]) -> Outcome {
    let (languages, registry) = match arguments {
        [languages @ .., "--from", registry] => (languages, Some(*registry)),
        languages => (languages, None),
    };
    images::ensure(&docker::Engine::ensure()?, &images::named(languages)?, registry)
}
