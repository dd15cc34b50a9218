//! Secrets that a host puts into the engine's memory, each tenant's apart.

use std::collections::HashMap;
use std::fmt;
use std::sync::{PoisonError, RwLock};

use async_trait::async_trait;

use crate::contract::SecretProvider;
use crate::{Error, ErrorKind, Result, Secret, SecretRef, SecretScope, TenantId};

type Values = HashMap<TenantId, HashMap<String, Secret>>;

/// Keeps secrets in memory. What it holds is what the host put in.
#[derive(Default)]
pub struct MemorySecrets {
    values: RwLock<Values>,
}

impl MemorySecrets {
    /// Makes an empty provider.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a tenant's secret; a former value is replaced for executions that resolve from now on.
    pub fn set(&self, tenant: TenantId, name: impl Into<String>, value: Secret) {
        let mut values = self.values.write().unwrap_or_else(PoisonError::into_inner);
        values.entry(tenant).or_default().insert(name.into(), value);
    }

    /// Removes a tenant's secret. Removing what is not there is fine.
    pub fn remove(&self, tenant: &TenantId, name: &str) {
        let mut values = self.values.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = values.get_mut(tenant) {
            own.remove(name);
            if own.is_empty() {
                values.remove(tenant);
            }
        }
    }
}

impl fmt::Debug for MemorySecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = self.values.read().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("MemorySecrets").field("count", &values.values().map(HashMap::len).sum::<usize>()).finish()
    }
}

#[async_trait]
impl SecretProvider for MemorySecrets {
    async fn resolve(&self, wanted: &[SecretRef], scope: &SecretScope) -> Result<Vec<Secret>> {
        let values = self.values.read().unwrap_or_else(PoisonError::into_inner);
        let own = values.get(&scope.tenant);
        wanted
            .iter()
            .map(|it| {
                own.and_then(|own| own.get(&it.name)).cloned().ok_or_else(|| {
                    Error::new(ErrorKind::NotFound, "no such secret; give the tenant one by this name")
                        .with_context("secret", &it.name)
                        .with_context("tenant", &scope.tenant)
                })
            })
            .collect()
    }
}
