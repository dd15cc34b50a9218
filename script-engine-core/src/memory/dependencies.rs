//! The dependency resolver of an engine that has none: no packages, and a clear refusal of any.

use async_trait::async_trait;

use crate::contract::{DependencyLayer, DependencyResolver, PackageTarget, Progress};
use crate::packages::{Declared, DependencyLock, LayerUse, PackageSummary};
use crate::{Error, ErrorKind, LanguageId, Result};

/// Resolves no packages at all, and refuses every other wish.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoDependencies;

#[async_trait]
impl DependencyResolver for NoDependencies {
    fn supports(&self, _language: &LanguageId) -> bool {
        false
    }

    async fn lock(
        &self,
        declared: &Declared,
        target: &PackageTarget,
        _progress: &dyn Progress,
    ) -> Result<DependencyLock> {
        if declared.needs_lock() {
            let names: Vec<&str> = declared.packages.iter().map(|it| it.name.as_str()).collect();
            return Err(Error::new(
                ErrorKind::Unsupported,
                "no dependency resolver is configured; remove the packages or register a resolver",
            )
            .with_context("packages", names.join(", "))
            .with_context("language", &target.runtime.language));
        }
        DependencyLock::new(LanguageId::parse(&target.runtime.language)?, String::new(), Vec::new(), Vec::new())
    }

    async fn materialize(
        &self,
        lock: &DependencyLock,
        _wanted: LayerUse,
        _target: &PackageTarget,
        _progress: &dyn Progress,
    ) -> Result<DependencyLayer> {
        let message = if lock.files.is_empty() && lock.packages.is_empty() && lock.verify().is_ok() {
            "an empty lock has no layer; start without one"
        } else {
            "no dependency resolver is configured; register the one that made this lock"
        };
        Err(Error::new(ErrorKind::Unsupported, message).with_context("lock", lock.digest))
    }

    async fn search(&self, _text: &str, _limit: usize, target: &PackageTarget) -> Result<Vec<PackageSummary>> {
        Err(Error::new(ErrorKind::Unsupported, "no dependency resolver is configured; register one")
            .with_context("language", &target.runtime.language))
    }
}
