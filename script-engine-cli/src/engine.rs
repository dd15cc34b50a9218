//! Builds the engine that the commands use.

use std::env;
use std::path::PathBuf;

use script_engine::sandbox_linux::{Config, Isolation};
use script_engine::{EgressSettings, Engine, Open, Result, Settings, local_with};

use crate::arguments::Backend;

/// The state folder: the one that was given, else the data directory of the user.
pub(crate) fn state_dir(given: Option<PathBuf>) -> PathBuf {
    let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|it| it.is_absolute());
    given
        .or_else(|| absolute("XDG_DATA_HOME").map(|it| it.join("script-engine")))
        .or_else(|| absolute("HOME").map(|it| it.join(".local/share/script-engine")))
        .unwrap_or_else(|| PathBuf::from("/var/lib/script-engine"))
}

/// The backend's settings.
pub(crate) fn config(backend: Backend, state: Option<PathBuf>) -> Config {
    let mut config = Config::new(state_dir(state));
    // One execution needs one launcher; none is kept for another.
    config.spare_launchers = 0;
    if backend == Backend::Process {
        config.name = "process".to_owned();
        config.isolation = Isolation::Process;
    }
    config
}

/// Builds the engine.
pub(crate) async fn build(backend: Backend, state: Option<PathBuf>) -> Result<Engine> {
    local_with(config(backend, state)).await?.with_settings(settings()).build().await
}

/// The user of this program is its operator: an address that he names himself may be one of his own network. A name
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
    Settings { egress, ..Settings::default() }
}
