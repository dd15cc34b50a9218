//! Hostile scripts on the Linux sandbox, through the whole engine, as root and as an ordinary user. After each
//! one the engine runs a harmless script, and nothing of either is left on the host.
//!
//! Started as root, the program runs each case itself (`root::`) and has a copy of itself run it as a user that
//! owns nothing (`user::`). Started by an ordinary user it runs the latter alone and says that it skips the former. Where
//! `SCRIPT_ENGINE_TEST_DOCKER` names a Docker Engine it runs them all in containers of that (`containers::`) instead.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test program without the harness, which is what tells clippy that it is one"
)]

#[path = "hostile/attacks.rs"]
mod attacks;
#[path = "hostile/bench.rs"]
mod bench;
#[path = "hostile/case.rs"]
mod case;
#[path = "hostile/crash.rs"]
mod crash;
#[path = "hostile/descriptors.rs"]
mod descriptors;
#[path = "hostile/egress.rs"]
mod egress;
#[path = "hostile/enforcement.rs"]
mod enforcement;
#[path = "hostile/files.rs"]
mod files;
#[path = "hostile/flood.rs"]
mod flood;
#[path = "hostile/isolation.rs"]
mod isolation;
#[path = "hostile/languages.rs"]
mod languages;
#[path = "hostile/leftovers.rs"]
mod leftovers;
#[path = "hostile/memory_and_disk.rs"]
mod memory_and_disk;
#[path = "hostile/network.rs"]
mod network;
#[path = "hostile/output.rs"]
mod output;
#[path = "hostile/processes.rs"]
mod processes;
#[path = "hostile/secrets.rs"]
mod secrets;
#[path = "hostile/syscalls.rs"]
mod syscalls;
#[path = "hostile/user.rs"]
mod user;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Completion, Trial};
use script_engine_testkit::{Ledger, Verdict};

use bench::Who;
use case::{Hostile, Proving, carry_out};

/// What is skipped where the suite is not started by root.
const WITHOUT_ROOT: &str = include_str!("hostile/without_root.ledger");

fn cases() -> Vec<Hostile> {
    [
        processes::cases(),
        memory_and_disk::cases(),
        output::cases(),
        files::cases(),
        network::cases(),
        egress::cases(),
        syscalls::cases(),
        isolation::cases(),
        descriptors::cases(),
        secrets::cases(),
        languages::cases(),
        enforcement::cases(),
        crash::cases(),
        attacks::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some((mode, rest)) = arguments.split_first()
        && let Some(engine) = engine_of_its_own(mode, rest)
    {
        case::runtime().block_on(engine);
        return ExitCode::SUCCESS;
    }
    let folder = user::Folder::default();
    let trials = if std::env::var_os(Who::ENDPOINT).is_some() {
        cases().into_iter().map(in_containers).collect()
    } else if user::is_root() {
        cases().into_iter().flat_map(|it| [as_root(it), through_copy(it, &folder)]).collect()
    } else {
        cases().into_iter().map(as_user).chain([root_is_skipped()]).collect()
    };
    let code = libtest_mimic::run(&Arguments::from_args(), trials).exit_code();
    folder.remove();
    code
}

/// What this program is besides a suite: engines that cases start in processes of their own.
fn engine_of_its_own(mode: &str, rest: &[String]) -> Option<Proving<'static>> {
    let who = |text: &str| Who::named(text).unwrap();
    match (mode, rest) {
        (flood::MODE, [user]) => Some(Box::pin(flood::be_the_engine(who(user)))),
        (crash::MODE, [user, state, id]) => {
            Some(Box::pin(crash::be_the_victim(who(user), state.into(), id.parse().unwrap())))
        }
        _ => None,
    }
}

fn as_root(case: Hostile) -> Trial {
    Trial::test(case.name_as(Who::Root), move || carry_out(&case, Who::Root))
}

fn in_containers(case: Hostile) -> Trial {
    Trial::test(case.name_as(Who::Containers), move || carry_out(&case, Who::Containers))
}

fn as_user(case: Hostile) -> Trial {
    Trial::test(case.name_as(Who::User), move || carry_out(&case, Who::User))
}

fn through_copy(case: Hostile, folder: &user::Folder) -> Trial {
    let folder = folder.clone();
    let name = case.name_as(Who::User);
    Trial::test(name.clone(), move || folder.run_as_user(&name))
}

/// The one line that stands for all that only root can show.
fn root_is_skipped() -> Trial {
    Trial::ignorable_test("root", || {
        let skipped = Verdict::Skipped("the suite was not started by root".to_owned());
        match Ledger::parse(WITHOUT_ROOT).review("root", skipped) {
            Verdict::Skipped(reason) => Ok(Completion::ignored_with(reason)),
            other => Err(format!("{other:?}").into()),
        }
    })
}
