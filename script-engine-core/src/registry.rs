//! The registry over a script store: what a tenant sees, resolved by the one rule for selectors.

use std::sync::Arc;

use async_trait::async_trait;

use crate::contract::{ScriptRegistry, ScriptStore};
use crate::{Error, ErrorKind, Identity, Result, ScriptName, ScriptVersion, Selector, selector};

/// Finds scripts in a [`ScriptStore`]. An identity sees its own tenant's scripts and no others.
#[derive(Clone, Debug)]
pub struct StoreRegistry {
    store: Arc<dyn ScriptStore>,
}

impl StoreRegistry {
    /// Makes a registry over `store`.
    #[must_use]
    pub fn new(store: Arc<dyn ScriptStore>) -> Self {
        Self { store }
    }
}

#[async_trait]
impl ScriptRegistry for StoreRegistry {
    async fn resolve(&self, identity: &Identity, name: &ScriptName, selector: &Selector) -> Result<Arc<ScriptVersion>> {
        // Only the own tenant is asked, so that a foreign script and a missing one look the same.
        let script = self.store.find(&identity.tenant, name).await?.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "no such script; save it first").with_context("script", name)
        })?;
        let (versions, refs) = self.store.history(script.id).await?;
        let version = selector::resolve(selector, &versions, &refs)?;
        self.store.get(script.id, version).await
    }
}
