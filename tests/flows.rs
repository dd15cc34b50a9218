//! Whole flows of the engine over a scripted executor and stores in memory, under paused time. One
//! file for each part of an execution's life.

#[path = "flows/bench_of_work.rs"]
mod bench_of_work;
#[path = "flows/inputs.rs"]
mod inputs;
#[path = "flows/outputs.rs"]
mod outputs;
#[path = "flows/queue.rs"]
mod queue;
#[path = "flows/stops.rs"]
mod stops;
