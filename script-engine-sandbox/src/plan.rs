//! Decides what a sandbox is made of: pure functions from limits and host facts to a launcher's plan
//! and a cgroup's bounds.

use std::path::Path;

use script_engine_agent::plan::{Entry, IdRange, Plan};
use script_engine_core::{LayerMount, Limits};

use crate::cgroup::Bounds;
use crate::config::Root;
use crate::host::Host;

/// The script's user and group id as it sees them itself.
pub(crate) const SCRIPT_ID: u32 = 1000;
/// Memory that the agent and the launcher may use on top of the script's.
const AGENT_RESERVE: u64 = 16 << 20;
/// Processes that are not the script's: launcher, process 1, the stub over each script, and the children
/// that wipe and look around.
const AGENT_PIDS: u32 = 8;
/// Room for the files of a job.
pub(crate) const SCRIPTS_BYTES: u64 = 64 << 20;
const SCRIPTS_FILES: u64 = 16_384;

const DEVICES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];
/// What programs of the host need of it. Each may be missing.
pub(crate) const HOST_PATHS: [&str; 17] = [
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/crypto-policies",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/pki",
    "/etc/protocols",
    "/etc/services",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
];
/// What is made here even where a root folder has its own.
const OWN_FOLDERS: [&str; 7] = ["proc", "dev", "tmp", "work", "scripts", "sys", "run"];
const OWN_SETTINGS: [&str; 6] = ["passwd", "group", "hosts", "hostname", "resolv.conf", "nsswitch.conf"];
/// Files of a root that would be of no use to a script and are not for it to read.
const WITHHELD_SETTINGS: [&str; 4] = ["shadow", "shadow-", "gshadow", "gshadow-"];

/// Who a sandbox is, seen from the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ids {
    /// Two ids that nobody else has: `base` is process 1, the one after it the script.
    Own { base: u32 },
    /// The host program's own user is both: all that an ordinary user can map.
    Shared { uid: u32, gid: u32 },
}

impl Ids {
    /// Chooses the ids of the sandbox with this number. Numbers are counted up from a start that is
    /// different for each owner, so that sandboxes of several engines hardly meet.
    pub(crate) fn choose(host: &Host, range: (u32, u32), start: u64, number: u64) -> Self {
        if !host.may_map_ids {
            return Self::Shared { uid: host.uid, gid: host.gid };
        }
        let slots = u64::from((range.1.saturating_sub(range.0) / 2).max(1));
        let slot = start.wrapping_add(number) % slots;
        Self::Own { base: range.0 + 2 * slot as u32 }
    }
}

/// The bounds of the cgroup: what the script may use, its scratch space (which lives in memory), and
/// what the agent needs to outlive the script that has used it all.
pub(crate) fn bounds(limits: &Limits, scratch: u64) -> Bounds {
    Bounds {
        memory: limits.memory_bytes.saturating_add(scratch).saturating_add(AGENT_RESERVE),
        pids: limits.pids.saturating_add(AGENT_PIDS),
        milli_cpus: limits.milli_cpus,
    }
}

/// The memory that scratch space of these limits may take: `/work`, `/tmp`, `/dev/shm`, `/scripts`.
pub(crate) fn scratch_bytes(limits: &Limits) -> u64 {
    limits.work_bytes.saturating_add(limits.tmp_bytes.saturating_mul(2)).saturating_add(SCRIPTS_BYTES)
}

/// What a sandbox finds in its file system.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tree<'a> {
    pub(crate) root: &'a Root,
    /// Whether a root folder has settings of its own.
    pub(crate) has_etc: bool,
    /// The packages.
    pub(crate) layer: Option<&'a LayerMount>,
}

/// Makes the plan of a sandbox.
pub(crate) fn plan(limits: &Limits, host: &Host, tree: Tree<'_>, ids: Ids, cgroup: Option<&Path>) -> Plan {
    let (uids, gids, agent_id) = match ids {
        Ids::Own { base } => {
            let both = vec![
                IdRange { inside: 0, outside: base, count: 1 },
                IdRange { inside: SCRIPT_ID, outside: base + 1, count: 1 },
            ];
            (both.clone(), both, 0)
        }
        Ids::Shared { uid, gid } => (
            vec![IdRange { inside: SCRIPT_ID, outside: uid, count: 1 }],
            vec![IdRange { inside: SCRIPT_ID, outside: gid, count: 1 }],
            SCRIPT_ID,
        ),
    };
    Plan {
        cgroup: cgroup.and_then(Path::to_str).unwrap_or_default().to_owned(),
        uids,
        gids,
        setgroups: matches!(ids, Ids::Own { .. }),
        agent_id,
        script_id: SCRIPT_ID,
        hostname: "sandbox".to_owned(),
        root_bytes: 1 << 20,
        root_inodes: 4096,
        entries: entries(limits, host, tree),
    }
}

