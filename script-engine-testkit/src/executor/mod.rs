//! The suite of [`ScriptExecutor`]: whatever isolates scripts must pass it.
//!
//! Its scripts are POSIX `sh`, so that they run in any backend. After each case nothing of it may be
//! left, as `reap` says and as one sees from outside.

mod bench;
mod collect;
mod input;
mod output;
mod own;
mod restrict;
mod start;
mod stop;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use script_engine_core::contract::ScriptExecutor;
use script_engine_core::{OwnerId, Result, RuntimeSpec};

use crate::case::Case;
use bench::bench_case;
pub(crate) use output::numbers;

/// A backend under test: how the suite gets executors of it, and how it looks at it from outside.
#[async_trait]
pub trait ExecutorBackend: fmt::Debug + Send + Sync + 'static {
    /// Makes an executor for `owner`. All executors of one backend share a machine.
    async fn executor(&self, owner: OwnerId) -> Result<Arc<dyn ScriptExecutor>>;

    /// The runtime that scripts are run in; has `sh`, `bash` and the usual small programs.
    fn runtime(&self) -> RuntimeSpec;

    /// Names whatever `owner` has left on the machine: mounts, control groups, files, containers.
    /// Looked up from outside, not by asking the executor.
    async fn leftovers(&self, owner: OwnerId) -> Result<Vec<String>>;

    /// Names the processes on the machine whose command line holds `marker`.
    async fn processes(&self, marker: &str) -> Result<Vec<String>>;
}

/// The cases of a script executor.
#[must_use]
pub fn script_executor(backend: Arc<dyn ExecutorBackend>) -> Vec<Case> {
    let it = &backend;
    vec![
        bench_case("EX-01", "a start that fails or is broken off leaves nothing", it, start::ex_01),
        bench_case("EX-02", "what the report calls enforced was promised and holds", it, restrict::ex_02),
        bench_case("EX-03", "what is made carries the owner, so that reap finds it", it, own::ex_03),
        bench_case("EX-04", "the program sees exactly its files, arguments and environment", it, start::ex_04),
        bench_case("EX-05", "a second reap finds nothing", it, own::ex_05),
        bench_case("EX-06", "reap never touches what belongs to another owner", it, own::ex_06),
        bench_case("EX-10", "exit codes and signals are the script's own and come again", it, stop::ex_10),
        bench_case("EX-11", "each stream is complete, in order and apart", it, output::ex_11),
        bench_case("EX-12", "output that nobody fetches blocks the script", it, output::ex_12),
        bench_case("EX-13", "no process outlives the end, whatever it did to escape", it, stop::ex_13),
        bench_case("EX-14", "only plain files are collected", it, collect::ex_14),
        bench_case("EX-15", "a file that is too long is not collected in part", it, collect::ex_15),
        bench_case("EX-16", "what is finished is gone", it, own::ex_16),
        bench_case("EX-20", "a request to stop reaches every process", it, stop::ex_20),
        bench_case("EX-21", "a kill ends every process", it, stop::ex_21),
        bench_case("EX-22", "stdin arrives in order, and ends", it, input::ex_22),
    ]
}
