//! What each language does in the engine's own process with a source that anybody may have written: it reads what the
//! source declares, parses it, and makes ready what a sandbox is to do. Nothing of a source is run.

use script_engine_core::contract::{Language, Source};
use script_engine_core::{EntryPoint, ErrorKind, Result};

/// Lets a language read a source. Panics, and so ends the fuzzing, if it fails with anything but a refusal of the source,
/// or if it reads the same source in two ways.
pub fn read<L: Language>(language: fn() -> Result<L>, file: &str, source: &[u8]) {
    let language = language().expect("a language");
    let source = Source { entry_point: EntryPoint::parse(file).expect("a path"), bytes: source.to_vec().into() };
    let declared = refused_or(language.dependencies(&source));
    assert_eq!(declared, refused_or(language.dependencies(&source)));
    refused_or(language.check(&source));
    refused_or(language.prepare(&source, None));
    refused_or(language.toolchain(Some(&source)));
}

fn refused_or<T>(result: Result<T>) -> Option<T> {
    match result {
        Ok(made) => Some(made),
        Err(error) if error.kind() == ErrorKind::InvalidRequest => None,
        Err(error) => panic!("{error:?}"),
    }
}
