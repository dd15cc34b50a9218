//! The system's clock: the one place that asks it.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::Timestamp;
use crate::contract::Clock;

/// Tells the system's wall-clock time.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everybody else is to ask")]
    fn now(&self) -> Timestamp {
        // A system clock before 1970 shows as 1970: times in records are never negative.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}
