//! Logins to registries: of the settings, else of the machine's own Docker configuration, where they stand in a file or
//! are kept by another program (`docker-credential-*`), which is asked.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bollard::auth::DockerCredentials;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use crate::config::Config;
use crate::error::DockerError;
use crate::registry::HUB;

/// What Docker's own settings call the registry of names without one.
const HUB_LOGIN: &str = "https://index.docker.io/v1/";
/// Bytes of Docker's settings that are read.
const MOST_SETTINGS: u64 = 1 << 20;
/// Bytes that another program may say.
const MOST_SAID: u64 = 64 << 10;
/// Characters of it that are told.
const TOLD: usize = 200;
/// What such a program says of a registry that it knows no login for.
const UNKNOWN: &str = "credentials not found";
/// The user of a login that is a token.
const TOKEN: &str = "<token>";

/// How to log in to a registry. Not shown by `Debug`.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The user's name.
    pub user: String,
    /// The password or token.
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Finds the login for a registry. Fails if Docker's settings can't be read, or the program that they name can't be
/// asked: without the login a pull would fail with a worse reason.
pub(crate) async fn find(
    config: &Config,
    registry: &str,
    within: Duration,
) -> Result<Option<DockerCredentials>, DockerError> {
    if let Some(login) = config.registry_logins.get(registry) {
        return Ok(Some(credentials(login, registry)));
    }
    let Some(path) = &config.docker_config else { return Ok(None) };
    let Some(settings) = DockerSettings::read(path)? else { return Ok(None) };
    let found = match settings.helper(registry) {
        Some(name) => {
            let failed = |problem| DockerError::Login { registry: registry.to_owned(), problem };
            let program = program(name).map_err(failed)?;
            ask(Path::new(&program), server(registry), within).await.map_err(failed)?
        }
        None => settings.login(registry),
    };
    Ok(found.map(|it| credentials(&it, registry)))
}

fn credentials(login: &Login, registry: &str) -> DockerCredentials {
    let text = |it: &String| Some(it.clone());
    let (username, password, identitytoken) = match login.user.as_str() {
        TOKEN => (None, None, text(&login.password)),
        _ => (text(&login.user), text(&login.password), None),
    };
    let serveraddress = Some(registry.to_owned());
    DockerCredentials { username, password, identitytoken, serveraddress, ..DockerCredentials::default() }
}

/// What Docker's own settings say of logins.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct DockerSettings {
    auths: BTreeMap<String, Auth>,
    creds_store: Option<String>,
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Auth {
    auth: Option<String>,
    identitytoken: Option<String>,
}

impl DockerSettings {
    /// Reads them; none if the file is not there.
    fn read(path: &Path) -> Result<Option<Self>, DockerError> {
        let text = match std::fs::metadata(path).map(|it| it.len()) {
            Ok(0..=MOST_SETTINGS) => std::fs::read(path),
            Ok(_) => Err(io::ErrorKind::FileTooLarge.into()),
            Err(error) => Err(error),
        };
        let unreadable = |error| DockerError::file("can't read Docker's settings in", path)(error);
        match text {
            Ok(text) => {
                let read = serde_json::from_slice(&text).map_err(io::Error::from);
                read.map(Some).map_err(unreadable)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unreadable(error)),
        }
    }

    /// The program that keeps the login for a registry.
    fn helper(&self, registry: &str) -> Option<&str> {
        let own = names(registry).into_iter().find_map(|it| self.cred_helpers.get(&it));
        own.or(self.creds_store.as_ref()).map(String::as_str).filter(|it| !it.is_empty())
    }

    /// The login that stands in the file.
    fn login(&self, registry: &str) -> Option<Login> {
        let found = names(registry).into_iter().find_map(|it| self.auths.get(&it))?;
        if let Some(token) = found.identitytoken.as_ref().filter(|it| !it.is_empty()) {
            return Some(Login { user: TOKEN.to_owned(), password: token.clone() });
        }
        let decoded = STANDARD.decode(found.auth.as_ref()?).ok()?;
        let (user, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
        Some(Login { user: user.to_owned(), password: password.trim_end_matches('\0').to_owned() })
    }
}

/// Under which a registry may be found.
fn names(registry: &str) -> Vec<String> {
    let hub = (registry == HUB).then(|| HUB_LOGIN.to_owned());
    let forms = [registry.to_owned(), format!("https://{registry}"), format!("https://{registry}/v2/")];
    hub.into_iter().chain(forms).collect()
}

/// By which another program knows a registry.
fn server(registry: &str) -> &str {
    if registry == HUB { HUB_LOGIN } else { registry }
}

/// The program with this short name, in the engine's own `PATH`.
fn program(name: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    match name.chars().all(plain) {
        true => Ok(format!("docker-credential-{name}")),
        false => Err(format!("Docker's settings name the program {name:?}, which is no plain name; correct them")),
    }
}

/// Asks a program that keeps logins. `None` if it knows none.
async fn ask(program: &Path, server: &str, within: Duration) -> Result<Option<Login>, String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        username: String,
        secret: String,
    }
    let name = program.display();
    let answered = tokio::time::timeout(within, converse(program, server)).await;
    let (success, said, complaint) = match answered {
        Ok(Ok(said)) => said,
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => {
            return Err(format!("there is no program {name}; install it, or give the login in `registry_logins`"));
        }
        Ok(Err(error)) => return Err(format!("{name} can't be asked: {error}")),
        Err(_) => {
            return Err(format!("{name} does not answer within {within:?}; give the login in `registry_logins`"));
        }
    };
    if success {
        // What it says is a secret, whatever is wrong with it.
        let read = serde_json::from_slice::<Answer>(&said);
        return read
            .map(|it| Some(Login { user: it.username, password: it.secret }))
            .map_err(|_| format!("{name} gives no answer that can be read; give the login in `registry_logins`"));
    }
    let told = if said.is_empty() { complaint } else { said };
    let told: String = String::from_utf8_lossy(&told).chars().filter(|it| !it.is_control()).take(TOLD).collect();
    if told.contains(UNKNOWN) { Ok(None) } else { Err(format!("{name} fails: {told}")) }
}

/// Whether it succeeded, and what it said on both streams. Dropped, it ends the program.
async fn converse(program: &Path, server: &str) -> io::Result<(bool, Vec<u8>, Vec<u8>)> {
    let mut child = Command::new(program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let told = async {
        if let Some(mut stdin) = stdin {
            // One that does not read it says why.
            drop(stdin.write_all(server.as_bytes()).await);
        }
        Ok(())
    };
    let ((), said, complaint) = tokio::try_join!(told, heard(stdout), heard(stderr))?;
    Ok((child.wait().await?.success(), said, complaint))
}

async fn heard(stream: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let mut said = Vec::new();
    if let Some(stream) = stream {
        stream.take(MOST_SAID + 1).read_to_end(&mut said).await?;
    }
    match said.len() as u64 {
        0..=MOST_SAID => Ok(said),
        _ => Err(io::Error::other(format!("it says more than {MOST_SAID} bytes"))),
    }
}

#[cfg(test)]
#[path = "login/tests.rs"]
mod tests;
