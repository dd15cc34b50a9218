//! The `script-engine` program. A thin adapter: whatever it does, a host can do by calling `Engine`.

#![forbid(unsafe_code)]

mod arguments;
mod check;
mod doctor;
mod engine;
mod exit;
mod inputs;
mod mounts;
mod packages;
mod quantity;
mod record;
mod run;
mod samples;
mod terminal;

use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Command, DepsCommand};

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are no errors; everything else is one of the engine's own.
            drop(error.print());
            return if error.use_stderr() { exit::ENGINE.into() } else { ExitCode::SUCCESS };
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return exit::fail(&format!("cannot start: {error}")),
    };
    let code = runtime.block_on(async {
        match arguments.command {
            Command::Run(arguments) => run::run(arguments).await,
            Command::Check(arguments) => check::check(arguments).await,
            Command::Mounts(arguments) => mounts::mounts(arguments).await,
            Command::Lock(arguments) => packages::lock(arguments).await,
            Command::Deps(DepsCommand::Search(arguments)) => packages::search(arguments).await,
            Command::Samples(command) => samples::samples(command),
            Command::Doctor(arguments) => doctor::doctor(arguments).await,
        }
    });
    // A read of stdin that never ends must not keep the program.
    runtime.shutdown_background();
    code
}
