//! What can go wrong in this backend, and what each means for the caller.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use bollard::errors::Error as ApiError;
use script_engine_core::{Error, ErrorKind, Retry};

/// A failure of this backend.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DockerError {
    #[error("the Docker Engine refuses to {action}: {message}{}", hint(message))]
    Refused { action: &'static str, status: u16, message: String },
    #[error("the Docker Engine can't be reached to {action}: {source}; see that it runs and that this user may use it")]
    Unreachable { action: &'static str, source: ApiError },
    #[error("the Docker Engine did not {action} within {within:?}")]
    Slow { action: &'static str, within: Duration },
    #[error("the Docker Engine speaks API {found}, at least {needed} is needed; use a newer engine")]
    OldApi { found: String, needed: &'static str },
    #[error("`endpoint` {0} is not one that can be spoken to; give unix://PATH or tcp://HOST:PORT")]
    Endpoint(String),
    #[error("image {image} of language {language} {problem}")]
    Image { language: String, image: String, problem: String },
    #[error("the container is not as it was asked for: {}", .0.join("; "))]
    Differs(Vec<String>),
    #[error("can't log in to {registry}: {problem}")]
    Login { registry: String, problem: String },
    #[error("there is no container {0}; name one that `docker ps` shows")]
    NoTarget(String),
    #[error("{action} {}: {source}", path.display())]
    File { action: &'static str, path: PathBuf, source: io::Error },
    #[error("something is left of container {name}: {what}")]
    Left { name: String, what: String },
    #[error("{0}")]
    Unsupported(String),
    #[error("the backend is shut down")]
    Closed,
}

impl DockerError {
    pub(crate) fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File { action, path: path.into(), source }
    }

    /// What an answer of the API means that was no success.
    pub(crate) fn api(action: &'static str, within: Duration) -> impl FnOnce(ApiError) -> Self {
        move |error| match error {
            ApiError::DockerResponseServerError { status_code: status, message } => {
                Self::Refused { action, status, message }
            }
            ApiError::DockerStreamError { error: message } => Self::Refused { action, status: 500, message },
            ApiError::RequestTimeoutError => Self::Slow { action, within },
            source => Self::Unreachable { action, source },
        }
    }

    /// Whether what was asked about is not there.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }

    /// Whether somebody else's container has the name that one was to be made with.
    pub(crate) fn is_name_taken(&self) -> bool {
        matches!(self, Self::Refused { message, .. } if message.contains(NAME_TAKEN))
    }

    /// Whether the daemon said something that the interface does not know.
    pub(crate) fn is_unknown_word(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { source: ApiError::JsonDataError { .. } | ApiError::JsonSerdeError { .. }, .. }
        )
    }

    /// Whether something is still used, or was while the daemon looked (Podman says so with 500), which may pass.
    pub(crate) fn is_in_use(&self) -> bool {
        matches!(self, Self::Refused { status: 409 | 500, .. })
    }

    /// Whether the daemon does not do what it was asked for, and would not the next time.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Unsupported(_))
    }

    /// Whether the daemon could not be spoken to, which may pass.
    pub(crate) fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Slow { .. })
    }
}

/// How Docker and Podman say that the name of a container to be made is another's.
const NAME_TAKEN: &str = "is already in use by";

/// What to do about a refusal, by what the daemon says.
fn hint(message: &str) -> &'static str {
    let message = message.to_ascii_lowercase();
    let known = [
        ("no space left on device", "; free space where the daemon keeps its data"),
        ("no such image", "; the image was removed meanwhile: submit again, it is got anew"),
        (NAME_TAKEN, "; remove the container that has the name"),
        ("rlimit", "; lower limits.open_files, or let the daemon raise it"),
        ("unknown runtime", "; correct `oci_runtime`, or add it to the daemon's settings"),
        ("permission denied", "; see that the daemon runs as root or with the ids that it needs"),
    ];
    known.iter().find(|(sign, _)| message.contains(sign)).map_or("", |(_, remedy)| remedy)
}

impl From<DockerError> for Error {
    fn from(error: DockerError) -> Self {
        let again = Retry::Maybe { after: None };
        let (kind, retry) = match &error {
            DockerError::Refused { status: 404, .. } | DockerError::Image { .. } => (ErrorKind::NotFound, again),
            DockerError::Refused { status: 409, .. } => (ErrorKind::Conflict, again),
            DockerError::Refused { status: 400..=499, .. } => (ErrorKind::Unsupported, Retry::Never),
            DockerError::Refused { .. }
            | DockerError::Unreachable { .. }
            | DockerError::Slow { .. }
            | DockerError::File { .. }
            | DockerError::Left { .. } => (ErrorKind::Unavailable, again),
            DockerError::Login { .. }
            | DockerError::OldApi { .. }
            | DockerError::Endpoint(_)
            | DockerError::Differs(_) => (ErrorKind::Unsupported, Retry::Never),
            DockerError::NoTarget(_) => (ErrorKind::NotFound, Retry::Never),
            DockerError::Unsupported(_) => (ErrorKind::Unsupported, Retry::Never),
            DockerError::Closed => (ErrorKind::Closed, Retry::Never),
        };
        Self::new(kind, error.to_string()).with_retry(retry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, message: &str, kind: ErrorKind, remedy: &str) {
        let answer = ApiError::DockerResponseServerError { status_code: status, message: message.to_owned() };
        let error = Error::from(DockerError::api("make a container", Duration::from_secs(1))(answer));
        assert_eq!(error.kind(), kind);
        assert!(error.to_string().contains(remedy), "{error}");
    }

    #[test]
    fn a_refusal_says_what_mends_it() {
        check(404, "No such image: x", ErrorKind::NotFound, "it is got anew");
        check(409, "name \"/x\" is already in use by container y", ErrorKind::Conflict, "remove the container");
        check(500, "write /x: no space left on device", ErrorKind::Unavailable, "free space");
        check(400, "Unknown runtime specified x", ErrorKind::Unsupported, "`oci_runtime`");
        check(500, "else", ErrorKind::Unavailable, "refuses to make a container: else");
    }

    #[test]
    fn what_can_pass_is_told_from_what_can_not() {
        let slow = DockerError::api("list", Duration::from_secs(1))(ApiError::RequestTimeoutError);
        assert!(slow.is_unreachable() && !slow.is_missing());
        let missing = DockerError::Refused { action: "look", status: 404, message: String::new() };
        assert!(missing.is_missing() && !missing.is_unreachable());
    }
}
