//! The backend itself: prepares launchers, boots sandboxes from them, and keeps its promises under
//! guard of the probe.

use std::ffi::OsString;
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use script_engine_agent::profile::{self, Profile};
use script_engine_core::contract::{
    BootSpec, Booted, ExecutorInfo, Filter, GcReport, Machine, OwnerStatus, Progress, ReapReport, RuntimeLease,
    RuntimeManager, SandboxPaths, Target,
};
use script_engine_core::sandbox::Owner;
use script_engine_core::{
    Capability, Enforced, Error, ErrorKind, LayerMount, Mechanism, OwnerId, Restriction, Result, RuntimeSpec,
};
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;

use crate::cgroup::Cgroup;
use crate::config::{Config, Isolation, Root};
use crate::error::SandboxError;
use crate::host::Host;
use crate::launcher::{Launcher, Prepared, Program, Spares};
use crate::machine::{Launched, LinuxMachine, Remains, blocking};
use crate::owner::{self, Owners};
use crate::plan::{self, Ids};
use crate::{probe, process};

/// Makes sandboxes on this machine.
pub struct Manager(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) host: Host,
    owners: Owners,
    owner: Arc<Owner>,
    program: Program,
    spares: Spares,
    numbers: AtomicU64,
    filter: Arc<Filter>,
    /// What the probe found; a probe that failed leaves the backend refusing.
    proved: Mutex<Option<Capability>>,
}

impl fmt::Debug for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Manager").field("owner", &self.0.owner.id()).field("config", &self.0.config).finish()
    }
}

impl Manager {
    /// Opens the backend for `owner`, which no other engine may use. Looks at the machine and records
    /// the owner in the state folder; makes no sandbox yet. Fails with `Unavailable` if the state
    /// folder can't be written, with `Unsupported` if two settings contradict each other. Must be called within a tokio runtime, on a thread that may block.
    pub fn open(config: Config, owner: OwnerId) -> Result<Self> {
        if let Some(contradiction) = config.contradiction() {
            return Err(SandboxError::Unsupported(contradiction).into());
        }
        let host = Host::examine(&config);
        let owners = Owners::open(&config.state_dir)?;
        let owner = Arc::new(owners.enter(owner, &host.place)?);
        let program = Program::new(&config.agent)?;
        let filter = Arc::new(filter(&config, &host)?);
        Ok(Self(Arc::new(Shared {
            spares: Spares::new(config.spare_launchers),
            config,
            host,
            owners,
            owner,
            program,
            numbers: AtomicU64::new(0),
            filter,
            proved: Mutex::new(None),
        })))
    }

    fn proved(&self) -> Option<Capability> {
        self.0.proved.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_proved(&self, capability: Option<Capability>) {
        *self.0.proved.lock().unwrap_or_else(PoisonError::into_inner) = capability;
    }
}

#[async_trait]
impl RuntimeManager for Manager {
    fn info(&self) -> ExecutorInfo {
        ExecutorInfo {
            name: self.0.config.name.clone(),
            isolation: match self.0.config.isolation {
                Isolation::Namespaces => script_engine_core::contract::Isolation::Namespaces,
                Isolation::Process => script_engine_core::contract::Isolation::Process,
            },
        }
    }

    async fn probe(&self) -> Result<Capability> {
        // Nothing is made until the new probe has succeeded.
        self.set_proved(None);
        let capability = probe::prove(&self.0).await?;
        self.set_proved(Some(capability.clone()));
        Arc::clone(&self.0).refill();
        Ok(capability)
    }

    async fn provide(&self, spec: &RuntimeSpec, _progress: &dyn Progress) -> Result<RuntimeLease> {
        self.0.root(&spec.language)?;
        if let Some(layer) = &spec.layer {
            self.0.check_layer(layer)?;
        }
        Ok(RuntimeLease { spec: spec.clone(), digest: None, hold: Arc::new(()) })
    }

    async fn boot(&self, lease: &RuntimeLease, spec: &BootSpec) -> Result<Booted> {
        if spec.host_network {
            let message = "a sandbox has a network of its own; name what the script is to reach".to_owned();
            return Err(SandboxError::Unsupported(message).into());
        }
        let capability = match self.proved() {
            Some(capability) => capability,
            None => self.probe().await?,
        };
        let root = self.0.root(&lease.spec.language)?.clone();
        let booted = self.0.boot(&root, lease.spec.layer.as_ref(), spec, &capability).await;
        Arc::clone(&self.0).refill();
        Ok(booted?.0)
    }

