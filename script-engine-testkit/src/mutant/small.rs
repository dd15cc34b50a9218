//! Small components that break one rule each.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use async_trait::async_trait;
use bytes::Bytes;
use script_engine_core::contract::{
    AccessPolicy, Action, ArtifactStore, CompiledCache, DependencyLayer, DependencyResolver, EventSink, PackageTarget,
    Progress, SecretProvider,
};
use script_engine_core::memory::{MemoryArtifacts, NoDependencies};
use script_engine_core::packages::{Declared, DependencyLock, LayerUse, PackageSummary};
use script_engine_core::{Digest, EngineEvent, Identity, LanguageId, Result, Secret, SecretRef, SecretScope, TenantId};

use super::Mutant;
use crate::case::Case;
use crate::memory;
use crate::store::{
    CacheBackend, ResolverBackend, SecretsBackend, access_policy, artifact_store, compiled_cache, dependency_resolver,
    event_sink, made, secret_provider,
};

pub(super) const MUTANTS: &[Mutant] = &[
    Mutant::new("SP-01", "leaves missing secrets out", || secrets(SecretFault::LeavesOut)),
    Mutant::new("SP-02", "gives away another tenant's secrets", || secrets(SecretFault::KnowsNoTenants)),
    Mutant::new("SP-03", "shows values in its debug form", || secrets(SecretFault::Shows)),
    Mutant::new("CC-01", "serves a value that was changed", || cache(CacheFault::Changes)),
    Mutant::new("CC-02", "keeps everything", || cache(CacheFault::Grows)),
    Mutant::new("AS-01", "cuts content", || artifacts(ArtifactFault::Cuts)),
    Mutant::new("AS-02", "keeps what is deleted", || artifacts(ArtifactFault::Keeps)),
    Mutant::new("AP-01", "allows everything", || access_policy(made(|| Arc::new(Lax) as _))),
    Mutant::new("EV-01", "waits for who listens", || event_sink(made(|| Arc::new(Waiting::new()) as _))),
    Mutant::new("DR-01", "makes a lock that differs each time", || resolver(ResolverFault::Varies)),
    Mutant::new("DR-02", "serves what lacks the digest", || resolver(ResolverFault::Serves)),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SecretFault {
    LeavesOut,
    KnowsNoTenants,
    Shows,
}

fn secrets(fault: SecretFault) -> Vec<Case> {
    secret_provider(made(move || {
        let SecretsBackend { provider, put } = memory::secrets();
        let broken = Arc::new(BrokenSecrets { inner: provider, fault, seen: Mutex::default() });
        let spy = Arc::clone(&broken);
        Arc::new(SecretsBackend {
            provider: broken,
            put: Arc::new(move |tenant, name, value| {
                let text = String::from_utf8_lossy(value.expose()).into_owned();
                spy.seen.lock().unwrap_or_else(PoisonError::into_inner).push((tenant.clone(), text));
                put(tenant, name, value)
            }),
        })
    }))
}

struct BrokenSecrets {
    inner: Arc<dyn SecretProvider>,
    fault: SecretFault,
    seen: Mutex<Vec<(TenantId, String)>>,
}

impl fmt::Debug for BrokenSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.fault {
            SecretFault::Shows => write!(f, "{:?}", self.seen),
            SecretFault::LeavesOut | SecretFault::KnowsNoTenants => f.write_str("BrokenSecrets"),
        }
    }
}

