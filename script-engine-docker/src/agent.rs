//! Brings the agent to where the daemon can start it: into a volume of its own by the agent's digest, filled
//! once through a container that is never started; into a file that the daemon mounts; or, where volumes are
//! refused, into a layer of the images that containers are made of.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use bollard::models::{ContainerCreateBody, HostConfig, Mount, MountType, VolumeCreateRequest};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, DownloadFromContainerOptionsBuilder, UploadToContainerOptionsBuilder,
};
use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt as _;
use script_engine_agent::AGENT;
use script_engine_core::{Digest, LayerMount, OwnerId};

use crate::config::Delivery;
use crate::daemon::Daemon;
use crate::error::DockerError;
use crate::plan::{AGENT_FOLDER, AGENT_PATH, agent_mount, labels};
use crate::{machine, tar};

/// The label of volumes with an agent, whose value is its digest.
const LABEL: &str = "script-engine.agent";
/// The name of the file in the volume or folder.
const FILE: &str = "agent";
/// What a container is labelled with that is not a language's.
const NO_LANGUAGE: &str = "none";
/// Bytes that a tar archive adds to one file, at most.
const ARCHIVE: usize = 16 << 10;

/// How containers get the agent.
#[derive(Clone, Debug)]
pub(crate) enum Agent {
    /// It is mounted.
    Mount(Box<Mount>),
    /// It is the uppermost layer of their image.
    Layer(LayerMount),
}

impl Agent {
    /// The layer that images need.
    pub(crate) fn layer(&self) -> Option<&LayerMount> {
        match self {
            Self::Mount(_) => None,
            Self::Layer(layer) => Some(layer),
        }
    }
}

/// For whom the agent is brought.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bringer<'a> {
    pub(crate) daemon: &'a Daemon,
    pub(crate) owner: OwnerId,
    /// The state folder's name, and the folder.
    pub(crate) state: &'a str,
    pub(crate) state_dir: &'a Path,
    /// A container's name that nobody else uses.
    pub(crate) helper: &'a str,
    /// Any image that the daemon has: the container that is never started needs one.
    pub(crate) image: &'a str,
}

