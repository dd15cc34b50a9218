//! Fourth stage: a sandbox, the script in it, and its end.

use std::sync::Arc;

use bytes::Bytes;
use tracing::{Instrument, info_span};

use super::components::Components;
use super::course::{Course, Ended, fault};
use super::live::Live;
use super::output::OutputCollector;
use super::prepare::{Prepared, RESULT_PATH};
use super::provision::Unprovided;
use super::supervise::{End, Listener, supervise};
use super::watch::{Bounds, StopCause};
use crate::contract::{Clock, OutputStream, Spawned};
use crate::{
    BrokenLimit, Cancel, Error, ErrorKind, Exit, Job, Limits, Outcome, Result, RetryAdvice, Settings, Stage, Started,
    Timestamp, Transition, Usage,
};

impl Bounds {
    pub(super) fn new(limits: &Limits, settings: &Settings) -> Self {
        Self {
            timeout: limits.timeout,
            grace: settings.grace,
            kill_timeout: settings.kill_timeout,
            heartbeat: settings.heartbeat,
        }
    }
}

impl Components {
    /// Runs the job. Whatever happens, the sandbox is released before this returns.
    pub(super) async fn run(&self, prepared: Prepared) -> Box<Ended> {
        // The layer stays in place until the sandbox is released.
        let Prepared { mut course, permit, job, mut output, toolchain, layer: _layer } = prepared;
        let spawned = match self.spawn(&mut course, job).instrument(info_span!("spawn")).await {
            Ok(spawned) => spawned,
            Err(Unprovided { outcome, unclean }) => {
                let outcome = output.masked_outcome(outcome);
                let collected = output.finish(Ok(None)).await;
                let mut ended = Ended::early(course, Some(permit), outcome);
                ended.output = Some(collected);
                ended.notes.extend(unclean.map(|it| it.to_string()));
                return Box::new(ended);
            }
        };
        let Spawned { mut script, control, enforcement, runtime, connections } = spawned;
        course.stopwatch.enter(Stage::Run);
        let started = Transition::Start(Started { at: self.now(), enforcement, runtime, toolchain });
        let recorded = self.advance(&mut course.record, started).await;
        course.live.control.send_replace(Some(Arc::clone(&control)));
        course.live.beat(self.now(), None);

        let end = match recorded {
            Ok(()) => {
                let live = Arc::clone(&course.live);
                let mut listener = LiveListener { output: &mut output, live: &live, clock: self.clock.as_ref() };
                let bounds = Bounds::new(&course.record.begun.limits, &self.settings);
                let stdin = std::mem::take(&mut course.request.stdin);
                supervise(script.as_mut(), control.as_ref(), bounds, stdin, live.cancelled(), &mut listener)
                    .instrument(info_span!("supervise"))
                    .await
            }
            Err(error) => Err(error),
        };

        course.stopwatch.enter(Stage::Collect);
        let mut notes = Vec::new();
        let mut result_file = Ok(None);
        if let Ok((End::Exited(report), _)) = &end {
            if report.leaked > 0 {
                notes.push(format!("{} processes outlived the script and were killed", report.leaked));
            }
            result_file = script.collect(RESULT_PATH, self.settings.max_result_bytes).await;
        }

        course.stopwatch.enter(Stage::Settle);
        if let Err(error) = script.finish().await {
            // The executor's own reaping gets what is left; the outcome stands.
            notes.push(format!("the sandbox was not released: {error}"));
            self.trouble(&error);
        }
        let outcome = output.masked_outcome(outcome_of(&end));
        let collected = output.finish(result_file).await;
        let (exit, usage) = match &end {
            Ok((End::Exited(report), _)) => (Some(report.exit), report.usage),
            Ok((End::Lost { .. }, _)) | Err(_) => (None, course.live.vitals(self.settings.heartbeat).usage),
        };
        let connections = connections.snapshot();
        Box::new(Ended {
            course,
            permit: Some(permit),
            output: Some(collected),
            outcome,
            exit,
            usage,
            notes,
            connections,
        })
    }

