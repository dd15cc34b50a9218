//! Waiting for what provisioning makes: until it is there, its deadline has passed, or it is called off,
//! and in the last two cases until what was half made is gone.

use std::future::Future;
use std::pin::pin;

use super::components::Components;
use super::course::fault;
use crate::contract::{ScriptExecutor, Spawned};
use crate::{Cancel, Error, ErrorKind, Job, Outcome, Result, RetryAdvice, Settings, Stopwatch};

/// Why provisioning came to nothing.
#[derive(Debug)]
pub(super) struct Unprovided {
    pub(super) outcome: Outcome,
    /// Why its end was not clean, if it was not.
    pub(super) unclean: Option<Error>,
}

/// Waits for a piece of provisioning. It is not dropped when it is late or `given_up` comes first: it hears of
/// it, and has the kill timeout to remove what it made. Only if it does not keep that it is dropped, which
/// leaves the rest to the executor's own cleaning and reaping.
pub(super) async fn provision<T, W: Future<Output = Result<T>>>(
    settings: &Settings,
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
            unclean: None,
        }),
        () = tokio::time::sleep(settings.provision_timeout) => too_long(settings),
    };
    handle.cancel();
    let unclean = match tokio::time::timeout(settings.kill_timeout, work).await {
        Ok(Ok(_)) => None,
        Ok(Err(error)) if error.kind() == ErrorKind::Cancelled => None,
        Ok(Err(error)) => {
            Some(Error::new(error.kind(), format!("provisioning failed while it was called off: {error}")))
        }
        Err(_) => Some(Error::new(
            ErrorKind::Unavailable,
            format!(
                "provisioning was called off and did not end within settings.kill_timeout of {:?}; \
                 what it made is left to the executor",
                settings.kill_timeout
            ),
        )),
    };
    Err(Unprovided { outcome, unclean })
}

/// Starts a job within the provisioning deadline. On `Err` nothing of it is left, unless its end was unclean.
pub(super) async fn spawn_in_time(
    settings: &Settings,
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
    provision(settings, given_up, spawn).await
}

fn too_long(settings: &Settings) -> Outcome {
    let message =
        format!("provisioning took longer than settings.provision_timeout of {:?}", settings.provision_timeout);
    fault(ErrorKind::Unavailable, message, RetryAdvice::Safe)
}

impl Components {
    /// [`provision`] for an execution: an unclean end is told.
    pub(super) async fn provision<T, W: Future<Output = Result<T>>>(
        &self,
        given_up: impl Future<Output = Outcome>,
        begin: impl FnOnce(Cancel) -> W,
    ) -> Result<T, Unprovided> {
        provision(&self.settings, given_up, begin).await.inspect_err(|it| self.tell_unclean(it))
    }

    /// [`spawn_in_time`] for an execution: an unclean end is told.
    pub(super) async fn spawn_in_time(
        &self,
        given_up: impl Future<Output = Outcome>,
        executor: &dyn ScriptExecutor,
        job: Job,
        stopwatch: &mut Stopwatch,
    ) -> Result<Spawned, Unprovided> {
        spawn_in_time(&self.settings, given_up, executor, job, stopwatch).await.inspect_err(|it| self.tell_unclean(it))
    }

    fn tell_unclean(&self, unprovided: &Unprovided) {
        if let Some(error) = &unprovided.unclean {
            self.trouble(error);
        }
    }
}
