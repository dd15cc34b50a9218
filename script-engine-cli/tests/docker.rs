//! The `script-engine` program beside the Docker Engine that `SCRIPT_ENGINE_TEST_DOCKER` names, and what other programs
//! make of what it says. Without it there are no tests here: `cargo xtask test` sets it, and has an engine started.
#![expect(clippy::unwrap_used, reason = "what goes wrong in a test ends it")]

#[path = "docker/enter.rs"]
mod enter;
#[path = "docker/languages.rs"]
mod languages;
#[path = "docker/mounts.rs"]
mod mounts;
#[expect(dead_code, reason = "what starts daemons is for others")]
#[path = "../../script-engine-docker/tests/daemon/private.rs"]
mod private;
#[path = "docker/progress.rs"]
mod progress;
#[path = "docker/settings.rs"]
mod settings;
#[path = "docker/stage.rs"]
mod stage;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    let trials = match std::env::var("SCRIPT_ENGINE_TEST_DOCKER") {
        Ok(endpoint) => trials(&endpoint),
        Err(_) => Vec::new(),
    };
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn trials(endpoint: &str) -> Vec<Trial> {
    macro_rules! trials {
        ($($module:ident::$case:ident),+ $(,)?) => {
            vec![$({
                let endpoint = endpoint.to_owned();
                Trial::test(concat!(stringify!($module), "::", stringify!($case)), move || {
                    $module::$case(&endpoint);
                    Ok(())
                })
            }),+]
        };
    }
    trials![
        enter::a_script_runs_beside_the_containers_own_program,
        enter::what_is_compiled_needs_nothing_of_the_container,
        enter::a_container_that_can_not_run_it_is_unsupported_and_says_why,
        enter::a_script_that_is_stopped_leaves_nothing,
        languages::one_script_gives_one_record_on_both_backends,
        languages::scripts_run_with_packages,
        mounts::a_container_with_the_binds_runs_the_script,
        mounts::compose_takes_the_fragment,
        progress::a_terminal_shows_how_far_a_pull_and_a_build_are,
        settings::the_hosts_network_is_closed_unless_settings_and_request_open_it,
        settings::what_is_wrong_in_a_file_is_named_at_once,
        settings::a_closed_registry_is_opened_by_the_logins_that_the_machine_keeps,
    ]
}
