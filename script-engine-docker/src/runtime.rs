//! The backend itself: gets images and the agent in place, boots containers, and keeps its promises under
//! guard of the probe.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bollard::query_parameters::ListContainersOptionsBuilder;
use script_engine_agent::profile::{self, Profile};
use script_engine_core::contract::{
    BootSpec, Booted, ExecutorInfo, Filter, GcReport, Isolation, OwnerStatus, Progress, ReapReport, RuntimeLease,
    RuntimeManager, SandboxPaths, Target, Unheard,
};
use script_engine_core::sandbox::Owner;
use script_engine_core::{Capability, Enforced, Error, Mechanism, OwnerId, Restriction, Result, RuntimeSpec};
use tokio::sync::{OnceCell, oneshot};

use crate::agent::{Agent, Bringer};
use crate::config::{Config, Delivery};
use crate::daemon::Daemon;
use crate::error::DockerError;
use crate::garbage;
use crate::guest::{self, Guest};
use crate::image::{self, Image, Images};
use crate::layer::Ingredients;
use crate::machine::{self, Container};
use crate::owner::{self, Owners};
use crate::plan::{self, OWNER_LABEL, STATE_LABEL, Wanted};
use crate::probe::{self, Facts};

/// How soon a list is asked for again: Podman tells for a moment of containers in a state (`stopped`) that the interface
/// does not have.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long the end of all of this engine's containers may take.
const END_ALL_WITHIN: Duration = Duration::from_secs(60);

/// Makes containers by a Docker Engine.
pub struct Manager(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) daemon: Arc<Daemon>,
    owners: Owners,
    owner: Arc<Owner>,
    images: Images,
    /// How containers mount the agent, once it is there.
    agent: OnceCell<Agent>,
    numbers: AtomicU64,
    filter: Arc<Filter>,
    /// What the probe found; a probe that failed leaves the backend refusing.
    proved: Mutex<Option<(Facts, Capability)>>,
    closed: AtomicBool,
}

impl fmt::Debug for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Manager").field("owner", &self.0.owner.id()).field("config", &self.0.config).finish()
    }
}

impl Manager {
    /// Opens the backend for `owner`, which no other engine may use. Records the owner in the state folder; does
    /// not speak to the daemon yet. Fails with `InvalidRequest` that names each setting out of range, with `Unavailable` if the state folder can't be written. Must be called
    /// on a thread that may block.
    pub fn open(config: Config, owner: OwnerId) -> Result<Self> {
        config.validate()?;
        let owners = Owners::open(&config.state_dir, owner)?;
        let owner = Arc::new(owners.enter(owner)?);
        let profile = profile::sandbox().map_err(|error| DockerError::Unsupported(error.to_string()))?;
        let Profile { seccomp, landlock } = profile;
        Ok(Self(Arc::new(Shared {
            daemon: Arc::new(Daemon::new(&config.endpoint, config.call_timeout)),
            config,
            owners,
            owner,
            images: Images::default(),
            agent: OnceCell::new(),
            numbers: AtomicU64::new(0),
            filter: Arc::new(Filter { seccomp, landlock }),
            proved: Mutex::new(None),
            closed: AtomicBool::new(false),
        })))
    }
}

#[async_trait]
impl RuntimeManager for Manager {
    fn info(&self) -> ExecutorInfo {
        ExecutorInfo { name: self.0.config.name.clone(), isolation: Isolation::Container }
    }

    async fn probe(&self) -> Result<Capability> {
        // Nothing is made until the new probe has succeeded.
        self.0.set_proved(None);
        let proved = Box::pin(probe::prove(&self.0)).await?;
        self.0.set_proved(Some(proved.clone()));
        Ok(proved.1)
    }

    async fn provide(&self, spec: &RuntimeSpec, progress: &dyn Progress) -> Result<RuntimeLease> {
        let before = self.0.images.made();
        let image = Box::pin(self.0.image(spec, progress)).await?;
        if self.0.images.made() > before {
            // Nobody waits for it, and what can't be removed now is looked at again.
            let shared = Arc::clone(&self.0);
            tokio::spawn(async move {
                let budget = shared.config.image_cache.local_bytes();
                if let Err(error) = garbage::collect(&shared.daemon, &shared.config, &shared.images, budget).await {
                    tracing::warn!(%error, "images that nobody uses could not be removed");
                }
            });
        }
        Ok(RuntimeLease { spec: spec.clone(), digest: image.digest, hold: image })
    }

