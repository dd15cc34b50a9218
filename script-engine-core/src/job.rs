//! What a sandbox gets: files, program, environment, limits. It knows nothing of scripts; of tenants only whom to name.

use std::fmt;
use std::path::PathBuf;

use bytes::Bytes;

use crate::contract::Target;
use crate::{Digest, EgressSettings, Error, Limits, NetworkPolicy, Result, TenantId};

/// A path below `/scripts` or `/work`: relative, plain components, no links followed.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RelPath(Box<str>);

impl RelPath {
    /// Checks and wraps a path: no `..`, not absolute, no empty component, no NUL.
    pub fn parse(text: &str) -> Result<Self> {
        let plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\0') && part.len() <= 255;
        if text.len() <= 4000 && text.split('/').all(plain) {
            Ok(Self(text.into()))
        } else {
            Err(Error::invalid("path", format!("{text:?} is not a plain relative path")))
        }
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// One file of a job, read-only below `/scripts`.
#[derive(Clone, PartialEq, Eq)]
pub struct JobFile {
    /// Where it goes below `/scripts`.
    pub path: RelPath,
    /// Its content.
    pub content: Bytes,
    /// Whether it may be executed.
    pub executable: bool,
}

// The content is a user's, and may be a whole program.
impl fmt::Debug for JobFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, content, executable } = self;
        write!(f, "{path:?} ({} bytes, executable: {executable})", content.len())
    }
}

/// What to run in a sandbox.
#[derive(Clone)]
pub struct Job {
    /// For whom it is done, for the labels of backends that have some; none if it is the engine's own work.
    pub tenant: Option<TenantId>,
    /// The runtime to run it in.
    pub runtime: RuntimeSpec,
    /// The machine of somebody else's to run it in, in place of a sandbox of `runtime`.
    pub target: Option<Target>,
    /// Files below `/scripts`.
    pub files: Vec<JobFile>,
    /// Program and arguments.
    pub argv: Vec<String>,
    /// The whole environment. Holds secrets: never shown.
    pub env: Vec<(String, Vec<u8>)>,
    /// The names of those variables whose values are a user's: they are passed as they are, where others that name a
    /// folder of the sandbox name the one that has its place.
    pub given: Vec<String>,
    /// Whether stdin will be written to; else it is empty.
    pub stdin: bool,
    /// What it may use.
    pub limits: Limits,
    /// What it may reach.
    pub network: NetworkPolicy,
    /// Which addresses what it may reach may lead to.
    pub egress: EgressSettings,
}

// The environment holds secrets, and files hold what users wrote.
impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.env.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Job")
            .field("runtime", &self.runtime)
            .field("target", &self.target)
            .field("files", &self.files.iter().map(|it| it.path.as_str()).collect::<Vec<_>>())
            .field("argv", &self.argv)
            .field("env", &names)
            .field("stdin", &self.stdin)
            .field("limits", &self.limits)
            .field("network", &self.network)
            .finish()
    }
}

/// Names an environment to run in: a language's toolchain and a locked dependency set.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RuntimeSpec {
    /// The language's name.
    pub language: String,
    /// The image that backends with images use.
    pub image: String,
    /// The packages, if there are any.
    pub layer: Option<LayerMount>,
}

/// A dependency layer in a runtime. Whoever names it keeps the tree in place meanwhile.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LayerMount {
    /// The digest of the tree's manifest.
    pub digest: Digest,
    /// The tree on the engine's machine.
    pub source: PathBuf,
    /// The absolute path at which a sandbox has it, read-only.
    pub at: String,
}
