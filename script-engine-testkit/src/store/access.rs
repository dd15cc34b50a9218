//! The suite of [`AccessPolicy`], for a policy to which no rules were added.

use std::sync::Arc;

use script_engine_core::contract::{AccessPolicy, Action};

use super::Factory;
use super::sample::{identity, name, tenant};
use crate::case::{Case, on};
use crate::verdict::{Proof, ensure_error};

type Made = Factory<dyn AccessPolicy>;

/// The cases of an access policy without further rules.
#[must_use]
pub fn access_policy(make: Made) -> Vec<Case> {
    vec![Case::new("AP-01", "without a rule, another tenant is refused", on(&Arc::new(make), ap_01))]
}

async fn ap_01(make: Arc<Made>) -> Proof {
    let policy = make().await?;
    let script = name("a")?;
    for action in [Action::Save(&script), Action::Execute(&script)] {
        for (who, owner) in [("acme", "globex"), ("globex", "acme"), ("acme", "acme-2"), ("default", "acme")] {
            let answer = policy.check(&identity(who)?, &tenant(owner)?, action).await;
            ensure_error!(answer, PermissionDenied, format!("{who} does {action:?} with what {owner} has"));
        }
    }
    Ok(())
}
