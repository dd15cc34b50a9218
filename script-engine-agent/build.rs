//! Compiles the agent for Linux and hands its bytes to the library.
//!
//! The compiler is called directly: a nested cargo deadlocks on the target folder, and flags meant
//! for the host's build (coverage, lints) must not reach the guest. The guest has no dependencies,
//! so nothing else is needed.

use std::env;
use std::error::Error;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest as _, Sha256};

/// Stands before the build id in every agent; `guest/main.rs` has the same text.
const MARK: &str = "script-engine-agent build ";
/// Hexadecimal digits of the build id.
const ID_LENGTH: usize = 16;

/// An error that cargo shows as it is, line breaks and all.
struct Shown(String);

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn main() -> Result<(), Shown> {
    provide().map_err(|error| Shown(error.to_string()))
}

fn provide() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?).join("agent");
    let arch = env::var("CARGO_CFG_TARGET_ARCH")?;
    let path_variable = format!("SCRIPT_ENGINE_AGENT_{}", arch.to_uppercase());
    println!("cargo::rerun-if-env-changed={path_variable}");
    println!("cargo::rerun-if-changed=build.rs");

    let build = match env::var_os(&path_variable) {
        Some(path) => take(Path::new(&path), &out).map_err(|it| format!("{path_variable}: {it}"))?,
        None => compile(&arch, &path_variable, &out)?,
    };
    println!("cargo::rustc-env=SCRIPT_ENGINE_AGENT_BUILD={build}");
    println!("cargo::rustc-env=SCRIPT_ENGINE_AGENT_PATH={}", out.display());
    Ok(())
}

/// Takes an agent that was built elsewhere, and the build id in it.
fn take(path: &Path, out: &Path) -> Result<String, Box<dyn Error>> {
    println!("cargo::rerun-if-changed={}", path.display());
    let bytes = fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let at = bytes.windows(MARK.len()).position(|it| it == MARK.as_bytes());
    let id = at.and_then(|at| bytes.get(at + MARK.len()..at + MARK.len() + ID_LENGTH));
    let id = id.filter(|it| it.iter().all(u8::is_ascii_hexdigit));
    let id = id.ok_or_else(|| format!("{} is not an agent of this project", path.display()))?;
    let id = String::from_utf8(id.to_vec())?;
    fs::write(out, &bytes)?;
    Ok(id)
}

fn compile(arch: &str, path_variable: &str, out: &Path) -> Result<String, Box<dyn Error>> {
    let rustc = env::var("RUSTC")?;
    let own_target = env::var("TARGET")?;
    // A host that is not Linux still talks to agents in containers.
    let on_linux = env::var("CARGO_CFG_TARGET_OS")? == "linux";
    let target = if on_linux { own_target } else { format!("{arch}-unknown-linux-musl") };

    let version = Command::new(&rustc).arg("-vV").output()?.stdout;
    let build = digest(&version)?;
    let mut command = Command::new(&rustc);
    command.args([
        "--edition=2024",
        "--crate-type=bin",
        "--crate-name=agent",
        "--cap-lints=allow",
        "--target",
        &target,
    ]);
    for flag in
        ["opt-level=3", "panic=abort", "strip=symbols", "debuginfo=0", "codegen-units=1", "target-feature=+crt-static"]
    {
        command.args(["-C", flag]);
    }
    match env::var("RUSTC_LINKER") {
        Ok(linker) if on_linux => {
            command.args(["-C", &format!("linker={linker}")]);
        }
        _ if !on_linux => {
            command.args(["-C", "linker=rust-lld"]);
        }
        _ => {}
    }
    let made = command
        .arg("-o")
        .arg(out)
        .arg("guest/main.rs")
        .env("SCRIPT_ENGINE_AGENT_BUILD", &build)
        .output()
        .map_err(|error| format!("cannot start {rustc}: {error}"))?;
    if made.status.success() {
        return Ok(build);
    }
    Err(format!(
        "the agent cannot be built here for {target}.\n\
         It is a static Linux program: this needs the Rust target {target} and, for gnu targets, the C library's \
         static archive (libc.a; package libc6-dev on Debian, glibc-static on Fedora).\n\
         Or build this crate on a machine that has both and set {path_variable} to the path of the agent it made \
         (target/<profile>/build/script-engine-agent-*/out/agent).\n\
         The compiler said:\n{}",
        String::from_utf8_lossy(&made.stderr)
    )
    .into())
}

/// Names the sources and the compiler.
fn digest(version: &[u8]) -> Result<String, Box<dyn Error>> {
    let mut files = Vec::new();
    list(Path::new("guest"), &mut files)?;
    files.sort();
    let mut hash = Sha256::new();
    hash.update(version);
    for path in files {
        println!("cargo::rerun-if-changed={}", path.display());
        let content = fs::read(&path)?;
        hash.update(path.to_string_lossy().as_bytes());
        hash.update((content.len() as u64).to_le_bytes());
        hash.update(content);
    }
    Ok(hash.finalize().iter().take(ID_LENGTH / 2).map(|it| format!("{it:02x}")).collect())
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    // A new file is noticed by its folder's change.
    println!("cargo::rerun-if-changed={}", folder.display());
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            list(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
