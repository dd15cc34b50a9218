//! What a host decides about this backend: plain data, read by name, in which an unknown name is a fault. What the
//! engine can do is found by the probe.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use script_engine_core::packages::PackageNetwork;
use script_engine_core::{Error, HostPort, Problem, Result, quantity};
use serde::{Deserialize, Deserializer};

use crate::login::Login;

/// The lowest user id that no system gives to people or programs by itself.
const LEAST_ID: u32 = 100_000;

/// Settings of the backend.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
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
    /// How the packages are fetched of which images are made.
    pub build: Build,
    /// Whether a request may ask for the network of the daemon's machine (`NetworkPolicy::Host`). A script that has it
    /// reaches all that this machine reaches, the daemon among it where that listens on a port.
    pub allow_host_network: bool,
    /// Logins by registry, such as `registry.example:5000`; they go before `docker_config`.
    pub registry_logins: BTreeMap<String, Login>,
    /// The machine's own Docker configuration, of which the logins are used: those in `auths`, and those that the
    /// programs of `credsStore` and `credHelpers` keep, which are asked.
    pub docker_config: Option<PathBuf>,
    /// The runtime that containers are made with, such as `runsc`; the daemon's default if not given.
    pub oci_runtime: Option<String>,
    /// How long one call may take, pulls and builds apart: `30s`.
    #[serde(deserialize_with = "duration")]
    pub call_timeout: Duration,
    /// The lowest of the user ids that scripts get, and the one after the highest. Where the daemon maps
    /// users, which leaves it 65,536, ids from 10,000 on are taken instead.
    pub id_range: (u32, u32),
}

impl Default for Config {
    fn default() -> Self {
        Self::new("/var/lib/script-engine")
    }
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
            build: Build::default(),
            allow_host_network: false,
            registry_logins: BTreeMap::new(),
            docker_config: None,
            oci_runtime: None,
            call_timeout: Duration::from_secs(30),
            // As the backend of Linux namespaces has them: above what system managers hand out.
            id_range: (0x7000_0000, 0x7ffe_0000),
        }
    }

    /// Checks all settings. Fails with `InvalidRequest` that names every one out of range.
    pub fn validate(&self) -> Result<()> {
        let mut problems = Vec::new();
        let mut check = |sound: bool, field: &str, message: &str| {
            if !sound {
                problems.push(Problem { field: format!("docker.{field}"), message: message.to_owned() });
            }
        };
        let path = |it: &str| it.split('/').all(|part| !part.is_empty() && part.chars().all(is_of_a_name));
        check(!self.name.is_empty(), "name", "is empty; give a name by which requests choose the backend");
        let listens = ["unix://", "tcp://", "http://"].iter().any(|it| self.endpoint.starts_with(it));
        check(listens, "endpoint", "is not one that can be spoken to; give unix://PATH or tcp://HOST:PORT");
        check(self.state_dir.is_absolute(), "state_dir", "is not an absolute path");
        for (language, image) in &self.images {
            check(!image.is_empty(), &format!("images.{language}"), "is empty; name an image or leave it out");
        }
        let prefix = path(&self.image_prefix) && !self.image_prefix.contains(|c: char| c.is_ascii_uppercase());
        check(prefix, "image_prefix", "is no part of an image's name; use `a-z 0-9 . _ - /`");
        let ImageCache { enabled, registry, local_cache_size_gb, push_to_registry: _ } = &self.image_cache;
        if let Some(registry) = registry {
            let message = "is no registry; give HOST or HOST:PORT, without a scheme";
            check(is_registry(registry), "image_cache.registry", message);
        }
        let size = !enabled || (1..=1_000_000).contains(local_cache_size_gb);
        check(size, "image_cache.local_cache_size_gb", "is out of range; give 1 to 1000000, or disable the cache");
        for (ecosystem, url) in &self.build.mirrors {
            let field = format!("build.mirrors.{ecosystem}");
            let known = Build::ECOSYSTEMS.contains(&ecosystem.as_str());
            check(known, &field, &format!("is no ecosystem; there are {}", Build::ECOSYSTEMS.join(", ")));
            check(
                url.split([',', '|']).all(is_index),
                &field,
                "is no address; give https://HOST/PATH, without a login",
            );
        }
        if let Some(proxy) = &self.build.proxy {
            let message = "is no proxy's address; give http://HOST:PORT, without a login";
            check(is_address(proxy), "build.proxy", message);
        }
        for (registry, login) in &self.registry_logins {
            let field = format!("registry_logins.{}", registry.escape_debug());
            check(is_registry(registry), &field, "is no registry; give HOST or HOST:PORT, without a scheme");
            check(!login.user.is_empty(), &field, "has no user; give one, `<token>` for a token");
        }
        let runtime = self.oci_runtime.as_ref().is_none_or(|it| !it.is_empty() && it.chars().all(is_of_a_name));
        check(runtime, "oci_runtime", "is no name of a runtime; give one that the daemon's settings have");
        check(self.call_timeout >= Duration::from_secs(1), "call_timeout", "is too short; give at least 1s");
        let (low, high) = self.id_range;
        check(
            low >= LEAST_ID && low < high,
            "id_range",
            "is no range of ids that nobody has; give [LOW, HIGH] from 100000",
        );
        if let Err(error) = self.build.hosts() {
            problems.extend(error.problems().iter().cloned());
        }
        if problems.is_empty() { Ok(()) } else { Err(Error::invalid_all(problems)) }
    }
}

