//! A guest: the agent in a container of somebody else's, put there by a shell of the container's own, and taken
//! away again. Nothing is brought by the daemon's archives: what they put into a folder in memory is not seen.

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bollard::container::{AttachContainerResults, LogOutput};
use bollard::exec::{StartExecOptions, StartExecResults};
use bollard::models::ExecConfig;
use bollard::query_parameters::InspectContainerOptions;
use bytes::Bytes;
use futures_util::StreamExt as _;
use script_engine_agent::{AGENT, BUILD};
use script_engine_core::contract::{Machine, SandboxPaths, Target, Verdict};
use script_engine_core::{Capability, Limits, Mechanism, OwnerId, Restriction, Result, Usage};
use tokio::io::{AsyncWriteExt as _, duplex};

use crate::daemon::Daemon;
use crate::error::DockerError;
use crate::link::ContainerLink;
use crate::plan::OWNER_LABEL;

/// Folders of a container in which a guest may find room, as its shell writes them; the first that lets programs
/// be started is taken.
const PLACES: &str = r#""${TMPDIR:-/tmp}" /tmp /var/tmp /dev/shm /run "${HOME:-/}""#;
/// Bytes of what a shell says that are heeded.
const HEEDED: usize = 4096;

/// Makes a guest's folder and writes what comes to the agent. Its argument is the folder's name.
fn arrive() -> String {
    format!(
        r#"umask 077
for d in {PLACES}; do
    f=$d/$1
    mkdir "$f" 2>/dev/null || continue
    if printf '#!/bin/sh\n' >"$f/try" && chmod 700 "$f/try" && "$f/try"; then
        rm "$f/try"
        mkdir "$f/scripts" "$f/work" "$f/tmp" && cat >"$f/agent" && chmod 700 "$f/agent" &&
            echo "at $f" && "$f/agent" version && exit 0
    fi 2>/dev/null
    rm -rf "$f"
done
echo 'no folder in which a program can be written and started'
exit 1"#
    )
}

/// Starts the agent. Its arguments are the folder and the owner.
const SERVE: &str = r#"echo $$ >"$1/pid"; exec "$1/agent" serve --folder "$1" --owner "$2""#;

/// Ends the guest and, if its second argument says so, removes its folder. The first is the folder's name.
fn leave() -> String {
    format!(
        r#"left=0
for d in {PLACES}; do
    f=$d/$1
    [ -d "$f" ] || continue
    p=; read -r p 2>/dev/null <"$f/pid"
    runs() {{ c=; [ -n "$p" ] && read -r c 2>/dev/null <"/proc/$p/cmdline"; case "$c" in "$f/agent"*) return 0;; esac; return 1; }}
    if runs; then
        kill -TERM "$p" 2>/dev/null
        n=0
        while runs && [ $n -lt 60 ]; do n=$((n+1)); sleep 0.05 2>/dev/null || sleep 1; done
        runs && kill -KILL "$p" 2>/dev/null
    fi
    [ "$2" = remove ] || continue
    rm -rf "$f" 2>/dev/null || {{ chmod -R u+rwx "$f" 2>/dev/null; rm -rf "$f"; }}
    [ ! -e "$f" ] || left=1
done
exit $left"#
    )
}

/// What a guest's scripts are kept from: little, for the isolation is its container's.
pub(crate) fn capability() -> Capability {
    const WHY: &str = "the script runs in a container of somebody else's: what holds there is its owner's to say";
    let none = Restriction::ALL.into_iter().fold(Capability::default(), |it, restriction| it.without(restriction, WHY));
    none.with(Restriction::Memory, Mechanism::Supervised)
        .with(Restriction::Pids, Mechanism::Supervised)
        .with(Restriction::OpenFiles, Mechanism::Kernel)
}

/// One guest.
pub(crate) struct Guest {
    daemon: Arc<Daemon>,
    /// The container's id.
    container: String,
    user: Option<String>,
    /// The name of the guest's folder, which says whose it is.
    name: String,
    /// The file that says that it is there.
    record: PathBuf,
    /// The agent, as the daemon knows it.
    exec: String,
    ended: Arc<AtomicBool>,
}

impl fmt::Debug for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Guest").field(&self.name).field(&self.container).finish()
    }
}

/// What a shell in a container did.
struct Done {
    code: i64,
    said: String,
}

