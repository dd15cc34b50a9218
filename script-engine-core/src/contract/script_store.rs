//! Keeps every version of every script. Knows nothing about running them.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use semver::Version;

use crate::script::{Manifest, RefKind, ScriptRef, ScriptVersion};
use crate::selector::VersionSummary;
use crate::{RefName, Result, ScriptId, ScriptName, TenantId, Timestamp, VersionId};

/// A version to keep.
#[derive(Clone, Debug, PartialEq)]
pub struct NewVersion {
    /// The script's name; a new one makes a script.
    pub name: ScriptName,
    /// Whose it is.
    pub tenant: TenantId,
    /// The id a new script gets.
    pub script: ScriptId,
    /// What it does.
    pub manifest: Arc<Manifest>,
    /// Its number; else the highest number with the patch counted up, 1.0.0 for the first.
    pub number: Option<Version>,
    /// Who saves it.
    pub author: String,
    /// When.
    pub at: Timestamp,
    /// The branch whose head it becomes.
    pub branch: RefName,
}

/// One script, for lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptSummary {
    /// The script.
    pub id: ScriptId,
    /// Its name.
    pub name: ScriptName,
    /// Whose it is.
    pub tenant: TenantId,
}

/// Keeps scripts, versions and refs.
#[async_trait]
pub trait ScriptStore: fmt::Debug + Send + Sync + 'static {
    /// Keeps a version and moves the branch to it.
    ///
    /// - [SS-01] An identical manifest returns the version that exists, and the branch moves to it.
    /// - [SS-02] A number that another version has is `AlreadyExists`.
    /// - [SS-03] Of many saves at once, each version gets a number of its own.
    async fn save(&self, new: NewVersion) -> Result<Arc<ScriptVersion>>;

    /// Finds a tenant's script by name.
    async fn find(&self, tenant: &TenantId, name: &ScriptName) -> Result<Option<ScriptSummary>>;

    /// Lists a tenant's scripts by name, after `after` and at most `limit`.
    ///
    /// - [SS-04] Only the tenant's own, each once, in order.
    async fn list(&self, tenant: &TenantId, after: Option<&ScriptName>, limit: usize) -> Result<Vec<ScriptSummary>>;

    /// Gets all versions of a script in short form, and its refs.
    async fn history(&self, script: ScriptId) -> Result<(Vec<VersionSummary>, Vec<ScriptRef>)>;

    /// Gets a version.
    ///
    /// - [SS-05] What was saved comes back byte for byte; what does not exist is `NotFound`.
    async fn get(&self, script: ScriptId, version: VersionId) -> Result<Arc<ScriptVersion>>;

    /// Sets a ref: makes it if `expected` is `None`, else moves it from `expected`.
    ///
    /// - [SS-06] A ref that points elsewhere than expected is `Conflict`.
    /// - [SS-07] A tag never moves: `Conflict`.
    async fn set_ref(
        &self,
        script: ScriptId,
        kind: RefKind,
        name: &RefName,
        expected: Option<VersionId>,
        to: VersionId,
    ) -> Result<()>;
}
