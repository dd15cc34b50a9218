//! Scripts and their versions: what is saved, and the canonical manifest that identifies it.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use semver::Version;
use serde_json::{Map, Value, json};

use crate::packages::{DependencyLock, ScriptDependency};
use crate::{
    Digest, Error, LanguageId, LimitOverrides, NetworkPolicy, RefName, Result, ScriptId, ScriptName, TenantId,
    Timestamp, VersionId,
};

/// The longest source that is accepted: 10 MiB.
pub const MAX_SOURCE: usize = 10 << 20;

/// The file name under which a script finds itself below `/scripts`: a relative path of plain
/// components, checked by [`EntryPoint::parse`].
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryPoint(Box<str>);

impl EntryPoint {
    /// Checks and wraps a relative path: no `..`, no absolute path, no control characters, no
    /// component with a leading dash, no `args.json`, at most 255 bytes.
    pub fn parse(text: &str) -> Result<Self> {
        let problem = if text.is_empty() {
            Some("is empty; give a file name such as `main.py`")
        } else if text.len() > 255 {
            Some("is longer than 255 bytes")
        } else if text.starts_with('/') {
            Some("is an absolute path; give one relative to the script's folder")
        } else if text.chars().any(|c| c.is_control() || c == '\\') {
            Some("contains a control character or a backslash")
        } else if text.split('/').any(|part| matches!(part, "" | "." | "..")) {
            Some("contains an empty, `.` or `..` component; give a plain relative path")
        } else if text.split('/').any(|part| part.starts_with('-')) {
            Some("has a component that begins with a dash, which programs read as an option")
        } else if text == "args.json" {
            Some("is `args.json`, where the script's arguments go; choose another name")
        } else {
            None
        };
        match problem {
            None => Ok(Self(text.into())),
            Some(problem) => Err(Error::invalid("entry_point", problem)),
        }
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part after the last dot of the last component, if there is one.
    #[must_use]
    pub fn extension(&self) -> Option<&str> {
        let name = self.0.rsplit('/').next()?;
        name.rsplit_once('.').map(|(_, extension)| extension)
    }
}

impl fmt::Display for EntryPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EntryPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// All that decides what a version does. Two equal manifests are one version.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// The script's language.
    pub language: LanguageId,
    /// Where the script finds itself below `/scripts`.
    pub entry_point: EntryPoint,
    /// The source, byte for byte.
    pub source: Bytes,
    /// The JSON Schema of the parameters, if there is one.
    pub parameter_schema: Option<Value>,
    /// Packages that were declared beside the source; those declared inline are in it.
    pub dependencies: Vec<ScriptDependency>,
    /// The exact packages, if it needs any.
    pub lock: Option<Arc<DependencyLock>>,
    /// Limits that differ from the language's.
    pub limits: LimitOverrides,
    /// What the script may reach.
    pub network: NetworkPolicy,
}

impl Manifest {
    /// The SHA-256 of the source.
    #[must_use]
    pub fn sha256(&self) -> Digest {
        Digest::of(&self.source)
    }

    /// The version id: the SHA-256 of the manifest's canonical form, which is compact JSON with
    /// sorted keys and the source's digest in place of the source (format 1).
    #[must_use]
    pub fn id(&self) -> VersionId {
        let dependencies: Vec<Value> =
            self.dependencies.iter().map(|it| json!([it.name, it.requirement, it.scope.as_str()])).collect();
        let limits = &self.limits;
        let manifest = json!({
            "format": 1,
            "language": self.language.as_str(),
            "entry_point": self.entry_point.as_str(),
            "sha256": self.sha256().to_string(),
            "parameter_schema": self.parameter_schema,
            "dependencies": dependencies,
            "lock": self.lock.as_ref().map(|it| it.digest.to_string()),
            "limits": {
                "timeout_us": limits.timeout.map(|it| u64::try_from(it.as_micros()).unwrap_or(u64::MAX)),
                "memory_bytes": limits.memory_bytes,
                "milli_cpus": limits.milli_cpus,
                "pids": limits.pids,
                "output_bytes": limits.output_bytes,
                "work_bytes": limits.work_bytes,
                "tmp_bytes": limits.tmp_bytes,
                "files": limits.files,
                "open_files": limits.open_files,
            },
            "network": self.network.manifest(),
        });
        VersionId(Digest::of(sorted(manifest).to_string().as_bytes()))
    }
}

/// Sorts the keys of all objects in `value`, so that equal values have equal text.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<(String, Value)> = map.into_iter().map(|(key, it)| (key, sorted(it))).collect();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(entries.into_iter().collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

/// What a host asks to save; [`Engine::save`](crate::Engine::save) checks it and makes a version of it.
#[derive(Clone, Debug, PartialEq)]
pub struct ScriptDraft {
    /// The script's name; a new one makes a new script.
    pub name: ScriptName,
    /// The source, byte for byte.
    pub source: Bytes,
    /// The language; else the entry point's extension or the `#!` line decides.
    pub language: Option<LanguageId>,
    /// The file name; else the language's usual one.
    pub entry_point: Option<EntryPoint>,
    /// The JSON Schema of the parameters.
    pub parameter_schema: Option<Value>,
    /// Declared packages.
    pub dependencies: Vec<ScriptDependency>,
    /// Limits that differ from the language's.
    pub limits: LimitOverrides,
    /// What the script may reach.
    pub network: NetworkPolicy,
    /// The version's number; else the patch number of the latest one is counted up.
    pub number: Option<Version>,
}

