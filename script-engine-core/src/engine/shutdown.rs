//! The end of an engine.

use std::sync::atomic::Ordering;

use super::components::Components;
use crate::{CancelReason, Error};

/// What happens to executions that are not over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// They come to their end.
    Drain,
    /// They are cancelled.
    Cancel,
}

/// What the end of an engine found.
#[derive(Debug, Default)]
pub struct ShutdownReport {
    /// What had been left behind and was removed, in words.
    pub removed: Vec<String>,
    /// What went wrong.
    pub errors: Vec<Error>,
}

impl Components {
    pub(super) async fn shutdown(&self, mode: Shutdown) -> ShutdownReport {
        self.closed.store(true, Ordering::Release);
        if mode == Shutdown::Cancel {
            for live in self.live.all() {
                live.cancel(CancelReason::Shutdown);
            }
        }
        self.live.empty().await;
        self.steps.close();
        let mut report = ShutdownReport::default();
        for executor in &self.executors {
            if let Err(error) = executor.shutdown().await {
                report.errors.push(error);
            }
            match executor.reap(self.owner).await {
                Ok(reaped) => report.removed.extend(reaped.removed),
                Err(error) => report.errors.push(error),
            }
        }
        report
    }
}
