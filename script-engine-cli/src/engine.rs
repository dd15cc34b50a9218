//! Builds the engine that the commands use.

use std::env;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use script_engine::languages::packages::{self, PackageSettings, PackageSources};
use script_engine::sandbox_linux::{self, Isolation, Root};
use script_engine::{EgressSettings, Engine, Open, Result, Settings, Targets, local_with};

use crate::arguments::{Backend, EngineArguments};

/// The state folder: the one that was given, else the data directory of the user. Sandboxes have to enter it for
/// their packages, which they can't where it is root's own.
pub(crate) fn state_dir(given: Option<PathBuf>) -> PathBuf {
    let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|it| it.is_absolute());
    // An agent without a root of its own is told the folder, and has another working folder.
    given
        .map(|it| std::path::absolute(&it).unwrap_or(it))
        .or_else(|| absolute("XDG_DATA_HOME").map(|it| it.join("script-engine")))
        .or_else(|| absolute("HOME").filter(|_| !is_root()).map(|it| it.join(".local/share/script-engine")))
        .unwrap_or_else(|| PathBuf::from("/var/lib/script-engine"))
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|it| it.uid() == 0)
}

/// The settings of the Linux backend, in one of its isolations.
pub(crate) fn linux(isolation: Isolation, arguments: &EngineArguments) -> sandbox_linux::Config {
    let mut config = sandbox_linux::Config::new(state_dir(arguments.state.clone()));
    // One execution needs one launcher; none is kept for another.
    config.spare_launchers = 0;
    if isolation == Isolation::Process {
        config.name = "process".to_owned();
        config.isolation = Isolation::Process;
    } else {
        let roots = config.state_dir.join("roots");
        config = config.with_roots_in(&roots);
    }
    let given = arguments.roots.iter().map(|(language, folder)| (language.clone(), Root::Folder(folder.into())));
    config.roots.extend(given);
    config
}

/// The settings of the Docker backend: the daemon is where `DOCKER_HOST` says, as it is for other programs.
#[cfg(feature = "docker")]
pub(crate) fn docker(state: Option<PathBuf>) -> script_engine::docker::Config {
    let mut config = script_engine::docker::Config::new(state_dir(state));
    if let Ok(endpoint) = env::var("DOCKER_HOST")
        && !endpoint.is_empty()
    {
        config.endpoint = endpoint;
    }
    config
}

/// Builds the engine. With `upgrade` the packages of scripts are looked up anew even where they are known.
pub(crate) async fn build(arguments: &EngineArguments, upgrade: bool) -> Result<Engine> {
    let folder = packages::folder_below(&state_dir(arguments.state.clone()));
    let sources = PackageSources::of_this_machine();
    let packages = PackageSettings { upgrade, sources, ..PackageSettings::new(folder) };
    let builder = match arguments.backend.unwrap_or_default() {
        Backend::Linux => local_with(linux(Isolation::Namespaces, arguments), packages).await?,
        Backend::Process => local_with(linux(Isolation::Process, arguments), packages).await?,
        #[cfg(feature = "docker")]
        Backend::Docker => script_engine::docker_with(docker(arguments.state.clone()), packages).await?,
    };
    builder.with_settings(settings()).build().await
}

/// The user of this program is its operator: he may run what he likes in his containers, and an address that he names himself may be one of his own network. A name
/// that resolves to one may not, for its owner is somebody else.
fn settings() -> Settings {
    let egress = EgressSettings {
        loopback: Open::Named,
        private: Open::Named,
        link_local: Open::Named,
        unique_local: Open::Named,
        shared: Open::Named,
        ..EgressSettings::default()
    };
    Settings { egress, targets: Targets::All, ..Settings::default() }
}
