//! Carries out what [`watch`](super::watch) decides: the one loop round a running script.

use std::future::Future;

use bytes::Bytes;
use tokio::time::{Instant, sleep_until};

use super::watch::{Action, Bounds, Sign, StopCause, Watch};
use crate::contract::{OutputStream, RunningScript, ScriptControl, ScriptEvent, Stop};
use crate::{CancelReason, Error, ExitReport, Result, Stdin, Timestamp, Usage};

/// How a script's run ended.
#[derive(Debug)]
pub(super) enum End {
    /// It is over and has told how.
    Exited(ExitReport),
    /// Its sandbox is gone or gave no answer.
    Lost { reason: String, out_of_memory: bool },
}

/// What takes a script's output.
pub(super) trait Listener {
    /// Takes bytes; `false` means that the script printed more than it may.
    fn output(
        &mut self,
        stream: OutputStream,
        time: Timestamp,
        bytes: Bytes,
    ) -> impl Future<Output = Result<bool>> + Send;
    /// Hears a sign of life.
    fn life(&mut self, usage: Option<Usage>);
}

/// Bytes of stdin that are offered at once.
const STDIN_PIECE: usize = 64 << 10;

/// Waits for the end of a script, feeding its stdin and stopping it when it must. Fails only if the
/// listener does.
pub(super) async fn supervise(
    script: &mut dyn RunningScript,
    control: &dyn ScriptControl,
    bounds: Bounds,
    stdin: Stdin,
    cancelled: impl Future<Output = CancelReason>,
    listener: &mut impl Listener,
) -> Result<(End, Option<StopCause>)> {
    let begin = Instant::now();
    let mut watch = Watch::new(bounds);
    let mut stdin = std::pin::pin!(feed(control, stdin));
    let mut fed = false;
    let mut cancelled = std::pin::pin!(cancelled);
    let mut asked = false;
    let mut sign = Sign::Tick;
    loop {
        let deadline = match watch.step(begin.elapsed(), sign) {
            Action::Wait { until } => until,
            // A script that is gone already answers by its exit, a lost sandbox by its loss.
            Action::Ask => {
                drop(control.stop(Stop::Ask).await);
                sign = Sign::Tick;
                continue;
            }
            Action::Kill => {
                drop(control.stop(Stop::Kill).await);
                sign = Sign::Tick;
                continue;
            }
            Action::Abandon => {
                let reason = "the sandbox did not answer".to_owned();
                return Ok((End::Lost { reason, out_of_memory: false }, watch.cause()));
            }
        };
        // Far deadlines overflow an instant; a day later the loop looks again.
        let until = begin + deadline.min(begin.elapsed() + std::time::Duration::from_secs(86_400));
        sign = tokio::select! {
            event = script.next() => match event {
                ScriptEvent::Output { stream, time, bytes } => {
                    listener.life(None);
                    if listener.output(stream, time, bytes).await? { Sign::Life } else { Sign::TooMuchOutput }
                }
                ScriptEvent::Beat(usage) => {
                    listener.life(Some(usage));
                    Sign::Life
                }
                ScriptEvent::Exited(report) => return Ok((End::Exited(report), watch.cause())),
                ScriptEvent::Lost { reason, out_of_memory } => {
                    return Ok((End::Lost { reason, out_of_memory }, watch.cause()));
                }
            },
            reason = &mut cancelled, if !asked => {
                asked = true;
                Sign::Cancel(reason)
            }
            () = &mut stdin, if !fed => {
                fed = true;
                Sign::Tick
            }
            () = sleep_until(until) => Sign::Tick,
        };
    }
}

async fn feed(control: &dyn ScriptControl, stdin: Stdin) {
    // A script that does not read its stdin to the end is its own business.
    let fed: Result<(), Error> = match stdin {
        Stdin::Empty | Stdin::Open => Ok(()),
        Stdin::Bytes(mut bytes) => {
            let mut fed = Ok(());
            while !bytes.is_empty() && fed.is_ok() {
                fed = control.write_stdin(bytes.split_to(bytes.len().min(STDIN_PIECE))).await;
            }
            match fed {
                Ok(()) => control.close_stdin().await,
                Err(error) => Err(error),
            }
        }
    };
    if let Err(error) = fed {
        tracing::debug!(%error, "stdin was not taken");
    }
}
