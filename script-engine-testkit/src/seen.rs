//! What a script showed while a case watched it.

use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;
use script_engine_core::contract::{OutputStream, RunningScript, Sandbox, ScriptEvent};
use script_engine_core::{Error, ErrorKind, ExitReport, Result, Timestamp};

use crate::interrupt::drop_at;
use crate::verdict::{Proof, Unproven, ensure, fail};

/// How long a script of the suites may keep a case waiting.
const PATIENCE: Duration = Duration::from_secs(60);
/// The most output that a case holds.
const MAX_SEEN: usize = 64 << 20;

/// Where events of a script come from.
#[async_trait]
pub(crate) trait Events: Send {
    /// Waits for the next event.
    async fn event(&mut self) -> ScriptEvent;
}

#[async_trait]
impl Events for dyn RunningScript {
    async fn event(&mut self) -> ScriptEvent {
        self.next().await
    }
}

#[async_trait]
impl Events for dyn Sandbox {
    async fn event(&mut self) -> ScriptEvent {
        self.next().await
    }
}

/// What a script showed.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    /// When the first and the last output was printed.
    pub(crate) times: Option<(Timestamp, Timestamp)>,
    pub(crate) exit: Option<ExitReport>,
}

impl Seen {
    /// Takes events until the script's end.
    pub(crate) async fn watch(&mut self, script: &mut (impl Events + ?Sized)) -> Proof {
        self.until(script, |_| false).await
    }

    /// Takes events until what was seen is enough, or the script's end.
    pub(crate) async fn until(&mut self, script: &mut (impl Events + ?Sized), enough: impl Fn(&Self) -> bool) -> Proof {
        let watching = async {
            while self.exit.is_none() && !enough(self) {
                // Waiting may be broken off at any time, so that it is here, each time.
                let event = match drop_at(0, script.event()).await {
                    Some(event) => event,
                    None => script.event().await,
                };
                match event {
                    ScriptEvent::Output { stream, time, bytes } => self.take(stream, time, &bytes)?,
                    ScriptEvent::Beat(_) => {}
                    ScriptEvent::Exited(report) => self.exit = Some(report),
                    ScriptEvent::Lost { reason, .. } => fail!("the sandbox was lost: {reason}"),
                }
            }
            Ok(())
        };
        match tokio::time::timeout(PATIENCE, watching).await {
            Ok(proof) => proof,
            Err(_) => fail!("nothing came for {PATIENCE:?}; until then {}", self.text()),
        }
    }

    fn take(&mut self, stream: OutputStream, time: Timestamp, bytes: &[u8]) -> Proof {
        ensure!(!bytes.is_empty(), "an empty piece of output");
        let seen = match stream {
            OutputStream::Stdout => &mut self.stdout,
            OutputStream::Stderr => &mut self.stderr,
        };
        seen.extend_from_slice(bytes);
        ensure!(seen.len() <= MAX_SEEN, "{} is longer than any script of the suite prints", stream.as_str());
        self.times = Some((self.times.map_or(time, |(first, _)| first), time));
        Ok(())
    }

    /// Whether stdout holds `text`.
    pub(crate) fn says(&self, text: &str) -> bool {
        self.stdout.windows(text.len()).any(|it| it == text.as_bytes())
    }

    /// What was seen, for reports.
    pub(crate) fn text(&self) -> String {
        let short = |it: &[u8]| String::from_utf8_lossy(&it[..it.len().min(500)]).into_owned();
        format!("{:?}, stdout {:?}, stderr {:?}", self.exit, short(&self.stdout), short(&self.stderr))
    }
}

/// Waits for a call that may not take long.
pub(crate) async fn soon<T>(what: &str, call: impl Future<Output = Result<T>>) -> Result<T, Unproven> {
    match tokio::time::timeout(PATIENCE, call).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(Error::new(ErrorKind::Unavailable, format!("{what} did not return in {PATIENCE:?}")).into()),
    }
}
