//! Who hears what happens.

use std::fmt;

use crate::EngineEvent;

/// Hears about what happens. Must return at once and may lose events: the truth is in the
/// execution store, so nothing durable may depend on this.
pub trait EventSink: fmt::Debug + Send + Sync + 'static {
    /// Takes one event.
    ///
    /// - [EV-01] Returns without waiting, however slow those who listen are.
    fn emit(&self, event: &EngineEvent);
}
