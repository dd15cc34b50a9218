//! `cargo xtask test-cgroup2`: runs the sandbox's control group tests on a kernel that has version 2 of them with all its
//! controllers, whatever the machine at hand has. Debian's cloud kernel boots in seconds under software emulation (hardware
//! emulation is not to be had inside most virtual machines); the tests' words come back over the serial line.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::command::{Ended, capture, cargo, path_of, watch};
use crate::initramfs::Initramfs;
use crate::metadata::Metadata;
use crate::{Outcome, setup};

const PACKAGE: &str = "script-engine-sandbox";
const TEST: &str = "cgroup2";

/// Booting takes 4 s, and emulated code is about ten times slower: minutes mean that something hangs.
const LIMIT: Duration = Duration::from_secs(300);

/// What `INIT` prints before the exit code.
const MARK: &str = "init: tests ended with ";

/// Programs that are taken from the machine at hand, because busybox has less of them.
const FROM_HERE: &[&str] = &["bash", "sh", "setpriv"];

const INIT: &str = include_str!("cgroup2/init.sh");

/// Sets up, builds, boots, tells.
pub(crate) fn test() -> Outcome {
    setup::ensure(setup::EMULATOR)?;
    let parts = Parts::ensure(&Metadata::load()?.target_directory()?.join("cgroup2"))?;
    let tests = build_tests()?;
    let initramfs = parts.folder.join("initramfs");
    std::fs::write(&initramfs, root_file_system(&tests, &parts)?)?;
    let begin = Instant::now();
    let mut said = Vec::new();
    let ended = watch(&mut emulator(&parts.kernel, &initramfs), LIMIT, |line| {
        if line.starts_with("test ") {
            println!("{line}");
        }
        said.push(line.to_owned());
    })?;
    if matches!(ended, Ended::Killed) {
        return Err(format!("the emulated machine was not done after {LIMIT:?}; it said:\n{}", said.join("\n")).into());
    }
    match verdict(&said) {
        Ok(passed) => {
            println!("control groups, version 2: {passed} tests in {:.1} s", begin.elapsed().as_secs_f64());
            Ok(())
        }
        Err(fault) => Err(format!("{fault}; the emulated machine said:\n{}", said.join("\n")).into()),
    }
}

/// How many tests passed, or what is wrong: tests that did not run are a fault too.
fn verdict(said: &[String]) -> Result<usize, String> {
    let code = said.iter().find_map(|line| line.strip_prefix(MARK)).ok_or("the tests never ended")?;
    if code != "0" {
        return Err(format!("the tests ended with exit code {code}"));
    }
    let summary = said.iter().find_map(|line| line.strip_prefix("test result: ok. ")).ok_or("no result was told")?;
    let count = |what: &str| {
        summary
            .split("; ")
            .find_map(|part| part.strip_suffix(what))
            .and_then(|number| number.trim().parse::<usize>().ok())
    };
    match (count(" passed"), count(" failed"), count(" ignored")) {
        (Some(passed), Some(0), Some(0)) if passed > 0 => Ok(passed),
        _ => Err(format!("not every test passed: {summary}")),
    }
}

/// What is fetched once and kept below the target directory.
#[derive(Debug)]
struct Parts {
    folder: PathBuf,
    kernel: PathBuf,
    busybox: PathBuf,
}

impl Parts {
    fn ensure(folder: &Path) -> Outcome<Self> {
        if cfg!(not(target_arch = "x86_64")) {
            return Err("only x86-64 has its kernel named here".into());
        }
        let (kernel, busybox) = (folder.join("kernel"), folder.join("busybox"));
        if !kernel.is_file() {
            let package = kernel_package()?;
            let version = package.strip_prefix("linux-image-").ok_or("a kernel package of another name")?;
            fetch(&package, folder, &format!("boot/vmlinuz-{version}"), &kernel)?;
        }
        if !busybox.is_file() {
            fetch("busybox-static", folder, "bin/busybox", &busybox)?;
        }
        Ok(Self { folder: folder.to_owned(), kernel, busybox })
    }
}

/// The versioned package that Debian's name for "the newest cloud kernel" stands for.
fn kernel_package() -> Outcome<String> {
    const NEWEST: &str = "linux-image-cloud-amd64";
    let ask = || capture(Command::new("apt-cache").args(["depends", NEWEST]));
    let answer = match ask() {
        Ok(answer) => answer,
        Err(_) => {
            setup::update_lists()?;
            ask()?
        }
    };
    let answer = String::from_utf8(answer)?;
    let package = answer.lines().find_map(|line| line.trim().strip_prefix("Depends: "));
    Ok(package.ok_or_else(|| format!("`{NEWEST}` names no kernel: {answer}"))?.to_owned())
}