    async fn enter(&self, target: &Target, _spec: &BootSpec) -> Result<Booted> {
        Err(SandboxError::Unsupported(format!(
            "the backend {} makes sandboxes of its own and has no containers, so it cannot enter {}; \
             name a backend that has them",
            self.0.config.name, target.name
        ))
        .into())
    }

    async fn owners(&self) -> Result<Vec<OwnerStatus>> {
        let owners = self.0.owners.clone();
        tokio::task::spawn_blocking(move || owners.list()).await.map_err(crashed)?
    }

    async fn reap(&self, owner: OwnerId) -> Result<ReapReport> {
        self.0.owners.reap(owner, &self.0.owner, &self.0.host.place).await
    }

    async fn collect_garbage(&self, _budget_bytes: u64) -> Result<GcReport> {
        // Roots are the host's; this backend keeps no runtimes of its own.
        Ok(GcReport::default())
    }

    async fn shutdown(&self) -> Result<()> {
        for spare in self.0.spares.close().await {
            spare.machine.destroy().await?;
        }
        self.0.owner.retire();
        Ok(())
    }
}

/// The filters of every script.
fn filter(config: &Config, host: &Host) -> Result<Filter, SandboxError> {
    let profile = match config.isolation {
        Isolation::Namespaces => profile::sandbox(),
        Isolation::Process => profile::process(&process::readable(config, host), &process::writable()),
    };
    let Profile { seccomp, landlock } = profile.map_err(|error| SandboxError::Unsupported(error.to_string()))?;
    Ok(Filter { seccomp, landlock })
}

fn crashed(error: tokio::task::JoinError) -> Error {
    Error::internal("a blocking step of the sandbox backend did not end").with_source(error)
}

impl Shared {
    /// The root of a language's sandboxes. Fails with `NotFound` if it is a folder that is not there.
    fn root(&self, language: &str) -> Result<&Root, SandboxError> {
        let root = self.config.roots.get(language).unwrap_or(&self.config.root);
        let missing = match root {
            Root::Folder(path) => Some(path).filter(|it| !it.is_dir()),
            Root::Host { more } => more.iter().find(|it| !it.exists()),
        };
        match missing {
            None => Ok(root),
            Some(path) => Err(SandboxError::Root {
                language: language.to_owned(),
                path: path.clone(),
                problem: "is not there; correct the backend's `root` or `roots`, or make it".to_owned(),
            }),
        }
    }

    pub(crate) fn ids(&self, number: u64) -> Ids {
        Ids::choose(&self.host, self.config.id_range, self.owner.id().bits() as u64, number)
    }

    fn arguments(&self, number: u64) -> Vec<OsString> {
        match self.config.isolation {
            Isolation::Namespaces => vec!["launch".into()],
            Isolation::Process => process::arguments(&owner::work_folder(&self.owner, number), self.ids(number)),
        }
    }

    /// Starts a launcher in a new cgroup. What it makes is cleared up if the future is dropped.
    async fn prepare(&self) -> Result<Prepared, SandboxError> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let name = owner::sandbox_name(&self.owner, number);
        let folder = match self.config.isolation {
            Isolation::Namespaces => None,
            Isolation::Process => Some(owner::work_folder(&self.owner, number)),
        };
        if let Some(folder) = &folder {
            process::make_folders(folder, self.ids(number))
                .map_err(SandboxError::file("can't make the sandbox's folder", folder))?;
        }
        let cgroup = self.host.place.create(&name).map_err(SandboxError::Cgroup)?;
        let Launcher { child, link, process_1 } =
            match Launcher::start(&self.program, &self.arguments(number), self.owner.id()) {
                Ok(launcher) => launcher,
                Err(error) => {
                    drop(cgroup.as_ref().map(Cgroup::remove));
                    return Err(error);
                }
            };
        let pid = child.id();
        // From here on the machine's own task clears up.
        let machine = LinuxMachine::new(&self.owner, Remains { name, cgroup, folder }, Launched { child, process_1 });
        let prepared = Prepared { number, link, machine };
        // On version 2 process 1 is cloned into the cgroup, except where there is no clone.
        let clones = |it: &Cgroup| it.clone_target().is_some() && self.config.isolation == Isolation::Namespaces;
        if let (Some(pid), Some(cgroup)) = (pid, prepared.machine.cgroup().filter(|it| !clones(it)).cloned())
            && let Err(error) = blocking(move || cgroup.attach(pid)).await
        {
            // What could not be removed is logged, and found by `reap`.
            drop(prepared.machine.destroy().await);
            return Err(SandboxError::Cgroup(error));
        }
        Ok(prepared)
    }

