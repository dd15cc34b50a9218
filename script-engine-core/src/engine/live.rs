//! The executions that this engine holds: what can be done to them while they are not over.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::time::Instant;

use crate::contract::ScriptControl;
use crate::{CancelReason, ExecutionId, Timestamp, Usage};

/// How an execution is while it runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vitals {
    /// When the sandbox last gave a sign of life.
    pub last_heartbeat: Option<Timestamp>,
    /// Heartbeat intervals that have passed since.
    pub missed_heartbeats: u32,
    /// What it has used so far.
    pub usage: Usage,
}

/// One execution that is not over.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) takes_stdin: bool,
    pub(super) cancel: watch::Sender<Option<CancelReason>>,
    pub(super) control: watch::Sender<Option<Arc<dyn ScriptControl>>>,
    pub(super) over: watch::Sender<bool>,
    /// Whether the output store knows it.
    pub(super) printing: watch::Sender<bool>,
    pulse: Mutex<Option<(Timestamp, Instant, Usage)>>,
}

impl Live {
    pub(super) fn new(takes_stdin: bool) -> Self {
        Self {
            takes_stdin,
            cancel: watch::Sender::new(None),
            control: watch::Sender::new(None),
            over: watch::Sender::new(false),
            printing: watch::Sender::new(false),
            pulse: Mutex::new(None),
        }
    }

    /// Asks for the end. The first reason stays.
    pub(super) fn cancel(&self, reason: CancelReason) {
        self.cancel.send_if_modified(|it| it.is_none() && it.replace(reason).is_none());
    }

    /// Waits until somebody asks for the end. Cancel-safe.
    pub(super) async fn cancelled(&self) -> CancelReason {
        let mut wish = self.cancel.subscribe();
        match wish.wait_for(Option::is_some).await.map(|it| *it) {
            Ok(Some(reason)) => reason,
            // The sender lives in `self`, so this is never reached while anybody waits.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    /// Waits until its output can be read, or it is over. Cancel-safe.
    pub(super) async fn output_opened(&self) {
        let (mut printing, mut over) = (self.printing.subscribe(), self.over.subscribe());
        // The senders live in `self`.
        tokio::select! {
            _ = printing.wait_for(|it| *it) => {}
            _ = over.wait_for(|it| *it) => {}
        }
    }

    /// Notes a sign of life.
    pub(super) fn beat(&self, at: Timestamp, usage: Option<Usage>) {
        let mut pulse = self.pulse.lock().unwrap_or_else(PoisonError::into_inner);
        let usage = usage.or(pulse.map(|it| it.2)).unwrap_or_default();
        *pulse = Some((at, Instant::now(), usage));
    }

    pub(super) fn vitals(&self, heartbeat: std::time::Duration) -> Vitals {
        match *self.pulse.lock().unwrap_or_else(PoisonError::into_inner) {
            None => Vitals::default(),
            Some((at, seen, usage)) => Vitals {
                last_heartbeat: Some(at),
                missed_heartbeats: u32::try_from(seen.elapsed().as_millis() / heartbeat.as_millis().max(1))
                    .unwrap_or(u32::MAX),
                usage,
            },
        }
    }
}

/// All of them, by id. Bounded by what the queue admits.
#[derive(Debug, Default)]
pub(super) struct LiveTable {
    executions: Mutex<HashMap<ExecutionId, Arc<Live>>>,
    count: watch::Sender<usize>,
}

impl LiveTable {
    fn lock(&self) -> MutexGuard<'_, HashMap<ExecutionId, Arc<Live>>> {
        self.executions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn insert(&self, id: ExecutionId, live: Arc<Live>) {
        let mut executions = self.lock();
        executions.insert(id, live);
        self.count.send_replace(executions.len());
    }

    pub(super) fn find(&self, id: ExecutionId) -> Option<Arc<Live>> {
        self.lock().get(&id).cloned()
    }

    pub(super) fn all(&self) -> Vec<Arc<Live>> {
        self.lock().values().cloned().collect()
    }

    /// Takes an execution out and wakes everybody who waits for its end.
    pub(super) fn remove(&self, id: ExecutionId) {
        let mut executions = self.lock();
        if let Some(live) = executions.remove(&id) {
            live.over.send_replace(true);
        }
        self.count.send_replace(executions.len());
    }

    /// Waits until none is left.
    pub(super) async fn empty(&self) {
        // The sender lives in `self`.
        drop(self.count.subscribe().wait_for(|count| *count == 0).await);
    }
}
