//! How a script finds itself: facts that a child gathers which came the same way as a script.

use crate::script::child::Failure;
use crate::serve::Config;
use crate::sys::{Errno, file};

/// Tells the facts on standard output.
pub fn tell(_config: &Config) -> Failure {
    let _ = file::write_all(1, b"");
    Failure::new("posture", "none".to_owned(), Errno::EINVAL)
}

/// Reads what [`tell`] told.
pub fn read(_told: &[u8]) -> Vec<(String, String)> {
    Vec::new()
}
