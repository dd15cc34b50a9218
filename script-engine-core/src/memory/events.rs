//! Event sinks: one that hands events to whoever listens at the moment, and one that hears nothing.

use tokio::sync::broadcast;

use crate::EngineEvent;
use crate::contract::EventSink;

/// Hands each event to all subscriptions. Keeps a bounded number of events for slow ones; beyond
/// that they miss the oldest and are told how many.
#[derive(Clone, Debug)]
pub struct BroadcastEvents {
    sender: broadcast::Sender<EngineEvent>,
}

impl BroadcastEvents {
    /// Makes a sink that keeps at least `capacity` events for a slow subscription; 0 counts as 1.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        // The channel allocates its whole capacity and refuses more than half of the address space.
        Self { sender: broadcast::Sender::new(capacity.clamp(1, 1 << 20)) }
    }

    /// Listens to events from now on.
    #[must_use]
    pub fn subscribe(&self) -> Subscription {
        Subscription { receiver: self.sender.subscribe() }
    }
}

impl Default for BroadcastEvents {
    fn default() -> Self {
        Self::new(1024)
    }
}

impl EventSink for BroadcastEvents {
    fn emit(&self, event: &EngineEvent) {
        // An error says that nobody listens, which is fine.
        drop(self.sender.send(event.clone()));
    }
}

/// One listener's view of the events.
#[derive(Debug)]
pub struct Subscription {
    receiver: broadcast::Receiver<EngineEvent>,
}

/// What a subscription hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Something happened.
    Event(EngineEvent),
    /// The listener was too slow and missed this many events, which came before the next one.
    Missed(u64),
}

impl Subscription {
    /// Waits for the next event. `None` when the sink is gone. Cancel-safe.
    pub async fn next(&mut self) -> Option<Heard> {
        match self.receiver.recv().await {
            Ok(event) => Some(Heard::Event(event)),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(Heard::Missed(missed)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

/// Hears nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoEvents;

impl EventSink for NoEvents {
    fn emit(&self, _event: &EngineEvent) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorKind, Timestamp};

    fn event(at: i64) -> EngineEvent {
        EngineEvent::Trouble { kind: ErrorKind::Internal, message: "x".into(), at: Timestamp::from_micros(at) }
    }

    #[tokio::test]
    async fn a_slow_listener_misses_the_oldest_and_is_told() {
        let events = BroadcastEvents::new(4);
        let mut slow = events.subscribe();
        for at in 0..10 {
            events.emit(&event(at));
        }
        drop(events);
        assert_eq!(slow.next().await, Some(Heard::Missed(6)));
        for at in 6..10 {
            assert_eq!(slow.next().await, Some(Heard::Event(event(at))));
        }
        assert_eq!(slow.next().await, None);
    }
}