fn entries(limits: &Limits, host: &Host, tree: Tree<'_>) -> Vec<Entry> {
    let mut entries = match tree.root {
        Root::Host { more } => host_entries(host, more),
        Root::Folder(path) => folder_entries(path, tree.has_etc),
    };
    entries.extend(tree.layer.and_then(layer_entry));
    entries.extend(settings());
    for name in ["/proc", "/dev", "/tmp", "/work", "/scripts", "/run"] {
        entries.push(Entry::Folder { path: name.to_owned(), mode: 0o755 });
    }
    entries.extend(devices(limits));
    let files = u64::from(limits.files);
    let memory = |path: &str, bytes: u64, inodes: u64, mode: u32, script: bool| Entry::Memory {
        path: path.to_owned(),
        bytes,
        inodes,
        mode,
        script,
    };
    entries.push(memory("/tmp", limits.tmp_bytes, files, 0o1777, true));
    entries.push(memory("/work", limits.work_bytes, files, 0o755, true));
    entries.push(memory("/scripts", SCRIPTS_BYTES, SCRIPTS_FILES, 0o755, false));
    entries.push(Entry::Processes { path: "/proc".to_owned() });
    entries
}

fn host_entries(host: &Host, more: &[std::path::PathBuf]) -> Vec<Entry> {
    let bind = |path: &str, optional: bool| Entry::Bind { source: path.to_owned(), path: path.to_owned(), optional };
    let mut entries = vec![bind("/usr", false)];
    entries.extend(HOST_PATHS.iter().map(|it| bind(it, true)));
    entries.extend(host.toolchain_settings.iter().map(|it| bind(&format!("/etc/{it}"), true)));
    entries.extend(more.iter().filter_map(|it| it.to_str()).map(|it| bind(it, false)));
    entries
}

/// A layer whose path is not text was refused before.
fn layer_entry(layer: &LayerMount) -> Option<Entry> {
    let source = layer.source.to_str()?.to_owned();
    Some(Entry::Bind { source, path: layer.at.clone(), optional: false })
}

fn folder_entries(root: &Path, has_etc: bool) -> Vec<Entry> {
    let root = root.to_str().unwrap_or_default().trim_end_matches('/').to_owned();
    let owned = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect::<Vec<String>>();
    let mut except = owned(&OWN_FOLDERS);
    except.push("etc".to_owned());
    let settings = format!("{root}/etc");
    let mut entries = vec![Entry::Children { source: root, path: "/".to_owned(), except }];
    if has_etc {
        let mut except = owned(&OWN_SETTINGS);
        except.extend(owned(&WITHHELD_SETTINGS));
        entries.push(Entry::Children { source: settings, path: "/etc".to_owned(), except });
    }
    entries
}

fn settings() -> Vec<Entry> {
    let file = |name: &str, contents: &str| Entry::File {
        path: format!("/etc/{name}"),
        contents: contents.as_bytes().to_vec(),
    };
    vec![
        file(
            "passwd",
            "root:x:0:0:root:/:/bin/sh\nscript:x:1000:1000:script:/work:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
        ),
        file("group", "root:x:0:\nscript:x:1000:\nnogroup:x:65534:\n"),
        file("hosts", "127.0.0.1 localhost sandbox\n::1 localhost\n"),
        file("hostname", "sandbox\n"),
        file("resolv.conf", "nameserver 127.0.0.1\n"),
        file("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"),
    ]
}

fn devices(limits: &Limits) -> Vec<Entry> {
    let text = str::to_owned;
    let mut entries =
        vec![Entry::Memory { path: text("/dev"), bytes: 64 << 10, inodes: 64, mode: 0o755, script: false }];
    entries.extend(DEVICES.iter().map(|it| Entry::Device { name: text(it) }));
    for (name, target) in [("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")] {
        entries.push(Entry::Link { path: format!("/dev/{name}"), target: format!("/proc/self/fd{target}") });
    }
    for name in ["/dev/shm", "/dev/mqueue"] {
        entries.push(Entry::Folder { path: text(name), mode: 0o755 });
    }
    entries.push(Entry::Memory {
        path: text("/dev/shm"),
        bytes: limits.tmp_bytes,
        inodes: u64::from(limits.files),
        mode: 0o1777,
        script: true,
    });
    entries.push(Entry::Queues { path: text("/dev/mqueue") });
    entries.push(Entry::Seal { path: text("/dev") });
    entries
}

#[cfg(test)]
mod tests;
