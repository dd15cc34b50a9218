//! Mounts as Kubernetes takes them: a ConfigMap with the files, and a pod that has it as a volume.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::{Mounts, SCRIPTS, label, yaml};
use crate::{Error, JobFile, Result};

/// The most bytes that all values of a ConfigMap may have (`MaxSecretSize` of the API server): 1 MiB.
pub const MAX_CONFIG_MAP: usize = 1 << 20;
/// The longest key of a ConfigMap.
const MAX_KEY: usize = 253;
/// Modes of files, which JSON has as decimal numbers.
const READ: u32 = 0o444;
const READ_AND_EXECUTE: u32 = 0o555;

/// A ConfigMap and a pod that mounts it.
#[derive(Clone, PartialEq)]
pub struct KubernetesMounts {
    /// The ConfigMap, immutable: other arguments have another name.
    pub config_map: Value,
    /// A pod that runs the script once. Its `spec.volumes` and its container's `volumeMounts` and `env` are what other
    /// pods take over.
    pub pod: Value,
}

impl KubernetesMounts {
    /// Both, as YAML of two documents.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        format!("{}---\n{}", yaml::document(&self.config_map), yaml::document(&self.pod))
    }
}

// Files and arguments are a user's.
impl std::fmt::Debug for KubernetesMounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KubernetesMounts").field("name", &self.config_map["metadata"]["name"]).finish_non_exhaustive()
    }
}

pub(super) fn mounts(of: &Mounts) -> Result<KubernetesMounts> {
    let bytes: usize = of.files.iter().map(|it| it.content.len()).sum();
    if bytes > MAX_CONFIG_MAP {
        let message = format!(
            "are {bytes} bytes in all, and a ConfigMap holds at most {MAX_CONFIG_MAP}; put them into an image or a \
             volume, or use a form with folders"
        );
        return Err(Error::invalid("files", message));
    }
    let (mut data, mut binary_data, mut items) = (Map::new(), Map::new(), Vec::new());
    let mut taken = HashSet::new();
    for (number, file) in of.files.iter().enumerate() {
        let key = key(number, file, &mut taken);
        let mode = if file.executable { READ_AND_EXECUTE } else { READ };
        items.push(json!({"key": key, "path": file.path.as_str(), "mode": mode}));
        match std::str::from_utf8(&file.content) {
            Ok(text) => data.insert(key, text.into()),
            Err(_) => binary_data.insert(key, STANDARD.encode(&file.content).into()),
        };
    }
    let mut config_map = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": of.name},
        "immutable": true,
        "data": data,
    });
    if !binary_data.is_empty() {
        config_map["binaryData"] = binary_data.into();
    }
    Ok(KubernetesMounts { config_map, pod: pod(of, &items) })
}

fn pod(of: &Mounts, items: &[Value]) -> Value {
    let name = of.name.as_str();
    let mut volumes = vec![json!({"name": "scripts", "configMap": {"name": name, "items": items}})];
    let mut volume_mounts = vec![json!({"name": "scripts", "mountPath": SCRIPTS, "readOnly": true})];
    if let Some(packages) = &of.packages {
        // No ConfigMap holds a tree: the claim is to be filled with it.
        let claim = label("packages", packages.layer.digest);
        volumes.push(json!({"name": "packages", "persistentVolumeClaim": {"claimName": claim, "readOnly": true}}));
        volume_mounts.push(json!({"name": "packages", "mountPath": packages.at, "readOnly": true}));
    }
    let values = of.env.iter().map(|(name, value)| json!({"name": name, "value": plain(value)}));
    let secret = |variable: &String| {
        let from = json!({"secretKeyRef": {"name": name, "key": variable}});
        json!({"name": variable, "valueFrom": from})
    };
    let env: Vec<Value> = values.chain(of.secret_variables.iter().map(secret)).collect();
    let command: Vec<String> = of.command.iter().map(|it| plain(it)).collect();
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "restartPolicy": "Never",
            "containers": [{
                "name": "script",
                "image": of.image,
                "command": command,
                "env": env,
                "volumeMounts": volume_mounts,
            }],
            "volumes": volumes,
        },
    })
}

/// The key of a file: its path where that is one, else a number.
fn key(number: usize, file: &JobFile, taken: &mut HashSet<String>) -> String {
    let path = file.path.as_str();
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let fits = path.len() <= MAX_KEY && path.chars().all(allowed) && !path.starts_with("..");
    let key = if fits { path.to_owned() } else { format!("file-{number}") };
    // A file may be called like the number of another.
    let key = if taken.contains(&key) { format!("file-{number}.{}", taken.len()) } else { key };
    taken.insert(key.clone());
    key
}

/// Text in which Kubernetes finds no variable to put in.
fn plain(text: &str) -> String {
    text.replace('$', "$$")
}
