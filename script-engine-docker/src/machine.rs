//! One container from its making to its end. A task of its own makes it, waits for its end or brings it
//! about, and removes it, so that a machine that is dropped, or was never handed out, leaves nothing either.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bollard::models::{ContainerCreateBody, HostConfig, VolumeCreateRequest};
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptionsBuilder, InspectContainerOptions, ListVolumesOptionsBuilder,
    RemoveContainerOptionsBuilder, RemoveVolumeOptions, StartContainerOptions, WaitContainerOptionsBuilder,
};
use futures_util::StreamExt as _;
use script_engine_core::contract::{Machine, Verdict};
use script_engine_core::sandbox::{Living, Owner};
use script_engine_core::{Limits, Result, Usage};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::MissedTickBehavior;

use crate::daemon::Daemon;
use crate::error::DockerError;
use crate::flavour::Flavour;
use crate::inspect;
use crate::link::ContainerLink;
use crate::plan::{self, Plan};
use crate::probe::Facts;

/// How long a container's removal is waited for.
const END_WITHIN: Duration = Duration::from_secs(60);
/// How long the daemon's word on the end of a container may come after the end of its streams.
const WORD_WITHIN: Duration = Duration::from_secs(5);
/// How often the removal is tried while the daemon is away.
const REMOVALS: u32 = 240;
const REMOVE_EVERY: Duration = Duration::from_millis(500);

/// How far the end of a container is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Making,
    Running,
    /// It has ended; whether for lack of memory.
    Ended(bool),
    /// It is removed, or this is left.
    Cleared(bool, Option<String>),
}

/// One container with the agent in it.
pub(crate) struct Container {
    name: String,
    daemon: Arc<Daemon>,
    booted: Limits,
    facts: Facts,
    kill: mpsc::Sender<()>,
    state: watch::Receiver<State>,
    /// Whether the streams have ended.
    ended: Arc<AtomicBool>,
}

impl fmt::Debug for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Container").field(&self.name).finish()
    }
}

/// How a supervisor is told to end its container.
#[derive(Debug)]
struct Told {
    killed: mpsc::Receiver<()>,
    end: watch::Receiver<u64>,
}

impl Container {
    /// Makes a container, starts it and attaches to it. If the future is dropped, what was made is removed.
    pub(crate) async fn boot(
        daemon: &Arc<Daemon>,
        owner: &Arc<Owner>,
        name: String,
        plan: Plan,
        limits: &Limits,
        facts: &Facts,
    ) -> Result<(Self, ContainerLink), DockerError> {
        let (kill, killed) = mpsc::channel(1);
        let (report, state) = watch::channel(State::Making);
        let (living, end) = owner.register(&name);
        let ended = Arc::new(AtomicBool::new(false));
        let (hand_over, handed) = oneshot::channel();
        let supervisor =
            Supervisor { daemon: Arc::clone(daemon), name: name.clone(), flavour: facts.flavour, living, report };
        let told = Told { killed, end };
        tokio::spawn(supervisor.supervise(plan, told, hand_over, Arc::clone(&ended)));
        let link = match handed.await {
            Ok(made) => made?,
            Err(_) => return Err(DockerError::Left { name, what: "its supervisor is gone".to_owned() }),
        };
        Ok((
            Self { name, daemon: Arc::clone(daemon), booted: limits.clone(), facts: facts.clone(), kill, state, ended },
            link,
        ))
    }
}

/// What makes, watches and removes one container.
struct Supervisor {
    daemon: Arc<Daemon>,
    name: String,
    flavour: Flavour,
    living: Living,
    report: watch::Sender<State>,
}

impl Supervisor {
    async fn supervise(
        self,
        plan: Plan,
        mut told: Told,
        hand_over: oneshot::Sender<Result<ContainerLink, DockerError>>,
        ended: Arc<AtomicBool>,
    ) {
        let Plan { body, volumes } = plan;
        let asked = body.host_config.clone().unwrap_or_default();
        let made = async {
            self.create(body, &volumes).await?;
            self.start(&asked, ended).await
        };
        // Whether memory ran out is only asked of one that came to run.
        let memory = match Box::pin(made).await {
            Ok(link) => {
                self.report.send_replace(State::Running);
                // Nobody may wait for it any more: then it is dropped here, and with it the way to the agent.
                let wanted = hand_over.send(Ok(link)).is_ok();
                self.watch(wanted, &mut told).await
            }
            Err(error) => {
                let left = self.remove(!error.is_name_taken(), &volumes).await;
                self.report.send_replace(State::Cleared(false, left));
                drop(self.living);
                // A receiver that is gone has nobody to tell.
                drop(hand_over.send(Err(error)));
                return;
            }
        };
        self.report.send_replace(State::Ended(memory));
        let left = self.remove(true, &volumes).await;
        if let Some(left) = &left {
            tracing::error!(container = self.name, left, "a container could not be removed");
        }
        let Self { living, report, .. } = self;
        // The owner lives for as long as something of it does.
        drop(living);
        report.send_replace(State::Cleared(memory, left));
    }

