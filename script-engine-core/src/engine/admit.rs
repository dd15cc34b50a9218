//! The queue: an asynchronous shell round [`schedule`](super::schedule).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::schedule::{Full, Schedule, TicketId, Waiting};
use crate::{Error, ErrorKind, Result, Retry, Settings};

/// Admits executions in fair order, a bounded number at a time.
#[derive(Debug)]
pub(super) struct Admission {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    schedule: Schedule,
    grants: HashMap<TicketId, oneshot::Sender<()>>,
}

/// A place in the queue. Dropping it leaves the queue.
#[derive(Debug)]
pub(super) struct Ticket {
    admission: Arc<Admission>,
    waiting: Waiting,
    id: TicketId,
    grant: Option<oneshot::Receiver<()>>,
}

/// The right to run. Dropping it gives the place to the next one.
#[derive(Debug)]
pub(super) struct Permit {
    admission: Arc<Admission>,
    waiting: Waiting,
}

impl Admission {
    pub(super) fn new(settings: &Settings) -> Self {
        let schedule = Schedule::new(settings.max_concurrent, settings.max_queued, settings.max_queued_per_tenant);
        Self { state: Mutex::new(State { schedule, grants: HashMap::new() }) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place in the queue. Fails with `Overloaded` if it is full.
    pub(super) fn enqueue(self: &Arc<Self>, waiting: Waiting) -> Result<Ticket> {
        let mut state = self.lock();
        let id = state.schedule.enqueue(&waiting).map_err(|full| {
            let message = match full {
                Full::Queue => "the queue is full; submit again later, or raise settings.max_queued",
                Full::Tenant => {
                    "the tenant has its share of the queue; submit again later, or raise settings.max_queued_per_tenant"
                }
            };
            Error::new(ErrorKind::Overloaded, message).with_retry(Retry::Maybe { after: None })
        })?;
        let (sender, grant) = oneshot::channel();
        state.grants.insert(id, sender);
        state.start_all();
        Ok(Ticket { admission: Arc::clone(self), waiting, id, grant: Some(grant) })
    }
}

impl State {
    fn start_all(&mut self) {
        while let Some(id) = self.schedule.start_next() {
            if let Some(grant) = self.grants.remove(&id) {
                // The ticket holds the other end until it is dropped, and then it notes the end itself.
                let _sent = grant.send(());
            }
        }
        // A gauge holds a float; a queue is far shorter than what one counts exactly.
        metrics::gauge!("script_engine_queued").set(self.schedule.waiting() as f64);
    }
}

impl Ticket {
    /// Waits for the turn. Cancel-safe: the ticket keeps its place.
    pub(super) async fn turn(mut self) -> Permit {
        if let Some(grant) = self.grant.as_mut() {
            // The sender is dropped only after it was used.
            drop(grant.await);
        }
        self.grant = None;
        Permit { admission: Arc::clone(&self.admission), waiting: self.waiting.clone() }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let Some(mut grant) = self.grant.take() else { return };
        let mut state = self.admission.lock();
        if grant.try_recv().is_ok() {
            state.schedule.finish(&self.waiting);
        } else {
            state.grants.remove(&self.id);
            state.schedule.leave(self.id, &self.waiting);
        }
        state.start_all();
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.admission.lock();
        state.schedule.finish(&self.waiting);
        state.start_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Priority, TenantId};

    fn waiting() -> Waiting {
        Waiting { tenant: TenantId::default(), priority: Priority::Normal, key: None }
    }

    #[tokio::test]
    async fn permits_pass_on_and_dropped_tickets_leave_nothing() {
        let settings = Settings { max_concurrent: 1, max_queued: 2, max_queued_per_tenant: 2, ..Settings::default() };
        let admission = Arc::new(Admission::new(&settings));
        let first = admission.enqueue(waiting()).unwrap().turn().await;
        let second = admission.enqueue(waiting()).unwrap();
        let third = admission.enqueue(waiting()).unwrap();
        assert_eq!(admission.enqueue(waiting()).unwrap_err().kind(), ErrorKind::Overloaded);
        drop(second);
        drop(first);
        // The third was granted by the first one's end; dropped before it looks, it passes the place on.
        drop(third);
        let fourth = admission.enqueue(waiting()).unwrap().turn().await;
        drop(fourth);
        let state = admission.lock();
        assert_eq!((state.schedule.waiting(), state.grants.len()), (0, 0));
    }
}
