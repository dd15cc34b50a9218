//! Carries steps out: work of a language or of a package ecosystem, in a sandbox, bounded like a script.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::prepare::environment;
use super::provision::{Unprovided, spawn_in_time};
use super::supervise::{End, Listener, supervise};
use super::watch::Bounds;
use crate::contract::{OutputStream, ScriptExecutor, Spawned, Step, StepOutput};
use crate::{
    BrokenLimit, Cancel, CancelReason, Error, ErrorKind, Exit, Job, Limits, NetworkPolicy, Outcome, Result,
    RuntimeSpec, Settings, Stdin, Stopwatch, Timestamp, Usage,
};

/// Bytes of each output stream of a step that are kept.
const STEP_OUTPUT: usize = 1 << 20;
/// Bytes of a file that a step may leave.
const STEP_FILE: u64 = 512 << 20;

/// Where a step runs, and within which bounds.
#[derive(Clone, Debug)]
pub struct StepPlace {
    /// The runtime of its sandbox.
    pub runtime: RuntimeSpec,
    /// Environment variables beneath those of the step.
    pub env: Vec<(String, String)>,
    /// What it may use.
    pub limits: Limits,
    /// What it may reach.
    pub network: NetworkPolicy,
    /// The field of a request that is at fault when it breaks its limits.
    pub field: &'static str,
}

/// Carries steps out on one executor. Holds no queue: whoever calls bounds how many there are at once.
#[derive(Clone, Debug)]
pub struct StepRunner {
    executor: Arc<dyn ScriptExecutor>,
    settings: Settings,
}

impl StepRunner {
    /// Makes a runner; `settings` bounds provisioning, grace and silence as it does for scripts.
    #[must_use]
    pub fn new(executor: Arc<dyn ScriptExecutor>, settings: &Settings) -> Self {
        Self { executor, settings: settings.clone() }
    }

    /// Runs the step in a sandbox of its own, which is gone afterwards, and reads what came of it.
    /// Fails with `InvalidRequest` of the place's field if the step breaks a limit. Called off, it ends
    /// when its sandbox is gone. Not cancel-safe by itself, but dropping the future kills what it made.
    pub async fn carry_out<T>(&self, step: Step<T>, place: StepPlace, cancel: &Cancel) -> Result<T> {
        let Step { files, argv, env, collect, read } = step;
        let env = environment(&place.env, &env);
        let StepPlace { runtime, limits, network, .. } = place;
        let egress = self.settings.egress.clone();
        let (tenant, target, given, stdin) = (None, None, Vec::new(), false);
        let job = Job { tenant, runtime, target, files, argv, env, given, stdin, limits, network, egress };
        read(self.run(job, &collect, place.field, cancel).await?)
    }

    async fn run(&self, job: Job, collect: &[String], field: &'static str, cancel: &Cancel) -> Result<StepOutput> {
        let bounds = Bounds::new(&job.limits, &self.settings);
        let mut stopwatch = Stopwatch::start();
        let given_up = async {
            cancel.cancelled().await;
            Outcome::Cancelled(CancelReason::Requested)
        };
        let spawned = spawn_in_time(&self.settings, given_up, self.executor.as_ref(), job, &mut stopwatch).await;
        let Spawned { mut script, control, connections, .. } = match spawned {
            Ok(spawned) => spawned,
            Err(Unprovided { outcome: Outcome::EngineFault(fault), .. }) => {
                return Err(Error::new(fault.kind, fault.message));
            }
            Err(Unprovided { unclean, .. }) => return Err(unclean.unwrap_or_else(Cancel::error)),
        };
        let mut kept = KeptOutput::default();
        let watched = async {
            let never = std::future::pending();
            let (end, cause) =
                supervise(script.as_mut(), control.as_ref(), bounds, Stdin::Empty, never, &mut kept).await?;
            let mut files = Vec::new();
            if let (End::Exited(_), None) = (&end, cause) {
                for path in collect {
                    files.push(script.collect(path, STEP_FILE).await?);
                }
            }
            Ok((end, cause, files))
        };
        let watched = cancel.guard(watched).await;
        // Whatever came of it, its sandbox is gone before it is told.
        script.finish().await?;
        for it in connections.snapshot().list {
            if let Some(why) = it.end.why() {
                tracing::info!(host = it.host, port = it.port, why, "a step did not reach a host");
            }
        }
        let (end, cause, files) = watched?;
        let exit_code = match (end, cause) {
            (_, Some(_)) => {
                let message = format!("took longer than the {:?} that a step may take: {STEP}", bounds.timeout);
                return Err(Error::invalid(field, message));
            }
            (End::Exited(report), None) => match (report.broke, report.exit) {
                (Some(limit), _) => return Err(broke(field, limit)),
                (None, Exit::Code(code)) => Some(code),
                (None, Exit::Signal(_)) => None,
            },
            (End::Lost { out_of_memory: true, .. }, None) => return Err(broke(field, BrokenLimit::Memory)),
            (End::Lost { reason, .. }, None) => {
                return Err(Error::new(ErrorKind::Unavailable, format!("the sandbox was lost: {reason}")));
            }
        };
        let [stdout, stderr] = kept.0.map(BytesMut::freeze);
        Ok(StepOutput { exit_code, stdout, stderr, files })
    }
}

/// What a step is, and who bounds it.
const STEP: &str =
    "a check, a compilation or a fetch; make it simpler, or have the operator raise the language's step_limits";

fn broke(field: &str, limit: BrokenLimit) -> Error {
    Error::invalid(field, format!("broke the limit of {} of a step: {STEP}", limit.as_str()))
}

/// The first bytes of each stream.
#[derive(Default)]
struct KeptOutput([BytesMut; 2]);

impl Listener for KeptOutput {
    async fn output(&mut self, stream: OutputStream, _time: Timestamp, bytes: Bytes) -> Result<bool> {
        let kept = &mut self.0[stream as usize];
        let room = STEP_OUTPUT - kept.len();
        kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
        Ok(true)
    }

    fn life(&mut self, _usage: Option<Usage>) {}
}
