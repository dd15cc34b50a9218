//! Where secrets come from.

use std::fmt;

use async_trait::async_trait;

use crate::{Result, Secret, SecretRef, SecretScope};

/// Hands out secrets for one execution. Values never reach a record, an event or a log.
#[async_trait]
pub trait SecretProvider: fmt::Debug + Send + Sync + 'static {
    /// Resolves all of `wanted`, in that order.
    ///
    /// - [SP-01] A secret that does not exist is `NotFound` and names the reference, never a value.
    /// - [SP-02] Another tenant's secret does not exist.
    /// - [SP-03] No value is shown by `Debug`, in an error or anywhere else.
    async fn resolve(&self, wanted: &[SecretRef], scope: &SecretScope) -> Result<Vec<Secret>>;
}
