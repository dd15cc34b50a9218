//! Who may do what.

use std::fmt;

use async_trait::async_trait;

use crate::{Identity, Result, ScriptName, TenantId};

/// Something that somebody wants to do.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action<'a> {
    /// Save a version of a script.
    Save(&'a ScriptName),
    /// Run a script.
    Execute(&'a ScriptName),
}

/// Decides who may do what. Asked before anything is taken.
#[async_trait]
pub trait AccessPolicy: fmt::Debug + Send + Sync + 'static {
    /// Allows `action` on what `owner` has, or fails with `PermissionDenied`.
    ///
    /// - [AP-01] Without a rule that allows it, an identity of another tenant is refused.
    async fn check(&self, identity: &Identity, owner: &TenantId, action: Action<'_>) -> Result<()>;
}
