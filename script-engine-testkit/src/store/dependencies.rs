//! The suite of [`DependencyResolver`].

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use script_engine_core::Digest;
use script_engine_core::contract::{DependencyResolver, PackageTarget, Unheard};
use script_engine_core::packages::{Declared, LayerUse};

use super::Factory;
use crate::case::{Case, on};
use crate::verdict::{Proof, ensure, fail};

/// A resolver, and packages that it can get where the suite is carried out.
#[derive(Clone)]
pub struct ResolverBackend {
    /// The resolver.
    pub resolver: Arc<dyn DependencyResolver>,
    /// What to resolve; may be empty.
    pub declared: Declared,
    /// What to resolve it for.
    pub target: PackageTarget,
}

impl fmt::Debug for ResolverBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.resolver.fmt(f)
    }
}

type Made = Factory<ResolverBackend>;

/// The cases of a dependency resolver.
#[must_use]
pub fn dependency_resolver(make: Made) -> Vec<Case> {
    let make = Arc::new(make);
    vec![
        Case::new("DR-01", "one input gives one lock", on(&make, dr_01)),
        Case::new("DR-02", "what lacks the locked digest is never served", on(&make, dr_02)),
    ]
}

async fn dr_01(make: Arc<Made>) -> Proof {
    let it = make().await?;
    let first = it.resolver.lock(&it.declared, &it.target, &Unheard).await?;
    ensure!(first.language.as_str() == it.target.runtime.language, "the lock is of language {}", first.language);
    for _ in 0..3 {
        let again = it.resolver.lock(&it.declared, &it.target, &Unheard).await?;
        ensure!(again == first, "the second lock is {again:?}, the first was {first:?}");
    }
    let other = make().await?;
    let again = other.resolver.lock(&it.declared, &it.target, &Unheard).await?;
    ensure!(again == first, "another resolver's lock is {again:?}, the first was {first:?}");
    Ok(())
}

async fn dr_02(make: Arc<Made>) -> Proof {
    let it = make().await?;
    let lock = it.resolver.lock(&it.declared, &it.target, &Unheard).await?;
    let mut other_digest = lock.clone();
    other_digest.digest = Digest::of(b"another lock");
    let mut other_file = lock.clone();
    other_file.files.push(("extra.lock".into(), Bytes::from_static(b"evil==6.6.6")));
    let mut changed = vec![other_digest, other_file];
    if !lock.files.is_empty() {
        let mut other_bytes = lock.clone();
        for (_, content) in &mut other_bytes.files {
            *content = [content.as_ref(), b"\n"].concat().into();
        }
        changed.push(other_bytes);
    }
    for lock in changed {
        if let Ok(layer) = it.resolver.materialize(&lock, LayerUse::Run, &it.target, &Unheard).await {
            fail!("a lock without its digest was served as {layer:?}");
        }
    }
    Ok(())
}
