//! Interpreters that were started ahead of their scripts, in real sandboxes: a script must not be able to tell, but
//! for the time.

#[cfg(test)]
#[path = "primed/bench.rs"]
mod bench;
#[cfg(test)]
#[path = "primed/equal.rs"]
mod equal;
#[cfg(test)]
#[path = "primed/quicker.rs"]
mod quicker;