    async fn spawn(&self, course: &mut Course, job: Job) -> Result<Spawned, Unprovided> {
        let executor = Arc::clone(&course.executor);
        let live = Arc::clone(&course.live);
        if job.target.is_none() {
            course.stopwatch.enter(Stage::Provision);
            let begun = &course.record.begun;
            let progress = self.told(&begun.language, Some(begun.id));
            let (executor, runtime) = (executor.as_ref(), &job.runtime);
            let preload = |cancel: Cancel| async move { cancel.guard(executor.preload(runtime, &progress)).await };
            let given_up = async { Outcome::Cancelled(live.cancelled().await) };
            self.provision(given_up, preload).await?;
        }
        let given_up = async { Outcome::Cancelled(live.cancelled().await) };
        self.spawn_in_time(given_up, executor.as_ref(), job, &mut course.stopwatch).await
    }

    /// Tells that something of the engine's own went wrong.
    pub(super) fn trouble(&self, error: &Error) {
        tracing::warn!(%error, "trouble");
        self.emit(&crate::EngineEvent::Trouble { kind: error.kind(), message: error.to_string(), at: self.now() });
    }
}

struct LiveListener<'a> {
    output: &'a mut OutputCollector,
    live: &'a Live,
    clock: &'a dyn Clock,
}

impl Listener for LiveListener<'_> {
    async fn output(&mut self, stream: OutputStream, time: Timestamp, bytes: Bytes) -> Result<bool> {
        self.output.push(stream, time, bytes).await
    }

    fn life(&mut self, usage: Option<Usage>) {
        self.live.beat(self.clock.now(), usage);
    }
}

/// What an end means. Pure: the first stop cause wins over what it brought about.
fn outcome_of(end: &Result<(End, Option<StopCause>)>) -> Outcome {
    match end {
        Err(error) => fault(error.kind(), error.to_string(), RetryAdvice::Unsafe),
        Ok((_, Some(StopCause::Timeout(cause)))) => Outcome::TimedOut(*cause),
        Ok((_, Some(StopCause::Cancelled(reason)))) => Outcome::Cancelled(*reason),
        Ok((_, Some(StopCause::Output))) => Outcome::LimitExceeded(BrokenLimit::Output),
        Ok((End::Exited(report), None)) => match (report.broke, report.exit) {
            (Some(limit), _) => Outcome::LimitExceeded(limit),
            (None, Exit::Code(0)) => Outcome::Succeeded,
            (None, exit) => Outcome::Failed(exit),
        },
        Ok((End::Lost { out_of_memory: true, .. }, None)) => Outcome::LimitExceeded(BrokenLimit::Memory),
        Ok((End::Lost { reason, .. }, None)) => {
            fault(ErrorKind::Unavailable, format!("the sandbox was lost: {reason}"), RetryAdvice::Unsafe)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CancelReason, ExitReport, TimeoutCause};

    fn exited(exit: Exit, broke: Option<BrokenLimit>) -> End {
        End::Exited(ExitReport { exit, usage: Usage::default(), broke, leaked: 0 })
    }

    fn lost(out_of_memory: bool) -> End {
        End::Lost { reason: "gone".into(), out_of_memory }
    }

    #[track_caller]
    fn check(end: End, cause: Option<StopCause>, expect: Outcome) {
        assert_eq!(outcome_of(&Ok((end, cause))), expect);
    }

    #[test]
    fn ends_and_causes_have_one_outcome() {
        let timeout = Some(StopCause::Timeout(TimeoutCause::Limit));
        let cancel = Some(StopCause::Cancelled(CancelReason::Requested));
        check(exited(Exit::Code(0), None), None, Outcome::Succeeded);
        check(exited(Exit::Code(7), None), None, Outcome::Failed(Exit::Code(7)));
        check(exited(Exit::Signal(11), None), None, Outcome::Failed(Exit::Signal(11)));
        check(exited(Exit::Signal(9), Some(BrokenLimit::Memory)), None, Outcome::LimitExceeded(BrokenLimit::Memory));
        check(exited(Exit::Code(0), None), timeout, Outcome::TimedOut(TimeoutCause::Limit));
        check(exited(Exit::Signal(15), None), cancel, Outcome::Cancelled(CancelReason::Requested));
        check(lost(true), None, Outcome::LimitExceeded(BrokenLimit::Memory));
        check(lost(true), timeout, Outcome::TimedOut(TimeoutCause::Limit));
        assert!(
            matches!(outcome_of(&Ok((lost(false), None))), Outcome::EngineFault(it) if it.retry == RetryAdvice::Unsafe)
        );
    }
}
