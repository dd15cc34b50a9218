//! The base of all images: a small Debian with the programs that scripts expect everywhere.

use std::path::Path;
use std::process::Command;

use crate::Outcome;
use crate::command::capture;
use crate::docker::Engine;
use crate::setup::{Need, need, update_lists};

pub(crate) const TAG: &str = "stella-runtime/debian:base";
/// The release: Python 3.13, OpenJDK 21.
const SUITE: &str = "trixie";
/// libstdc++ and zlib are what toolchains from PyPI are linked with.
const PACKAGES: &str = "bash,jq,ca-certificates,libstdc++6,zlib1g,tzdata,util-linux,procps,perl-base";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

pub(crate) const NEEDS: &[Need] =
    &[need("mmdebstrap", "mmdebstrap"), need("tar", "tar"), need("unzip", "unzip"), need("python3", "python3")];

/// Makes the root file system, and of it the image.
pub(crate) fn build(engine: &Engine, scratch: &Path, label: &str) -> Outcome {
    let tar = scratch.join("base.tar");
    let mut make = Command::new("mmdebstrap");
    make.env("TMPDIR", scratch).args(["--quiet", "--variant=apt", "--keyring", KEYRING]);
    make.arg(format!("--include={PACKAGES}"));
    for folder in ["doc", "man", "info", "locale", "lintian", "bug"] {
        make.arg(format!("--dpkgopt=path-exclude=/usr/share/{folder}/*"));
    }
    make.args([
        "--dpkgopt=force-unsafe-io",
        "--aptopt=Acquire::Languages \"none\"",
        "--aptopt=APT::Install-Recommends \"false\"",
        // What packages that are added later would leave.
        "--customize-hook=rm -rf \"$1\"/var/lib/apt/lists/* \"$1\"/var/cache/apt/* \"$1\"/var/log/*",
        SUITE,
    ]);
    make.arg(&tar).arg(format!("deb {} {SUITE} main", mirror()?));
    capture(&mut make)?;
    let mut import = engine.docker();
    import.args(["import", "--change", &format!("LABEL {label}"), "--change", "ENV LANG=C.UTF-8"]);
    import.args(["--change", "CMD [\"/bin/bash\"]"]).arg(&tar).arg(TAG);
    capture(&mut import)?;
    std::fs::remove_file(&tar)?;
    Ok(())
}

/// Where this machine gets Debian's packages from.
fn mirror() -> Outcome<String> {
    match known_mirror()? {
        Some(site) => Ok(site),
        None => {
            update_lists()?;
            known_mirror()?.ok_or_else(|| "apt has no index of Debian packages in its sources".into())
        }
    }
}

fn known_mirror() -> Outcome<Option<String>> {
    let targets = capture(Command::new("apt-get").args(["indextargets", "--format", "$(SITE) $(LABEL)"]))?;
    Ok(String::from_utf8_lossy(&targets).lines().find_map(|it| it.strip_suffix(" Debian")).map(str::to_owned))
}
