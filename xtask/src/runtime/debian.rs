//! Debian packages for a root: the base by `mmdebstrap`, more by apt with a state of its own, unpacked and not installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::recipe::SUITE;
use crate::command::capture;
use crate::{Outcome, setup};

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// What nobody reads in a sandbox.
const LEFT_OUT: [&str; 6] = ["doc", "man", "info", "locale", "lintian", "bug"];

/// Makes a small Debian with `packages` in `folder`.
pub(super) fn base(packages: &[&str], folder: &Path, scratch: &Path) -> Outcome {
    let tar = scratch.join("base.tar");
    let mut make = Command::new("mmdebstrap");
    make.env("TMPDIR", scratch).args(["--quiet", "--variant=apt", "--keyring", KEYRING]);
    make.arg(format!("--include={}", packages.join(",")));
    for name in LEFT_OUT {
        make.arg(format!("--dpkgopt=path-exclude=/usr/share/{name}/*"));
    }
    make.args([
        "--dpkgopt=force-unsafe-io",
        "--aptopt=Acquire::Languages \"none\"",
        "--aptopt=APT::Install-Recommends \"false\"",
        "--customize-hook=rm -rf \"$1\"/var/lib/apt/lists/* \"$1\"/var/cache/apt/* \"$1\"/var/log/*",
        SUITE,
    ]);
    capture(make.arg(&tar).arg(format!("deb {} {SUITE} main", mirror()?)))?;
    // Without its devices, so that an ordinary user may unpack it too; a sandbox has its own.
    let mut unpack = Command::new("tar");
    unpack.args(["--no-same-owner", "--exclude=./dev/*", "-xf"]).arg(&tar).arg("-C").arg(folder);
    capture(&mut unpack)?;
    fs::remove_file(tar)?;
    Ok(())
}

/// Unpacks `packages`, and what they depend on beyond what is installed in `base`, into `root`.
pub(super) fn add(packages: &[&str], base: &Path, root: &Path, scratch: &Path) -> Outcome {
    let apt = Apt::new(SUITE, Some(&base.join("var/lib/dpkg/status")), scratch)?;
    apt.get(&["--yes", "--download-only", "install"], packages)?;
    apt.unpack(&apt.archives(), root)
}

/// Unpacks one package of another release into `root`, without what it depends on.
pub(super) fn add_other(suite: &str, package: &str, root: &Path, scratch: &Path) -> Outcome {
    let apt = Apt::new(suite, None, scratch)?;
    apt.get(&["download"], &[package])?;
    apt.unpack(&apt.folder, root)
}

/// An apt whose lists, sources and state are its own; how it gets things is the machine's.
struct Apt {
    folder: PathBuf,
}

impl Apt {
    fn new(suite: &str, status: Option<&Path>, scratch: &Path) -> Outcome<Self> {
        let apt = Self { folder: scratch.join("apt") };
        for folder in ["lists/partial", "cache/archives/partial", "none"] {
            fs::create_dir_all(apt.folder.join(folder))?;
        }
        fs::write(apt.folder.join("sources.list"), format!("deb [signed-by={KEYRING}] {} {suite} main\n", mirror()?))?;
        match status {
            Some(status) => fs::copy(status, apt.folder.join("status")).map(drop)?,
            None => fs::write(apt.folder.join("status"), "")?,
        }
        apt.get(&["update"], &[])?;
        Ok(apt)
    }

    fn archives(&self) -> PathBuf {
        self.folder.join("cache/archives")
    }

    fn get(&self, command: &[&str], packages: &[&str]) -> Outcome {
        let mut apt = setup::apt_get();
        apt.current_dir(&self.folder).arg("-qq");
        let at = |name: &str| self.folder.join(name).display().to_string();
        for (option, value) in [
            ("Dir::Etc::SourceList", at("sources.list")),
            ("Dir::Etc::SourceParts", at("none")),
            ("Dir::Etc::PreferencesParts", at("none")),
            ("Dir::State::Lists", at("lists")),
            ("Dir::State::Status", at("status")),
            ("Dir::Cache", at("cache")),
            ("Acquire::Languages", "none".to_owned()),
            // A release of years ago is as it was.
            ("Acquire::Check-Valid-Until", "false".to_owned()),
            ("APT::Install-Recommends", "false".to_owned()),
            ("APT::Sandbox::User", String::new()),
            ("Debug::NoLocking", "true".to_owned()),
        ] {
            apt.arg("-o").arg(format!("{option}={value}"));
        }
        capture(apt.args(command).args(packages)).map(drop)
    }

    /// Unpacks every package in `folder` without running its scripts, and forgets all.
    fn unpack(&self, folder: &Path, root: &Path) -> Outcome {
        let mut packages: Vec<PathBuf> = fs::read_dir(folder)?.map(|it| Ok(it?.path())).collect::<Outcome<_>>()?;
        packages.retain(|it| it.extension().is_some_and(|it| it == "deb"));
        packages.sort();
        if packages.is_empty() {
            return Err("apt has fetched no package".into());
        }
        for package in packages {
            capture(Command::new("dpkg-deb").arg("--extract").arg(package).arg(root))?;
        }
        for name in LEFT_OUT {
            let folder = root.join("usr/share").join(name);
            if folder.exists() {
                fs::remove_dir_all(folder)?;
            }
        }
        fs::remove_dir_all(&self.folder)?;
        Ok(())
    }
}

/// Where this machine gets Debian's packages from.
fn mirror() -> Outcome<String> {
    if let Some(site) = listed_mirror()? {
        return Ok(site);
    }
    // On a new machine apt has no lists, and without them it does not say whose a source is.
    setup::update_lists()?;
    listed_mirror()?.ok_or_else(|| "apt has no Debian package index in its sources".into())
}

fn listed_mirror() -> Outcome<Option<String>> {
    let mut targets = Command::new("apt-get");
    let targets = capture(targets.args(["indextargets", "--format", "$(SITE)|$(LABEL)", "Created-By: Packages"]))?;
    let targets = String::from_utf8_lossy(&targets);
    Ok(targets.lines().find_map(|it| it.strip_suffix("|Debian")).map(str::to_owned))
}
