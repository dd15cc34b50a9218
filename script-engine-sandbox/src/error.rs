//! What can go wrong in this backend, and what each means for the caller.

use std::io;
use std::path::PathBuf;

use script_engine_core::{Error, ErrorKind, Retry};

/// A failure of this backend.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SandboxError {
    #[error("{action} {}: {source}", path.display())]
    File { action: &'static str, path: PathBuf, source: io::Error },
    #[error(
        "the agent can't be started from {path}: {source}; name a file with `Config::agent` if this system forbids programs in memory"
    )]
    Spawn { path: String, source: io::Error },
    #[error("the launcher could not be told what to build: {0}")]
    Plan(String),
    #[error("the root folder {} of language {language} {problem}", path.display())]
    Root { language: String, path: PathBuf, problem: String },
    #[error("the cgroup of the sandbox: {0}")]
    Cgroup(io::Error),
    #[error("something is left of sandbox {name}: {what}")]
    Left { name: String, what: String },
    #[error("{0}")]
    Unsupported(String),
    #[error("the backend is shut down")]
    Closed,
}

impl SandboxError {
    pub(crate) fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File { action, path: path.into(), source }
    }
}

impl From<SandboxError> for Error {
    fn from(error: SandboxError) -> Self {
        let again = Retry::Maybe { after: None };
        let (kind, retry) = match &error {
            SandboxError::File { .. } | SandboxError::Cgroup(_) => (ErrorKind::Unavailable, again),
            SandboxError::Spawn { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                (ErrorKind::Unsupported, Retry::Never)
            }
            SandboxError::Spawn { .. } => (ErrorKind::Unavailable, again),
            SandboxError::Plan(_) => (ErrorKind::Internal, Retry::Never),
            SandboxError::Root { .. } => (ErrorKind::NotFound, Retry::Never),
            SandboxError::Left { .. } => (ErrorKind::Unavailable, again),
            SandboxError::Unsupported(_) => (ErrorKind::Unsupported, Retry::Never),
            SandboxError::Closed => (ErrorKind::Closed, Retry::Never),
        };
        Self::new(kind, error.to_string()).with_retry(retry)
    }
}
