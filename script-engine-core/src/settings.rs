//! The engine's settings: plain data with defaults. What does work is a component, not a setting.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::target::Targets;
use crate::{EgressSettings, Error, LanguageSettings, Problem, Result};

/// Bounds and times of one engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Executions that run at one time.
    pub max_concurrent: usize,
    /// Executions that wait at one time; more are refused as `Overloaded`.
    pub max_queued: usize,
    /// The most of `max_queued` that one tenant may take.
    pub max_queued_per_tenant: usize,
    /// How long an execution may wait for its turn.
    pub queue_timeout: Duration,
    /// How long provisioning may take.
    pub provision_timeout: Duration,
    /// How long a script has between being asked to stop and being killed.
    pub grace: Duration,
    /// How long the executor has to report the end of a killed script before its sandbox is destroyed, and to
    /// remove what it made for a start that is called off.
    pub kill_timeout: Duration,
    /// How often the agent gives a sign of life; three silent intervals end an execution.
    pub heartbeat: Duration,
    /// How long left-over processes may hold stdout and stderr open after a script's end.
    pub leak_timeout: Duration,
    /// Bytes of each stream that a record shows.
    pub record_view_bytes: usize,
    /// Structured records that are kept.
    pub max_structured: usize,
    /// Bytes of a result.
    pub max_result_bytes: u64,
    /// Compiled forms and check verdicts that are kept in memory.
    pub cache_entries: usize,
    /// Compiled parameter schemas that are kept in memory, one for each version that was executed lately.
    pub schema_entries: usize,
    /// What is changed about languages, by their names. Languages that this engine has not got may be named too.
    pub languages: BTreeMap<String, LanguageSettings>,
    /// What the allow-lists of scripts may lead to.
    pub egress: EgressSettings,
    /// Which machines of others scripts may run in.
    pub targets: Targets,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_concurrent: 10,
            max_queued: 1000,
            max_queued_per_tenant: 500,
            queue_timeout: Duration::from_secs(600),
            provision_timeout: Duration::from_secs(300),
            grace: Duration::from_secs(2),
            kill_timeout: Duration::from_secs(10),
            heartbeat: Duration::from_secs(2),
            leak_timeout: Duration::from_millis(500),
            record_view_bytes: 1 << 20,
            max_structured: 10_000,
            max_result_bytes: 1 << 20,
            cache_entries: 1024,
            schema_entries: 256,
            languages: BTreeMap::new(),
            egress: EgressSettings::default(),
            targets: Targets::default(),
        }
    }
}

impl Settings {
    /// Checks all settings. Fails with `InvalidRequest` that names every one out of range.
    pub fn validate(&self) -> Result<()> {
        let counts = [
            ("max_concurrent", self.max_concurrent, 1, 100_000),
            ("max_queued", self.max_queued, 1, 10_000_000),
            ("max_queued_per_tenant", self.max_queued_per_tenant, 1, self.max_queued),
            ("record_view_bytes", self.record_view_bytes, 1024, 64 << 20),
            ("max_structured", self.max_structured, 0, 1_000_000),
            ("cache_entries", self.cache_entries, 1, 1_000_000),
            ("schema_entries", self.schema_entries, 1, 10_000),
        ];
        let times = [
            ("queue_timeout", self.queue_timeout),
            ("provision_timeout", self.provision_timeout),
            ("kill_timeout", self.kill_timeout),
            ("heartbeat", self.heartbeat),
        ];
        let mut problems: Vec<Problem> = counts
            .into_iter()
            .filter(|(_, value, least, most)| value < least || value > most)
            .map(|(field, value, least, most)| Problem {
                field: format!("settings.{field}"),
                message: format!("is {value}; give {least} to {most}"),
            })
            .collect();
        problems.extend(times.into_iter().filter(|(_, it)| *it < Duration::from_millis(10)).map(|(field, it)| {
            Problem { field: format!("settings.{field}"), message: format!("is {it:?}; give at least 10ms") }
        }));
        if problems.is_empty() { Ok(()) } else { Err(Error::invalid_all(problems)) }
    }
}
