//! What the tests need of the machine: looked for, installed on Debian, else named. Something missing is always an error.

use std::path::Path;
use std::process::Command;

use crate::Outcome;
use crate::command::{capture, found};

/// A program the tests call, and where Debian has it.
#[derive(Debug)]
pub(crate) struct Need {
    program: &'static str,
    package: &'static str,
}

pub(crate) const fn need(program: &'static str, package: &'static str) -> Need {
    Need { program, package }
}

/// What the workspace's tests need.
pub(crate) const TESTS: &[Need] = &[
    need("bash", "bash"),
    need("python3", "python3"),
    need("pip3", "python3-pip"),
    need("node", "nodejs"),
    need("npm", "npm"),
    need("jq", "jq"),
    need("go", "golang-go"),
    need("gofmt", "golang-go"),
    need("javac", "default-jdk-headless"),
    // It knows which repository is the usual one.
    need("mvn", "maven"),
    need("pg_ctlcluster", "postgresql"),
    need("cc", "gcc"),
    need("c++", "g++"),
    need("musl-gcc", "musl-tools"),
    need("perl", "perl-base"),
    need("unshare", "util-linux"),
    need("setpriv", "util-linux"),
    need("ps", "procps"),
    need("redis-server", "redis-server"),
    need("redis-cli", "redis-tools"),
];

/// What the emulated machine with cgroup v2 needs.
pub(crate) const EMULATOR: &[Need] = &[
    need("qemu-system-x86_64", "qemu-system-x86"),
    need("dpkg-deb", "dpkg"),
    need("ldd", "libc-bin"),
    need("bash", "bash"),
    need("setpriv", "util-linux"),
];

/// Installs what is missing of `needs`, or says what that is.
pub(crate) fn ensure(needs: &[Need]) -> Outcome {
    let missing = missing(needs, found);
    if missing.is_empty() {
        return Ok(());
    }
    install(&missing)?;
    match still_missing(needs) {
        left if left.is_empty() => Ok(()),
        left => Err(format!("installed, and still not in PATH: {}", left.join(", ")).into()),
    }
}

/// Brings apt's lists up to date; on a new machine it has none.
pub(crate) fn update_lists() -> Outcome {
    capture(apt_get().args(["update", "-qq"])).map(drop)
}

/// `apt-get`, asking nothing.
pub(crate) fn apt_get() -> Command {
    let mut apt = Command::new("apt-get");
    apt.env("DEBIAN_FRONTEND", "noninteractive");
    apt
}

/// Installs packages, where that is allowed.
pub(crate) fn install(packages: &[&'static str]) -> Outcome {
    if !may_install()? {
        return Err(refusal(packages).into());
    }
    println!("installing {}", packages.join(", "));
    update_lists()?;
    capture(apt_get().args(["install", "-y", "-qq", "--no-install-recommends"]).args(packages)).map(drop)
}

/// The packages of what is not there, each once.
fn missing(needs: &[Need], found: impl Fn(&str) -> bool) -> Vec<&'static str> {
    let mut packages: Vec<_> = needs.iter().filter(|need| !found(need.program)).map(|need| need.package).collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

fn still_missing(needs: &[Need]) -> Vec<&'static str> {
    needs.iter().map(|need| need.program).filter(|program| !found(program)).collect()
}

fn may_install() -> Outcome<bool> {
    let user = capture(Command::new("id").arg("-u"))?;
    Ok(user.trim_ascii() == b"0" && Path::new("/etc/debian_version").exists() && found("apt-get"))
}

fn refusal(packages: &[&str]) -> String {
    format!(
        "these are missing, by their Debian package names: {}; install them, or run this as root on Debian",
        packages.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_each_missing_package_once() {
        assert_eq!(missing(TESTS, |program| program != "unshare" && program != "setpriv"), ["util-linux"]);
        assert!(missing(TESTS, |_| true).is_empty());
    }

    #[test]
    fn refusal_says_what_to_do() {
        assert_eq!(
            refusal(&["nodejs", "procps"]),
            "these are missing, by their Debian package names: nodejs, procps; install them, or run this as root on Debian"
        );
    }
}
