//! Whole flows of the engine over a scripted executor and stores in memory, under paused time. One
//! file for each part of an execution's life.

#[cfg(test)]
#[path = "flows/bench_of_work.rs"]
mod bench_of_work;
#[cfg(test)]
#[path = "flows/compiled.rs"]
mod compiled;
#[cfg(test)]
#[path = "flows/inputs.rs"]
mod inputs;
#[cfg(test)]
#[path = "flows/language_settings.rs"]
mod language_settings;
#[cfg(test)]
#[path = "flows/mounts.rs"]
mod mounts;
#[cfg(test)]
#[path = "flows/outputs.rs"]
mod outputs;
#[cfg(test)]
#[path = "flows/queue.rs"]
mod queue;
#[cfg(test)]
#[path = "flows/stops.rs"]
mod stops;
