//! A language as an operator's settings have it: the same functions, other data.

use std::sync::Arc;

use crate::contract::{Check, Compilation, Language, LanguageInfo, Prepared, Source, Toolchain, Work};
use crate::packages::{Declared, DependencyLock};
use crate::{LanguageSettings, Limits, Prime, Result};

#[derive(Debug)]
pub(super) struct Configured {
    language: Arc<dyn Language>,
    info: LanguageInfo,
}

impl Configured {
    pub(super) fn new(language: Arc<dyn Language>, settings: &LanguageSettings) -> Self {
        let info = settings.applied(language.info());
        Self { language, info }
    }
}

#[deny(clippy::missing_trait_methods)]
impl Language for Configured {
    fn info(&self) -> &LanguageInfo {
        &self.info
    }

    fn check(&self, source: &Source) -> Result<Work<Check>> {
        self.language.check(source)
    }

    fn dependencies(&self, source: &Source) -> Result<Declared> {
        self.language.dependencies(source)
    }

    fn prepare(&self, source: &Source, lock: Option<&DependencyLock>) -> Result<Work<Compilation>> {
        self.language.prepare(source, lock)
    }

    fn fit(&self, prepared: Prepared, limits: &Limits) -> Prepared {
        self.language.fit(prepared, limits)
    }

    fn toolchain(&self, source: Option<&Source>) -> Result<Work<Toolchain>> {
        self.language.toolchain(source)
    }

    fn prime(&self) -> Option<Prime> {
        self.language.prime()
    }

    fn fingerprint(&self) -> String {
        self.language.fingerprint()
    }
}
