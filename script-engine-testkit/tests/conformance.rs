//! The suites over the references: what is in memory and what is faked must pass every case.

use std::process::ExitCode;

use script_engine_testkit::{Conformance, memory};

fn main() -> ExitCode {
    Conformance::new().with("memory", "", memory::cases()).main()
}
