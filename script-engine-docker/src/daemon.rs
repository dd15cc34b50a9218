//! The way to the Docker Engine: connected and agreed on a version of its API when first needed, and again
//! after it was away; no call without a deadline.

use std::future::Future;
use std::time::Duration;

use bollard::errors::Error as ApiError;
use bollard::{API_DEFAULT_VERSION, Docker};
use tokio::sync::OnceCell;

use crate::error::DockerError;

/// The oldest API that has what is used here: private cgroup namespaces (Docker 20.10, Podman 4).
const OLDEST: (usize, usize) = (1, 41);
const OLDEST_TEXT: &str = "1.41";

/// How long a call may take at all: a build sends the packages before the daemon says a word.
const LONGEST: Duration = Duration::from_secs(3600);

/// A daemon.
#[derive(Debug)]
pub(crate) struct Daemon {
    endpoint: String,
    within: Duration,
    api: OnceCell<Docker>,
}

impl Daemon {
    pub(crate) fn new(endpoint: &str, within: Duration) -> Self {
        Self { endpoint: endpoint.to_owned(), within, api: OnceCell::new() }
    }

    /// The API, for one call or one stream.
    pub(crate) async fn api(&self) -> Result<&Docker, DockerError> {
        self.api.get_or_try_init(|| self.connect()).await
    }

    async fn connect(&self) -> Result<Docker, DockerError> {
        const ACTION: &str = "connect";
        // Deadlines are set for each call here; this one covers the longest.
        let seconds = LONGEST.max(self.within).as_secs();
        let connected = match self.endpoint.split_once("://") {
            Some(("unix", path)) => Docker::connect_with_unix(path, seconds, API_DEFAULT_VERSION),
            Some(("tcp" | "http", _)) => Docker::connect_with_http(&self.endpoint, seconds, API_DEFAULT_VERSION),
            _ => return Err(DockerError::Endpoint(self.endpoint.clone())),
        };
        let api = connected.map_err(DockerError::api(ACTION, self.within))?;
        let api = self.call(ACTION, api.negotiate_version()).await?;
        let version = api.client_version();
        if (version.major_version, version.minor_version) < OLDEST {
            return Err(DockerError::OldApi { found: version.to_string(), needed: OLDEST_TEXT });
        }
        Ok(api)
    }

    /// Waits for one call, as long as calls may take.
    pub(crate) async fn call<T>(
        &self,
        action: &'static str,
        call: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<T, DockerError> {
        self.call_within(action, self.within, call).await
    }

    /// Waits for one call that may take longer than others.
    pub(crate) async fn call_within<T>(
        &self,
        action: &'static str,
        within: Duration,
        call: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<T, DockerError> {
        match tokio::time::timeout(within, call).await {
            Ok(answer) => answer.map_err(DockerError::api(action, within)),
            Err(_) => Err(DockerError::Slow { action, within }),
        }
    }

    /// How long one call may take.
    pub(crate) fn within(&self) -> Duration {
        self.within
    }
}

#[cfg(test)]
mod tests {
    //! Tests of the connection, with a daemon of a few lines.

    use std::io::{BufRead as _, BufReader, Write as _};
    use std::os::unix::net::UnixListener;

    use super::*;

    #[tokio::test]
    async fn a_daemon_whose_api_is_too_old_is_refused_with_both_versions() {
        let path = std::env::temp_dir().join(format!("script-engine-old-daemon-{}", std::process::id()));
        let listener = UnixListener::bind(&path).unwrap();
        let daemon = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let asked: Vec<String> = lines.take_while(|it| !it.is_empty()).collect();
            let told = r#"{"ApiVersion":"1.30","MinAPIVersion":"1.12","Version":"17.06.0"}"#;
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close";
            write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{told}", told.len()).unwrap();
            asked[0].clone()
        });
        let connected = Daemon::new(&format!("unix://{}", path.display()), Duration::from_secs(30));
        let error = connected.api().await.unwrap_err();
        std::fs::remove_file(&path).unwrap();
        assert!(daemon.join().unwrap().contains("/version"));
        let text = error.to_string();
        assert!(
            matches!(error, DockerError::OldApi { .. }) && text.contains("1.30") && text.contains("1.41"),
            "{text}"
        );
    }
}
