//! What a host decides about this backend. Plain data; what the engine can do is found by the probe.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

pub use crate::registry::Login;

/// Settings of the backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The name by which requests choose the backend.
    pub name: String,
    /// Where the engine listens: `unix:///var/run/docker.sock`, or `tcp://HOST:PORT` for one behind a tunnel
    /// that does its own encryption.
    pub endpoint: String,
    /// Where the backend keeps its records of whose things are whose, in a folder of its own. Engines that
    /// share it clean up after each other.
    pub state_dir: PathBuf,
    /// Images by language. They go before `{image_prefix}-runtime/{language}:base`, where the daemon has
    /// that, and before the image that the language names.
    pub images: BTreeMap<String, String>,
    /// What the names of images begin with that are made here.
    pub image_prefix: String,
    /// How the agent and packages get into containers.
    pub delivery: Delivery,
    /// What becomes of the images with packages that are made here.
    pub image_cache: ImageCache,
    /// Logins by registry, such as `registry.example:5000`; they go before `docker_config`.
    pub registry_logins: BTreeMap<String, Login>,
    /// The machine's own Docker configuration, of which the logins in `auths` are used. Logins that another
    /// program keeps (`credsStore`) are not asked for: give those in `registry_logins`.
    pub docker_config: Option<PathBuf>,
    /// The runtime that containers are made with, such as `runsc`; the daemon's default if not given.
    pub oci_runtime: Option<String>,
    /// How long one call may take, pulls and builds apart.
    pub call_timeout: Duration,
    /// The lowest of the user ids that scripts get, and the one after the highest. Where the daemon maps
    /// users, which leaves it 65,536, ids from 10,000 on are taken instead.
    pub id_range: (u32, u32),
}

impl Config {
    /// Makes the default settings, for the daemon at the usual socket, with the records in `state_dir`.
    #[must_use]
    pub fn new(state_dir: impl Into<PathBuf>) -> Self {
        Self {
            name: "docker".to_owned(),
            endpoint: "unix:///var/run/docker.sock".to_owned(),
            state_dir: state_dir.into(),
            images: BTreeMap::new(),
            image_prefix: "stella".to_owned(),
            delivery: Delivery::Copied,
            image_cache: ImageCache::default(),
            registry_logins: BTreeMap::new(),
            docker_config: None,
            oci_runtime: None,
            call_timeout: Duration::from_secs(30),
            // As the backend of Linux namespaces has them: above what system managers hand out.
            id_range: (0x7000_0000, 0x7ffe_0000),
        }
    }
}

/// How the agent and packages get into containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Through the daemon: the agent in a volume that is filled once, packages in an image that is made of the
    /// language's image and them. Works with a daemon on another machine.
    Copied,
    /// As folders of this machine that are mounted read-only: for a daemon that sees the same files. Quicker for
    /// packages that are used once.
    Mounted,
}

/// What becomes of the images with packages that are made here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageCache {
    /// The registry that shares them between machines, such as `registry.example:5000`; none if not given.
    pub registry: Option<String>,
    /// Whether what was built is pushed there.
    pub push: bool,
    /// Bytes of packages that are kept by the daemon; of what nobody uses the longest unused goes first.
    pub local_bytes: u64,
}

impl Default for ImageCache {
    fn default() -> Self {
        Self { registry: None, push: true, local_bytes: 20 << 30 }
    }
}
