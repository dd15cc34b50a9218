//! The resolver that an engine gets: asks the ecosystems, carries their steps out in networked build
//! sandboxes, and keeps locks and layers.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use script_engine_core::contract::{
    Clock, DependencyLayer, DependencyResolver, PackageTarget, Progress, ScriptExecutor, Step, Unit,
};
use script_engine_core::packages::{Declared, DependencyLock, DependencyScope, LayerUse, PackageSummary};
use script_engine_core::{
    Cancel, Digest, EgressSettings, Error, ErrorKind, LanguageId, LayerMount, Limits, NetworkPolicy, Open, Result,
    RuntimeSpec, Settings, StepPlace, StepRunner, Timestamp,
};
use tokio::sync::{OnceCell, Semaphore};

use super::ecosystem::{Ecosystem, Rules};
use super::locks::LockCache;
use super::policy::PackagePolicy;
use super::sources::PackageSources;
use super::store::LayerStore;

/// What a resolver is made with.
#[derive(Clone, Debug)]
pub struct PackageSettings {
    /// The folder in which locks and layers are kept, and which engines may share. Where the host
    /// program is root, other users must be able to enter it.
    pub folder: PathBuf,
    /// Where packages come from.
    pub sources: PackageSources,
    /// Which packages scripts may have.
    pub policy: PackagePolicy,
    /// Bytes of layers above which those that were used longest ago are removed.
    pub budget_bytes: u64,
    /// Build sandboxes at one time.
    pub max_concurrent: usize,
    /// Whether layers get what makes scripts start sooner and can only be made with the packages in their place, such as
    /// Java's class data. It is for backends that mount a layer as a folder: one that makes an image of it has to make
    /// two, and would find none of what others made, for class data may differ where packages do not.
    pub finished_in_place: bool,
    /// Whether packages are looked up anew even where their lock is known, to get newer ones.
    pub upgrade: bool,
}

impl PackageSettings {
    /// The default settings with the packages in `folder`.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            sources: PackageSources::default(),
            policy: PackagePolicy::default(),
            budget_bytes: 10 << 30,
            max_concurrent: 2,
            finished_in_place: true,
            upgrade: false,
        }
    }
}

/// How layers are made: counted up whenever they come to have something else.
const LAYER: &str = "layer 2";

/// How often a resolver did the work that its caches save.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PackageCounts {
    /// Locks that an ecosystem's resolver decided.
    pub locked: u64,
    /// Layers that were fetched and built.
    pub built: u64,
}

/// Resolves packages in build sandboxes of an executor.
#[derive(Debug)]
pub struct SandboxedResolver(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    runner: StepRunner,
    /// What its steps may reach.
    network: NetworkPolicy,
    finished_in_place: bool,
    upgrade: bool,
    clock: Arc<dyn Clock>,
    ecosystems: Vec<Arc<dyn Ecosystem>>,
    sources: PackageSources,
    policy: PackagePolicy,
    folder: PathBuf,
    budget_bytes: u64,
    /// Opened when packages are first wanted: an engine whose scripts need none needs no folder for them.
    stores: OnceCell<Stores>,
    places: Semaphore,
    /// What is under way, by key, so that many who want one thing wait for one. Holds no more entries than
    /// there are callers.
    flights: Mutex<HashMap<Digest, Arc<tokio::sync::Mutex<()>>>>,
    counts: Mutex<PackageCounts>,
}

#[derive(Debug)]
struct Stores {
    locks: LockCache,
    layers: LayerStore,
}

impl SandboxedResolver {
    /// Makes a resolver. Its folder is made, and looked at, when packages are first wanted.
    #[must_use]
    pub fn new(
        executor: Arc<dyn ScriptExecutor>,
        ecosystems: Vec<Arc<dyn Ecosystem>>,
        clock: Arc<dyn Clock>,
        settings: PackageSettings,
    ) -> Self {
        let PackageSettings { folder, sources, policy, budget_bytes, max_concurrent, finished_in_place, upgrade } =
            settings;
        let network = sources.network();
        let runner = StepRunner::new(executor, &Settings { egress: egress(), ..Settings::default() });
        Self(Arc::new(Shared {
            runner,
            network,
            finished_in_place,
            upgrade,
            clock,
            ecosystems,
            sources,
            policy,
            folder,
            budget_bytes,
            stores: OnceCell::new(),
            places: Semaphore::new(max_concurrent.max(1)),
            flights: Mutex::default(),
            counts: Mutex::default(),
        }))
    }

