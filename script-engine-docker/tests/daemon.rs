//! What only a daemon of one's own can show: images with packages between machines, and executions whose engine,
//! stream or daemon goes away. Without `SCRIPT_ENGINE_TEST_DOCKER` there are no tests here; with it, they start
//! further daemons beside the one that it names, for which they must be root's.
#![expect(clippy::unwrap_used, clippy::panic, reason = "what goes wrong in a test ends it")]

#[path = "daemon/bench.rs"]
mod bench;
#[path = "daemon/images.rs"]
mod images;
#[path = "daemon/layers.rs"]
mod layers;
#[expect(dead_code, reason = "registries with a login are for others")]
#[path = "daemon/private.rs"]
mod private;
#[path = "daemon/proxy.rs"]
mod proxy;
#[path = "daemon/recovery.rs"]
mod recovery;

use std::future::Future;
use std::process::ExitCode;
use std::time::Duration;

use libtest_mimic::{Arguments, Trial};
use tokio::runtime::Builder;

/// Where the engine for tests listens.
pub(crate) const ENDPOINT: &str = "SCRIPT_ENGINE_TEST_DOCKER";
/// How long one case may take.
const LIMIT: Duration = Duration::from_secs(600);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().map(String::as_str) == Some(recovery::VICTIM) {
        runtime().block_on(recovery::be_the_victim(&arguments[1..]));
        return ExitCode::SUCCESS;
    }
    let trials = match std::env::var(ENDPOINT) {
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
                    carry_out($module::$case(&endpoint));
                    Ok(())
                })
            }),+]
        };
    }
    trials![
        images::the_official_ones_are_pulled_where_a_registry_has_them,
        layers::an_empty_daemon_pulls_what_another_built,
        layers::what_nobody_uses_is_removed_and_made_again,
        layers::a_cache_that_is_off_keeps_its_own_no_longer_than_it_is_used,
        layers::the_agent_is_in_images_where_volumes_are_refused,
        recovery::a_disk_that_is_full_is_said_and_leaves_nothing,
        recovery::a_registry_that_is_away_matters_only_where_there_is_no_copy,
        recovery::what_is_removed_underneath_ends_clearly,
        recovery::a_name_that_is_taken_is_said_and_left_to_its_owner,
        recovery::a_daemon_that_hangs_is_not_waited_for,
        recovery::an_engine_that_is_killed_leaves_nothing_that_lives,
        recovery::an_engine_that_is_killed_leaves_nothing_in_a_container_of_the_users,
        recovery::a_stream_that_is_lost_ends_the_script,
        recovery::twenty_executions_outlive_the_death_of_the_daemon,
        recovery::a_daemon_that_stops_or_dies_ends_what_it_carries,
    ]
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn carry_out(case: impl Future<Output = ()>) {
    let runtime = runtime();
    let within = runtime.block_on(async { tokio::time::timeout(LIMIT, case).await });
    assert!(within.is_ok(), "did not end within {LIMIT:?}");
}
