//! Engines that are put together of what comes with them: a backend, the languages, everything else in memory.

#[cfg(feature = "sandbox")]
use std::path::PathBuf;
use std::sync::Arc;

use script_engine_core::contract::{IdSource, RuntimeManager};
use script_engine_core::executor::PooledExecutor;
use script_engine_core::memory::UuidIds;
use script_engine_core::sandbox::SessionSettings;
use script_engine_core::{Engine, EngineBuilder, OwnerId, Result};

/// Starts building an engine on the Linux sandbox, with all languages of this build.
///
/// `state_dir` is a folder of the host program's own, in which the sandbox keeps what it needs to
/// clean up after engines that died; it is made if it is not there. Fails with `Unsupported` that says
/// what stands in the way if this machine can't make a sandbox as strict as promised.
#[cfg(feature = "sandbox")]
pub async fn local(state_dir: impl Into<PathBuf>) -> Result<EngineBuilder> {
    local_with(script_engine_sandbox::Config::new(state_dir)).await
}

/// Starts building an engine on the Linux sandbox with settings of the host's own. See [`local`].
#[cfg(feature = "sandbox")]
pub async fn local_with(config: script_engine_sandbox::Config) -> Result<EngineBuilder> {
    let owner = fresh_owner();
    on(script_engine_sandbox::Manager::open(config, owner)?, owner).await
}

/// Starts building an engine on containers of a Docker Engine, with all languages of this build.
///
/// Fails with `Unavailable` if the daemon can't be reached, with `Unsupported` that says what stands in the
/// way if its containers are not as strict as promised.
#[cfg(feature = "docker")]
pub async fn docker_with(config: script_engine_docker::Config) -> Result<EngineBuilder> {
    let owner = fresh_owner();
    on(script_engine_docker::Manager::open(config, owner)?, owner).await
}

fn fresh_owner() -> OwnerId {
    OwnerId::from_bits(UuidIds.fresh())
}

async fn on(manager: impl RuntimeManager, owner: OwnerId) -> Result<EngineBuilder> {
    let executor = PooledExecutor::new(Arc::new(manager), SessionSettings::default()).await?;
    let builder = Engine::builder(Arc::new(executor)).with_owner(owner);
    Ok(script_engine_languages::builtin().into_iter().fold(builder, EngineBuilder::with_language))
}
