//! Who may depend on whom: packages of the workspace on each other, and core on nothing that ties it to a backend.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use crate::assert_none;
use crate::source::root;

/// What each package may depend on within the workspace, tests apart. What is not in here has no place in the design yet.
const DIRECTION: &[(&str, &[&str])] = &[
    ("script-engine-core", &[]),
    ("script-engine-agent", &["script-engine-core"]),
    ("script-engine-languages", &["script-engine-core"]),
    ("script-engine-sandbox", BACKEND),
    ("script-engine-docker", BACKEND),
    ("script-engine-sqlx", &["script-engine-core"]),
    ("script-engine-editor", &["script-engine-core"]),
    ("script-engine-valkey", &["script-engine-core"]),
    ("script-engine-testkit", &["script-engine-core"]),
    ("script-engine-http", ANY),
    ("script-engine", ANY),
    ("script-engine-cli", ANY_AND_FACADE),
    ("script-engine-examples", ANY_AND_FACADE),
    ("script-engine-benches", ANY_AND_FACADE),
    ("script-engine-tests", &[]),
    ("xtask", &[]),
];

const BACKEND: &[&str] = &["script-engine-core", "script-engine-agent"];

const ANY: &[&str] = &[
    "script-engine-core",
    "script-engine-agent",
    "script-engine-languages",
    "script-engine-sandbox",
    "script-engine-docker",
    "script-engine-sqlx",
    "script-engine-editor",
    "script-engine-http",
    "script-engine-valkey",
];

const ANY_AND_FACADE: &[&str] = &[
    "script-engine",
    "script-engine-core",
    "script-engine-agent",
    "script-engine-languages",
    "script-engine-sandbox",
    "script-engine-docker",
    "script-engine-sqlx",
    "script-engine-editor",
    "script-engine-http",
    "script-engine-testkit",
];

/// What core must not pull in, not even through others: a way to make sandboxes, to store, to serve, or a language.
const NOT_IN_CORE: &[&str] =
    &["axum", "bollard", "hyper", "landlock", "nix", "oxc", "reqwest", "rustix", "seccompiler", "sqlx", "swc"];

/// Package names to the names of what they depend on, tests apart.
type Graph = BTreeMap<String, BTreeSet<String>>;

fn wrong_direction(workspace: &Graph) -> Vec<String> {
    let mut faults = Vec::new();
    for (package, needed) in workspace {
        let Some((_, allowed)) = DIRECTION.iter().find(|(name, _)| name == package) else {
            faults.push(format!("`{package}` is not in tests/tidy/dependencies.rs: say what it may depend on"));
            continue;
        };
        let ours = needed.iter().filter(|name| workspace.contains_key(*name));
        let wrong = ours.filter(|name| !allowed.contains(&name.as_str()));
        faults.extend(wrong.map(|name| format!("`{package}` may not depend on `{name}`")));
    }
    faults
}

fn too_much_in_core(all: &Graph) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut ahead = vec![("script-engine-core", "script-engine-core".to_owned())];
    let mut faults = Vec::new();
    while let Some((name, path)) = ahead.pop() {
        if !seen.insert(name) {
            continue;
        }
        if NOT_IN_CORE
            .iter()
            .any(|no| name == *no || name.strip_prefix(no).is_some_and(|rest| rest.starts_with(['-', '_'])))
        {
            faults.push(format!("core may not pull in `{name}`: {path}"));
        }
        let needed = all.get(name).into_iter().flatten();
        ahead.extend(needed.map(|next| (next.as_str(), format!("{path} > {next}"))));
    }
    faults
}

/// The resolved dependencies of everything, without those of tests.
fn graph(metadata: &Value) -> Graph {
    let name_of = |id: &Value| {
        let packages = metadata["packages"].as_array().expect("packages");
        let package = packages.iter().find(|package| package["id"] == *id).expect("a package of this id");
        package["name"].as_str().expect("a name").to_owned()
    };
    let nodes = metadata["resolve"]["nodes"].as_array().expect("a resolved graph");
    let needed = |node: &Value| {
        let dependencies = node["deps"].as_array().expect("dependencies").iter();
        let built = dependencies.filter(|dependency| {
            dependency["dep_kinds"].as_array().expect("kinds").iter().any(|kind| kind["kind"] != "dev")
        });
        built.map(|dependency| name_of(&dependency["pkg"])).collect::<BTreeSet<_>>()
    };
    nodes.iter().map(|node| (name_of(&node["id"]), needed(node))).collect()
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--offline"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(root())
        .output()
        .expect("cargo metadata");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON from cargo metadata")
}

fn sample(edges: &[(&str, &[&str])]) -> Graph {
    edges
        .iter()
        .map(|(name, needed)| ((*name).to_owned(), needed.iter().map(|name| (*name).to_owned()).collect()))
        .collect()
}

#[test]
fn dependencies_point_one_way() {
    let metadata = metadata();
    let all = graph(&metadata);
    let members =
        metadata["packages"].as_array().expect("packages").iter().filter(|package| package["source"].is_null());
    let names: BTreeSet<_> = members.map(|package| package["name"].as_str().expect("a name")).collect();
    let workspace: Graph =
        all.iter().filter(|(name, _)| names.contains(name.as_str())).map(|(k, v)| (k.clone(), v.clone())).collect();
    assert!(workspace.len() >= 9, "{workspace:?}");
    assert_none(&wrong_direction(&workspace));
    assert_none(&too_much_in_core(&all));
}

#[test]
fn wrong_directions_are_seen() {
    let broken = sample(&[
        ("script-engine-core", &["script-engine-sandbox"]),
        ("script-engine-sandbox", &["script-engine-core", "script-engine-languages", "nix"]),
        ("script-engine-languages", &[]),
        ("newcomer", &[]),
    ]);
    assert_eq!(
        wrong_direction(&broken),
        [
            "`newcomer` is not in tests/tidy/dependencies.rs: say what it may depend on",
            "`script-engine-core` may not depend on `script-engine-sandbox`",
            "`script-engine-sandbox` may not depend on `script-engine-languages`",
        ]
    );
    let heavy = sample(&[("script-engine-core", &["a"]), ("a", &["sqlx-core", "nixon"])]);
    assert_eq!(too_much_in_core(&heavy), ["core may not pull in `sqlx-core`: script-engine-core > a > sqlx-core"]);
}
