//! The access policy of a host that says no more: each tenant may do everything with its own.

use async_trait::async_trait;

use crate::contract::{AccessPolicy, Action};
use crate::{Error, ErrorKind, Identity, Result, TenantId};

/// Lets an identity do everything with what its own tenant owns, and nothing else.
#[derive(Clone, Copy, Debug, Default)]
pub struct TenantPolicy;

#[async_trait]
impl AccessPolicy for TenantPolicy {
    async fn check(&self, identity: &Identity, owner: &TenantId, action: Action<'_>) -> Result<()> {
        if identity.tenant == *owner {
            return Ok(());
        }
        let (verb, name) = match action {
            Action::Save(name) => ("save", name),
            Action::Execute(name) => ("execute", name),
        };
        Err(Error::new(ErrorKind::PermissionDenied, "belongs to another tenant; ask its owner for a copy")
            .with_context("action", verb)
            .with_context("script", name)
            .with_context("tenant", &identity.tenant))
    }
}
