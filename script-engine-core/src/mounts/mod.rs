//! What a container of somebody else's mounts to run a version: its files, `args.json` and its packages, as binds of
//! Docker, as a fragment for Compose, or as a ConfigMap of Kubernetes with the volumes of it. Everything here is
//! decided from values; only [`Mounts::write`] touches a disk. Isolation, limits and records are the affair of whoever
//! starts the container.
//!
//! No secret is in any of it. A parameter that holds one is validated with the others and then left out, and what is
//! made refers to its variable, whose value comes from whoever starts the container.

mod compose;
mod docker;
mod folder;
mod kubernetes;
#[cfg(test)]
mod tests;
mod yaml;

use std::fmt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde_json::{Map, Value};

pub use compose::ComposeMounts;
pub use docker::DockerMounts;
pub use kubernetes::{KubernetesMounts, MAX_CONFIG_MAP};

use crate::contract::DependencyLayer;
use crate::{Digest, Error, Identity, JobFile, RelPath, Result, ScriptName, Selector};

/// Where a script finds itself, and its arguments.
const SCRIPTS: &str = "/scripts";
/// The longest label of a DNS name (RFC 1123).
const LABEL: usize = 63;
/// Hex digits of the content's digest in a name.
const MARK: usize = 8;

/// Which version is to be mounted, with which arguments.
#[derive(Clone, Debug, PartialEq)]
pub struct MountRequest {
    /// The script.
    pub script: ScriptName,
    /// Which of its versions.
    pub selector: Selector,
    /// The script's parameters.
    pub parameters: Map<String, Value>,
    /// On whose behalf.
    pub identity: Identity,
    /// The image of the container; the one of the script's language if not given.
    pub image: Option<String>,
}

impl MountRequest {
    /// Asks for the latest version of a script, with nothing else said.
    #[must_use]
    pub fn new(script: ScriptName) -> Self {
        Self { script, selector: Selector::Latest, parameters: Map::new(), identity: Identity::default(), image: None }
    }

    /// Sets which version is mounted.
    #[must_use]
    pub fn with_selector(mut self, selector: Selector) -> Self {
        self.selector = selector;
        self
    }

    /// Sets one parameter.
    #[must_use]
    pub fn with_parameter(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.parameters.insert(name.into(), value.into());
        self
    }

    /// Sets on whose behalf.
    #[must_use]
    pub fn with_identity(mut self, identity: Identity) -> Self {
        self.identity = identity;
        self
    }

    /// Sets the image of the container.
    #[must_use]
    pub fn with_image(mut self, image: impl Into<String>) -> Self {
        self.image = Some(image.into());
        self
    }
}

/// A version and its arguments, as a container has them: read-only files in `/scripts`, packages, what to start.
/// Keeps the packages in place meanwhile.
#[derive(Clone)]
pub struct Mounts {
    name: String,
    image: String,
    command: Vec<String>,
    env: Vec<(String, String)>,
    secret_variables: Vec<String>,
    files: Vec<JobFile>,
    packages: Option<Packages>,
}

#[derive(Clone, Debug)]
struct Packages {
    layer: DependencyLayer,
    at: String,
}

/// What mounts are made of, apart from their name.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) image: String,
    pub(crate) command: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) secret_variables: Vec<String>,
    pub(crate) files: Vec<JobFile>,
    pub(crate) args_json: Vec<u8>,
    pub(crate) layer: Option<(DependencyLayer, String)>,
}

impl Mounts {
    /// Puts them together, under a name made of `script`, `number` and what they hold.
    pub(crate) fn new(script: &str, number: &str, parts: Parts) -> Result<Self> {
        let Parts { image, command, mut env, secret_variables, mut files, args_json, layer } = parts;
        let path = RelPath::parse("args.json")?;
        files.push(JobFile { path, content: Bytes::from(args_json), executable: false });
        env.insert(0, ("SCRIPT_ARGS_FILE".to_owned(), format!("{SCRIPTS}/args.json")));
        let packages = layer.map(|(layer, at)| Packages { layer, at });
        let mut mounts = Self { name: String::new(), image, command, env, secret_variables, files, packages };
        mounts.name = label(&format!("{script}-{number}"), mounts.digest());
        Ok(mounts)
    }

    /// Their name: a DNS label, the same for the same version with the same arguments.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The image of the container.
    #[must_use]
    pub fn image(&self) -> &str {
        &self.image
    }

    /// Program and arguments.
    #[must_use]
    pub fn command(&self) -> &[String] {
        &self.command
    }

    /// The variables that the script needs, without those that hold secrets.
    #[must_use]
    pub fn env(&self) -> &[(String, String)] {
        &self.env
    }

