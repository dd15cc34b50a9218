//! Where the time of an execution went.

use std::time::Duration;

use tokio::time::Instant;

/// A part of an execution's life. Each moment belongs to exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// Waiting for a permit.
    Queue,
    /// Getting source, secrets and compiled files together.
    Resolve,
    /// Getting the runtime in place.
    Provision,
    /// Getting a sandbox: from the pool, or booted.
    Acquire,
    /// Placing files and starting the program.
    Start,
    /// The script runs.
    Run,
    /// Fetching what it left.
    Collect,
    /// Releasing everything and writing the record.
    Settle,
}

impl Stage {
    /// All stages in order.
    pub const ALL: [Self; 8] = [
        Self::Queue,
        Self::Resolve,
        Self::Provision,
        Self::Acquire,
        Self::Start,
        Self::Run,
        Self::Collect,
        Self::Settle,
    ];

    /// The stage in lower case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Resolve => "resolve",
            Self::Provision => "provision",
            Self::Acquire => "acquire",
            Self::Start => "start",
            Self::Run => "run",
            Self::Collect => "collect",
            Self::Settle => "settle",
        }
    }
}

/// The waterfall of one execution: the parts sum to the whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings([Duration; 8]);

impl Timings {
    /// The time spent in `stage`.
    #[must_use]
    pub fn of(&self, stage: Stage) -> Duration {
        self.0[stage as usize]
    }

    /// The stages in order with the time spent in each.
    pub fn iter(&self) -> impl Iterator<Item = (Stage, Duration)> + '_ {
        Stage::ALL.into_iter().map(|stage| (stage, self.of(stage)))
    }

    /// The whole: the sum of the parts.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.0.iter().sum()
    }

    /// Adds time to a stage, for stores that read timings back.
    #[must_use]
    pub fn with(mut self, stage: Stage, time: Duration) -> Self {
        self.0[stage as usize] += time;
        self
    }
}

/// Measures a waterfall: one stage at a time, none of the time lost between them.
#[derive(Clone, Debug)]
pub struct Stopwatch {
    timings: Timings,
    stage: Stage,
    since: Instant,
}

impl Stopwatch {
    /// Starts in stage `Queue`.
    #[must_use]
    pub fn start() -> Self {
        Self { timings: Timings::default(), stage: Stage::Queue, since: Instant::now() }
    }

    /// Ends the present stage and begins `stage`.
    pub fn enter(&mut self, stage: Stage) {
        let now = Instant::now();
        self.timings = self.timings.with(self.stage, now - self.since);
        self.stage = stage;
        self.since = now;
    }

    /// The waterfall up to now.
    #[must_use]
    pub fn timings(&self) -> Timings {
        self.timings.with(self.stage, Instant::now() - self.since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_parts_sum_to_the_whole() {
        let begin = Instant::now();
        let mut watch = Stopwatch::start();
        for (stage, millis) in [(Stage::Resolve, 3), (Stage::Run, 5), (Stage::Collect, 7), (Stage::Run, 11)] {
            watch.enter(stage);
            tokio::time::advance(Duration::from_millis(millis)).await;
        }
        let timings = watch.timings();
        assert_eq!(timings.of(Stage::Run), Duration::from_millis(16));
        assert_eq!(timings.total(), begin.elapsed());
    }
}
