//! Landlock domains (`include/uapi/linux/landlock.h`), made for the newest kernel; the agent masks
//! what the running one lacks.

use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use crate::wire::{Landlock, LandlockRule};

pub(super) const EXECUTE: u64 = 1;
pub(super) const WRITE_FILE: u64 = 1 << 1;
pub(super) const READ_FILE: u64 = 1 << 2;
pub(super) const READ_DIR: u64 = 1 << 3;
pub(super) const MAKE_CHAR: u64 = 1 << 6;
pub(super) const MAKE_BLOCK: u64 = 1 << 11;
const TRUNCATE: u64 = 1 << 14;
const IOCTL_DEV: u64 = 1 << 15;
/// Everything that can be restricted.
pub(super) const ALL: u64 = (1 << 16) - 1;

const BIND_TCP: u64 = 1;
const CONNECT_TCP: u64 = 1 << 1;

/// Abstract unix sockets and signals.
const SCOPES: u64 = 0b11;

const READ: u64 = EXECUTE | READ_FILE | READ_DIR;
/// Everything but making devices, which no script may anyway.
const OWN: u64 = ALL & !(MAKE_CHAR | MAKE_BLOCK | IOCTL_DEV);
const DEVICE: u64 = READ_FILE | WRITE_FILE | TRUNCATE | IOCTL_DEV;

/// Devices that hold and tell nothing about others.
const DEVICES: [&str; 8] =
    ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/ptmx", "/dev/pts"];
/// What belongs to the script in a sandbox.
const SANDBOX_OWN: [&str; 4] = ["/work", "/tmp", "/dev/shm", "/dev/mqueue"];

pub(super) fn sandbox() -> Landlock {
    let mut rules = vec![
        rule("/", READ),
        // Names of threads and the like; who owns what decides, and what belongs to the system is
        // mounted read-only.
        rule("/proc", WRITE_FILE),
    ];
    rules.extend(DEVICES.iter().map(|it| rule(it, DEVICE)));
    rules.extend(SANDBOX_OWN.iter().map(|it| rule(it, OWN)));
    Landlock { min_abi: 1, handled_fs: ALL, handled_net: 0, scoped: SCOPES, rules }
}

pub(super) fn process(readable: &[PathBuf], writable: &[PathBuf]) -> Landlock {
    let bytes = |path: &PathBuf, access| LandlockRule { path: path.as_os_str().as_bytes().to_vec(), access };
    let mut rules: Vec<LandlockRule> = DEVICES.iter().map(|it| rule(it, DEVICE)).collect();
    rules.extend(readable.iter().map(|it| bytes(it, READ)));
    rules.extend(writable.iter().map(|it| bytes(it, OWN)));
    Landlock { min_abi: 6, handled_fs: ALL, handled_net: BIND_TCP | CONNECT_TCP, scoped: SCOPES, rules }
}

fn rule(path: &str, access: u64) -> LandlockRule {
    LandlockRule { path: path.as_bytes().to_vec(), access }
}
