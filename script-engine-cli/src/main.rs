//! The script-engine program.
fn main() {}
