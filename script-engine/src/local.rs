//! The engine that needs nothing installed: the Linux sandbox, the languages, everything in memory.

use std::path::PathBuf;
use std::sync::Arc;

use script_engine_core::contract::IdSource;
use script_engine_core::executor::PooledExecutor;
use script_engine_core::memory::UuidIds;
use script_engine_core::sandbox::SessionSettings;
use script_engine_core::{Engine, EngineBuilder, OwnerId, Result};
use script_engine_sandbox::{Config, Manager};

/// Starts building an engine on the Linux sandbox, with all languages of this build.
///
/// `state_dir` is a folder of the host program's own, in which the sandbox keeps what it needs to
/// clean up after engines that died; it is made if it is not there. Fails with `Unsupported` that says
/// what stands in the way if this machine can't make a sandbox as strict as promised.
pub async fn local(state_dir: impl Into<PathBuf>) -> Result<EngineBuilder> {
    local_with(Config::new(state_dir)).await
}

/// Starts building an engine on the Linux sandbox with settings of the host's own. See [`local`].
pub async fn local_with(config: Config) -> Result<EngineBuilder> {
    let owner = OwnerId::from_bits(UuidIds.fresh());
    let manager = Manager::open(config, owner)?;
    let executor = PooledExecutor::new(Arc::new(manager), SessionSettings::default()).await?;
    let builder = Engine::builder(Arc::new(executor)).with_owner(owner);
    Ok(script_engine_languages::builtin().into_iter().fold(builder, EngineBuilder::with_language))
}
