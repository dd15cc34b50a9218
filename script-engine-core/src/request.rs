//! What a host asks to be run.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::contract::Target;
use crate::{Identity, LimitOverrides, Needs, NetworkPolicy, Problem, ScriptName, SecretRef, Selector};

/// The longest value of an environment variable: what surely fits one frame of the agent's protocol.
const MAX_VARIABLE: usize = 32 << 10;
/// The most bytes of environment variables in one request: with those of the parameters and the
/// engine's own well below what the agent takes ([`wire::MAX_ENVIRONMENT`](crate::wire::MAX_ENVIRONMENT)).
const MAX_ENVIRONMENT: usize = 256 << 10;

/// How urgent an execution is among those of its tenant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Priority {
    /// After everything else.
    Low,
    /// The usual.
    #[default]
    Normal,
    /// Before everything else.
    High,
}

/// Where the script's standard input comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Stdin {
    /// It is empty.
    #[default]
    Empty,
    /// It is these bytes.
    Bytes(Bytes),
    /// [`Engine::write_stdin`](crate::Engine::write_stdin) feeds it.
    Open,
}

/// What happens when a stream goes beyond `limits.output_bytes`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnOutputLimit {
    /// Head and tail are kept, the rest is counted, and the script goes on.
    #[default]
    Keep,
    /// The script is stopped.
    Stop,
}

/// What a host asks to be run, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct ExecutionRequest {
    /// The script.
    pub script: ScriptName,
    /// Which of its versions; resolved once, at submit.
    pub selector: Selector,
    /// The script's parameters.
    pub parameters: Map<String, Value>,
    /// Further environment variables.
    pub env: Vec<(String, String)>,
    /// Secrets to put into the environment.
    pub secrets: Vec<SecretRef>,
    /// Where standard input comes from.
    pub stdin: Stdin,
    /// On whose behalf.
    pub identity: Identity,
    /// Limits that differ from the version's.
    pub limits: LimitOverrides,
    /// How badly each restriction is needed.
    pub needs: Needs,
    /// How urgent it is.
    pub priority: Priority,
    /// Executions with the same key and tenant run one after the other.
    pub concurrency_key: Option<String>,
    /// A second submit of the same tenant with the same key returns the first execution.
    pub idempotency_key: Option<String>,
    /// The executor's name, where there are several.
    pub backend: Option<String>,
    /// How long it may wait for its turn; else the setting decides.
    pub queue_timeout: Option<Duration>,
    /// What happens when it prints too much.
    pub on_output_limit: OnOutputLimit,
    /// What the script may reach; else what its version says.
    pub network: Option<NetworkPolicy>,
    /// The machine of somebody else's to run in, such as a container of the user's, in place of a sandbox.
    pub target: Option<Target>,
}

impl ExecutionRequest {
    /// Asks for the latest version of a script, with nothing else said.
    #[must_use]
    pub fn new(script: ScriptName) -> Self {
        Self {
            script,
            selector: Selector::Latest,
            parameters: Map::new(),
            env: Vec::new(),
            secrets: Vec::new(),
            stdin: Stdin::Empty,
            identity: Identity::default(),
            limits: LimitOverrides::default(),
            needs: Needs::default(),
            priority: Priority::Normal,
            concurrency_key: None,
            idempotency_key: None,
            backend: None,
            queue_timeout: None,
            on_output_limit: OnOutputLimit::Keep,
            network: None,
            target: None,
        }
    }

    /// Sets which version runs.
    #[must_use]
    pub fn with_selector(mut self, selector: Selector) -> Self {
        self.selector = selector;
        self
    }

    /// Sets one parameter.
    #[must_use]
    pub fn with_parameter(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.parameters.insert(name.into(), value.into());
        self
    }

    /// Adds one environment variable.
    #[must_use]
    pub fn with_env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Adds one secret.
    #[must_use]
    pub fn with_secret(mut self, secret: SecretRef) -> Self {
        self.secrets.push(secret);
        self
    }

    /// Sets where standard input comes from.
    #[must_use]
    pub fn with_stdin(mut self, stdin: Stdin) -> Self {
        self.stdin = stdin;
        self
    }

    /// Sets on whose behalf it runs.
    #[must_use]
    pub fn with_identity(mut self, identity: Identity) -> Self {
        self.identity = identity;
        self
    }

