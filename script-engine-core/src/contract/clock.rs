//! Time and ids are components, so that tests decide them.

use std::fmt;

use crate::Timestamp;

/// Wall-clock time. Waiting uses tokio's time, which tests can pause.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;
}

/// Fresh ids, so that a seeded engine gives the same ids again.
pub trait IdSource: fmt::Debug + Send + Sync + 'static {
    /// 128 bits that this source never gives again.
    fn fresh(&self) -> u128;
}
