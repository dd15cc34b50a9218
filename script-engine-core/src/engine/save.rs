//! Saving a version: everything that can be wrong with it is found before the store hears of it.

use std::sync::Arc;

use super::components::Components;
use crate::contract::{Action, Check, Diagnostic, Language, NewVersion, Source};
use crate::detect::{check_source, detect};
use crate::packages::{DependencyLock, LayerUse};
use crate::parameters::ParameterSchema;
use crate::script::{DEFAULT_BRANCH, Manifest};
use crate::{Cancel, Error, Identity, NetworkPolicy, Problem, RefName, Result, ScriptDraft, ScriptId, ScriptVersion};

impl Components {
    /// Checks a draft and keeps it as a version of its script. On `Err` nothing was kept.
    pub(super) async fn save(&self, identity: &Identity, draft: ScriptDraft) -> Result<Arc<ScriptVersion>> {
        let (language, source) = self.judged(identity, &draft).await?;
        let manifest = self.pinned(&language, source, &draft).await?;
        self.scripts
            .save(NewVersion {
                name: draft.name,
                tenant: identity.tenant.clone(),
                script: ScriptId::from_bits(self.ids.fresh()),
                manifest: Arc::new(manifest),
                number: draft.number,
                author: identity.invoker.clone(),
                at: self.now(),
                branch: RefName::parse(DEFAULT_BRANCH)?,
            })
            .await
    }

    /// Checks a draft and pins the packages it names, and keeps nothing.
    pub(super) async fn lock(&self, identity: &Identity, draft: &ScriptDraft) -> Result<Option<Arc<DependencyLock>>> {
        let (language, source) = self.judged(identity, draft).await?;
        self.pinned(&language, source, draft).await.map(|it| it.lock)
    }

    /// Does with a draft all that comes before its first run, and keeps nothing but what the caches keep.
    pub(super) async fn check(&self, identity: &Identity, draft: &ScriptDraft) -> Result<Check> {
        let (language, source) = self.shaped(identity, draft).await?;
        let found = self.checked(&language, &source).await?;
        if !found.is_empty() {
            return Ok(found);
        }
        let manifest = self.pinned(&language, source, draft).await?;
        let (executor, never) = (self.step_executor()?, Cancel::never());
        let (compiled, toolchain) = self.compiled(executor, &language, &manifest, &never).await?;
        match compiled {
            Ok(compiled) => {
                if compiled.with_packages {
                    self.layer(language.as_ref(), &toolchain, &manifest, LayerUse::Run, None).await?;
                }
                Ok(Check::new())
            }
            Err(found) => Ok(found),
        }
    }

    /// The language and the source of a draft in which nothing is wrong that can be seen without compiling it.
    async fn judged(&self, identity: &Identity, draft: &ScriptDraft) -> Result<(Arc<dyn Language>, Source)> {
        let (language, source) = self.shaped(identity, draft).await?;
        let found = self.checked(&language, &source).await?;
        if found.is_empty() { Ok((language, source)) } else { Err(refused(&found)) }
    }

    /// The language and the source of a draft that may be saved by its looks.
    async fn shaped(&self, identity: &Identity, draft: &ScriptDraft) -> Result<(Arc<dyn Language>, Source)> {
        self.access.check(identity, &identity.tenant, Action::Save(&draft.name)).await?;
        let language = Arc::clone(self.checked_shape(draft)?);
        let entry_point = draft.entry_point.clone().unwrap_or_else(|| language.info().entry_point.clone());
        Ok((language, Source { entry_point, bytes: draft.source.clone() }))
    }

    /// What a version is made of, with its packages pinned.
    async fn pinned(&self, language: &Arc<dyn Language>, source: Source, draft: &ScriptDraft) -> Result<Manifest> {
        let declared = self.declared(language, source.clone(), &draft.dependencies).await?;
        let lock = self.locked(language, &source, &declared).await?;
        Ok(Manifest {
            language: language.info().id.clone(),
            entry_point: source.entry_point,
            source: source.bytes,
            parameter_schema: draft.parameter_schema.clone(),
            dependencies: draft.dependencies.clone(),
            lock,
            limits: draft.limits.clone(),
            network: draft.network.canonical(),
        })
    }

    /// Finds every problem that can be seen without running anything.
    fn checked_shape(&self, draft: &ScriptDraft) -> Result<&Arc<dyn Language>> {
        let mut problems = Vec::new();
        if let Err(error) = check_source(&draft.source) {
            problems.extend(error.problems().iter().cloned());
        }
        if let Some(schema) = &draft.parameter_schema
            && let Err(found) = ParameterSchema::compile(schema)
        {
            problems.extend(found);
        }
        problems.extend(draft.network.problems(&self.settings.egress));
        if draft.network == NetworkPolicy::Host {
            let message = "is the host's, which a request asks for and not a version; leave it out".to_owned();
            problems.push(Problem { field: "network".into(), message });
        }
        let infos = self.languages.iter().map(|it| it.info());
        let found = detect(draft.language.as_ref(), draft.entry_point.as_ref(), &draft.source, infos)
            .and_then(|info| self.language(&info.id));
        match found {
            Ok(language) => {
                problems.extend(language.info().limits.with(&draft.limits).problems());
                if problems.is_empty() { Ok(language) } else { Err(Error::invalid_all(problems)) }
            }
            Err(error) => {
                problems.extend(error.problems().iter().cloned());
                Err(if problems.is_empty() { error } else { Error::invalid_all(problems) })
            }
        }
    }
}

/// The error of a source in which something was found.
pub(super) fn refused(found: &Check) -> Error {
    Error::invalid_all(found.iter().map(Diagnostic::problem).collect())
}
