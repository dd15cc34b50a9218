//! What scripts use: of the agent's own cgroup where it is visible, of the process tree else.

use std::collections::HashMap;
use std::fs;

use crate::sys::file;

/// A look at what is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Processor time of the processes that are alive, and of those of their children that they
    /// waited for.
    pub cpu_us: u64,
    /// Bytes of memory that belong to the processes: anonymous and shared, not file cache.
    pub memory: u64,
    pub processes: u32,
}

/// Microseconds in a clock tick; `USER_HZ` is 100 on every architecture that is supported.
const TICK_US: u64 = 10_000;

/// The descendants of `root`, of whatever depth; empty where /proc is not there.
pub fn descendants(root: i32) -> Vec<i32> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    for pid in all() {
        if let Some(stat) = stat(pid) {
            children.entry(stat.parent).or_default().push(pid);
        }
    }
    let mut found = Vec::new();
    let mut next = vec![root];
    while let Some(pid) = next.pop() {
        for child in children.remove(&pid).unwrap_or_default() {
            found.push(child);
            next.push(child);
        }
    }
    found
}

/// Sums what the descendants of `root` use.
pub fn sample(root: i32) -> Sample {
    let mut sum = Sample::default();
    for pid in descendants(root) {
        let Some(stat) = stat(pid) else { continue };
        sum.cpu_us += stat.ticks * TICK_US;
        sum.memory += memory(pid);
        sum.processes += 1;
    }
    sum
}

/// Bytes in use in the file systems that hold `paths`, each file system once.
pub fn stored(paths: &[&[u8]]) -> u64 {
    let mut seen = Vec::new();
    let mut sum = 0;
    for path in paths {
        let Ok(it) = file::file_system(path) else { continue };
        if it.is_memory() && !seen.contains(&it.id) {
            seen.push(it.id);
            sum += it.used;
        }
    }
    sum
}

struct Stat {
    parent: i32,
    ticks: u64,
}

fn stat(pid: i32) -> Option<Stat> {
    let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything, parentheses too.
    let after = text.iter().rposition(|it| *it == b')')?;
    let text = String::from_utf8_lossy(text.get(after + 2..)?).into_owned();
    // From the third field on: state, parent, ...; times are the 14th to the 17th (`man 5 proc`).
    let fields: Vec<&str> = text.split_ascii_whitespace().collect();
    let ticks = fields.get(11..15)?.iter().filter_map(|it| it.parse::<u64>().ok()).sum();
    Some(Stat { parent: fields.get(1)?.parse().ok()?, ticks })
}

fn memory(pid: i32) -> u64 {
    let Ok(text) = fs::read_to_string(format!("/proc/{pid}/status")) else { return 0 };
    let kib = |line: &str| line.split_ascii_whitespace().nth(1).and_then(|it| it.parse::<u64>().ok()).unwrap_or(0);
    text.lines().filter(|it| it.starts_with("RssAnon:") || it.starts_with("RssShmem:")).map(kib).sum::<u64>() * 1024
}

fn all() -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.filter_map(|it| it.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// Counters of the agent's cgroup, as a container shows it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Group {
    pub oom_kills: u64,
    pub peak_memory: u64,
}

impl Group {
    /// Reads the counters. Only for process 1 of a container: elsewhere the files are not its own.
    pub fn read() -> Option<Self> {
        let number = |path: &str| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
        let field = |path: &str, name: &str| {
            let text = fs::read_to_string(path).ok()?;
            text.lines().find_map(|it| it.strip_prefix(name)?.trim().parse::<u64>().ok())
        };
        if let Some(oom_kills) = field("/sys/fs/cgroup/memory.events", "oom_kill ") {
            return Some(Self { oom_kills, peak_memory: number("/sys/fs/cgroup/memory.peak").unwrap_or(0) });
        }
        Some(Self {
            oom_kills: field("/sys/fs/cgroup/memory/memory.oom_control", "oom_kill ")?,
            peak_memory: number("/sys/fs/cgroup/memory/memory.max_usage_in_bytes").unwrap_or(0),
        })
    }
}
