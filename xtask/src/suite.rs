//! `cargo xtask test`: everything that is tested, in the order in which a fault is cheapest to find.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::command::{cargo, root, run};
use crate::metadata::Metadata;
use crate::{Outcome, cgroup2, docker, examples, fuzz, host_crate, runtime, setup};

/// Sets up the machine, then runs every test; `arguments`, if there are any, go to `cargo test`, which is then all that runs.
pub(crate) fn test(arguments: &[&str]) -> Outcome {
    let begin = Instant::now();
    setup::ensure(setup::TESTS)?;
    if let Some(open) = other_build_directory()? {
        let mut again = Command::new(std::env::current_exe()?);
        return run(again.env("CARGO_TARGET_DIR", open).arg("test").args(arguments));
    }
    runtime::for_tests()?;
    if !arguments.is_empty() {
        let one = arguments.iter().any(|argument| argument.starts_with("-p") || argument.starts_with("--package"));
        let which: &[&str] = if one { &[] } else { &["--workspace"] };
        return run(cargo().arg("test").args(which).args(arguments));
    }
    let mut failed = Vec::new();
    for Part { name, run } in PARTS {
        println!("\n-- {name} ({} s)", begin.elapsed().as_secs());
        if let Err(error) = run() {
            eprintln!("xtask: {name}: {error}");
            failed.push(*name);
        }
    }
    println!("\n{} parts in {} s", PARTS.len(), begin.elapsed().as_secs());
    if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", ")).into()) }
}

/// One thing that is tested. It runs even if one before it failed, so that one round tells everything.
struct Part {
    name: &'static str,
    run: fn() -> Outcome,
}

const PARTS: &[Part] = &[
    Part { name: "unit, integration and documentation tests", run: cargo_tests },
    Part { name: "examples", run: examples::run_all },
    Part { name: "a host outside the workspace", run: host_crate::build },
    Part { name: "fuzzing", run: fuzz::test },
    Part { name: "control groups, version 2", run: cgroup2::test },
    Part { name: "containers of a Docker Engine", run: docker::test },
];

fn cargo_tests() -> Outcome {
    run(cargo().args(["test", "--workspace", "--no-fail-fast"]))
}

/// Where to build if the usual place is out of reach for an ordinary user, as whom some tests run parts of themselves: a
/// clone under `/root` or in a fresh temporary directory is closed to everybody else.
fn other_build_directory() -> Outcome<Option<PathBuf>> {
    let target = Metadata::load()?.target_directory()?;
    if reachable(&target) {
        return Ok(None);
    }
    let open = substitute_for(root());
    std::fs::create_dir_all(&open)?;
    let ours = Path::new("/proc/self").metadata()?.uid();
    if open.symlink_metadata()?.uid() != ours || !reachable(&open) {
        return Err(format!("{} is not ours or is closed to others; remove it", open.display()).into());
    }
    println!("building in {}: other users can't reach {}", open.display(), target.display());
    Ok(Some(open))
}

fn reachable(path: &Path) -> bool {
    const SEARCH_FOR_OTHERS: u32 = 0o001;
    path.ancestors().filter_map(|part| part.metadata().ok()).all(|part| part.mode() & SEARCH_FOR_OTHERS != 0)
}

fn substitute_for(root: &Path) -> PathBuf {
    let name: String =
        root.to_string_lossy().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    Path::new("/var/tmp").join(format!("script-engine-target{name}"))
}
