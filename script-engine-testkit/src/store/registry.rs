//! The suite of [`ScriptRegistry`].

use std::fmt;
use std::sync::Arc;

use script_engine_core::contract::{NewVersion, ScriptRegistry, ScriptStore};
use script_engine_core::script::RefKind;
use script_engine_core::{Identity, RefName, Result, Selector, VersionId};

use super::Factory;
use super::sample::{identity, name, version};
use crate::case::{Case, on};
use crate::verdict::{Proof, Unproven, ensure, ensure_error, fail};

/// A registry, and the store through which the suite fills it.
#[derive(Clone)]
pub struct RegistryBackend {
    /// The registry.
    pub registry: Arc<dyn ScriptRegistry>,
    /// Where versions are put. A host whose scripts are in tables of its own writes a small one.
    pub store: Arc<dyn ScriptStore>,
}

impl fmt::Debug for RegistryBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.registry.fmt(f)
    }
}

type Made = Factory<RegistryBackend>;

/// The cases of a script registry.
#[must_use]
pub fn script_registry(make: Made) -> Vec<Case> {
    let make = Arc::new(make);
    vec![
        Case::new("RG-01", "what does not exist is not found", on(&make, rg_01)),
        Case::new("RG-02", "what an identity may not see does not exist", on(&make, rg_02)),
        Case::new("RG-03", "a selector means another version only after a save or a move", on(&make, rg_03)),
    ]
}

impl RegistryBackend {
    async fn find(&self, who: &Identity, script: &str, selector: &str) -> Result<VersionId> {
        Ok(self.registry.resolve(who, &name(script)?, &selector.parse()?).await?.id)
    }
}

async fn rg_01(make: Arc<Made>) -> Proof {
    let it = make().await?;
    let who = Identity::default();
    ensure_error!(it.find(&who, "a", "latest").await, NotFound, "a script that does not exist");
    let one = it.store.save(version(1, "a", b"one")?).await?;
    for selector in ["9.9.9", "^9", "branch:gone", "tag:gone", &format!("sha256:{}", "0".repeat(64))] {
        ensure_error!(it.find(&who, "a", selector).await, NotFound, selector);
    }
    ensure_error!(it.find(&who, "b", "latest").await, NotFound, "another name");
    let found = it.registry.resolve(&who, &name("a")?, &Selector::Latest).await?;
    ensure!(found == one, "resolved to {found:?}, saved {one:?}");
    Ok(())
}

async fn rg_02(make: Arc<Made>) -> Proof {
    let it = make().await?;
    let foreign = identity("globex")?;
    let saved = it.store.save(NewVersion { tenant: foreign.tenant.clone(), ..version(1, "qq1", b"one")? }).await?;
    let who = Identity::default();
    let hidden = it.find(&who, "qq1", "latest").await;
    let missing = it.find(&who, "qq2", "latest").await;
    match (hidden, missing) {
        (Err(hidden), Err(missing)) => {
            // Whoever compares the two answers must not learn which script is there.
            let same = hidden.kind() == missing.kind()
                && hidden.to_string().replace("qq1", "qq2") == missing.to_string()
                && hidden.retry() == missing.retry();
            ensure!(same, "a foreign script answers {hidden}, a missing one {missing}");
        }
        other => fail!("expected two refusals: {other:?}"),
    }
    let by_digest = format!("sha256:{}", saved.id);
    ensure_error!(it.find(&who, "qq1", &by_digest).await, NotFound, "a foreign version by its digest");
    ensure!(it.find(&foreign, "qq1", "latest").await? == saved.id, "the owner does not find its script");
    let own = it.store.save(version(2, "qq1", b"own")?).await?;
    ensure!(it.find(&who, "qq1", "latest").await? == own.id, "two tenants can't use one name");
    ensure!(it.find(&foreign, "qq1", "latest").await? == saved.id, "another tenant's save moved the selector");
    Ok(())
}

async fn rg_03(make: Arc<Made>) -> Proof {
    let it = make().await?;
    let who = Identity::default();
    let one = it.store.save(version(1, "a", b"one")?).await?;
    let check = async |selectors: &[(&str, VersionId)]| -> Result<(), Unproven> {
        for (selector, expected) in selectors {
            for _ in 0..3 {
                let found = it.find(&who, "a", selector).await?;
                ensure!(found == *expected, "{selector} means {found:?}, expected {expected:?}");
            }
        }
        Ok(())
    };
    let tag = RefName::parse("prod")?;
    it.store.set_ref(one.script, RefKind::Tag, &tag, None, one.id).await?;
    let pinned = format!("sha256:{}", one.id);
    check(&[("latest", one.id), ("^1.0", one.id), ("branch:main", one.id), ("tag:prod", one.id)]).await?;
    let two = it.store.save(version(1, "a", b"two")?).await?;
    check(&[("latest", two.id), ("^1.0", two.id), ("branch:main", two.id)]).await?;
    check(&[("tag:prod", one.id), ("1.0.0", one.id), (&pinned, one.id)]).await?;
    // A rollback: the branch moves back, and `latest` with it.
    it.store.set_ref(one.script, RefKind::Branch, &RefName::parse("main")?, Some(two.id), one.id).await?;
    check(&[("latest", one.id), ("branch:main", one.id), ("^1.0", two.id), ("1.0.1", two.id)]).await
}
