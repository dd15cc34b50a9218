//! A booted sandbox with the agent in it. Core has the one implementation over any link; fakes
//! may implement it directly.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::{ScriptControl, ScriptEvent};
use crate::gateway::Gateway;
use crate::{ConnectionLog, EgressSettings, EnforcementReport, Job, JobFile, NetworkPolicy, Prime, Result};

/// How a script would find itself: facts by name, as the agent's probe child saw them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Posture(pub BTreeMap<String, String>);

/// One booted sandbox. Runs one job at a time.
#[async_trait]
pub trait Sandbox: fmt::Debug + Send + 'static {
    /// What holds in it.
    fn enforcement(&self) -> &EnforcementReport;

    /// Places files below `/scripts`.
    ///
    /// - [SB-01] A file that is there already is an error: nothing is overwritten.
    async fn put(&mut self, files: &[JobFile]) -> Result<()>;

    /// Opens the way out that `policy` allows for the job that is started next. Its connections go through `gateway`
    /// and are in the log, which is complete when the sandbox is reset or destroyed. Fails with `Unsupported`, and
    /// opens nothing, if not all of it can be had. Without it nothing is open.
    ///
    /// - [SB-05] No other job finds it open: not the one after, and none after a reset.
    async fn listen(
        &mut self,
        policy: &NetworkPolicy,
        settings: &EgressSettings,
        gateway: &Gateway,
    ) -> Result<ConnectionLog>;

    /// Starts a program that waits for a job like `like`, whose files are not there yet, in bounded time. It is
    /// confined as the job's program would be, and knows nothing of the job but the variables that it reads at its
    /// start. Comes before `listen`. On `Err` the next `start` starts afresh, as if nothing had been asked for.
    ///
    /// - [SB-06] A job that it serves finds its files, arguments, environment and streams as it would without it, and
    ///   ends as it would; nothing of the priming is left in its sight.
    /// - [SB-07] It serves the next start or none: any other job gets a program of its own, as if none had waited.
    /// - [SB-08] A program that ends or prints before it has its job serves none: `prime` fails, or if it did that
    ///   later `start` starts afresh, and nobody hears what it said.
    async fn prime(&mut self, prime: &Prime, like: &Job) -> Result<()>;

    /// Starts the job's program, or hands the job to the primed one; its files were put before.
    ///
    /// - [SB-02] `Ok` means the program was executed; a program that is missing is an error.
    async fn start(&mut self, job: &Job) -> Result<Arc<dyn ScriptControl>>;

    /// Waits for the next event of the started job. Cancel-safe. See [`RunningScript`](super::RunningScript).
    async fn next(&mut self) -> ScriptEvent;

    /// Fetches a plain file. See [`RunningScript::collect`](super::RunningScript::collect).
    async fn collect(&mut self, path: &str, max_bytes: u64) -> Result<Option<Bytes>>;

    /// Wipes all that scripts could write and verifies it.
    ///
    /// - [SB-03] After `Ok`, the next script finds nothing of the last one: files, shared memory,
    ///   message queues, processes.
    async fn reset(&mut self) -> Result<()>;

    /// Asks how a script would find itself.
    async fn posture(&mut self) -> Result<Posture>;

    /// Removes the sandbox.
    ///
    /// - [SB-04] After `Ok`, nothing of it is left.
    async fn destroy(self: Box<Self>) -> Result<()>;
}
