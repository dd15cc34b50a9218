//! The suites over core's implementations in memory: the reference that every case is read against.

use std::sync::Arc;

use script_engine_core::contract::{EventSink, PackageTarget, Toolchain};
use script_engine_core::memory::{
    BroadcastEvents, MemoryArtifacts, MemoryCache, MemoryExecutions, MemoryOutput, MemoryScripts, MemorySecrets,
    NoDependencies, Subscription, TenantPolicy,
};
use script_engine_core::packages::Declared;
use script_engine_core::{EngineEvent, RuntimeSpec, StoreRegistry};

use crate::case::Case;
use crate::store::{
    self, CacheBackend, RegistryBackend, ResolverBackend, SecretsBackend, access_policy, artifact_store,
    compiled_cache, dependency_resolver, event_sink, execution_store, output_store, script_registry, script_store,
    secret_provider,
};

/// All cases that core's implementations in memory must pass.
#[must_use]
pub fn cases() -> Vec<Case> {
    let suites = [
        script_store(store::made(|| Arc::new(MemoryScripts::default()) as _)),
        script_registry(store::made(|| Arc::new(registry()))),
        execution_store(store::made(|| Arc::new(MemoryExecutions::default()) as _)),
        output_store(store::made(|| Arc::new(MemoryOutput::default()) as _)),
        secret_provider(store::made(|| Arc::new(secrets()))),
        compiled_cache(store::made(|| Arc::new(cache()))),
        artifact_store(store::made(|| Arc::new(MemoryArtifacts::default()) as _)),
        access_policy(store::made(|| Arc::new(TenantPolicy) as _)),
        event_sink(store::made(|| Arc::new(Heard::new()) as _)),
        dependency_resolver(store::made(|| Arc::new(resolver()))),
    ];
    suites.into_iter().flatten().collect()
}

/// A registry over a store in memory.
pub(crate) fn registry() -> RegistryBackend {
    let store = Arc::new(MemoryScripts::default());
    RegistryBackend { registry: Arc::new(StoreRegistry::new(Arc::clone(&store) as Arc<_>)), store }
}

/// Secrets in memory.
pub(crate) fn secrets() -> SecretsBackend {
    let provider = Arc::new(MemorySecrets::new());
    let put = Arc::clone(&provider);
    SecretsBackend {
        provider,
        put: Arc::new(move |tenant, name, value| {
            put.set(tenant, name, value);
            Box::pin(async { Ok(()) })
        }),
    }
}

/// A cache in memory. Nobody but itself reaches what it holds; core's own test changes it from inside.
pub(crate) fn cache() -> CacheBackend {
    CacheBackend { cache: Arc::new(MemoryCache::new(CacheBackend::ENTRIES, 1 << 20)), tamper: None, bounded_by: None }
}

/// The resolver that has no packages.
pub(crate) fn resolver() -> ResolverBackend {
    ResolverBackend {
        resolver: Arc::new(NoDependencies),
        declared: Declared::default(),
        target: PackageTarget {
            runtime: RuntimeSpec { language: "python".into(), image: "python".into(), layer: None },
            toolchain: Toolchain { name: "python".into(), version: "3.12".into(), place: String::new() },
            env: Vec::new(),
            packages_dir: "/packages".into(),
        },
    }
}

/// A sink with a subscription that nobody reads.
#[derive(Debug)]
struct Heard {
    sink: BroadcastEvents,
    _idle: Subscription,
}

impl Heard {
    fn new() -> Self {
        let sink = BroadcastEvents::default();
        Self { _idle: sink.subscribe(), sink }
    }
}

impl EventSink for Heard {
    fn emit(&self, event: &EngineEvent) {
        self.sink.emit(event);
    }
}
