//! How a script finds itself: facts that a child gathers which came the same way as a script. What
//! they should be is the engine's to know; here is only looked.
//!
//! | fact | value |
//! |---|---|
//! | `uid`, `gid` | one number, or real, effective and saved if they differ |
//! | `groups` | supplementary groups, separated by spaces |
//! | `cap_inh`, `cap_prm`, `cap_eff`, `cap_bnd`, `cap_amb` | sixteen hexadecimal digits |
//! | `no_new_privs`, `seccomp`, `seccomp_filters` | numbers, as in `/proc/self/status` |
//! | `landlock` | `enforced`, `absent`, or `unknown` where nothing could be tried |
//! | `descriptors` | what a program would find open |
//! | `nofile`, `nproc`, `fsize`, `core` | soft limits: a number or `unlimited` |
//! | `mounts` | a line each: mount point, type, `ro` or `rw`, further options |
//! | `interfaces`, `routes` | names of network interfaces; interfaces that routes lead out by |
//! | `hostname`, `pid`, `ppid` | as they say |
//! | `proc_pids` | processes that /proc shows |
//! | `writable` | folders in which a file could be made |
//! | `agent_memory` | `open` if the memory of the script's parent or of process 1 could be opened, else `closed` |
//!
//! A fact that cannot be told, for example where there is no /proc, is left out.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::AsRawFd as _;

use crate::serve::Config;
use crate::sys::file::{self, O_CREAT, O_DIRECTORY, O_EXCL, O_PATH, O_RDWR, O_WRONLY};
use crate::sys::{Errno, identity, process};

/// Folders in which making a file is tried.
const FOLDERS: [&[u8]; 14] = [
    b"/",
    b"/dev",
    b"/dev/mqueue",
    b"/dev/shm",
    b"/etc",
    b"/home",
    b"/opt",
    b"/proc",
    b"/root",
    b"/run",
    b"/sys",
    b"/usr",
    b"/var",
    b"/var/tmp",
];
/// Bytes of one fact that are told.
const MAX_FACT: usize = 16 * 1024;

/// Tells the facts on standard output, and ends.
pub fn tell(config: &Config) -> ! {
    let mut text = Vec::new();
    for (name, mut value) in gather(config) {
        let mut end = value.len().min(MAX_FACT);
        while !value.is_char_boundary(end) {
            end -= 1;
        }
        value.truncate(end);
        text.extend_from_slice(name.as_bytes());
        text.push(0);
        text.extend_from_slice(value.replace('\0', "?").as_bytes());
        text.push(0);
    }
    process::exit(i32::from(file::write_all(1, &text).is_err()))
}

/// Reads what [`tell`] told.
pub fn read(told: &[u8]) -> Vec<(String, String)> {
    let texts: Vec<String> = told.split(|it| *it == 0).map(|it| String::from_utf8_lossy(it).into_owned()).collect();
    texts.chunks_exact(2).map(|it| (it[0].clone(), it[1].clone())).collect()
}

fn gather(config: &Config) -> BTreeMap<&'static str, String> {
    let mut facts = BTreeMap::new();
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let value = status.lines().find_map(|it| it.strip_prefix(name)?.strip_prefix(':'))?;
        Some(value.split_ascii_whitespace().collect::<Vec<_>>().join(" "))
    };
    facts.insert("uid", ids(identity::user_ids()));
    facts.insert("gid", ids(identity::group_ids()));
    facts.extend(identity::groups().ok().map(|it| ("groups", words(it))));
    let copied = [
        ("cap_inh", "CapInh"),
        ("cap_prm", "CapPrm"),
        ("cap_eff", "CapEff"),
        ("cap_bnd", "CapBnd"),
        ("cap_amb", "CapAmb"),
        ("no_new_privs", "NoNewPrivs"),
        ("seccomp", "Seccomp"),
        ("seccomp_filters", "Seccomp_filters"),
    ];
    facts.extend(copied.iter().filter_map(|(name, from)| Some((*name, field(from)?))));
    facts.insert("landlock", landlock(config).to_owned());
    facts.insert("descriptors", words(descriptors()));
    let limits = [
        ("nofile", process::RLIMIT_NOFILE),
        ("nproc", process::RLIMIT_NPROC),
        ("fsize", process::RLIMIT_FSIZE),
        ("core", process::RLIMIT_CORE),
    ];
    facts.extend(limits.iter().filter_map(|(name, resource)| Some((*name, limit(process::limit_of(*resource).ok()?)))));
    facts.extend(mounts().map(|it| ("mounts", it)));
    facts.extend(interfaces().map(|it| ("interfaces", it)));
    facts.extend(routes().map(|it| ("routes", it)));
    facts.extend(fs::read_to_string("/proc/sys/kernel/hostname").ok().map(|it| ("hostname", it.trim().to_owned())));
    facts.insert("pid", process::id().to_string());
    facts.insert("ppid", process::parent_id().to_string());
    facts.extend(pids().map(|it| ("proc_pids", words(it))));
    facts.insert("writable", writable(config));
    facts.insert("agent_memory", agent_memory().to_owned());
    facts
}

