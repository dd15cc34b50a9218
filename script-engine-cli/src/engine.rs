//! Builds the engine that the commands use.

use std::env;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use script_engine::languages::packages::{self, PackageSettings, PackageSources};
use script_engine::sandbox_linux::{self, Isolation, Root};
use script_engine::{EgressSettings, Engine, Open, Result, Settings, Targets, local_with};
#[cfg(feature = "docker")]
use script_engine::{Error, ErrorKind};

use crate::arguments::{Backend, EngineArguments};
#[cfg(feature = "docker")]
use crate::inputs;

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

/// The settings of the Docker backend: those of the file, if there is one. The daemon is where `DOCKER_HOST` says, and
/// logins are where the machine has them, as it is for other programs. The state folder is the program's.
#[cfg(feature = "docker")]
pub(crate) fn docker(arguments: &EngineArguments) -> Result<script_engine::docker::Config> {
    let mut config = match &arguments.docker_settings {
        Some(path) => {
            let read = inputs::read_json(path, "--docker-settings").and_then(|it| {
                serde_json::from_value(it).map_err(|error| format!("--docker-settings {}: {error}", path.display()))
            });
            read.map_err(|message| Error::new(ErrorKind::InvalidRequest, message))?
        }
        None => script_engine::docker::Config::default(),
    };
    config.state_dir = state_dir(arguments.state.clone());
    let said = |name: &str| env::var_os(name).filter(|it| !it.is_empty()).map(PathBuf::from);
    if let Some(endpoint) = said("DOCKER_HOST").and_then(|it| it.into_os_string().into_string().ok()) {
        config.endpoint = endpoint;
    }
    if config.docker_config.is_none() {
        let folder = said("DOCKER_CONFIG").or_else(|| said("HOME").map(|it| it.join(".docker")));
        config.docker_config = folder.map(|it| it.join("config.json"));
    }
    config.validate()?;
    Ok(config)
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
        Backend::Docker => script_engine::docker_with(docker(arguments)?, packages).await?,
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
