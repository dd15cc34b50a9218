//! The `process` isolation: no namespaces and no root of its own, but a folder per sandbox, seccomp,
//! landlock and limits. An explicit choice of hosts that may have nothing better.

use std::ffi::OsString;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use script_engine_core::contract::{Filter, SandboxPaths};
use script_engine_core::wire::LandlockRule;

use crate::config::{Config, Root};
use crate::host::Host;
use crate::plan::{HOST_PATHS, Ids};

/// Settings that a sandbox with a root of its own has in a generated form. None of them is secret.
const PROCESS_SETTINGS: [&str; 4] = ["/etc/group", "/etc/hosts", "/etc/nsswitch.conf", "/etc/passwd"];

/// Where the sandbox's folders are.
pub(crate) fn paths(folder: &Path) -> SandboxPaths {
    let below = |name: &str| folder.join(name).to_string_lossy().into_owned();
    SandboxPaths { scripts: below("scripts"), work: below("work"), tmp: below("tmp") }
}

/// What scripts may read: the host's programs and what belongs to them, and the process table, in which
/// landlock hides what is not theirs.
pub(crate) fn readable(config: &Config, host: &Host) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = ["/usr", "/proc"].into_iter().chain(HOST_PATHS).map(PathBuf::from).collect();
    paths.extend(PROCESS_SETTINGS.iter().map(PathBuf::from));
    paths.extend(host.toolchain_settings.iter().map(|it| Path::new("/etc").join(it)));
    for root in config.roots.values().chain([&config.root]) {
        if let Root::Host { more } = root {
            paths.extend(more.iter().cloned());
        }
    }
    paths.push(SandboxPaths::default().scripts.into());
    paths
}

/// What scripts may write; [`relocate`] puts the sandbox's own folders there.
pub(crate) fn writable() -> [PathBuf; 2] {
    let SandboxPaths { work, tmp, .. } = SandboxPaths::default();
    [work.into(), tmp.into()]
}

/// Who scripts run as: an id of their own, or `None` for the host program's.
pub(crate) fn script_id(ids: Ids) -> Option<u32> {
    match ids {
        Ids::Own { base } => Some(base + 1),
        Ids::Shared { .. } => None,
    }
}

/// What the agent is started with.
pub(crate) fn arguments(folder: &Path, ids: Ids) -> Vec<OsString> {
    let mut arguments = vec!["serve".into(), "--folder".into(), folder.into()];
    if let Some(id) = script_id(ids) {
        arguments.extend(["--script-uid".into(), format!("{id}:{id}").into()]);
    }
    arguments.push("--owner".into());
    arguments
}

/// Makes the sandbox's folders. Nothing of a script is in them yet.
pub(crate) fn make_folders(folder: &Path, ids: Ids) -> io::Result<()> {
    // Others may pass through, by name, but not look around.
    let mode = if script_id(ids).is_some() { 0o711 } else { 0o700 };
    DirBuilder::new().recursive(true).mode(mode).create(folder)?;
    for name in ["scripts", "work", "tmp"] {
        let path = folder.join(name);
        DirBuilder::new().mode(0o755).create(&path)?;
        if let (Some(id), "work" | "tmp") = (script_id(ids), name) {
            std::os::unix::fs::chown(&path, Some(id), Some(id))?;
        }
    }
    Ok(())
}

/// The profile's filter with the sandbox's own folders where the usual ones are named.
pub(crate) fn relocate(filter: &Filter, paths: &SandboxPaths) -> Filter {
    let usual = SandboxPaths::default();
    let moves = [(&usual.scripts, &paths.scripts), (&usual.work, &paths.work), (&usual.tmp, &paths.tmp)];
    let moved = |rule: &LandlockRule| {
        let to = moves.iter().find(|(from, _)| from.as_bytes() == rule.path);
        LandlockRule {
            path: to.map_or_else(|| rule.path.clone(), |(_, to)| to.as_bytes().to_vec()),
            access: rule.access,
        }
    };
    let mut filter = filter.clone();
    filter.landlock.rules = filter.landlock.rules.iter().map(moved).collect();
    filter
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_for_the_usual_folders_follow_them() {
        let rule = |path: &str| LandlockRule { path: path.into(), access: 1 };
        let mut filter = Filter::default();
        filter.landlock.rules = vec![rule("/usr"), rule("/work"), rule("/tmp")];
        let moved = relocate(&filter, &paths(Path::new("/state/7")));
        let found: Vec<&[u8]> = moved.landlock.rules.iter().map(|it| it.path.as_slice()).collect();
        assert_eq!(found, [&b"/usr"[..], b"/state/7/work", b"/state/7/tmp"]);
    }

    #[test]
    fn an_agent_is_told_its_folder_and_the_script_s_user() {
        let text = |ids: Ids| arguments(Path::new("/f"), ids).join(&OsString::from(" ")).into_string();
        assert_eq!(text(Ids::Own { base: 10 }), Ok("serve --folder /f --script-uid 11:11 --owner".into()));
        assert_eq!(text(Ids::Shared { uid: 1, gid: 1 }), Ok("serve --folder /f --owner".into()));
    }
}
