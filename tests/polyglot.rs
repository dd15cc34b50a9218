//! Programs in all languages that do the same job, through the whole engine on the Linux sandbox.

#[cfg(test)]
#[path = "polyglot/bench.rs"]
mod bench;
#[cfg(test)]
#[path = "polyglot/bombs.rs"]
mod bombs;
#[cfg(test)]
#[path = "polyglot/packages.rs"]
mod packages;
#[cfg(test)]
#[path = "polyglot/same_job.rs"]
mod same_job;
#[cfg(test)]
#[path = "polyglot/toolchains.rs"]
mod toolchains;
