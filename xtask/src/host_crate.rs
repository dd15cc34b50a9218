//! Builds a host as a stranger would: outside the workspace, from the packaged crates, with default features. Tells how
//! long that takes and how many crates it pulls in, and fails where either grows past what the project promises.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use serde_json::Value;

use crate::Outcome;
use crate::command::{capture, cargo, root, run};
use crate::metadata::Metadata;

/// What a host can get; what default features leave out must be there to be left out.
const CRATES: &[&str] = &[
    "script-engine-core",
    "script-engine-agent",
    "script-engine-languages",
    "script-engine-sandbox",
    "script-engine-docker",
    "script-engine-valkey",
    "script-engine",
];

/// The promise is fewer than 120 crates in the host's tree, its own included.
const CRATES_AT_MOST: usize = 119;

/// Packages, unpacks, builds, runs, counts.
pub(crate) fn build() -> Outcome {
    let target = Metadata::load()?.target_directory()?;
    let host = Folder::new()?;
    package(&target)?;
    for name in CRATES {
        unpack(&archive(&target, name)?, &host.0)?;
    }
    lay_out(&host.0)?;
    let host_cargo = |arguments: &[&str]| {
        let mut cargo = cargo();
        cargo.current_dir(&host.0).env_remove("CARGO_TARGET_DIR").args(arguments);
        cargo
    };
    run(&mut host_cargo(&["fetch", "--quiet"]))?;
    let crates = count_crates(&capture(&mut host_cargo(&TREE))?);
    let begin = Instant::now();
    run(&mut host_cargo(&["build", "--quiet", "--offline"]))?;
    let took = begin.elapsed();
    run(Command::new(host.0.join("target/debug/host")).current_dir(&host.0))?;
    println!("a host outside the workspace: {crates} crates, built in {:.1} s", took.as_secs_f64());
    // The time is told and not judged: it depends on what else the machine does.
    within_promise(crates)
}

fn within_promise(crates: usize) -> Outcome {
    if crates > CRATES_AT_MOST {
        return Err(format!("{crates} crates in a host's tree, {CRATES_AT_MOST} are the most").into());
    }
    Ok(())
}

const TREE: [&str; 7] =
    ["tree", "--offline", "--quiet", "--edges=normal,build", "--prefix=none", "--format={p}", "--no-dedupe"];

fn package(target: &Path) -> Outcome {
    let mut cargo = cargo();
    cargo.args(["package", "--quiet", "--no-verify", "--allow-dirty", "--offline", "--target-dir"]).arg(target);
    for name in CRATES {
        cargo.args(["--package", name]);
    }
    // Warnings about missing read-me files and the like are for a release, not for here.
    capture(&mut cargo).map(drop)
}

fn archive(target: &Path, name: &str) -> Outcome<PathBuf> {
    let metadata: Value =
        serde_json::from_slice(&capture(cargo().args(["metadata", "--format-version=1", "--no-deps"]))?)?;
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let package =
        packages.iter().find(|package| package["name"] == name).ok_or_else(|| format!("no package `{name}`"))?;
    let version = package["version"].as_str().unwrap_or_default();
    Ok(target.join("package").join(format!("{name}-{version}.crate")))
}

/// Leaves the crate in a directory of its name, without the version.
fn unpack(archive: &Path, folder: &Path) -> Outcome {
    let name = archive.file_stem().ok_or("an archive without a name")?.to_string_lossy();
    let (name, _version) = name.rsplit_once('-').ok_or("an archive without a version")?;
    let into = folder.join(name);
    std::fs::create_dir(&into)?;
    run(Command::new("tar").arg("-xzf").arg(archive).arg("--strip-components=1").arg("-C").arg(into))
}

fn lay_out(folder: &Path) -> Outcome {
    let patches: String = CRATES.iter().map(|name| format!("{name} = {{ path = \"{name}\" }}\n")).collect();
    let manifest = format!("{MANIFEST}\n[patch.crates-io]\n{patches}");
    std::fs::write(folder.join("Cargo.toml"), manifest)?;
    std::fs::create_dir(folder.join("src"))?;
    std::fs::write(folder.join("src/main.rs"), MAIN)?;
    std::fs::copy(root().join("rust-toolchain.toml"), folder.join("rust-toolchain.toml"))?;
    // The versions that the workspace is tested with.
    std::fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock"))?;
    Ok(())
}

const MANIFEST: &str = r#"
[package]
name = "host"
version = "0.0.0"
edition = "2024"

[dependencies]
script-engine = "0.1"
tokio = { version = "1", features = ["macros", "rt-multi-thread"] }

[workspace]
"#;

/// Runs a script, which shows that the agent is in the packaged crates and works.
const MAIN: &str = r#"
use script_engine::{EntryPoint, ExecutionRequest, Identity, Outcome, Result, ScriptDraft, ScriptName, Shutdown};

#[tokio::main]
async fn main() -> Result<()> {
    let state = std::env::current_dir().expect("a folder").join("state");
    let engine = script_engine::local(state).await?.build().await?;
    let name = ScriptName::parse("hello")?;
    let draft = ScriptDraft::new(name.clone(), "echo hello").with_entry_point(EntryPoint::parse("hello.sh")?);
    engine.save(&Identity::default(), draft).await?;
    let id = engine.submit(ExecutionRequest::new(name)).await?;
    let record = engine.wait(id).await?;
    assert_eq!(record.outcome(), Some(&Outcome::Succeeded), "{record:?}");
    engine.shutdown(Shutdown::Drain).await;
    Ok(())
}
"#;

fn count_crates(tree: &[u8]) -> usize {
    let tree = String::from_utf8_lossy(tree);
    tree.lines()
        .map(|line| line.trim_end_matches(" (*)"))
        .filter(|line| !line.is_empty())
        .collect::<BTreeSet<_>>()
        .len()
}

/// A directory outside the workspace that goes when its owner goes.
#[derive(Debug)]
struct Folder(PathBuf);

impl Folder {
    fn new() -> Outcome<Self> {
        let path = std::env::temp_dir().join(format!("script-engine-host-{}", std::process::id()));
        std::fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("xtask: could not remove {}: {error}", self.0.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_a_crate_once() {
        assert_eq!(count_crates(b"host v0.0.0\nbytes v1.0.0\n\nbytes v1.0.0 (*)\n"), 2);
    }

    #[test]
    fn refuses_growth() {
        assert!(within_promise(CRATES_AT_MOST).is_ok());
        assert!(within_promise(CRATES_AT_MOST + 1).is_err());
    }
}
