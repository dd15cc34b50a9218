//! Last stage: everything is released, the record is written, and whoever waits is woken.

use std::time::Duration;

use super::components::Components;
use super::course::Ended;
use crate::{Ending, ErrorKind, ExecutionRecord, Exit, Outcome, Result, Retry, Timestamp, Transition};

/// Tries of one write to a store that can't be reached, and the first pause between them.
const TRIES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(50);

impl Components {
    /// Ends an execution. Only this writes a terminal state.
    pub(super) async fn settle(&self, ended: Ended) {
        let Ended { course, permit, output, outcome, exit, usage, mut notes, connections } = ended;
        // The place goes to the next one before anybody hears of the end.
        drop(permit);
        let id = course.record.id();
        let (output, result) = match output {
            Some(collected) => {
                notes.extend(collected.notes);
                (collected.record, collected.result)
            }
            None => (crate::OutputRecord::default(), None),
        };
        let (exit_code, signal) = match exit {
            Some(Exit::Code(code)) => (Some(code), None),
            Some(Exit::Signal(signal)) => (None, Some(signal)),
            None => (None, None),
        };
        let timings = course.stopwatch.timings();
        let created = course.record.begun.created_at;
        // Monotonic time, so that a clock that jumps does not make an execution end before it began.
        let at = Timestamp::from_micros(
            created.as_micros().saturating_add(i64::try_from(timings.total().as_micros()).unwrap_or(i64::MAX)),
        );
        let language = course.record.begun.language.to_string();
        metrics::counter!("script_engine_executions_total", "outcome" => outcome.class(), "language" => language)
            .increment(1);
        for (stage, time) in timings.iter() {
            metrics::histogram!("script_engine_stage_seconds", "stage" => stage.as_str()).record(time);
        }
        let ending = Ending { at, outcome, exit_code, signal, usage, output, result, notes, timings, connections };
        let mut record = course.record;
        if let Err(error) = self.advance(&mut record, Transition::Finish(Box::new(ending))).await {
            self.trouble(&error);
        }
        self.live.remove(id);
    }

    /// Moves a record and tells of it. A store that can't be reached is tried again; a write whose
    /// reply was lost is recognised by reading the record back.
    pub(super) async fn advance(&self, record: &mut ExecutionRecord, transition: Transition) -> Result<()> {
        let wanted = record.state.apply(&transition)?;
        let mut pause = FIRST_PAUSE;
        for attempt in 1.. {
            let tried = self.executions.advance(record.id(), record.revision, record.epoch, transition.clone()).await;
            match tried {
                Ok(next) => {
                    *record = next;
                    break;
                }
                Err(error) if error.kind() == ErrorKind::Conflict && attempt > 1 => {
                    let stored = self.executions.get(record.id()).await?;
                    if stored.state != wanted || stored.epoch != record.epoch {
                        return Err(error);
                    }
                    *record = stored;
                    break;
                }
                Err(error) if error.kind() == ErrorKind::Unavailable && attempt < TRIES => {
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                Err(error) if error.kind() == ErrorKind::Unavailable => return Err(error.with_retry(Retry::Exhausted)),
                Err(error) => return Err(error),
            }
        }
        self.tell_state(record);
        if let Some(Outcome::EngineFault(fault)) = record.outcome() {
            tracing::warn!(message = %fault.message, "the execution ended in a fault");
        }
        Ok(())
    }
}