    /// Keeps launchers ready, in the background.
    fn refill(self: Arc<Self>) {
        let missing = self.spares.claim_missing();
        if missing == 0 {
            return;
        }
        tokio::spawn(async move {
            for _ in 0..missing {
                match self.prepare().await {
                    Ok(prepared) => {
                        if let Some(late) = self.spares.put(prepared) {
                            drop(late.machine.destroy().await);
                            self.spares.give_up();
                        }
                    }
                    Err(error) => {
                        self.spares.give_up();
                        tracing::warn!(%error, "a launcher could not be prepared");
                    }
                }
            }
        });
    }

    /// Sees that a layer can be put into a sandbox.
    fn check_layer(&self, layer: &LayerMount) -> Result<()> {
        if self.config.isolation == Isolation::Process {
            let message = "packages need a file system of the sandbox's own; use `Isolation::Namespaces`";
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        if layer.source.to_str().is_none() || !layer.source.is_dir() {
            return Err(Error::new(ErrorKind::Unavailable, "the folder with the packages is not there")
                .with_context("path", layer.source.display()));
        }
        Ok(())
    }

    /// Sets a machine's limits and tells its launcher what to make.
    async fn launch(
        &self,
        machine: &LinuxMachine,
        number: u64,
        link: &mut UnixStream,
        (root, layer): (&Root, Option<&LayerMount>),
        spec: &BootSpec,
    ) -> Result<()> {
        let target = machine.cgroup().and_then(Cgroup::clone_target).map(Path::to_owned);
        machine.set_scratch(plan::scratch_bytes(&spec.limits));
        machine.resize(&spec.limits).await?;
        if self.config.isolation == Isolation::Namespaces {
            let has_etc = matches!(root, Root::Folder(path) if path.join("etc").is_dir());
            let tree = plan::Tree { root, has_etc, layer };
            let plan = plan::plan(&spec.limits, &self.host, tree, self.ids(number), target.as_deref());
            let frame = plan.encode().map_err(|error| SandboxError::Plan(error.to_string()))?;
            link.write_all(&frame).await.map_err(|error| SandboxError::Plan(error.to_string()))?;
        }
        Ok(())
    }

    /// Boots a sandbox that is claimed to be as `capability` says. Gives its number too.
    pub(crate) async fn boot(
        &self,
        root: &Root,
        layer: Option<&LayerMount>,
        spec: &BootSpec,
        capability: &Capability,
    ) -> Result<(Booted, u64)> {
        if self.spares.is_closed() {
            return Err(SandboxError::Closed.into());
        }
        let prepared = match self.spares.take() {
            Some(prepared) => prepared,
            None => self.prepare().await?,
        };
        let Prepared { number, mut link, machine } = prepared;
        if let Err(error) = self.launch(&machine, number, &mut link, (root, layer), spec).await {
            machine.destroy().await?;
            return Err(error);
        }
        let (paths, filter) = match self.config.isolation {
            Isolation::Namespaces => (SandboxPaths::default(), Arc::clone(&self.filter)),
            Isolation::Process => {
                let paths = process::paths(&owner::work_folder(&self.owner, number));
                let filter = Arc::new(process::relocate(&self.filter, &paths));
                (paths, filter)
            }
        };
        let supervised = |it: Restriction| capability.of(it) == Enforced::By(Mechanism::Supervised);
        let booted = Booted {
            link: Box::new(link),
            machine: Arc::new(machine),
            enforcement: capability.report(),
            filter,
            supervise_memory: supervised(Restriction::Memory),
            // Without a user (or a user namespace) of its own the script's processes are counted with others.
            supervise_pids: supervised(Restriction::Pids)
                || (self.config.isolation == Isolation::Process && !self.host.may_map_ids),
            paths,
        };
        Ok((booted, number))
    }
}