impl Bringer<'_> {
    /// Brings the agent, if it is not there, and says how containers get it. What is made on the way is
    /// removed, or found by the owner's reap.
    pub(crate) async fn bring(self, delivery: Delivery) -> Result<Agent, DockerError> {
        match delivery {
            Delivery::Mounted => {
                Ok(Agent::Mount(Box::new(agent_mount(MountType::BIND, &self.write()?.to_string_lossy(), true))))
            }
            Delivery::Layered => self.layer(),
            Delivery::Copied => match self.volume().await {
                Ok(mount) => Ok(Agent::Mount(Box::new(mount))),
                Err(error) if error.is_refusal() => {
                    tracing::warn!(%error, "the agent can't be in a volume; images get it as a layer");
                    self.layer()
                }
                Err(error) => Err(error),
            },
        }
    }

    async fn volume(self) -> Result<Mount, DockerError> {
        let digest = Digest::of(AGENT);
        let name = format!("script-engine-agent-{}", digest.short());
        let lock = self.lock().await?;
        self.make_volume(&name, &digest).await?;
        self.make_helper(&name).await?;
        let filled = self.fill().await;
        machine::remove(self.daemon, self.helper).await?;
        filled?;
        drop(lock);
        Ok(agent_mount(MountType::VOLUME, &name, true))
    }

    fn layer(self) -> Result<Agent, DockerError> {
        let layer = LayerMount { digest: Digest::of(AGENT), source: self.write()?, at: AGENT_FOLDER.to_owned() };
        Ok(Agent::Layer(layer))
    }

    /// Keeps other engines of the state folder from filling the volume at the same time.
    async fn lock(self) -> Result<fs::File, DockerError> {
        let path = self.state_dir.join("docker").join("agent.lock");
        let failed = DockerError::file("can't lock", path.clone());
        let locked = tokio::task::spawn_blocking(move || {
            let file = fs::File::create(path)?;
            file.lock()?;
            Ok(file)
        });
        locked.await.map_err(io::Error::other).and_then(|it| it).map_err(failed)
    }

    /// Writes the file, under a name that nobody reads until it is whole, and gives its folder.
    fn write(self) -> Result<PathBuf, DockerError> {
        let folder = self.state_dir.join("docker").join(format!("agent-{}", Digest::of(AGENT).short()));
        let path = folder.join(FILE);
        let failed = |source| DockerError::File { action: "can't write the agent to", path: path.clone(), source };
        let written = || -> io::Result<()> {
            if fs::read(&path).is_ok_and(|it| it == AGENT) {
                return Ok(());
            }
            fs::create_dir_all(&folder)?;
            let fresh = folder.join(format!("new-{}", self.owner));
            fs::File::create(&fresh)?.write_all(AGENT)?;
            fs::set_permissions(&fresh, fs::Permissions::from_mode(0o755))?;
            fs::rename(&fresh, &path)
        };
        written().map_err(failed)?;
        Ok(folder)
    }

    async fn make_volume(self, name: &str, digest: &Digest) -> Result<(), DockerError> {
        let wanted = VolumeCreateRequest {
            name: Some(name.to_owned()),
            labels: Some([(LABEL.to_owned(), digest.to_string())].into()),
            ..VolumeCreateRequest::default()
        };
        let api = self.daemon.api().await?;
        self.daemon.call("make a volume", api.create_volume(wanted)).await.map(drop)
    }

    async fn make_helper(self, volume: &str) -> Result<(), DockerError> {
        let body = ContainerCreateBody {
            image: Some(self.image.to_owned()),
            entrypoint: Some(vec![AGENT_PATH.to_owned()]),
            cmd: Some(vec!["version".to_owned()]),
            labels: Some(labels(self.owner, self.state, NO_LANGUAGE)),
            host_config: Some(HostConfig {
                network_mode: Some("none".to_owned()),
                mounts: Some(vec![agent_mount(MountType::VOLUME, volume, false)]),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        let options = CreateContainerOptionsBuilder::default().name(self.helper).build();
        let api = self.daemon.api().await?;
        self.daemon.call("make a container", api.create_container(Some(options), body)).await.map(drop)
    }

    /// Fills the volume and reads back what is in it: a volume may have been left half full.
    async fn fill(self) -> Result<(), DockerError> {
        if self.is_filled().await? {
            return Ok(());
        }
        let archive = tar::file(FILE, 0o755, AGENT);
        let options = UploadToContainerOptionsBuilder::default().path(AGENT_FOLDER).build();
        let api = self.daemon.api().await?;
        let body = bollard::body_full(Bytes::from(archive));
        self.daemon.call("bring the agent", api.upload_to_container(self.helper, Some(options), body)).await?;
        if self.is_filled().await? {
            Ok(())
        } else {
            Err(DockerError::Unsupported("the Docker Engine does not keep what is put into a volume".to_owned()))
        }
    }

    async fn is_filled(self) -> Result<bool, DockerError> {
        let options = DownloadFromContainerOptionsBuilder::default().path(AGENT_PATH).build();
        let api = self.daemon.api().await?;
        let read = api.download_from_container(self.helper, Some(options)).try_fold(
            BytesMut::new(),
            |mut sum, piece| async move {
                // What is longer is not the agent.
                let room = (AGENT.len() + ARCHIVE).saturating_sub(sum.len());
                sum.extend_from_slice(piece.get(..room.min(piece.len())).unwrap_or_default());
                Ok(sum)
            },
        );
        match self.daemon.call("read the agent back", read).await {
            Ok(archive) => Ok(tar::first_file(&archive) == Some(AGENT)),
            Err(error) if error.is_missing() => Ok(false),
            Err(error) => Err(error),
        }
    }
}
