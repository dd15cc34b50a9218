//! What scripts use: of the agent's own cgroup where it is visible, of the process tree else.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;

use crate::sys::{self, file, ipc};

/// A look at what is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Processor time of the processes that are alive, and of those of their children that they
    /// waited for.
    pub cpu_us: u64,
    /// Bytes of memory: anonymous, shared, and files in memory. Not file cache.
    pub memory: u64,
    pub processes: u32,
}

/// Microseconds in a clock tick; `USER_HZ` is 100 on every architecture that is supported.
const TICK_US: u64 = 10_000;

/// A process, and when it was started: the two together name one for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    pub pid: i32,
    started: u64,
}

/// Whether the process is still the one that was found.
pub fn is(found: Found) -> bool {
    stat(found.pid).is_some_and(|it| it.started == found.started)
}

/// Whether processes can be looked for at all.
pub fn can_look() -> bool {
    stat(sys::process::id()).is_some()
}

/// The descendants of `root`, of whatever depth; empty where /proc is not there.
pub fn descendants(root: i32) -> Vec<Found> {
    tree(root).into_iter().map(|(pid, stat)| Found { pid, started: stat.started }).collect()
}

fn tree(root: i32) -> Vec<(i32, Stat)> {
    let mut children: HashMap<i32, Vec<(i32, Stat)>> = HashMap::new();
    for pid in all() {
        if let Some(stat) = stat(pid) {
            children.entry(stat.parent).or_default().push((pid, stat));
        }
    }
    let mut found = Vec::new();
    let mut next = vec![root];
    while let Some(pid) = next.pop() {
        for child in children.remove(&pid).unwrap_or_default() {
            next.push(child.0);
            found.push(child);
        }
    }
    found
}

/// Where else than in processes scripts can keep memory.
#[derive(Clone, Copy, Debug)]
pub struct Stores<'a> {
    /// Folders on file systems in memory.
    pub folders: &'a [&'a [u8]],
    /// Whether the ipc namespace is the script's.
    pub ipc: bool,
}

/// Sums what the descendants of `root` use. Above `limit` bytes of memory it looks again, more
/// closely: what several processes share then counts once.
pub fn sample(root: i32, stores: Stores<'_>, limit: u64) -> Sample {
    let tree = tree(root);
    let pids: Vec<i32> = tree.iter().map(|(pid, _)| *pid).collect();
    let stored =
        stored(stores.folders) + if stores.ipc { ipc::shared_pages() * sys::page() } else { 0 } + unnamed(&pids);
    let (anonymous, shared) = sum(&pids, "status", ["RssAnon:", "RssShmem:"]);
    // Mapped or not, what is stored counts; what is mapped and stored must not count twice.
    let mut memory = anonymous + shared.max(stored);
    if memory > limit {
        let (anonymous, shared) = sum(&pids, "smaps_rollup", ["Pss_Anon:", "Pss_Shmem:"]);
        // Where the closer look is not allowed, or the process is gone, it shows nothing.
        if anonymous > 0 {
            memory = anonymous + shared.max(stored);
        }
    }
    Sample {
        cpu_us: tree.iter().map(|(_, it)| it.ticks * TICK_US).sum(),
        memory,
        processes: u32::try_from(tree.len()).unwrap_or(u32::MAX),
    }
}

/// Bytes in use in the file systems that hold `paths`, each file system once.
fn stored(paths: &[&[u8]]) -> u64 {
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

/// Bytes in files without a name (`memfd_create`), each file once.
fn unnamed(pids: &[i32]) -> u64 {
    let mut seen = Vec::new();
    let mut sum = 0;
    for pid in pids {
        let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { continue };
        for path in entries.filter_map(|it| Some(it.ok()?.path())) {
            let Ok(target) = fs::read_link(&path) else { continue };
            if !target.as_os_str().as_encoded_bytes().starts_with(b"/memfd:") {
                continue;
            }
            let Ok(it) = fs::metadata(&path) else { continue };
            if !seen.contains(&(it.dev(), it.ino())) {
                seen.push((it.dev(), it.ino()));
                sum += it.blocks() * 512;
            }
        }
    }
    sum
}

/// Sums two fields of a file of each process that tells them in KiB.
fn sum(pids: &[i32], file: &str, fields: [&str; 2]) -> (u64, u64) {
    let mut sums = [0, 0];
    for pid in pids {
        let Ok(text) = fs::read_to_string(format!("/proc/{pid}/{file}")) else { continue };
        for line in text.lines() {
            let Some(field) = fields.iter().position(|it| line.starts_with(it)) else { continue };
            let kib = line.split_ascii_whitespace().nth(1).and_then(|it| it.parse::<u64>().ok());
            sums[field] += kib.unwrap_or(0) * 1024;
        }
    }
    (sums[0], sums[1])
}

#[derive(Clone, Copy, Debug)]
struct Stat {
    parent: i32,
    ticks: u64,
    started: u64,
}

fn stat(pid: i32) -> Option<Stat> {
    read_stat(&fs::read(format!("/proc/{pid}/stat")).ok()?)
}

fn read_stat(text: &[u8]) -> Option<Stat> {
    // The name in parentheses may hold anything, parentheses too.
    let after = text.iter().rposition(|it| *it == b')')?;
    let text = String::from_utf8_lossy(text.get(after + 1..)?);
    // From the third field on: state, parent, ...; times are the 14th to the 17th, the start is the
    // 22nd (`man 5 proc`).
    let fields: Vec<&str> = text.split_ascii_whitespace().collect();
    let ticks = fields.get(11..15)?.iter().filter_map(|it| it.parse::<u64>().ok()).sum();
    Some(Stat { parent: fields.get(1)?.parse().ok()?, ticks, started: fields.get(19)?.parse().ok()? })
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

#[cfg(test)]
mod tests {
    use super::read_stat;

    #[test]
    fn a_name_cannot_pretend_to_be_fields() {
        let text = b"7 (a) R 1 ) (b) S 42 7 7 0 -1 4194304 1 2 3 4 10 20 30 40 20 0 1 0 555 1 1\n";
        let stat = read_stat(text).unwrap();
        assert_eq!((stat.parent, stat.ticks, stat.started), (42, 100, 555));
        assert!(read_stat(b"7 (a) S 1").is_none());
        assert!(read_stat(b"").is_none());
    }
}