    /// Sets limits that differ from the version's.
    #[must_use]
    pub fn with_limits(mut self, limits: LimitOverrides) -> Self {
        self.limits = limits;
        self
    }

    /// Sets how badly each restriction is needed.
    #[must_use]
    pub fn with_needs(mut self, needs: Needs) -> Self {
        self.needs = needs;
        self
    }

    /// Sets what the script may reach, whatever its version says.
    #[must_use]
    pub fn with_network(mut self, network: NetworkPolicy) -> Self {
        self.network = Some(network);
        self
    }

    /// Sets the machine of somebody else's to run in, such as a container of the user's, and lowers the needs to what can
    /// hold there ([`Needs::in_target`]): its isolation is its owner's. The engine's settings say which may be entered.
    #[must_use]
    pub fn with_target(mut self, target: Target) -> Self {
        self.target = Some(target);
        self.needs = Needs::in_target();
        self
    }

    /// The environment variables that it sets, each with the field that names it.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let plain = self.env.iter().map(|(name, _)| ("env", name.as_str()));
        plain.chain(self.secrets.iter().map(|it| ("secrets", it.variable.as_str())))
    }

    /// Names every problem that can be seen without looking anything up.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        problems.extend(self.variables().filter_map(|(field, name)| {
            let message = variable_problem(name)?;
            Some(Problem { field: format!("{field}.{}", name.escape_debug()), message })
        }));
        for (name, value) in &self.env {
            let message = if value.contains('\0') {
                "holds a NUL byte, which no environment can carry; leave it out".to_owned()
            } else if value.len() > MAX_VARIABLE {
                format!("has {} bytes, at most {MAX_VARIABLE} fit; pass it as a parameter", value.len())
            } else {
                continue;
            };
            problems.push(Problem { field: format!("env.{}", name.escape_debug()), message });
        }
        let total: usize = self.env.iter().map(|(name, value)| name.len() + value.len()).sum();
        if total > MAX_ENVIRONMENT {
            let message =
                format!("has {total} bytes in all, at most {MAX_ENVIRONMENT} fit; pass less or use parameters");
            problems.push(Problem { field: "env".into(), message });
        }
        for (field, key) in [("concurrency_key", &self.concurrency_key), ("idempotency_key", &self.idempotency_key)] {
            if key.as_ref().is_some_and(|it| it.is_empty() || it.len() > 256) {
                problems.push(Problem { field: field.into(), message: "must have 1 to 256 bytes".into() });
            }
        }
        if self.queue_timeout.is_some_and(|it| it.is_zero()) {
            problems.push(Problem { field: "queue_timeout".into(), message: "is zero; give at least 1ms".into() });
        }
        if self.identity.invoker.is_empty() || self.identity.invoker.len() > 256 {
            problems.push(Problem { field: "identity.invoker".into(), message: "must have 1 to 256 bytes".into() });
        }
        problems
    }
}

/// Variables that the engine sets itself, and those by which the loader, the libraries of every program or any shell
/// carry out other code than the script, are refused. Languages name those of their own interpreters.
fn variable_problem(name: &str) -> Option<String> {
    let letters = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(letters) || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Some("is not a variable name; use letters, digits and `_`, not beginning with a digit".into());
    }
    let reserved = ["PARAM_", "SCRIPT_", "LD_"].iter().any(|it| name.starts_with(it))
        || ["PATH", "HOME", "TMPDIR", "BASH_ENV", "ENV", "IFS"].contains(&name)
        || ["GCONV_PATH", "OPENSSL_CONF", "OPENSSL_ENGINES", "OPENSSL_MODULES"].contains(&name);
    reserved.then(|| "is set by the engine or changes which code is loaded; choose another name".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_come_all_at_once() {
        let request = ExecutionRequest {
            concurrency_key: Some(String::new()),
            queue_timeout: Some(Duration::ZERO),
            ..ExecutionRequest::new(ScriptName::parse("a").unwrap())
        }
        .with_env("LD_PRELOAD", "x")
        .with_env("A=B", "x")
        .with_env("OK", "a\0b")
        .with_env("GOOD_1", "x")
        .with_env("LONG", "x".repeat(MAX_VARIABLE + 1));
        let fields: Vec<String> = request.problems().into_iter().map(|it| it.field).collect();
        assert_eq!(fields, ["env.LD_PRELOAD", "env.A=B", "env.OK", "env.LONG", "concurrency_key", "queue_timeout"]);
    }
}
