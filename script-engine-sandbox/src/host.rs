//! What is so about the host program and its machine: read once, and then only passed on.

use std::fs;
use std::path::Path;

use crate::cgroup::Place;
use crate::cgroup::detect::Hierarchies;
use crate::config::{Cgroups, Config};

const CAP_SETGID: u32 = 6;
const CAP_SETUID: u32 = 7;

/// Facts that plans are made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    /// The effective user and group.
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Whether ids of `Config::id_range` can be given to sandboxes.
    pub(crate) may_map_ids: bool,
    /// Where cgroups are made.
    pub(crate) place: Place,
    /// Names below `/etc` that hold settings of toolchains.
    pub(crate) toolchain_settings: Vec<String>,
}

impl Host {
    /// Looks around. Makes the folders below which cgroups are made.
    pub(crate) fn examine(config: &Config) -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let (uid_map, gid_map) = (read("/proc/self/uid_map"), read("/proc/self/gid_map"));
        let capabilities = effective_capabilities(&read("/proc/self/status"));
        let has = |capability: u32| capabilities >> capability & 1 == 1;
        let (low, high) = config.id_range;
        Self {
            uid: nix::unistd::geteuid().as_raw(),
            gid: nix::unistd::getegid().as_raw(),
            may_map_ids: has(CAP_SETUID)
                && has(CAP_SETGID)
                && is_mapped(&uid_map, low, high)
                && is_mapped(&gid_map, low, high),
            place: place(config),
            toolchain_settings: toolchain_settings(Path::new("/etc")),
        }
    }
}

fn place(config: &Config) -> Place {
    let found = Hierarchies::of_this_process();
    match (&config.cgroups, found) {
        (Cgroups::Off, _) => Place::None("cgroups are switched off".to_owned()),
        (_, Err(error)) => Place::None(format!("the list of cgroup hierarchies can't be read: {error}")),
        (Cgroups::Auto { name }, Ok(found)) => found.place(name, None),
        (Cgroups::Delegated(path), Ok(found)) => found.place("", Some(path)),
    }
}

/// The settings that interpreters from a distribution keep outside of `/usr`.
fn toolchain_settings(etc: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(etc) else { return Vec::new() };
    let names = entries.filter_map(|it| it.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|it| it.starts_with("java-") || it.starts_with("python3")).collect();
    names.sort();
    names
}

/// Whether one line of an id map covers `low` up to before `high`.
fn is_mapped(map: &str, low: u32, high: u32) -> bool {
    map.lines().any(|line| {
        let mut fields = line.split_whitespace().map(str::parse::<u64>);
        match (fields.next(), fields.next(), fields.next()) {
            (Some(Ok(first)), Some(Ok(_)), Some(Ok(count))) => {
                first <= u64::from(low) && u64::from(high) <= first + count
            }
            _ => false,
        }
    })
}

fn effective_capabilities(status: &str) -> u64 {
    let value = status.lines().find_map(|it| it.strip_prefix("CapEff:"));
    value.and_then(|it| u64::from_str_radix(it.trim(), 16).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_mapped_only_as_a_whole() {
        let whole = "         0          0 4294967295\n";
        let container = "0 100000 65536\n";
        for (map, low, high, expected) in [
            (whole, 0x7000_0000, 0x7ffe_0000, true),
            (container, 0x7000_0000, 0x7ffe_0000, false),
            (container, 60_000, 65_536, true),
            (container, 60_000, 65_537, false),
            ("", 0, 1, false),
            ("nonsense\n", 0, 1, false),
        ] {
            assert_eq!(is_mapped(map, low, high), expected, "{map} {low} {high}");
        }
    }

    #[test]
    fn capabilities_are_read_from_the_status() {
        assert_eq!(effective_capabilities("Name:\tx\nCapEff:\t00000000000000c0\n"), 0xc0);
        assert_eq!(effective_capabilities(""), 0);
    }
}
