//! Registries that break one rule each: wrappers round the one over a store.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use script_engine_core::contract::ScriptRegistry;
use script_engine_core::{Error, ErrorKind, Identity, Result, ScriptName, ScriptVersion, Selector, TenantId};

use super::Mutant;
use crate::case::Case;
use crate::memory;
use crate::store::{RegistryBackend, made, script_registry};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    TakesTheLatest,
    TellsOfForeignScripts,
    RemembersForGood,
}

use Fault as F;

pub(super) const MUTANTS: &[Mutant] = &[
    Mutant::new("RG-01", "takes the latest if there is no such version", || cases(F::TakesTheLatest)),
    Mutant::new("RG-02", "tells that a foreign script is there", || cases(F::TellsOfForeignScripts)),
    Mutant::new("RG-03", "remembers what a selector meant", || cases(F::RemembersForGood)),
];

fn cases(fault: Fault) -> Vec<Case> {
    script_registry(made(move || {
        let RegistryBackend { registry, store } = memory::registry();
        let registry = Arc::new(Broken { inner: registry, fault, known: Mutex::default() });
        Arc::new(RegistryBackend { registry, store })
    }))
}

#[derive(Debug)]
struct Broken {
    inner: Arc<dyn ScriptRegistry>,
    fault: Fault,
    known: Mutex<HashMap<(TenantId, ScriptName, String), Arc<ScriptVersion>>>,
}

#[async_trait]
impl ScriptRegistry for Broken {
    async fn resolve(&self, identity: &Identity, name: &ScriptName, selector: &Selector) -> Result<Arc<ScriptVersion>> {
        let key = (identity.tenant.clone(), name.clone(), selector.to_string());
        if self.fault == F::RemembersForGood
            && let Some(version) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&key)
        {
            return Ok(Arc::clone(version));
        }
        let found = self.inner.resolve(identity, name, selector).await;
        if let Ok(version) = &found {
            self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(key, Arc::clone(version));
        }
        match (self.fault, found) {
            (F::TakesTheLatest, Err(_)) => self.inner.resolve(identity, name, &Selector::Latest).await,
            (F::TellsOfForeignScripts, Err(error)) => {
                let other = Identity { tenant: TenantId::parse("globex")?, ..identity.clone() };
                match self.inner.resolve(&other, name, selector).await {
                    Ok(_) => Err(Error::new(ErrorKind::PermissionDenied, "this script is another tenant's")),
                    Err(_) => Err(error),
                }
            }
            (_, found) => found,
        }
    }
}
