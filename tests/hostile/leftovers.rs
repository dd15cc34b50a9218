//! What is left on the host, looked for from outside and not by asking the backend.

use std::fs;
use std::ops::Range;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::id;
use std::time::Duration;

use script_engine_core::OwnerId;
use script_engine_core::sandbox::OwnerRecords;

/// Names what carries the owner's mark: processes, control groups, mounts.
pub(crate) fn of_owner(owner: OwnerId, state: &Path) -> Vec<String> {
    let mark = owner.to_string();
    let mut left = Vec::new();
    for pid in pids() {
        let holds = |file: &str| {
            let text = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            text.windows(mark.len()).any(|it| it == mark.as_bytes())
        };
        if pid != id() && holds("cmdline") {
            left.push(format!("process {}", describe(pid)));
        }
    }
    groups(Path::new("/sys/fs/cgroup"), &mark, 6, &mut left);
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let state = state.to_str().unwrap();
    left.extend(mounts.lines().filter(|it| it.contains(&mark) || it.contains(state)).map(|it| format!("mount {it}")));
    left
}

/// Waits until an owner's record tells its death: a program that it was starting when it was killed has its lock for a
/// moment.
pub(crate) async fn await_death(owner: OwnerId, records: PathBuf) {
    let records = OwnerRecords::at(records);
    let lives = || records.list().unwrap().iter().any(|it| it.owner == owner && it.alive);
    let death = async {
        while lives() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), death).await.expect("it dies");
}

/// Names what belongs to these users: processes, and System V objects of the host's ipc namespace.
pub(crate) fn of_users(users: &Range<u32>) -> Vec<String> {
    let is_theirs = |user: u32| users.contains(&user);
    let mut left = Vec::new();
    for pid in pids().into_iter().filter(|it| *it != id()) {
        // Not the owner of /proc/<pid>, which is root where a process is not dumpable.
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let users = status.lines().find_map(|it| it.strip_prefix("Uid:")).unwrap_or_default();
        if users.split_whitespace().filter_map(|it| it.parse().ok()).any(is_theirs) {
            left.push(format!("process {}", describe(pid)));
        }
    }
    for kind in ["shm", "msg", "sem"] {
        let table = fs::read_to_string(format!("/proc/sysvipc/{kind}")).unwrap_or_default();
        let mut lines = table.lines();
        let columns: Vec<&str> = lines.next().unwrap_or_default().split_whitespace().collect();
        let Some(user) = columns.iter().position(|it| *it == "uid") else { continue };
        for line in lines {
            let owner = line.split_whitespace().nth(user).and_then(|it| it.parse().ok());
            if owner.is_some_and(is_theirs) {
                left.push(format!("{kind} {line}"));
            }
        }
    }
    left
}

/// Names what these users own in a folder of the host, such as a state folder or `/dev/shm`.
pub(crate) fn files_of(folder: &str, users: &Range<u32>) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let theirs = |path: &Path| path.symlink_metadata().is_ok_and(|it| users.contains(&it.uid()));
    entries.map(|it| it.path()).filter(|it| theirs(it)).map(|it| format!("file {}", it.display())).collect()
}

/// The ids of all processes of the host.
pub(crate) fn pids() -> Vec<u32> {
    let entries = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    entries.filter_map(|it| it.file_name().to_str()?.parse().ok()).collect()
}

/// Waits until the host's process 1 has waited for the children of an engine that was killed.
pub(crate) async fn await_orphans(users: &Range<u32>) {
    let is_orphan = |it: &String| it.contains("State:\tZ") && it.contains("PPid:\t1)");
    let none = async {
        while of_users(users).iter().any(is_orphan) {
            tokio::task::yield_now().await;
        }
    };
    let within = Duration::from_secs(20);
    tokio::time::timeout(within, none).await.expect("process 1 of the host does not wait for orphans; it has to");
}

/// What of a process's status tells most.
const FIELDS: [&str; 3] = ["Name:", "State:", "PPid:"];

fn describe(pid: u32) -> String {
    let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let told: Vec<&str> = status.lines().filter(|it| FIELDS.iter().any(|name| it.starts_with(name))).collect();
    format!("{pid} ({}) {}", told.join(", "), String::from_utf8_lossy(&command).replace('\0', " "))
}

fn groups(folder: &Path, mark: &str, depth: u32, left: &mut Vec<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
        if !entry.file_type().is_ok_and(|it| it.is_dir()) {
            continue;
        }
        if entry.file_name().to_string_lossy().contains(mark) {
            left.push(format!("cgroup {}", entry.path().display()));
        } else if depth > 0 {
            groups(&entry.path(), mark, depth - 1, left);
        }
    }
}