fn ids(ids: [u32; 3]) -> String {
    if ids.iter().all(|it| *it == ids[0]) { ids[0].to_string() } else { words(ids) }
}

fn words<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|it| it.to_string()).collect::<Vec<_>>().join(" ")
}

fn limit(value: u64) -> String {
    if value == u64::MAX { "unlimited".to_owned() } else { value.to_string() }
}

/// Making a device is refused by landlock before it is refused for lack of the capability, with
/// another error.
fn landlock(config: &Config) -> &'static str {
    match file::make_device(&config.work_dir, b".posture") {
        Err(Errno::EACCES) => "enforced",
        Err(Errno::EPERM) | Ok(()) => "absent",
        Err(_) => "unknown",
    }
}

fn descriptors() -> Vec<i32> {
    let limit = process::limit_of(process::RLIMIT_NOFILE).unwrap_or(1024).min(65536);
    (0..limit as i32).filter(|it| file::survives_exec(*it)).collect()
}

fn mounts() -> Option<String> {
    let text = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let line = |it: &str| {
        // `man 5 proc`: mount point and options are the fifth and sixth field, the type follows a dash.
        let (mount, file_system) = it.split_once(" - ")?;
        let mut fields = mount.split(' ').skip(4);
        let (point, options) = (fields.next()?, fields.next()?);
        let (kind, rest) = file_system.split_once(' ')?;
        let whole_is_read_only = rest.rsplit(' ').next()?.split(',').any(|it| it == "ro");
        let mut options: Vec<&str> = options.split(',').filter(|it| !it.contains("time")).collect();
        if whole_is_read_only && let Some(first) = options.first_mut() {
            *first = "ro";
        }
        Some(format!("{point} {kind} {}", options.join(",")))
    };
    Some(text.lines().filter_map(line).collect::<Vec<_>>().join("\n"))
}

fn interfaces() -> Option<String> {
    let text = fs::read_to_string("/proc/self/net/dev").ok()?;
    Some(words(text.lines().filter_map(|it| it.split_once(':')).map(|(name, _)| name.trim())))
}

fn routes() -> Option<String> {
    let v4 = fs::read_to_string("/proc/self/net/route").ok()?;
    let v6 = fs::read_to_string("/proc/self/net/ipv6_route").unwrap_or_default();
    let mut names: Vec<&str> = v4.lines().skip(1).filter_map(|it| it.split_ascii_whitespace().next()).collect();
    // Loopback has routes without being asked, and they lead nowhere else.
    names.extend(v6.lines().filter_map(|it| it.split_ascii_whitespace().last()).filter(|it| *it != "lo"));
    names.sort_unstable();
    names.dedup();
    Some(names.join(" "))
}

fn pids() -> Option<Vec<i32>> {
    let mut pids: Vec<i32> =
        fs::read_dir("/proc").ok()?.filter_map(|it| it.ok()?.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    Some(pids)
}

fn writable(config: &Config) -> String {
    let own = [&config.scripts_dir, &config.work_dir, &config.tmp_dir];
    let mut folders: Vec<&[u8]> = FOLDERS.iter().copied().chain(own.iter().map(|it| it.as_slice())).collect();
    folders.sort_unstable();
    let name = format!(".posture-{}", process::id());
    folders.retain(|it| {
        let Ok(folder) = file::open(it, O_PATH | O_DIRECTORY, 0) else { return false };
        let made = file::open_at(folder.as_raw_fd(), name.as_bytes(), O_WRONLY | O_CREAT | O_EXCL, 0o600);
        // What stays behind is found by the next reset.
        let _ = made.is_ok().then(|| file::remove(folder.as_raw_fd(), name.as_bytes(), false));
        made.is_ok()
    });
    folders.iter().map(|it| String::from_utf8_lossy(it).into_owned()).collect::<Vec<_>>().join(" ")
}

fn agent_memory() -> &'static str {
    let opens = |pid: i32| file::open(format!("/proc/{pid}/mem").as_bytes(), O_RDWR, 0).is_ok();
    let parent = process::parent_id();
    if opens(1) || (parent > 0 && opens(parent)) { "open" } else { "closed" }
}