    async fn create(&self, body: ContainerCreateBody, volumes: &[VolumeCreateRequest]) -> Result<(), DockerError> {
        let options = CreateContainerOptionsBuilder::default().name(&self.name).build();
        let api = self.daemon.api().await?;
        for volume in volumes {
            self.daemon.call("make a volume", api.create_volume(volume.clone())).await?;
        }
        let made = self.daemon.call("make a container", api.create_container(Some(options), body)).await?;
        for warning in made.warnings {
            tracing::debug!(container = self.name, warning, "the daemon warns");
        }
        Ok(())
    }

    /// Attaches to the container, starts it, and sees that it is as it was asked for.
    async fn start(&self, asked: &HostConfig, ended: Arc<AtomicBool>) -> Result<ContainerLink, DockerError> {
        let api = self.daemon.api().await?;
        let attach =
            AttachContainerOptionsBuilder::default().stdin(true).stdout(true).stderr(true).stream(true).build();
        let attached =
            self.daemon.call("attach to a container", api.attach_container(&self.name, Some(attach))).await?;
        let link = ContainerLink::new(attached, ended);
        let started = api.start_container(&self.name, None::<StartContainerOptions>);
        self.daemon.call("start a container", started).await?;
        let looked = api.inspect_container(&self.name, None::<InspectContainerOptions>);
        let found = self.daemon.call("look at a container", looked).await?;
        let found = self.flavour.in_words_of(asked, found.host_config.unwrap_or_default());
        let differences = inspect::differences(asked, &found);
        if differences.is_empty() { Ok(link) } else { Err(DockerError::Differs(differences)) }
    }

    /// Waits for the container's end or a reason to bring it about. Says whether memory ran out.
    async fn watch(&self, wanted: bool, told: &mut Told) -> bool {
        if !wanted {
            return false;
        }
        tokio::select! {
            () = self.over() => self.ran_out_of_memory().await,
            // Asked to, or nobody holds the machine any more.
            _ = told.killed.recv() => false,
            // All containers of the engine are to end.
            _ = told.end.changed() => false,
        }
    }

    /// Waits for the daemon's word that the container does not run, or for the daemon to go away.
    async fn over(&self) {
        let Ok(api) = self.daemon.api().await else { return };
        let options = WaitContainerOptionsBuilder::default().condition("not-running").build();
        // An exit code other than 0 comes as an error, and so does a daemon that goes away.
        drop(std::pin::pin!(api.wait_container(&self.name, Some(options))).next().await);
    }

    async fn ran_out_of_memory(&self) -> bool {
        let look = async {
            let api = self.daemon.api().await?;
            let looked = api.inspect_container(&self.name, None::<InspectContainerOptions>);
            self.daemon.call("look at a container", looked).await
        };
        match look.await {
            Ok(found) => found.state.is_some_and(|it| self.flavour.ran_out_of_memory(&it)),
            Err(_) => false,
        }
    }

    /// Removes the container and its volumes, and says what stands in the way if it can't be. While the daemon is away, or
    /// is at it still, it is tried again: the agent ends the script when its lease is over, but only the daemon can clear
    /// up. A container of the name that is not `ours` stays.
    async fn remove(&self, ours: bool, volumes: &[VolumeCreateRequest]) -> Option<String> {
        let mut turns = tokio::time::interval(REMOVE_EVERY);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut left = None;
        for _ in 0..REMOVALS {
            turns.tick().await;
            let removed = async {
                if ours {
                    remove(&self.daemon, &self.name).await?;
                }
                for name in volumes.iter().filter_map(|it| it.name.as_deref()) {
                    remove_volume(&self.daemon, name).await?;
                }
                Ok::<_, DockerError>(())
            };
            match removed.await {
                Ok(()) => return None,
                Err(error) if error.is_unreachable() || error.is_in_use() => left = Some(error.to_string()),
                Err(error) => return Some(error.to_string()),
            }
        }
        left
    }
}