    /// The variables with secrets, whose values whoever starts the container gives it.
    #[must_use]
    pub fn secret_variables(&self) -> &[String] {
        &self.secret_variables
    }

    /// Whether there are packages, which need a place on a disk in every form.
    #[must_use]
    pub fn has_packages(&self) -> bool {
        self.packages.is_some()
    }

    /// Writes what binds need into the folder `into`: a folder of the mounts' name that only its owner may enter, in it
    /// what is mounted, which everybody in the container may read. It is there whole or not at all; on `Err` nothing is
    /// left. One that is there with the same content is left as it is. Gives its path.
    ///
    /// Fails with `AlreadyExists` if something else has the name, with `Unavailable` if it can't be written. Not
    /// cancel-safe: a dropped call may write it all the same.
    pub async fn write(&self, into: impl Into<PathBuf>) -> Result<PathBuf> {
        let (it, into) = (self.clone(), into.into());
        let written = tokio::task::spawn_blocking(move || folder::write(&it, &into));
        written.await.map_err(|error| Error::internal("writing a mount's folder panicked").with_source(error))?
    }

    /// The arguments of `docker run`, for a folder that [`write`](Self::write) has filled. Fails with `InvalidRequest`
    /// if Docker can't be told of such a path: one that is not absolute, not UTF-8, or holds a colon.
    pub fn docker(&self, into: &Path) -> Result<DockerMounts> {
        docker::mounts(self, into)
    }

    /// A fragment for Compose: one service, for a folder that [`write`](Self::write) has filled. Fails with
    /// `InvalidRequest` if the path is not absolute or not UTF-8.
    pub fn compose(&self, into: &Path) -> Result<ComposeMounts> {
        compose::mounts(self, into)
    }

    /// A ConfigMap and a pod that mounts it. Fails with `InvalidRequest` if the files are more than
    /// [`MAX_CONFIG_MAP`] bytes.
    pub fn kubernetes(&self) -> Result<KubernetesMounts> {
        kubernetes::mounts(self)
    }

    /// Where `write` puts the scripts, and the packages if there are any.
    fn places(&self, into: &Path) -> Result<Places<'_>> {
        if !into.is_absolute() {
            return Err(Error::invalid("into", "is not an absolute path, and only such a one can be mounted"));
        }
        let text = |path: PathBuf| {
            path.into_os_string().into_string().map_err(|_| Error::invalid("into", "is not UTF-8; name another folder"))
        };
        let scripts = (text(folder::scripts(into, &self.name))?, SCRIPTS);
        let packages = match &self.packages {
            Some(packages) => Some((text(folder::packages(into, &self.name))?, packages.at.as_str())),
            None => None,
        };
        Ok([Some(scripts), packages].into_iter().flatten().collect())
    }

    fn digest(&self) -> Digest {
        let mut hasher = Digest::hasher();
        // Lengths in front, so that no two lists run into one.
        let mut take = |part: &[u8]| {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        };
        let counts = [self.command.len(), self.env.len(), self.secret_variables.len(), self.files.len()];
        counts.iter().for_each(|it| take(&it.to_le_bytes()));
        take(self.image.as_bytes());
        self.command.iter().chain(&self.secret_variables).for_each(|it| take(it.as_bytes()));
        for (name, value) in &self.env {
            take(name.as_bytes());
            take(value.as_bytes());
        }
        for file in &self.files {
            take(file.path.as_str().as_bytes());
            take(&file.content);
            take(&[u8::from(file.executable)]);
        }
        if let Some(packages) = &self.packages {
            take(packages.layer.digest.to_string().as_bytes());
            take(packages.at.as_bytes());
        }
        hasher.finish()
    }
}

// Files and arguments are a user's.
impl fmt::Debug for Mounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mounts").field("name", &self.name).field("files", &self.files).finish_non_exhaustive()
    }
}

/// Folders of this machine, each with the place in a container that it has.
type Places<'a> = Vec<(String, &'a str)>;

/// A DNS label that says what it is of, with a piece of a digest that tells it from all others.
fn label(text: &str, digest: Digest) -> String {
    let mut plain = String::new();
    for c in text.to_ascii_lowercase().chars() {
        if c.is_ascii_alphanumeric() {
            plain.push(c);
        } else if !plain.ends_with('-') {
            plain.push('-');
        }
    }
    plain.truncate(LABEL - MARK - 1);
    let digest = digest.to_string();
    let mark = digest.get(..MARK).unwrap_or_default();
    format!("{}-{mark}", plain.trim_matches('-')).trim_start_matches('-').to_owned()
}
