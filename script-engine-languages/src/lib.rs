//! The script languages: how each is checked, prepared and started. A host adds its own by
//! implementing [`Language`] beside these; nothing here is special.
//!
//! What the languages do with a source that an editor or a form has left its marks in:
//!
//! | | UTF-8 byte order mark | CRLF | not UTF-8 | NUL, UTF-16 |
//! |---|---|---|---|---|
//! | Bash | taken off | all lines: made LF; some lines: refused | kept | refused |
//! | Python | kept | kept | as its `coding` line says | refused |
//! | TypeScript, JavaScript | kept | kept | refused | refused |
//! | Go | kept | kept | refused | refused |
//! | Java | taken off | kept | refused | refused |
//! | C# | taken off | kept | refused | refused |
//!
//! A `#!` line names a known interpreter and options that are passed on, or is refused; Go has none.

use std::sync::Arc;

use script_engine_core::Result;
use script_engine_core::contract::Language;

mod bash;
mod csharp;
mod diagnostics;
mod facts;
mod go;
mod hash_bang;
#[cfg(test)]
mod interpreter;
mod java;
pub mod packages;
mod prime;
mod python;
mod sample;
mod source_text;
#[cfg(feature = "typescript")]
mod typescript;
mod version;

pub use bash::Bash;
pub use csharp::CSharp;
pub use go::Go;
pub use java::Java;
pub use python::Python;
pub use sample::{Sample, SamplePackage, clone_sample, sample, samples};
#[cfg(feature = "typescript")]
pub use typescript::TypeScript;

/// All languages of this crate.
#[must_use]
pub fn builtin() -> Vec<Arc<dyn Language>> {
    fn shared(language: Result<impl Language>) -> Option<Arc<dyn Language>> {
        // Only a name that is none could fail, and the tests see that none is.
        language.ok().map(|it| Arc::new(it) as Arc<dyn Language>)
    }
    let languages = [
        shared(Bash::new()),
        shared(Python::new()),
        shared(Go::new()),
        shared(Java::new()),
        shared(CSharp::new()),
        #[cfg(feature = "typescript")]
        shared(TypeScript::new()),
    ];
    languages.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_languages_are_there_with_limits_in_range() {
        let languages = builtin();
        let names: Vec<&str> = languages.iter().map(|it| it.info().id.as_str()).collect();
        assert_eq!(names[..5], ["bash", "python", "go", "java", "csharp"]);
        assert_eq!(names.get(5).copied(), cfg!(feature = "typescript").then_some("typescript"));
        for language in languages {
            let info = language.info();
            assert_eq!(info.limits.problems(), vec![]);
            assert_eq!(info.limits.with(&info.step_limits).problems(), vec![]);
            assert!(info.extensions.iter().any(|it| Some(it.as_str()) == info.entry_point.extension()));
            if let Some(prime) = language.prime() {
                assert!(!prime.files.is_empty() && prime.serves[1..].iter().all(|it| prime.argv.contains(it)));
            }
            assert_eq!(language.prime().is_some(), ["python", "typescript"].contains(&info.id.as_str()));
            assert!(language.fingerprint().starts_with(info.id.as_str()));
        }
    }
}
