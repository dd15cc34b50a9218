//! What `cargo metadata` says about the workspace: where things are built, and which targets there are.

use std::path::PathBuf;

use serde_json::Value;

use crate::Outcome;
use crate::command::{capture, cargo};

/// The parsed answer of `cargo metadata --no-deps`.
#[derive(Debug)]
pub(crate) struct Metadata(Value);

/// One target of a package of the workspace.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) package: String,
    pub(crate) name: String,
    pub(crate) kind: String,
}

impl Metadata {
    /// Asks cargo.
    pub(crate) fn load() -> Outcome<Self> {
        let answer = capture(cargo().args(["metadata", "--format-version=1", "--no-deps", "--offline"]))?;
        Ok(Self(serde_json::from_slice(&answer)?))
    }

    /// Where cargo puts what it builds.
    pub(crate) fn target_directory(&self) -> Outcome<PathBuf> {
        let path = self.0["target_directory"].as_str().ok_or("cargo metadata has no target directory")?;
        Ok(PathBuf::from(path))
    }

    /// Every target of the workspace, in cargo's order.
    pub(crate) fn targets(&self) -> Vec<Target> {
        let packages = self.0["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
        packages.iter().flat_map(targets_of).collect()
    }
}

fn targets_of(package: &Value) -> Vec<Target> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let targets = package["targets"].as_array().map(Vec::as_slice).unwrap_or_default();
    targets
        .iter()
        .map(|target| Target {
            package: text(&package["name"]),
            name: text(&target["name"]),
            kind: text(&target["kind"][0]),
        })
        .collect()
}
