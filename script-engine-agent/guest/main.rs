//! The agent: process 1 of every sandbox. It starts scripts, carries their streams, watches them,
//! and leaves nothing behind. What runs, when and for how long is decided by the engine.
//!
//! Static, single-threaded and synchronous; `std` and the kernel are all it leans on, so it runs in
//! a root file system with nothing in it. The only code of the project that is `unsafe`, and all of
//! that is in [`sys`].
#![allow(unreachable_pub, reason = "files are shared with the host side, where their items are public")]

mod boot;
mod files;
mod kill;
#[allow(dead_code, reason = "the host's half of the codec is not used here")]
mod plan;
mod posture;
mod reset;
mod script;
mod serve;
mod sys;
mod usage;
#[allow(
    dead_code,
    unused_imports,
    unfulfilled_lint_expectations,
    reason = "the engine's half of the codec is not used here"
)]
mod wire;

/// Names the sources that this binary was made from; the host side has the same text.
pub const BUILD: &str = env!("SCRIPT_ENGINE_AGENT_BUILD");

/// What `build.rs` looks for in an agent that was built elsewhere.
const MARKED_BUILD: &str = concat!("script-engine-agent build ", env!("SCRIPT_ENGINE_AGENT_BUILD"));

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let code = match arguments.as_slice() {
        ["serve", rest @ ..] => match serve::Config::from_arguments(rest) {
            Ok(config) => serve::serve(config),
            Err(wrong) => complain(&wrong),
        },
        // What follows marks the process as its owner's, for whoever looks for left-overs.
        ["launch", ..] => boot::launch(),
        ["version"] => sys::file::write_all(1, format!("{MARKED_BUILD}\n").as_bytes()).map_or(1, |()| 0),
        _ => complain(&format!("usage: {} | agent launch | agent version", serve::USAGE)),
    };
    sys::process::exit(code);
}

fn complain(text: &str) -> i32 {
    // There is nobody else to tell.
    let _ = sys::file::write_all(2, format!("agent: {text}\n").as_bytes());
    2
}