    /// How often it did the work that its caches save.
    #[must_use]
    pub fn counts(&self) -> PackageCounts {
        *self.0.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn ecosystem(&self, language: &LanguageId) -> Result<&Arc<dyn Ecosystem>> {
        self.ecosystems.iter().find(|it| it.language() == language).ok_or_else(|| {
            Error::new(
                ErrorKind::Unsupported,
                format!("packages for {language} can't be had here; register an ecosystem"),
            )
        })
    }

    async fn stores(&self) -> Result<&Stores> {
        let open = || async {
            let (folder, budget) = (self.folder.clone(), self.budget_bytes);
            blocking(move || {
                Ok(Stores { locks: LockCache::open(&folder)?, layers: LayerStore::open(&folder, budget)? })
            })
            .await
        };
        self.stores.get_or_try_init(open).await
    }

    fn opened(&self) -> Result<&Stores> {
        self.stores.get().ok_or_else(|| Error::internal("the packages' folder was not opened"))
    }

    /// What decides a lock. Credentials are no part of it.
    fn lock_key(&self, ecosystem: &dyn Ecosystem, declared: &Declared, target: &PackageTarget) -> Digest {
        let mut text = format!(
            "lock 2\0{}\0{}\0{:?}\0{}\0{}\0{}\0{}\0{}",
            ecosystem.language(),
            ecosystem.fingerprint(),
            self.policy.minimum_age,
            self.policy.install_scripts,
            target.toolchain,
            target.runtime.image,
            declared.manifest.as_deref().unwrap_or_default(),
            declared.toolchain.as_deref().unwrap_or_default(),
        );
        for it in &declared.packages {
            text.push_str(&format!("\0{}\0{}\0{}", it.name, it.requirement, it.scope.as_str()));
        }
        text.push_str(&self.sources.identity());
        Digest::of(text.as_bytes())
    }

    fn layer_key(
        &self,
        ecosystem: &dyn Ecosystem,
        lock: &DependencyLock,
        wanted: LayerUse,
        target: &PackageTarget,
    ) -> Digest {
        let text = format!(
            "{LAYER}\0{}\0{}\0{}\0{}\0{}\0{}\0{}\0{}",
            ecosystem.language(),
            ecosystem.fingerprint(),
            self.policy.install_scripts,
            target.toolchain,
            target.runtime.image,
            lock.digest,
            wanted.as_str(),
            self.finished_in_place,
        );
        Digest::of(text.as_bytes())
    }

    /// The one who does something for all who want it.
    fn flight(&self, key: Digest) -> Arc<tokio::sync::Mutex<()>> {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        flights.retain(|_, it| Arc::strong_count(it) > 1);
        Arc::clone(flights.entry(key).or_default())
    }

    fn count(&self, change: impl FnOnce(&mut PackageCounts)) {
        change(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Carries a step out that gets something of an index.
    async fn carry_out<T>(&self, step: Step<T>, limits: Limits, target: &PackageTarget) -> Result<T> {
        self.carry_out_with(None, self.network.clone(), step, limits, target).await
    }

    async fn carry_out_with<T>(
        &self,
        layer: Option<LayerMount>,
        network: NetworkPolicy,
        step: Step<T>,
        limits: Limits,
        target: &PackageTarget,
    ) -> Result<T> {
        let closed = |_| Error::new(ErrorKind::Closed, "the engine is shutting down");
        let _place = self.places.acquire().await.map_err(closed)?;
        let runtime = RuntimeSpec { layer, ..target.runtime.clone() };
        let place = StepPlace { runtime, env: target.env.clone(), limits, network, field: "dependencies" };
        self.runner.carry_out(step, place, &Cancel::never()).await
    }

    async fn decide(
        &self,
        ecosystem: &dyn Ecosystem,
        declared: &Declared,
        target: &PackageTarget,
    ) -> Result<DependencyLock> {
        let step = ecosystem.lock(declared, &self.sources, self.rules())?;
        let lock = self.carry_out(step, ecosystem.limits(), target).await?;
        self.count(|it| it.locked += 1);
        Ok(lock)
    }

    fn rules(&self) -> Rules {
        let before = |age: std::time::Duration| {
            let age = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
            Timestamp::from_micros(self.clock.now().as_micros().saturating_sub(age))
        };
        Rules { published_before: self.policy.minimum_age.map(before), install_scripts: self.policy.install_scripts }
    }

    /// Finds the layer of a lock, or makes it, and before it the one that it is built upon.
    async fn materialize(
        self: &Arc<Self>,
        lock: &DependencyLock,
        wanted: LayerUse,
        target: &PackageTarget,
        progress: &dyn Progress,
    ) -> Result<DependencyLayer> {
        lock.verify()?;
        self.policy.check_lock(lock)?;
        let ecosystem = self.ecosystem(&lock.language)?;
        // Without packages for the compiler alone both uses have one layer.
        let has_more = lock.packages.iter().any(|it| it.scope == DependencyScope::Build);
        let wanted = if has_more { wanted } else { LayerUse::Run };
        let key = self.layer_key(ecosystem.as_ref(), lock, wanted, target);
        let digest = lock.digest;
        self.stores().await?;
        let find = || {
            let shared = Arc::clone(self);
            blocking(move || shared.opened()?.layers.find(key, digest))
        };
        // Those whose layer is there do not wait for each other, nor for one that is under way.
        if let Some(layer) = find().await? {
            return Ok(layer);
        }
        let turn = self.flight(key).lock_owned().await;
        if let Some(layer) = find().await? {
            return Ok(layer);
        }
        let count = lock.packages_for(wanted).count() as u64;
        let names: Vec<&str> = lock.packages_for(wanted).map(|it| it.name.as_str()).collect();
        progress.report(&format!("fetching {}", shortened(&names)), 0, Some(count), Unit::Items);
        let base = match ecosystem.base(lock)? {
            Some(base) => Some(Box::pin(self.materialize(&base, wanted, target, progress)).await?),
            None => None,
        };
        // It goes on when whoever asked first has left: others wait for it.
        let build = tokio::spawn({
            let (shared, lock, target) = (Arc::clone(self), lock.clone(), target.clone());
            async move {
                let _turn = turn;
                shared.build(key, lock, wanted, target, base).await
            }
        });
        build.await.map_err(|error| Error::internal("a layer's build did not end").with_source(error))??;
        progress.report(&format!("fetched {}", shortened(&names)), count, Some(count), Unit::Items);
        find().await?.ok_or_else(|| {
            Error::new(ErrorKind::Unavailable, "the layer of the packages was removed at once; raise its budget")
        })
    }

    async fn build(
        self: Arc<Self>,
        key: Digest,
        lock: DependencyLock,
        wanted: LayerUse,
        target: PackageTarget,
        base: Option<DependencyLayer>,
    ) -> Result<()> {
        let ecosystem = Arc::clone(self.ecosystem(&lock.language)?);
        let archive = match ecosystem.install(&lock, wanted, &self.sources, self.rules())? {
            Some(step) => {
                let layer = base.as_ref().map(|it| mounted(it.digest, &it.path, &target));
                self.carry_out_with(layer, self.network.clone(), step, ecosystem.limits(), &target).await?
            }
            // An archive without entries is nothing at all.
            None => Bytes::new(),
        };
        self.count(|it| it.built += 1);
        self.stores().await?;
        let unpack = Arc::clone(&self);
        let mut staged = blocking(move || unpack.opened()?.layers.stage(key, &archive)).await?;
        if self.finished_in_place
            && let Some(step) = ecosystem.finish(&lock, wanted, &target)?
        {
            let layer = Some(mounted(key, staged.root(), &target));
            let limits = ecosystem.limits();
            match self.carry_out_with(layer, NetworkPolicy::Off, step, limits, &target).await {
                Ok(more) => staged = blocking(move || staged.with(&more)).await?,
                Err(error) if error.kind() == ErrorKind::Closed => return Err(error),
                // Scripts start slower, and are the same.
                Err(error) => tracing::warn!(%error, lock = %lock.digest, "a layer could not be finished"),
            }
        }
        blocking(move || self.opened()?.layers.put(key, lock.digest, staged)).await
    }
}

/// A tree in the place where scripts have their packages.
fn mounted(digest: Digest, tree: &Path, target: &PackageTarget) -> LayerMount {
    LayerMount { digest, source: tree.to_owned(), at: target.packages_dir.clone() }
}

#[async_trait]
impl DependencyResolver for SandboxedResolver {
    fn supports(&self, language: &LanguageId) -> bool {
        self.0.ecosystem(language).is_ok()
    }

    fn fingerprint(&self) -> String {
        format!("{LAYER}{}", if self.0.finished_in_place { " finished" } else { "" })
    }

    async fn lock(
        &self,
        declared: &Declared,
        target: &PackageTarget,
        progress: &dyn Progress,
    ) -> Result<DependencyLock> {
        let it = &self.0;
        let language = LanguageId::parse(&target.runtime.language)?;
        let ecosystem = it.ecosystem(&language)?;
        it.policy.check_declared(&language, declared)?;
        let key = it.lock_key(ecosystem.as_ref(), declared, target);
        let flight = it.flight(key);
        let _turn = flight.lock().await;
        let stores = it.stores().await?;
        let lock = match stores.locks.find(key).filter(|_| !it.upgrade) {
            Some(lock) => lock,
            None => {
                let names: Vec<&str> = declared.packages.iter().map(|it| it.name.as_str()).collect();
                progress.report(&format!("resolving {}", shortened(&names)), 0, None, Unit::Items);
                let lock = it.decide(ecosystem.as_ref(), declared, target).await?;
                stores.locks.put(key, &lock)?;
                lock
            }
        };
        it.policy.check_lock(&lock)?;
        Ok(lock)
    }

    async fn materialize(
        &self,
        lock: &DependencyLock,
        wanted: LayerUse,
        target: &PackageTarget,
        progress: &dyn Progress,
    ) -> Result<DependencyLayer> {
        self.0.materialize(lock, wanted, target, progress).await
    }

    async fn search(&self, text: &str, limit: usize, target: &PackageTarget) -> Result<Vec<PackageSummary>> {
        let it = &self.0;
        let ecosystem = it.ecosystem(&LanguageId::parse(&target.runtime.language)?)?;
        if text.trim().is_empty() || text.len() > 200 || text.chars().any(char::is_control) {
            return Err(Error::invalid("text", "must be 1 to 200 bytes of words to look for"));
        }
        let step = ecosystem.search(text, limit.clamp(1, 100), &it.sources)?;
        let mut found = it.carry_out(step, ecosystem.limits(), target).await?;
        found.truncate(limit);
        Ok(found)
    }
}

/// Public addresses, and what the operator's own settings name as a source, wherever that is.
fn egress() -> EgressSettings {
    EgressSettings {
        loopback: Open::Resolved,
        private: Open::Resolved,
        unique_local: Open::Resolved,
        shared: Open::Resolved,
        any_public: true,
        ..EgressSettings::default()
    }
}

/// A few names, for people.
fn shortened(names: &[&str]) -> String {
    match names {
        [] => "what the language itself needs".to_owned(),
        [first, second, third, rest @ ..] if !rest.is_empty() => {
            format!("{first}, {second}, {third} and {} more", rest.len())
        }
        few => few.join(", "),
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::internal("work on the packages' folder did not end").with_source(error))?
}

/// The folder of a resolver below an engine's state folder.
#[must_use]
pub fn folder_below(state_dir: &Path) -> PathBuf {
    state_dir.join("packages")
}