/// Takes one file out of a Debian package, without installing the package.
fn fetch(package: &str, folder: &Path, file: &str, to: &Path) -> Outcome {
    let unpacked = folder.join(package);
    std::fs::create_dir_all(&unpacked)?;
    let download = || capture(Command::new("apt-get").args(["download", "-qq", package]).current_dir(&unpacked));
    if download().is_err() {
        setup::update_lists()?;
        download()?;
    }
    let archive = std::fs::read_dir(&unpacked)?.filter_map(Result::ok).map(|entry| entry.path());
    let archive = archive.into_iter().find(|path| path.extension().is_some_and(|end| end == "deb"));
    let archive = archive.ok_or_else(|| format!("`{package}` was not downloaded"))?;
    capture(Command::new("dpkg-deb").arg("-x").arg(archive).arg(&unpacked))?;
    std::fs::rename(unpacked.join(file), to)?;
    std::fs::remove_dir_all(&unpacked)?;
    Ok(())
}

/// Builds the tests and returns the path of the program that cargo made of them.
fn build_tests() -> Outcome<PathBuf> {
    let exists = Metadata::load()?.targets().iter().any(|target| target.package == PACKAGE && target.name == TEST);
    if !exists {
        return Err(format!("`{PACKAGE}` has no test target `{TEST}`").into());
    }
    let mut build = cargo();
    build
        .args(["test", "--package", PACKAGE, "--test", TEST, "--no-run"])
        .arg("--message-format=json-render-diagnostics");
    let messages = capture(&mut build)?;
    String::from_utf8(messages)?
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == TEST)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .ok_or_else(|| format!("cargo built no program for `{TEST}`").into())
}

/// A small Debian: the tests, shells, the usual programs, and the libraries of them all.
fn root_file_system(tests: &Path, parts: &Parts) -> Outcome<Vec<u8>> {
    let mut files = Initramfs::default();
    for (link, to) in [("bin", "usr/bin"), ("sbin", "usr/bin"), ("lib", "usr/lib"), ("lib64", "usr/lib64")] {
        files.link(link, to);
    }
    for folder in ["proc", "sys", "dev", "tmp", "run", "etc", "root", "new"] {
        files.directory(folder);
    }
    files.program("init", INIT.as_bytes());
    files.program("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n");
    files.program("etc/group", b"root:x:0:\nnogroup:x:65534:\n");
    files.program("usr/bin/busybox", &std::fs::read(&parts.busybox)?);
    files.program("test/cgroup2", &std::fs::read(tests)?);
    let mut programs = vec![tests.to_owned()];
    for name in FROM_HERE {
        let program = path_of(name).ok_or_else(|| format!("no `{name}` in PATH"))?;
        files.program(&format!("usr/bin/{name}"), &std::fs::read(&program)?);
        programs.push(program);
    }
    for program in &programs {
        for library in libraries(program)? {
            let inside = format!("usr/{}", library.trim_start_matches('/').trim_start_matches("usr/"));
            files.program(&inside, &std::fs::read(&library)?);
        }
    }
    for applet in String::from_utf8(capture(Command::new(&parts.busybox).arg("--list"))?)?.lines() {
        files.link(&format!("usr/bin/{applet}"), "busybox");
    }
    Ok(files.finish())
}

/// The shared libraries of a program and its loader, as absolute paths.
fn libraries(program: &Path) -> Outcome<Vec<String>> {
    let listed = String::from_utf8(capture(Command::new("ldd").arg(program))?)?;
    Ok(listed
        .split_whitespace()
        .filter(|word| word.starts_with('/'))
        .map(|word| word.trim_end_matches(':').to_owned())
        .collect())
}

fn emulator(kernel: &Path, initramfs: &Path) -> Command {
    let mut emulator = Command::new("qemu-system-x86_64");
    emulator
        .args(["-accel", "tcg", "-cpu", "max", "-m", "1536", "-smp", "2", "-nodefaults", "-no-reboot"])
        .args(["-display", "none", "-serial", "stdio", "-kernel"])
        .arg(kernel)
        .arg("-initrd")
        .arg(initramfs)
        // A panic reboots at once, which ends the emulator; only a panic may disturb the tests' lines.
        .args(["-append", "console=ttyS0 loglevel=1 panic=-1"]);
    emulator
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(said: &[&str], expected: Result<usize, &str>) {
        let said: Vec<_> = said.iter().map(ToString::to_string).collect();
        assert_eq!(verdict(&said), expected.map_err(ToOwned::to_owned));
    }

    #[test]
    fn verdict_needs_every_test_and_the_exit_code() {
        let good = "test result: ok. 6 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s";
        let skipped = "test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 1.00s";
        let empty = "test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s";
        let end = "init: tests ended with 0";
        check(&["test a ... ok", good, end], Ok(6));
        check(&[good], Err("the tests never ended"));
        check(&[good, "init: tests ended with 101"], Err("the tests ended with exit code 101"));
        check(&[end], Err("no result was told"));
        for incomplete in [skipped, empty] {
            let told = incomplete.trim_start_matches("test result: ok. ");
            check(&[incomplete, end], Err(&format!("not every test passed: {told}")));
        }
    }
}
