//! The suite of [`ScriptExecutor`]: whatever isolates scripts must pass it.
//!
//! Its scripts are POSIX `sh`, so that they run in any backend. After each case nothing of it may be
//! left, as `reap` says and as one sees from outside.

mod bench;
mod collect;
mod connect;
mod input;
mod output;
mod own;
mod restrict;
mod start;
mod stop;

use std::sync::Arc;

use async_trait::async_trait;
use script_engine_core::contract::ScriptExecutor;
use script_engine_core::{OwnerId, Result};

use crate::case::Case;
use crate::machine::TestMachine;
use bench::on_bench;
pub(crate) use output::numbers;

/// A machine under test that executors work on.
#[async_trait]
pub trait ExecutorBackend: TestMachine {
    /// Makes an executor for `owner`. All executors of one backend share the machine.
    async fn executor(&self, owner: OwnerId) -> Result<Arc<dyn ScriptExecutor>>;
}

/// The cases of a script executor.
#[must_use]
pub fn script_executor(backend: Arc<dyn ExecutorBackend>) -> Vec<Case> {
    let it = &backend;
    vec![
        Case::new("EX-01", "a start that fails or is broken off leaves nothing", on_bench(it, start::ex_01)),
        Case::new("EX-02", "what the report calls enforced was promised and holds", on_bench(it, restrict::ex_02)),
        Case::new("EX-03", "what is made carries the owner, so that reap finds it", on_bench(it, own::ex_03)),
        Case::new("EX-04", "the program sees exactly its files, arguments and environment", on_bench(it, start::ex_04)),
        Case::new("EX-05", "a second reap finds nothing", on_bench(it, own::ex_05)),
        Case::new("EX-06", "reap never touches what belongs to another owner", on_bench(it, own::ex_06)),
        Case::new("EX-07", "a start that is called off ends by itself and leaves nothing", on_bench(it, start::ex_07)),
        Case::new("EX-08", "a program reaches what is allowed and nothing else", on_bench(it, connect::ex_08)),
        Case::new("EX-10", "exit codes and signals are the script's own and come again", on_bench(it, stop::ex_10)),
        Case::new("EX-11", "each stream is complete, in order and apart", on_bench(it, output::ex_11)),
        Case::new("EX-12", "output that nobody fetches blocks the script", on_bench(it, output::ex_12)),
        Case::new("EX-13", "no process outlives the end, whatever it did to escape", on_bench(it, stop::ex_13)),
        Case::new("EX-14", "only plain files are collected", on_bench(it, collect::ex_14)),
        Case::new("EX-15", "a file that is too long is not collected in part", on_bench(it, collect::ex_15)),
        Case::new("EX-16", "what is finished is gone", on_bench(it, own::ex_16)),
        Case::new("EX-17", "connections are on record, refused ones too", on_bench(it, connect::ex_17)),
        Case::new("EX-20", "a request to stop reaches every process", on_bench(it, stop::ex_20)),
        Case::new("EX-21", "a kill ends every process", on_bench(it, stop::ex_21)),
        Case::new("EX-22", "stdin arrives in order, and ends", on_bench(it, input::ex_22)),
    ]
}
