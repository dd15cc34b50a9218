//! What an operator changes about a language: whether it may be used, its image, its limits.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::contract::LanguageInfo;
use crate::quantity::{cpus_text, duration_text, size_text};
use crate::{LimitOverrides, Problem};

/// The settings of one language. What is `None` stays as the language has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LanguageSettings {
    /// Whether its scripts are saved and run.
    pub enabled: bool,
    /// The image that backends with images use.
    pub runtime_image: Option<String>,
    /// The time of a script that says none: `5m`.
    #[serde(with = "duration_text")]
    pub default_timeout: Option<Duration>,
    /// The limits of a script that says none.
    pub resource_limits: ResourceLimits,
    /// The time of a step of its toolchain, such as a compilation: `3m`.
    #[serde(with = "duration_text")]
    pub step_timeout: Option<Duration>,
    /// The limits of a step of its toolchain.
    pub step_limits: ResourceLimits,
}

impl Default for LanguageSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            runtime_image: None,
            default_timeout: None,
            resource_limits: ResourceLimits::default(),
            step_timeout: None,
            step_limits: ResourceLimits::default(),
        }
    }
}

/// Limits as an operator writes them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResourceLimits {
    /// Cpus: `0.5`, in thousandths.
    #[serde(with = "cpus_text")]
    pub cpu: Option<u32>,
    /// Memory: `512m`, in bytes.
    #[serde(with = "size_text")]
    pub memory: Option<u64>,
    /// Processes and threads at one time.
    pub pids: Option<u32>,
    /// Room in `/work`: `256m`, in bytes.
    #[serde(with = "size_text")]
    pub work: Option<u64>,
}

impl ResourceLimits {
    fn overrides(&self, timeout: Option<Duration>) -> LimitOverrides {
        LimitOverrides {
            timeout,
            memory_bytes: self.memory,
            milli_cpus: self.cpu,
            pids: self.pids,
            work_bytes: self.work,
            ..LimitOverrides::default()
        }
    }
}

impl LanguageSettings {
    /// A language as these settings have it.
    #[must_use]
    pub fn applied(&self, info: &LanguageInfo) -> LanguageInfo {
        LanguageInfo {
            image: self.runtime_image.clone().unwrap_or_else(|| info.image.clone()),
            limits: info.limits.with(&self.resource_limits.overrides(self.default_timeout)),
            step_limits: info.step_limits.with(&self.step_limits.overrides(self.step_timeout)),
            ..info.clone()
        }
    }

    /// Names what is out of range when they are applied to `info`.
    #[must_use]
    pub fn problems(&self, info: &LanguageInfo) -> Vec<Problem> {
        let applied = self.applied(info);
        let of_scripts = applied.limits.problems().into_iter().map(|it| ("", it));
        let of_steps = applied.limits_of_steps().problems().into_iter().map(|it| ("step_", it));
        let field = |(kind, problem): (&str, Problem)| Problem {
            field: format!("settings.languages.{}.{kind}{}", info.id, problem.field),
            ..problem
        };
        of_scripts.chain(of_steps.filter(|_| applied.limits.problems().is_empty())).map(field).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn settings_are_read_as_people_write_them_and_come_back_as_they_were() {
        let written = json!({
            "enabled": true, "runtime_image": "golang:1.22-alpine", "default_timeout": "5m",
            "resource_limits": {"cpu": "1.0", "memory": "512m"}
        });
        let settings: LanguageSettings = serde_json::from_value(written).unwrap();
        assert_eq!(settings.default_timeout, Some(Duration::from_secs(300)));
        assert_eq!((settings.resource_limits.cpu, settings.resource_limits.memory), (Some(1000), Some(512 << 20)));
        let again = serde_json::to_value(&settings).unwrap();
        assert_eq!(serde_json::from_value::<LanguageSettings>(again).unwrap(), settings);
        let numbers = json!({"resource_limits": {"cpu": 0.5, "memory": 1048576}});
        let settings: LanguageSettings = serde_json::from_value(numbers).unwrap();
        assert_eq!((settings.resource_limits.cpu, settings.resource_limits.memory), (Some(500), Some(1 << 20)));
        assert!(settings.enabled);
        for (bad, says) in [
            (json!({"default_timeout": "soon"}), "`soon` is not a duration; write for example"),
            (json!({"resource_limits": {"memory": "much"}}), "`much` is not a size; write for example"),
            (json!({"resource_limits": {"disk": "1g"}}), "unknown field `disk`"),
            (json!({"enable": false}), "unknown field `enable`"),
        ] {
            let error = serde_json::from_value::<LanguageSettings>(bad).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
