//! One execution from its acceptance to its end, in a straight line. Start reading here.
//!
//! ```text
//! accept   resolve, check, route, record QUEUED          the only stage that fails with an error
//! admit    wait for a permit                             QUEUED
//! prepare  secrets, compiled files, the job              PROVISIONING
//! run      a sandbox, the script, its output             RUNNING
//! settle   release, write the record, tell               COMPLETED | FAILED | TIMEOUT | CANCELLED
//! ```
//!
//! Each stage takes the value of the one before by value and owns what it built. A stage that can't
//! go on gives an [`Ended`](super::course::Ended), which only `settle` takes: there is one way to the end, and whoever
//! forgets to release something finds that it does not compile.

use std::sync::Arc;

use tracing::{Instrument, info_span};

use super::accept::Accepted;
use super::components::Components;

/// Takes an accepted execution to its end.
pub(super) async fn drive(components: Arc<Components>, accepted: Accepted) {
    let it = &*components;
    let id = accepted.course.record.id();
    let stages = async {
        let ended = match it.admit(accepted).instrument(info_span!("admit")).await {
            Err(ended) => ended,
            Ok(admitted) => match it.prepare(admitted).instrument(info_span!("prepare")).await {
                Err(ended) => ended,
                Ok(prepared) => it.run(prepared).instrument(info_span!("run")).await,
            },
        };
        it.settle(*ended).instrument(info_span!("settle")).await;
    };
    Box::pin(stages.instrument(info_span!("execution", %id))).await;
}