    async fn boot(&self, lease: &RuntimeLease, spec: &BootSpec) -> Result<Booted> {
        let proved = self.0.proved();
        let (facts, capability) = match proved {
            Some(proved) => proved,
            None => {
                self.probe().await?;
                self.0.proved().ok_or(DockerError::Closed)?
            }
        };
        let Ok(image) = Arc::clone(&lease.hold).downcast::<Image>() else {
            return Err(Error::internal("a lease of another backend was given to the one of Docker"));
        };
        match self.0.boot(&image, &lease.spec, spec, &facts, &capability).await {
            Ok((booted, _)) => Ok(booted),
            Err(error) => {
                if error.is_missing() {
                    // Somebody removed the image, or the volume with the agent.
                    self.0.images.forget(&lease.spec);
                }
                Err(error.into())
            }
        }
    }

    async fn enter(&self, target: &Target, _spec: &BootSpec) -> Result<Booted> {
        if self.0.closed.load(Ordering::Relaxed) {
            return Err(DockerError::Closed.into());
        }
        let (_, name) = self.0.next_name();
        let owner = self.0.owner.id();
        let record = self.0.owners.guests(owner).join(&name);
        let (daemon, target) = (Arc::clone(&self.0.daemon), target.clone());
        let (hand_over, handed) = oneshot::channel();
        // What is begun in the container goes on there when nobody waits for it any more: it has to be ended.
        tokio::spawn(async move {
            let entered = Guest::enter(&daemon, &target, owner, format!(".{name}"), record).await;
            if let Err(Ok((guest, link, _))) = hand_over.send(entered) {
                drop(link);
                if let Err(error) = guest.remove().await {
                    tracing::warn!(?guest, %error, "a guest that nobody waits for could not be removed");
                }
            }
        });
        let (guest, link, paths) = handed.await.map_err(|_| DockerError::Closed)??;
        Ok(Booted {
            link: Box::new(link),
            machine: Arc::new(guest),
            enforcement: guest::capability().report(),
            // Its scripts are there to do something to the container's own programs and files.
            filter: Arc::new(Filter::default()),
            supervise_memory: true,
            supervise_pids: true,
            paths,
        })
    }

    async fn owners(&self) -> Result<Vec<OwnerStatus>> {
        let mut owners = self.0.owners.records().list()?;
        // Whose record is gone is dead, if the record was in this state folder.
        let mark = format!("{STATE_LABEL}={}", self.0.owners.name());
        for (_, owner) in self.0.containers(&mark).await? {
            if let Some(owner) = owner
                && owners.iter().all(|it| it.owner != owner)
            {
                owners.push(OwnerStatus { owner, alive: false });
            }
        }
        Ok(owners)
    }

    async fn reap(&self, owner: OwnerId) -> Result<ReapReport> {
        self.0.reap(owner).await
    }

    async fn collect_garbage(&self, budget_bytes: u64) -> Result<GcReport> {
        Ok(garbage::collect(&self.0.daemon, &self.0.config, &self.0.images, budget_bytes).await?)
    }

    async fn shutdown(&self) -> Result<()> {
        let first = !self.0.closed.swap(true, Ordering::Relaxed);
        if first && !self.0.config.image_cache.enabled {
            // What can't be removed now has a name of ours, and goes when somebody makes room.
            if let Err(error) = self.collect_garbage(0).await {
                tracing::warn!(%error, "images that nobody uses could not be removed");
            }
        }
        self.0.owner.retire();
        Ok(())
    }
}

