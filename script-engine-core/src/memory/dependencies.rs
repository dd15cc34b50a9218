//! The dependency resolver of an engine that has none: no packages, and a clear refusal of any.

use async_trait::async_trait;

use crate::contract::{DependencyLayer, DependencyLock, DependencyResolver};
use crate::{Digest, Error, ErrorKind, LanguageId, Result, RuntimeSpec, ScriptDependency};

/// Resolves the empty list of packages, and refuses every other.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoDependencies;

#[async_trait]
impl DependencyResolver for NoDependencies {
    fn supports(&self, _language: &LanguageId) -> bool {
        false
    }

    async fn lock(&self, wanted: &[ScriptDependency], runtime: &RuntimeSpec) -> Result<DependencyLock> {
        if !wanted.is_empty() {
            let names: Vec<&str> = wanted.iter().map(|it| it.name.as_str()).collect();
            return Err(Error::new(
                ErrorKind::Unsupported,
                "no dependency resolver is configured; remove the packages or register a resolver",
            )
            .with_context("packages", names.join(", "))
            .with_context("language", &runtime.language));
        }
        let language = LanguageId::parse(&runtime.language)?;
        Ok(DependencyLock { language, files: Vec::new(), digest: Digest::of(b"") })
    }

    async fn materialize(&self, lock: &DependencyLock, _runtime: &RuntimeSpec) -> Result<DependencyLayer> {
        let message = if lock.files.is_empty() && lock.digest == Digest::of(b"") {
            "an empty lock has no layer; start without one"
        } else {
            "no dependency resolver is configured; register the one that made this lock"
        };
        Err(Error::new(ErrorKind::Unsupported, message).with_context("lock", lock.digest))
    }
}
