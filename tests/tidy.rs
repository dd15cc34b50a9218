//! The architecture, as tests: what a reviewer would otherwise have to remember. Not about behaviour.
//!
//! Each rule is a function from text to faults, so that next to the test that the workspace keeps it stands one that
//! shows it broken.

#[path = "tidy/dependencies.rs"]
mod dependencies;
#[path = "tidy/documents.rs"]
mod documents;
#[path = "tidy/files.rs"]
mod files;
#[path = "tidy/rules.rs"]
mod rules;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/words.rs"]
mod words;

/// Fails with every fault, each on its line.
#[track_caller]
fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}
