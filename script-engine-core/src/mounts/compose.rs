//! Mounts as a fragment for Compose: one service, to be put beside others or merged into one of them.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::{Mounts, yaml};
use crate::Result;

/// What Compose is told to run a version in a container.
#[derive(Clone, PartialEq)]
pub struct ComposeMounts {
    /// A document with one service, which has the mounts' name.
    pub fragment: Value,
}

impl ComposeMounts {
    /// The fragment as YAML.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        yaml::document(&self.fragment)
    }
}

// Values are a user's.
impl std::fmt::Debug for ComposeMounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ComposeMounts").finish_non_exhaustive()
    }
}

pub(super) fn mounts(of: &Mounts, into: &Path) -> Result<ComposeMounts> {
    let volume = |(source, at): (String, &str)| json!({"type": "bind", "source": plain(&source), "target": plain(at), "read_only": true});
    let volumes: Vec<Value> = of.places(into)?.into_iter().map(volume).collect();
    let mut environment: Map<String, Value> =
        of.env.iter().map(|(name, value)| (name.clone(), plain(value).into())).collect();
    // One without a value has that of Compose's own environment.
    environment.extend(of.secret_variables.iter().map(|it| (it.clone(), Value::Null)));
    let (program, rest) = of.command.split_at(of.command.len().min(1));
    let words = |it: &[String]| it.iter().map(|it| plain(it)).collect::<Vec<_>>();
    let service = json!({
        "image": plain(&of.image),
        "entrypoint": words(program),
        "command": words(rest),
        "environment": environment,
        "volumes": volumes,
    });
    Ok(ComposeMounts { fragment: json!({"services": {of.name.as_str(): service}}) })
}

/// Text in which Compose finds no variable to put in.
fn plain(text: &str) -> String {
    text.replace('$', "$$")
}