impl Shared {
    fn proved(&self) -> Option<(Facts, Capability)> {
        self.proved.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_proved(&self, proved: Option<(Facts, Capability)>) {
        *self.proved.lock().unwrap_or_else(PoisonError::into_inner) = proved;
    }

    fn next_name(&self) -> (u64, String) {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        (number, owner::container_name(&self.owner, number))
    }

    /// Brings the agent to the daemon, once.
    async fn agent(&self) -> Result<&Agent, DockerError> {
        let bring = Box::pin(async {
            let (_, helper) = self.next_name();
            let bringer = Bringer {
                daemon: &self.daemon,
                owner: self.owner.id(),
                state: self.owners.name(),
                state_dir: &self.config.state_dir,
                helper: &helper,
                image: &image::empty(&self.daemon, &self.config).await?.id,
            };
            bringer.bring(self.config.delivery).await
        });
        self.agent.get_or_try_init(|| bring).await
    }

    /// Gets the image of a runtime in place.
    pub(crate) async fn image(&self, spec: &RuntimeSpec, progress: &dyn Progress) -> Result<Arc<Image>, DockerError> {
        let agent = self.agent().await?.layer();
        self.images.provide(&self.daemon, &self.config, spec, agent, progress).await
    }

    /// Gets an image in place that has nothing in it but what the agent needs.
    pub(crate) async fn empty_image(&self, spec: &RuntimeSpec) -> Result<Arc<Image>, DockerError> {
        let image = image::empty(&self.daemon, &self.config).await?;
        let Some(layer) = self.agent().await?.layer() else { return Ok(Arc::new(image)) };
        let of = Ingredients { language: &spec.language, base: &image, layer };
        self.images.put_on(&self.daemon, &self.config, (spec, true), of, &Unheard).await
    }

    /// Boots a container that is claimed to be as `capability` says. Gives its script's user id too.
    pub(crate) async fn boot(
        &self,
        image: &Image,
        runtime: &RuntimeSpec,
        spec: &BootSpec,
        facts: &Facts,
        capability: &Capability,
    ) -> Result<(Booted, u32), DockerError> {
        if self.closed.load(Ordering::Relaxed) {
            return Err(DockerError::Closed);
        }
        if spec.host_network && !self.config.allow_host_network {
            return Err(DockerError::Unsupported("`allow_host_network` is false".to_owned()));
        }
        let held = if spec.host_network {
            capability.clone().without(Restriction::Network, "the request asked for the host's network")
        } else {
            capability.clone()
        };
        let mut mounts = match self.agent().await? {
            Agent::Mount(mount) => vec![mount.as_ref().clone()],
            Agent::Layer(_) => Vec::new(),
        };
        mounts
            .extend(runtime.layer.iter().filter(|_| self.config.delivery == Delivery::Mounted).map(plan::layer_mount));
        let (number, name) = self.next_name();
        let script_id = plan::script_id(self.config.id_range, facts.maps_users, self.owner.id().bits() as u64, number);
        let plan = plan::plan(&Wanted {
            owner: self.owner.id(),
            name: &name,
            state: self.owners.name(),
            language: &runtime.language,
            tenant: spec.tenant.as_ref(),
            image: &image.id,
            volumes: &image.volumes,
            mounts,
            script_id,
            oci_runtime: self.config.oci_runtime.as_deref(),
            limits: &spec.limits,
            milli_cpus: facts.milli_cpus(),
            flavour: facts.flavour,
            host_network: spec.host_network,
        });
        let (machine, link) = Container::boot(&self.daemon, &self.owner, name, plan, &spec.limits, facts).await?;
        let supervised = |it: Restriction| held.of(it) == Enforced::By(Mechanism::Supervised);
        let booted = Booted {
            link: Box::new(link),
            machine: Arc::new(machine),
            enforcement: held.report(),
            filter: Arc::clone(&self.filter),
            supervise_memory: supervised(Restriction::Memory),
            supervise_pids: supervised(Restriction::Pids),
            paths: SandboxPaths::default(),
        };
        Ok((booted, script_id))
    }

    /// The containers with this label, by name, and whose they are.
    async fn containers(&self, label: &str) -> Result<Vec<(String, Option<OwnerId>)>, DockerError> {
        let filters = HashMap::from([("label", vec![label])]);
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let api = self.daemon.api().await?;
        let (begun, mut looks) = (tokio::time::Instant::now(), tokio::time::interval(LOOK_EVERY));
        let found = loop {
            looks.tick().await;
            let looked = self.daemon.call("list containers", api.list_containers(Some(options.clone()))).await;
            match looked {
                Err(error) if error.is_unknown_word() && begun.elapsed() < self.config.call_timeout => {}
                looked => break looked?,
            }
        };
        let named = found.into_iter().filter_map(|it| {
            let owner = it.labels.as_ref().and_then(|it| it.get(OWNER_LABEL)?.parse().ok());
            let name = it.names.and_then(|it| it.first().map(|it| it.trim_start_matches('/').to_owned()));
            Some((name.or(it.id)?, owner))
        });
        Ok(named.collect())
    }

    async fn reap(&self, owner: OwnerId) -> Result<ReapReport> {
        let own = owner == self.owner.id();
        let held = if own { None } else { self.owners.records().take_over(owner)? };
        let mut report = ReapReport::default();
        if own {
            let ended = self.owner.end_all(END_ALL_WITHIN).await?;
            report.removed.extend(ended.into_iter().map(|it| format!("container {it}")));
        }
        // Both marks: without a record here, an owner of another state folder may live.
        let mark = format!("{OWNER_LABEL}={owner}");
        let state = format!("{STATE_LABEL}={}", self.owners.name());
        let ours: Vec<String> = self.containers(&state).await?.into_iter().map(|(name, _)| name).collect();
        for (name, _) in self.containers(&mark).await?.into_iter().filter(|(name, _)| ours.contains(name)) {
            if machine::remove(&self.daemon, &name).await? {
                report.removed.push(format!("container {name}"));
            }
        }
        machine::remove_volumes_of(&self.daemon, &mark).await?;
        for record in std::fs::read_dir(self.owners.guests(owner)).into_iter().flatten().filter_map(|it| it.ok()) {
            if let Some(guest) = Guest::of_record(&self.daemon, record.path()) {
                guest.remove().await?;
                report.removed.push(guest.describe());
            }
        }
        if !own && self.owners.forget(owner)? {
            report.removed.push(format!("record {owner}"));
        }
        drop(held);
        Ok(report)
    }
}
