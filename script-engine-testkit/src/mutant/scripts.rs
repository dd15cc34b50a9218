//! Script stores that break one rule each: wrappers round the one in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use script_engine_core::contract::{NewVersion, ScriptStore, ScriptSummary};
use script_engine_core::memory::MemoryScripts;
use script_engine_core::script::{Manifest, RefKind, ScriptRef};
use script_engine_core::selector::VersionSummary;
use script_engine_core::{ErrorKind, RefName, Result, ScriptId, ScriptName, ScriptVersion, TenantId, VersionId};
use semver::Version;

use super::Mutant;
use crate::case::Case;
use crate::store::{made, script_store};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    SavesTwice,
    GivesNumbersTwice,
    CountsForNobody,
    ListsBackwards,
    AddsANewline,
    LastMoveWins,
    MovesTags,
}

use Fault as F;

pub(super) const MUTANTS: &[Mutant] = &[
    Mutant::new("SS-01", "makes a version of each save", || cases(F::SavesTwice)),
    Mutant::new("SS-02", "takes a number that is given", || cases(F::GivesNumbersTwice)),
    Mutant::new("SS-03", "gives everybody the same number", || cases(F::CountsForNobody)),
    Mutant::new("SS-04", "lists backwards", || cases(F::ListsBackwards)),
    Mutant::new("SS-05", "adds a newline to the source", || cases(F::AddsANewline)),
    Mutant::new("SS-06", "lets the last move win", || cases(F::LastMoveWins)),
    Mutant::new("SS-07", "moves tags", || cases(F::MovesTags)),
];

fn cases(fault: Fault) -> Vec<Case> {
    script_store(made(move || {
        Arc::new(Broken { inner: MemoryScripts::default(), fault, saves: AtomicU32::new(100) }) as _
    }))
}

#[derive(Debug)]
struct Broken {
    inner: MemoryScripts,
    fault: Fault,
    saves: AtomicU32,
}

#[async_trait]
impl ScriptStore for Broken {
    async fn save(&self, mut new: NewVersion) -> Result<Arc<ScriptVersion>> {
        if self.fault == F::SavesTwice {
            let mut manifest: Manifest = (*new.manifest).clone();
            manifest.limits.pids = Some(self.saves.fetch_add(1, Ordering::Relaxed));
            new.manifest = Arc::new(manifest);
        }
        let unnumbered = NewVersion { number: None, ..new.clone() };
        match (self.fault, self.inner.save(new).await) {
            (F::GivesNumbersTwice, Err(_)) => self.inner.save(unnumbered).await,
            (F::CountsForNobody, Ok(version)) => {
                let version: ScriptVersion = (*version).clone();
                Ok(Arc::new(ScriptVersion { number: Version::new(1, 0, 0), ..version }))
            }
            (_, saved) => saved,
        }
    }

    async fn find(&self, tenant: &TenantId, name: &ScriptName) -> Result<Option<ScriptSummary>> {
        self.inner.find(tenant, name).await
    }

    async fn list(&self, tenant: &TenantId, after: Option<&ScriptName>, limit: usize) -> Result<Vec<ScriptSummary>> {
        let mut page = self.inner.list(tenant, after, limit).await?;
        if self.fault == F::ListsBackwards {
            page.reverse();
        }
        Ok(page)
    }

    async fn history(&self, script: ScriptId) -> Result<(Vec<VersionSummary>, Vec<ScriptRef>)> {
        self.inner.history(script).await
    }

    async fn get(&self, script: ScriptId, version: VersionId) -> Result<Arc<ScriptVersion>> {
        let version = self.inner.get(script, version).await?;
        if self.fault != F::AddsANewline {
            return Ok(version);
        }
        let mut manifest: Manifest = (*version.manifest).clone();
        manifest.source = [&manifest.source, &b"\n"[..]].concat().into();
        let version: ScriptVersion = (*version).clone();
        Ok(Arc::new(ScriptVersion { manifest: Arc::new(manifest), ..version }))
    }

    async fn set_ref(
        &self,
        script: ScriptId,
        kind: RefKind,
        name: &RefName,
        expected: Option<VersionId>,
        to: VersionId,
    ) -> Result<()> {
        let set = self.inner.set_ref(script, kind, name, expected, to).await;
        let lax = match kind {
            RefKind::Branch => self.fault == F::LastMoveWins,
            RefKind::Tag => self.fault == F::MovesTags,
        };
        match set {
            Err(error) if lax && error.kind() == ErrorKind::Conflict => Ok(()),
            set => set,
        }
    }
}