impl ScriptDraft {
    /// Starts a draft with a name and a source, and nothing else said.
    #[must_use]
    pub fn new(name: ScriptName, source: impl Into<Bytes>) -> Self {
        Self {
            name,
            source: source.into(),
            language: None,
            entry_point: None,
            parameter_schema: None,
            dependencies: Vec::new(),
            limits: LimitOverrides::default(),
            network: NetworkPolicy::Off,
            number: None,
        }
    }

    /// Sets the language.
    #[must_use]
    pub fn with_language(mut self, language: LanguageId) -> Self {
        self.language = Some(language);
        self
    }

    /// Sets the file name.
    #[must_use]
    pub fn with_entry_point(mut self, entry_point: EntryPoint) -> Self {
        self.entry_point = Some(entry_point);
        self
    }

    /// Sets the JSON Schema of the parameters.
    #[must_use]
    pub fn with_parameter_schema(mut self, schema: Value) -> Self {
        self.parameter_schema = Some(schema);
        self
    }

    /// Adds a declared package.
    #[must_use]
    pub fn with_dependency(mut self, dependency: ScriptDependency) -> Self {
        self.dependencies.push(dependency);
        self
    }

    /// Sets limits that differ from the language's.
    #[must_use]
    pub fn with_limits(mut self, limits: LimitOverrides) -> Self {
        self.limits = limits;
        self
    }

    /// Sets what the script may reach.
    #[must_use]
    pub fn with_network(mut self, network: NetworkPolicy) -> Self {
        self.network = network;
        self
    }
}

/// One immutable state of a script.
#[derive(Clone, Debug, PartialEq)]
pub struct ScriptVersion {
    /// The script.
    pub script: ScriptId,
    /// The script's name.
    pub name: ScriptName,
    /// Who owns the script.
    pub tenant: TenantId,
    /// The version's id.
    pub id: VersionId,
    /// The version's number, unique within the script.
    pub number: Version,
    /// The version that this one came after.
    pub parent: Option<VersionId>,
    /// When it was saved.
    pub created_at: Timestamp,
    /// Who saved it.
    pub author: String,
    /// What it does.
    pub manifest: Arc<Manifest>,
}

/// The branch that `latest` follows.
pub const DEFAULT_BRANCH: &str = "main";

/// A name that points at a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptRef {
    /// The name.
    pub name: RefName,
    /// Branches move, tags do not.
    pub kind: RefKind,
    /// The version it points at.
    pub version: VersionId,
}

/// Whether a ref moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RefKind {
    /// Moves.
    Branch,
    /// Never moves.
    Tag,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entry_points_are_plain_relative_paths() {
        for good in ["main.py", "src/main.py", "a b.sh"] {
            assert_eq!(EntryPoint::parse(good).unwrap().as_str(), good);
        }
        for bad in
            ["", "/etc/passwd", "..", "a/../b", "a//b", "./a", "-rf", "a/-x", "a\nb", "a\0b", "a\\b", "args.json"]
        {
            assert_eq!(EntryPoint::parse(bad).unwrap_err().problems()[0].field, "entry_point", "{bad:?}");
        }
        assert_eq!(EntryPoint::parse("src/main.test.py").unwrap().extension(), Some("py"));
        assert_eq!(EntryPoint::parse("a.b/main").unwrap().extension(), None);
    }

    fn manifest() -> Manifest {
        Manifest {
            language: LanguageId::parse("python").unwrap(),
            entry_point: EntryPoint::parse("main.py").unwrap(),
            source: Bytes::from_static(b"print(1)"),
            parameter_schema: Some(json!({"type": "object", "properties": {"b": {}, "a": {}}})),
            dependencies: Vec::new(),
            lock: None,
            limits: LimitOverrides::default(),
            network: NetworkPolicy::Off,
        }
    }

    #[test]
    fn equal_manifests_have_one_id_whatever_the_order_of_keys() {
        let mut other = manifest();
        other.parameter_schema = Some(json!({"properties": {"a": {}, "b": {}}, "type": "object"}));
        assert_eq!(manifest().id(), other.id());
        other.limits.pids = Some(7);
        assert_ne!(manifest().id(), other.id());
        let open = |entries: &[&str]| Manifest { network: NetworkPolicy::allow(entries).unwrap(), ..manifest() };
        assert_ne!(manifest().id(), open(&["a.example:80"]).id());
        assert_ne!(open(&["a.example:80"]).id(), open(&["a.example:81"]).id());
        assert_eq!(open(&["a.example:80", "b:1"]).id(), open(&["B.:1", "b:1", "A.Example:80"]).id());
        assert_eq!(manifest().id(), Manifest { network: NetworkPolicy::Allow(Vec::new()), ..manifest() }.id());
    }
}
