//! The `script-engine` program as its users meet it: started, fed, interrupted, and held to what it promises about
//! streams and exit codes. What the engine itself does is tested elsewhere.
#![expect(clippy::unwrap_used, clippy::panic, reason = "what goes wrong in a test ends it")]

#[path = "program/bad_input.rs"]
mod bad_input;
#[path = "program/check.rs"]
mod check;
#[path = "program/doctor.rs"]
mod doctor;
#[path = "program/json.rs"]
mod json;
#[path = "program/mounts.rs"]
mod mounts;
#[path = "program/network.rs"]
mod network;
#[path = "program/run.rs"]
mod run;
#[path = "program/samples.rs"]
mod samples;
#[path = "program/stage.rs"]
mod stage;