impl Guest {
    /// Finds the container of a target. Fails with `NotFound` or `Unsupported`.
    pub(crate) async fn find(daemon: &Daemon, target: &Target) -> Result<String, DockerError> {
        let name = target.name.as_str();
        let api = daemon.api().await?;
        let look = api.inspect_container(name, None::<InspectContainerOptions>);
        let found = match daemon.call("look at a container", look).await {
            Ok(found) => found,
            Err(error) if error.is_missing() => return Err(DockerError::NoTarget(name.to_owned())),
            Err(error) => return Err(error),
        };
        let state = found.state.unwrap_or_default();
        if state.running != Some(true) || state.paused == Some(true) {
            return Err(unfit(name, "it does not run; start it"));
        }
        if found.config.is_some_and(|it| it.labels.is_some_and(|it| it.contains_key(OWNER_LABEL))) {
            return Err(unfit(name, "it is an engine's sandbox for another script"));
        }
        found.id.ok_or_else(|| unfit(name, "the daemon says no id of it"))
    }

    /// Puts the agent into a target and starts it. On `Err` nothing of it is left.
    pub(crate) async fn enter(
        daemon: &Arc<Daemon>,
        target: &Target,
        owner: OwnerId,
        name: String,
        record: PathBuf,
    ) -> Result<(Self, ContainerLink, SandboxPaths), DockerError> {
        let container = Self::find(daemon, target).await?;
        let mut guest = Self {
            daemon: Arc::clone(daemon),
            container,
            user: target.user.clone(),
            name,
            record,
            exec: String::new(),
            ended: Arc::new(AtomicBool::new(false)),
        };
        guest.write_record()?;
        match guest.arrive(target, owner).await {
            Ok((link, paths)) => Ok((guest, link, paths)),
            Err(error) => {
                guest.remove().await?;
                Err(error)
            }
        }
    }

