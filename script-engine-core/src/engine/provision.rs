//! Waiting for what provisioning makes: until it is there, its deadline has passed, or it is called off,
//! and in the last two cases until what was half made is gone.

use std::future::Future;
use std::pin::pin;

use super::components::Components;
use super::course::fault;
use crate::contract::{ScriptExecutor, Spawned};
use crate::{Cancel, Error, ErrorKind, Job, Outcome, Result, RetryAdvice, Stopwatch};

/// Why provisioning came to nothing.
#[derive(Debug)]
pub(super) struct Unprovided {
    pub(super) outcome: Outcome,
    /// What the record says of an end that was not clean.
    pub(super) note: Option<String>,
}

impl Components {
    /// Waits for a piece of provisioning. It is not dropped when it is late or `given_up` comes first: it hears of
    /// it, and has the kill timeout to remove what it made. Only if it does not keep that it is dropped, which
    /// leaves the rest to the executor's own cleaning and reaping.
    pub(super) async fn provision<T, W: Future<Output = Result<T>>>(
        &self,
        given_up: impl Future<Output = Outcome>,
        begin: impl FnOnce(Cancel) -> W,
    ) -> Result<T, Unprovided> {
        let (handle, cancel) = Cancel::pair();
        let mut work = pin!(begin(cancel));
        let outcome = tokio::select! {
            biased;
            outcome = given_up => outcome,
            done = &mut work => return done.map_err(|error| Unprovided {
                outcome: fault(error.kind(), error.to_string(), RetryAdvice::Safe),
                note: None,
            }),
            () = tokio::time::sleep(self.settings.provision_timeout) => self.provisioning_too_long(),
        };
        handle.cancel();
        let note = match tokio::time::timeout(self.settings.kill_timeout, work).await {
            Ok(Ok(_)) => None,
            Ok(Err(error)) if error.kind() == ErrorKind::Cancelled => None,
            Ok(Err(error)) => {
                self.trouble(&error);
                Some(format!("provisioning failed while it was called off: {error}"))
            }
            Err(_) => {
                let late = Error::new(
                    ErrorKind::Unavailable,
                    format!(
                        "provisioning was called off and did not end within settings.kill_timeout of {:?}; \
                         what it made is left to the executor",
                        self.settings.kill_timeout
                    ),
                );
                self.trouble(&late);
                Some(late.to_string())
            }
        };
        Err(Unprovided { outcome, note })
    }

    /// Starts a job within the provisioning deadline. On `Err` nothing of it is left, unless a note says so.
    pub(super) async fn spawn_in_time(
        &self,
        given_up: impl Future<Output = Outcome>,
        executor: &dyn ScriptExecutor,
        job: Job,
        stopwatch: &mut Stopwatch,
    ) -> Result<Spawned, Unprovided> {
        let spawn = |cancel: Cancel| async move {
            let spawned = executor.spawn(job, stopwatch, cancel.clone()).await?;
            if cancel.is_cancelled() {
                // It was quicker than the word that it is not wanted any more.
                spawned.script.finish().await?;
                return Err(Cancel::error());
            }
            Ok(spawned)
        };
        self.provision(given_up, spawn).await
    }

    fn provisioning_too_long(&self) -> Outcome {
        let message = format!(
            "provisioning took longer than settings.provision_timeout of {:?}",
            self.settings.provision_timeout
        );
        fault(ErrorKind::Unavailable, message, RetryAdvice::Safe)
    }
}