fn is_of_a_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._-".contains(c)
}

/// Whether this is a host, perhaps with a port.
fn is_registry(text: &str) -> bool {
    let (host, port) = text.rsplit_once(':').unwrap_or((text, "1"));
    let literal = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    let sound = literal.map_or(!host.is_empty() && host.chars().all(is_of_a_name), |it| it.contains(':'));
    sound && port.parse::<u16>().is_ok_and(|it| it > 0)
}

/// Whether this is an address over HTTP that holds no login.
fn is_address(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.and_then(|it| it.split('/').next()).is_some_and(|it| !it.is_empty() && !it.contains(['@', ' ']))
}

/// Whether this is an index's address, or one of Go's words for none.
fn is_index(text: &str) -> bool {
    ["direct", "off"].contains(&text) || is_address(text)
}

fn duration<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Duration, D::Error> {
    let text = String::deserialize(from)?;
    quantity::duration(&text).map_err(|error| serde::de::Error::custom(format!("`{text}` {error}")))
}

/// How the agent and packages get into containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// Through the daemon: the agent in a volume that is filled once, packages in an image that is made of the
    /// language's image and them. Works with a daemon on another machine. Where volumes are refused,
    /// by a proxy before the daemon for instance, as `Layered`.
    Copied,
    /// Through the daemon, and all in images: the agent is the uppermost layer.
    Layered,
    /// As folders of this machine that are mounted read-only: for a daemon that sees the same files. Quicker for
    /// packages that are used once.
    Mounted,
}

/// What becomes of the images with packages that are made here.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImageCache {
    /// Whether they are kept and shared. If not, they are built when they are needed and removed when nobody uses them
    /// any more; what other engines keep is left alone.
    pub enabled: bool,
    /// The registry that shares them between machines, such as `registry.example:5000`; none if not given.
    pub registry: Option<String>,
    /// Gigabytes (powers of 1024) of packages that are kept by the daemon; of what nobody uses the longest unused goes
    /// first.
    pub local_cache_size_gb: u64,
    /// Whether what was built is pushed to the registry.
    pub push_to_registry: bool,
}

impl Default for ImageCache {
    fn default() -> Self {
        Self { enabled: true, registry: None, local_cache_size_gb: 20, push_to_registry: true }
    }
}

impl ImageCache {
    /// Bytes of packages that are kept.
    pub(crate) fn local_bytes(&self) -> u64 {
        if self.enabled { self.local_cache_size_gb.saturating_mul(1 << 30) } else { 0 }
    }

    /// The registry that is asked, if one is.
    pub(crate) fn shared_by(&self) -> Option<&str> {
        self.registry.as_deref().filter(|_| self.enabled)
    }
}

/// How the packages are fetched of which images are made. The image itself is built of them without any network, so
/// that nothing of this gets into it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Build {
    /// What build sandboxes may reach.
    pub network: PackageNetwork,
    /// A file with certificates, in PEM, that are trusted besides those of the image.
    pub ca_certificates: Option<PathBuf>,
    /// A proxy by which all indexes are reached.
    pub proxy: Option<String>,
    /// Addresses that take the place of the usual indexes, by ecosystem: one of [`Build::ECOSYSTEMS`].
    pub mirrors: BTreeMap<String, String>,
    /// Further places that build sandboxes may reach, such as the host on which a mirror has its files: `HOST:PORT`.
    pub hosts: Vec<String>,
}

impl Build {
    /// The further places. Fails with `InvalidRequest` that names each that is none.
    pub fn hosts(&self) -> Result<Vec<HostPort>> {
        let (found, wrong): (Vec<_>, Vec<_>) =
            self.hosts.iter().map(|it| (it, HostPort::parse(it))).partition(|(_, it)| it.is_ok());
        let problem = |(text, _)| Problem {
            field: "docker.build.hosts".into(),
            message: format!("{text:?} is no place; give HOST:PORT"),
        };
        match wrong.is_empty() {
            true => found.into_iter().map(|(_, it)| it).collect(),
            false => Err(Error::invalid_all(wrong.into_iter().map(problem).collect())),
        }
    }

    /// The ecosystems that may have a mirror.
    pub const ECOSYSTEMS: [&str; 6] = ["apt", "go", "maven", "npm", "nuget", "pypi"];
}

#[cfg(test)]
#[path = "config/tests.rs"]
mod tests;