    /// Says that the guest may be there, before it is.
    fn write_record(&self) -> Result<(), DockerError> {
        let text = format!("{}\n{}\n{}\n", self.container, self.name, self.user.as_deref().unwrap_or_default());
        let written =
            self.record.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&self.record, text));
        written.map_err(DockerError::file("can't record the guest in", &self.record))
    }

    /// The guest that a record tells of; none if it can't be read.
    pub(crate) fn of_record(daemon: &Arc<Daemon>, record: PathBuf) -> Option<Self> {
        let text = fs::read_to_string(&record).ok()?;
        let mut lines = text.lines().map(str::to_owned);
        let (container, name, user) = (lines.next()?, lines.next()?, lines.next()?);
        let ended = Arc::new(AtomicBool::new(true));
        let user = Some(user).filter(|it| !it.is_empty());
        Some(Self { daemon: Arc::clone(daemon), container, user, name, record, exec: String::new(), ended })
    }

    /// What it is, in words.
    pub(crate) fn describe(&self) -> String {
        format!("guest {} in container {}", self.name, self.container.get(..12).unwrap_or(&self.container))
    }

    async fn arrive(&mut self, target: &Target, owner: OwnerId) -> Result<(ContainerLink, SandboxPaths), DockerError> {
        let done = self.shell(&arrive(), &[&self.name], Bytes::from_static(AGENT)).await?;
        let mut lines = done.said.lines();
        let folder = match (done.code, lines.next().and_then(|it| it.strip_prefix("at "))) {
            (0, Some(folder)) => folder.to_owned(),
            (126 | 127, _) => return Err(unfit(&target.name, "it has no shell; the agent is put in by one")),
            (_, _) => return Err(unfit(&target.name, &format!("its shell says: {}", done.said.trim()))),
        };
        if !lines.next().is_some_and(|it| it.ends_with(BUILD)) {
            return Err(unfit(&target.name, "what was put in does not arrive as it was sent"));
        }
        let owner = owner.to_string();
        let command = ["/bin/sh", "-c", SERVE, "sh", &folder, &owner];
        let (exec, output, input) = self.start(&command).await?;
        self.exec = exec;
        let link = ContainerLink::new(AttachContainerResults { output, input }, Arc::clone(&self.ended));
        let below = |name: &str| format!("{folder}/{name}");
        Ok((link, SandboxPaths { scripts: below("scripts"), work: below("work"), tmp: below("tmp") }))
    }

    async fn start(&self, command: &[&str]) -> Result<(String, Output, Input), DockerError> {
        const ACTION: &str = "start a program in a container";
        let config = ExecConfig {
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            tty: Some(false),
            cmd: Some(command.iter().map(|it| (*it).to_owned()).collect()),
            user: self.user.clone(),
            ..ExecConfig::default()
        };
        let api = self.daemon.api().await?;
        let exec = self.daemon.call(ACTION, api.create_exec(&self.container, config)).await?.id;
        let options = StartExecOptions::default();
        match self.daemon.call(ACTION, api.start_exec(&exec, Some(options))).await? {
            StartExecResults::Attached { output, input } => Ok((exec, output, input)),
            StartExecResults::Detached => Ok((exec, Box::pin(futures_util::stream::empty()), Box::pin(duplex(1).0))),
        }
    }

    /// Runs a script in the container's shell, fed with `input`, to its end.
    async fn shell(&self, script: &str, arguments: &[&str], input: Bytes) -> Result<Done, DockerError> {
        let command: Vec<&str> = ["/bin/sh", "-c", script, "sh"].iter().chain(arguments).copied().collect();
        let (exec, mut output, mut feed) = self.start(&command).await?;
        let fed = async {
            // A shell that does not read it says why.
            drop(feed.write_all(&input).await);
            drop(feed.shutdown().await);
        };
        let heard = async {
            let mut said = Vec::new();
            while let Some(Ok(piece)) = output.next().await {
                if let LogOutput::StdErr { message } | LogOutput::StdOut { message } | LogOutput::Console { message } =
                    piece
                {
                    let room = HEEDED.saturating_sub(said.len()).min(message.len());
                    said.extend_from_slice(message.get(..room).unwrap_or_default());
                }
            }
            said
        };
        let both = async {
            let ((), said) = tokio::join!(fed, heard);
            Ok(said)
        };
        let said = self.daemon.call("end a program in a container", both).await?;
        let api = self.daemon.api().await?;
        let ended = self.daemon.call("look at a program in a container", api.inspect_exec(&exec)).await?;
        Ok(Done { code: ended.exit_code.unwrap_or(-1), said: String::from_utf8_lossy(&said).into_owned() })
    }

    /// Ends the guest, removes its folder and its record. Of a container that is gone or does not run nothing
    /// can be removed, and nothing of the guest's runs.
    pub(crate) async fn remove(&self) -> Result<(), DockerError> {
        match self.shell(&leave(), &[&self.name, "remove"], Bytes::new()).await {
            Ok(Done { code: 0 | 126 | 127, .. }) => {}
            Ok(Done { said, .. }) => return Err(DockerError::Left { name: self.describe(), what: said }),
            Err(error) if error.is_missing() => {}
            Err(DockerError::Refused { status: 409, .. }) => {}
            Err(error) => return Err(error),
        }
        match fs::remove_file(&self.record) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(DockerError::file("can't remove the record of the guest in", &self.record)(error))
            }
            _ => Ok(()),
        }
    }
}

type Output =
    std::pin::Pin<Box<dyn futures_util::Stream<Item = std::result::Result<LogOutput, bollard::errors::Error>> + Send>>;
type Input = std::pin::Pin<Box<dyn tokio::io::AsyncWrite + Send>>;

fn unfit(target: &str, why: &str) -> DockerError {
    DockerError::Unsupported(format!("container {target} can't take a guest: {why}"))
}

#[async_trait]
impl Machine for Guest {
    async fn kill(&self) -> Result<()> {
        match self.shell(&leave(), &[&self.name, "kill"], Bytes::new()).await {
            Err(error) if !error.is_missing() && !matches!(error, DockerError::Refused { status: 409, .. }) => {
                Err(error.into())
            }
            _ => Ok(()),
        }
    }

    async fn usage(&self) -> Option<Usage> {
        // The container's counters are about its owner's programs too.
        None
    }

    async fn resize(&self, _limits: &Limits) -> Result<()> {
        // Nothing from outside bounds a guest; the agent gets a script's limits when it starts it.
        Ok(())
    }

    async fn verdict(&self) -> Verdict {
        if self.ended.load(Ordering::Acquire) {
            return Verdict::Gone;
        }
        let look = async {
            let api = self.daemon.api().await?;
            self.daemon.call("look at a program in a container", api.inspect_exec(&self.exec)).await
        };
        match look.await {
            Ok(found) if found.running == Some(true) => Verdict::Alive,
            _ => Verdict::Gone,
        }
    }

    async fn destroy(&self) -> Result<()> {
        Ok(self.remove().await?)
    }
}
