//! Decides when a script must stop. Does no I/O and reads no clock: the caller feeds it events with
//! the time since the script's start and carries out what it says.

use std::time::Duration;

use crate::{CancelReason, TimeoutCause};

/// Why the engine stops a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StopCause {
    Timeout(TimeoutCause),
    Cancelled(CancelReason),
    Output,
}

/// Something that bears on the decision.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sign {
    /// Time passed.
    Tick,
    /// The sandbox gave a sign of life.
    Life,
    /// Somebody wants the end.
    Cancel(CancelReason),
    /// The script printed more than it may.
    TooMuchOutput,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Nothing, until then.
    Wait { until: Duration },
    /// Ask the script to end.
    Ask,
    /// Kill it.
    Kill,
    /// Destroy the sandbox; nobody answers there.
    Abandon,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Running,
    Asked { kill_at: Duration },
    Killed { abandon_at: Duration },
    Abandoned,
}

/// The bounds of one script.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) timeout: Duration,
    pub(super) grace: Duration,
    pub(super) kill_timeout: Duration,
    pub(super) heartbeat: Duration,
}

/// Silent intervals that end an execution.
const MISSED_BEATS: u32 = 3;

/// The state of one decision; see the module.
#[derive(Debug)]
pub(super) struct Watch {
    bounds: Bounds,
    phase: Phase,
    cause: Option<StopCause>,
    now: Duration,
    last_life: Duration,
}

impl Watch {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { bounds, phase: Phase::Running, cause: None, now: Duration::ZERO, last_life: Duration::ZERO }
    }

    /// Why the script was stopped, if it was. The first cause wins: later ones are echoes.
    pub(super) fn cause(&self) -> Option<StopCause> {
        self.cause
    }

    /// Takes a sign at `now` and says what to do. `Ask`, `Kill` and `Abandon` are said once each.
    pub(super) fn step(&mut self, now: Duration, sign: Sign) -> Action {
        self.now = self.now.max(now);
        let wish = match sign {
            Sign::Life => {
                self.last_life = self.now;
                None
            }
            Sign::Tick => None,
            Sign::Cancel(reason) => Some(StopCause::Cancelled(reason)),
            Sign::TooMuchOutput => Some(StopCause::Output),
        };
        let silent_at = self.last_life + self.bounds.heartbeat * MISSED_BEATS;
        match self.phase {
            Phase::Running => {
                if self.now >= silent_at {
                    // Whoever does not beat does not hear either.
                    self.phase = Phase::Abandoned;
                    self.cause = Some(StopCause::Timeout(TimeoutCause::Silence));
                    return Action::Abandon;
                }
                let late = (self.now >= self.bounds.timeout).then_some(StopCause::Timeout(TimeoutCause::Limit));
                match wish.or(late) {
                    None => Action::Wait { until: self.bounds.timeout.min(silent_at) },
                    Some(cause) => {
                        self.cause = Some(cause);
                        self.phase = Phase::Asked { kill_at: self.now + self.bounds.grace };
                        Action::Ask
                    }
                }
            }
            Phase::Asked { kill_at } if self.now < kill_at => Action::Wait { until: kill_at },
            Phase::Asked { .. } => {
                self.phase = Phase::Killed { abandon_at: self.now + self.bounds.kill_timeout };
                Action::Kill
            }
            Phase::Killed { abandon_at } if self.now < abandon_at => Action::Wait { until: abandon_at },
            Phase::Killed { .. } => {
                self.phase = Phase::Abandoned;
                Action::Abandon
            }
            Phase::Abandoned => Action::Wait { until: Duration::MAX },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[track_caller]
    fn check(signs: &[(u64, Sign)], actions: &[Action], cause: Option<StopCause>) {
        let mut watch = Watch::new(Bounds { timeout: s(10), grace: s(2), kill_timeout: s(3), heartbeat: s(5) });
        let found: Vec<Action> = signs.iter().map(|(now, sign)| watch.step(s(*now), *sign)).collect();
        assert_eq!(found, actions);
        assert_eq!(watch.cause(), cause);
    }

    const CANCEL: Sign = Sign::Cancel(CancelReason::Requested);

    #[test]
    fn a_script_in_time_is_left_alone() {
        check(&[(0, Sign::Tick), (4, Sign::Life)], &[Action::Wait { until: s(10) }; 2], None);
    }

    #[test]
    fn one_that_is_late_is_asked_then_killed_then_abandoned() {
        check(
            &[
                (9, Sign::Life),
                (10, Sign::Tick),
                (11, Sign::Life),
                (12, Sign::Tick),
                (14, Sign::Tick),
                (15, Sign::Tick),
                (16, Sign::Tick),
            ],
            &[
                Action::Wait { until: s(10) },
                Action::Ask,
                Action::Wait { until: s(12) },
                Action::Kill,
                Action::Wait { until: s(15) },
                Action::Abandon,
                Action::Wait { until: Duration::MAX },
            ],
            Some(StopCause::Timeout(TimeoutCause::Limit)),
        );
    }

    #[test]
    fn silence_abandons_at_once() {
        let mut watch = Watch::new(Bounds { timeout: s(100), grace: s(2), kill_timeout: s(3), heartbeat: s(5) });
        assert_eq!(watch.step(s(1), Sign::Life), Action::Wait { until: s(16) });
        assert_eq!(watch.step(s(15), Sign::Tick), Action::Wait { until: s(16) });
        assert_eq!(watch.step(s(16), Sign::Tick), Action::Abandon);
        assert_eq!(watch.cause(), Some(StopCause::Timeout(TimeoutCause::Silence)));
    }

    #[test]
    fn the_first_cause_wins() {
        check(
            &[(1, Sign::TooMuchOutput), (2, CANCEL)],
            &[Action::Ask, Action::Wait { until: s(3) }],
            Some(StopCause::Output),
        );
        check(
            &[(1, CANCEL), (11, Sign::Tick)],
            &[Action::Ask, Action::Kill],
            Some(StopCause::Cancelled(CancelReason::Requested)),
        );
    }
}
