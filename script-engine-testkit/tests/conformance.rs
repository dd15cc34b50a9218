//! The suites over the references: what is in memory and what is faked must pass every case, and each mutant
//! must fail at the case of the rule that it breaks.

use std::process::ExitCode;

use std::sync::Arc;

use script_engine_testkit::executor::script_executor;
use script_engine_testkit::fake::FakeBackend;
use script_engine_testkit::mutant::mutants;
use script_engine_testkit::sandbox::{runtime_manager, sandbox};
use script_engine_testkit::{Conformance, memory};

fn main() -> ExitCode {
    let fake = Arc::new(FakeBackend::new());
    Conformance::new()
        .with("memory", "", memory::cases())
        .with("fake", "", script_executor(Arc::clone(&fake) as _))
        .with("fake", "", sandbox(Arc::clone(&fake) as _))
        .with("fake", "", runtime_manager(fake))
        .with_mutants(mutants())
        .main()
}
