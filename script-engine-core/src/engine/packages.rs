//! The packages of versions: locked when one is saved, got in place when one runs.

use std::sync::Arc;

use super::components::Components;
use super::prepare::runtime;
use crate::contract::{DependencyLayer, Language, LanguageInfo, PackageTarget, Source, Toolchain};
use crate::packages::{Declared, DependencyLock, LayerUse, PackageSummary};
use crate::script::Manifest;
use crate::{Cancel, Error, ExecutionId, LanguageId, Result, ScriptDependency};

impl Components {
    /// Reads what a source declares inline and puts what was declared beside it to that. Fails with
    /// every declaration that can't be meant.
    pub(super) async fn declared(
        &self,
        language: &Arc<dyn Language>,
        source: Source,
        beside: &[ScriptDependency],
    ) -> Result<Declared> {
        let inline = self.asked(language, move |language| language.dependencies(&source)).await?;
        let declared = inline.with(beside);
        let problems = declared.problems();
        if problems.is_empty() { Ok(declared) } else { Err(Error::invalid_all(problems)) }
    }

    /// Pins what a version declares; `None` if it needs no packages, or has none to pin and nobody to do it.
    pub(super) async fn locked(
        &self,
        language: &Arc<dyn Language>,
        source: &Source,
        declared: &Declared,
    ) -> Result<Option<Arc<DependencyLock>>> {
        let info = language.info();
        if !declared.needs_lock() {
            return Ok(None);
        }
        if !self.packages.supports(&info.id) {
            // A manifest alone makes a layer for the compiler: without a resolver there is none, and it takes longer.
            if declared.packages.is_empty() {
                return Ok(None);
            }
            let names: Vec<&str> = declared.packages.iter().map(|it| it.name.as_str()).collect();
            let message = format!(
                "names packages ({}), and no resolver for {} is configured; register one, or save it without packages",
                names.join(", "),
                info.id
            );
            return Err(Error::invalid("dependencies", message));
        }
        let wanted = Some(source.clone());
        let toolchain = self.toolchain(self.step_executor()?, language, wanted, &Cancel::never()).await?;
        let progress = self.told(&info.id, None);
        let lock = self.packages.lock(declared, &target(info, &toolchain), &progress).await?;
        Ok(Some(Arc::new(lock)))
    }

    /// Gets the packages of a version in place; `None` if it has none.
    pub(super) async fn layer(
        &self,
        language: &dyn Language,
        toolchain: &Toolchain,
        manifest: &Manifest,
        wanted: LayerUse,
        execution: Option<ExecutionId>,
    ) -> Result<Option<DependencyLayer>> {
        let Some(lock) = &manifest.lock else { return Ok(None) };
        let info = language.info();
        let progress = self.told(&info.id, execution);
        self.packages.materialize(lock, wanted, &target(info, toolchain), &progress).await.map(Some)
    }

    /// Looks packages of a language up.
    pub(super) async fn search_packages(
        &self,
        language: &LanguageId,
        text: &str,
        limit: usize,
    ) -> Result<Vec<PackageSummary>> {
        let language = Arc::clone(self.language(language)?);
        let toolchain = self.toolchain(self.step_executor()?, &language, None, &Cancel::never()).await?;
        self.packages.search(text, limit, &target(language.info(), &toolchain)).await
    }
}

fn target(info: &LanguageInfo, toolchain: &Toolchain) -> PackageTarget {
    PackageTarget {
        runtime: runtime(info, None),
        toolchain: toolchain.clone(),
        env: info.env.clone(),
        packages_dir: info.packages_dir.clone(),
    }
}