/// Kills and removes a container with what is only its own. Says whether there was one.
pub(crate) async fn remove(daemon: &Daemon, name: &str) -> Result<bool, DockerError> {
    let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
    let api = daemon.api().await?;
    match daemon.call("remove a container", api.remove_container(name, Some(options))).await {
        Ok(()) => Ok(true),
        Err(error) if error.is_missing() => Ok(false),
        // Somebody else is at it: it is gone when that one is done.
        Err(DockerError::Refused { status: 409, .. }) => {
            let options = WaitContainerOptionsBuilder::default().condition("removed").build();
            let mut gone = std::pin::pin!(api.wait_container(name, Some(options)));
            let word = daemon.call("wait for a removal", async { Ok(gone.next().await) }).await;
            word.map(|_| true)
        }
        Err(error) => Err(error),
    }
}

/// Removes the volumes with this label, which containers that are gone have left.
pub(crate) async fn remove_volumes_of(daemon: &Daemon, label: &str) -> Result<(), DockerError> {
    let filters = HashMap::from([("label", vec![label])]);
    let options = ListVolumesOptionsBuilder::default().filters(&filters).build();
    let api = daemon.api().await?;
    let found = daemon.call("list volumes", api.list_volumes(Some(options))).await?;
    for volume in found.volumes.into_iter().flatten() {
        remove_volume(daemon, &volume.name).await?;
    }
    Ok(())
}

async fn remove_volume(daemon: &Daemon, name: &str) -> Result<(), DockerError> {
    let api = daemon.api().await?;
    match daemon.call("remove a volume", api.remove_volume(name, None::<RemoveVolumeOptions>)).await {
        Err(error) if error.is_missing() => Ok(()),
        removed => removed,
    }
}

#[async_trait]
impl Machine for Container {
    async fn kill(&self) -> Result<()> {
        // A full channel holds the same message; a closed one belongs to a container that has ended.
        let _ = self.kill.try_send(());
        Ok(())
    }

    async fn usage(&self) -> Option<Usage> {
        // The agent reads the container's own counters; the daemon's come from the same place, and later.
        None
    }

    async fn resize(&self, limits: &Limits) -> Result<()> {
        let change = plan::update(&self.booted, self.facts.milli_cpus(), limits);
        let api = self.daemon.api().await?;
        self.daemon.call("change a container", api.update_container(&self.name, change)).await?;
        Ok(())
    }

    async fn verdict(&self) -> Verdict {
        let mut state = self.state.clone();
        if self.ended.load(Ordering::Acquire) {
            // The daemon's word follows the end of the streams.
            let word = state.wait_for(|it| !matches!(it, State::Making | State::Running));
            drop(tokio::time::timeout(WORD_WITHIN, word).await);
        }
        match *self.state.borrow() {
            State::Making | State::Running if self.ended.load(Ordering::Acquire) => Verdict::Gone,
            State::Making | State::Running => Verdict::Alive,
            State::Ended(true) | State::Cleared(true, _) => Verdict::OutOfMemory,
            State::Ended(false) | State::Cleared(false, _) => Verdict::Gone,
        }
    }

    async fn destroy(&self) -> Result<()> {
        self.kill().await?;
        let mut state = self.state.clone();
        let cleared = state.wait_for(|it| matches!(it, State::Cleared(..)));
        let left = match tokio::time::timeout(END_WITHIN, cleared).await {
            Ok(Ok(state)) => match &*state {
                State::Cleared(_, left) => left.clone(),
                State::Making | State::Running | State::Ended(_) => None,
            },
            Ok(Err(_)) => Some("its supervisor is gone".to_owned()),
            Err(_) => Some(format!("it has not ended within {END_WITHIN:?}")),
        };
        let Some(what) = left else { return Ok(()) };
        // What was left may be gone by now.
        match remove(&self.daemon, &self.name).await {
            Ok(_) => Ok(()),
            Err(error) => Err(DockerError::Left { name: self.name.clone(), what: format!("{what}; {error}") }.into()),
        }
    }
}