#[async_trait]
impl SecretProvider for BrokenSecrets {
    async fn resolve(&self, wanted: &[SecretRef], scope: &SecretScope) -> Result<Vec<Secret>> {
        let found = self.inner.resolve(wanted, scope).await;
        let tenants: Vec<TenantId> =
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|it| it.0.clone()).collect();
        match self.fault {
            SecretFault::LeavesOut => {
                let mut all = Vec::new();
                for one in wanted {
                    all.extend(self.inner.resolve(std::slice::from_ref(one), scope).await.unwrap_or_default());
                }
                Ok(all)
            }
            SecretFault::KnowsNoTenants => {
                for tenant in tenants {
                    let any = self.inner.resolve(wanted, &SecretScope { tenant }).await;
                    if any.is_ok() {
                        return any;
                    }
                }
                found
            }
            SecretFault::Shows => found,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CacheFault {
    Changes,
    Grows,
}

fn cache(fault: CacheFault) -> Vec<Case> {
    compiled_cache(made(move || {
        let cache = Arc::new(BrokenCache { fault, held: Mutex::default() });
        let tampered = Arc::clone(&cache);
        Arc::new(CacheBackend {
            cache,
            tamper: Some(Arc::new(move |key| {
                tampered.held().insert(key, Bytes::from_static(b"changed"));
                Box::pin(async { Ok(()) })
            })),
            bounded_by: None,
        })
    }))
}

/// Verifies nothing; bounded as long as it is not the bound that is broken.
#[derive(Debug)]
struct BrokenCache {
    fault: CacheFault,
    held: Mutex<HashMap<Digest, Bytes>>,
}

impl BrokenCache {
    fn held(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, Bytes>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl CompiledCache for BrokenCache {
    async fn find(&self, key: Digest) -> Result<Option<Bytes>> {
        Ok(self.held().get(&key).cloned())
    }

    async fn put(&self, key: Digest, value: Bytes) -> Result<()> {
        let mut held = self.held();
        if self.fault == CacheFault::Grows || held.len() < CacheBackend::ENTRIES {
            held.entry(key).or_insert(value);
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ArtifactFault {
    Cuts,
    Keeps,
}

fn artifacts(fault: ArtifactFault) -> Vec<Case> {
    artifact_store(made(move || Arc::new(BrokenArtifacts { inner: MemoryArtifacts::default(), fault }) as _))
}

#[derive(Debug)]
struct BrokenArtifacts {
    inner: MemoryArtifacts,
    fault: ArtifactFault,
}

#[async_trait]
impl ArtifactStore for BrokenArtifacts {
    async fn put(&self, content: Bytes) -> Result<Digest> {
        self.inner.put(content).await
    }

    async fn get(&self, digest: Digest) -> Result<Bytes> {
        let content = self.inner.get(digest).await?;
        match self.fault {
            ArtifactFault::Cuts => Ok(content.slice(..content.len().min(1 << 20))),
            ArtifactFault::Keeps => Ok(content),
        }
    }

    async fn delete(&self, digest: Digest) -> Result<()> {
        match self.fault {
            ArtifactFault::Cuts => self.inner.delete(digest).await,
            ArtifactFault::Keeps => Ok(()),
        }
    }
}

/// Allows everything.
#[derive(Debug)]
struct Lax;

#[async_trait]
impl AccessPolicy for Lax {
    async fn check(&self, _identity: &Identity, _owner: &TenantId, _action: Action<'_>) -> Result<()> {
        Ok(())
    }
}

/// Waits until its one listener, who never listens, has taken the event.
#[derive(Debug)]
struct Waiting {
    sender: mpsc::SyncSender<EngineEvent>,
    _idle: Mutex<mpsc::Receiver<EngineEvent>>,
}

impl Waiting {
    fn new() -> Self {
        let (sender, receiver) = mpsc::sync_channel(16);
        Self { sender, _idle: Mutex::new(receiver) }
    }
}

impl EventSink for Waiting {
    fn emit(&self, event: &EngineEvent) {
        drop(self.sender.send(event.clone()));
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ResolverFault {
    Varies,
    Serves,
}

fn resolver(fault: ResolverFault) -> Vec<Case> {
    dependency_resolver(made(move || {
        let resolver = Arc::new(BrokenResolver { fault, locks: AtomicUsize::new(0) });
        Arc::new(ResolverBackend { resolver, ..memory::resolver() })
    }))
}

#[derive(Debug)]
struct BrokenResolver {
    fault: ResolverFault,
    locks: AtomicUsize,
}

#[async_trait]
impl DependencyResolver for BrokenResolver {
    fn supports(&self, language: &LanguageId) -> bool {
        NoDependencies.supports(language)
    }

    async fn lock(
        &self,
        declared: &Declared,
        target: &PackageTarget,
        progress: &dyn Progress,
    ) -> Result<DependencyLock> {
        let mut lock = NoDependencies.lock(declared, target, progress).await?;
        if self.fault == ResolverFault::Varies {
            let stamp = self.locks.fetch_add(1, Ordering::Relaxed);
            lock.files.push(("stamp".into(), stamp.to_string().into()));
        }
        Ok(lock)
    }

    async fn materialize(
        &self,
        lock: &DependencyLock,
        wanted: LayerUse,
        target: &PackageTarget,
        progress: &dyn Progress,
    ) -> Result<DependencyLayer> {
        match self.fault {
            ResolverFault::Serves => Ok(DependencyLayer {
                lock: lock.digest,
                digest: lock.digest,
                path: "/nowhere".into(),
                hold: Arc::new(()),
            }),
            ResolverFault::Varies => NoDependencies.materialize(lock, wanted, target, progress).await,
        }
    }

    async fn search(&self, text: &str, limit: usize, target: &PackageTarget) -> Result<Vec<PackageSummary>> {
        NoDependencies.search(text, limit, target).await
    }
}
