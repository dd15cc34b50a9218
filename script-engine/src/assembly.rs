//! Engines that are put together of what comes with them: a backend, the languages, everything else in memory.

use std::path::{Path, PathBuf};
use std::sync::Arc;

#[cfg(feature = "docker")]
use crate::sources;
use script_engine_core::cache::{DiskCache, TieredCache};
use script_engine_core::contract::{IdSource, RuntimeManager, ScriptExecutor};
use script_engine_core::executor::PooledExecutor;
use script_engine_core::memory::{MemoryCache, SystemClock, UuidIds};
use script_engine_core::sandbox::SessionSettings;
use script_engine_core::{Engine, EngineBuilder, OwnerId, Result};
use script_engine_languages::packages::{self, PackageSettings, PackageSources, SandboxedResolver};

/// Bytes of compiled forms that are kept on disk.
const COMPILED_BYTES: u64 = 2 << 30;

/// Starts building an engine on the Linux sandbox, with all languages of this build.
///
/// `state_dir` is a folder of the host program's own, in which the sandbox keeps what it needs to
/// clean up after engines that died, and in which packages are kept; it is made if it is not there. A folder
/// `roots/<language>` in it is the root file system of that language's sandboxes, in place of the host's
/// programs. Packages come from where this machine's own tools (pip, npm, go, Maven, NuGet, apt) are set up to get them
/// ([`PackageSources::of_this_machine`]). Fails with `Unsupported` that says what stands in the way if this machine
/// can't make a sandbox as strict as promised.
#[cfg(feature = "sandbox")]
pub async fn local(state_dir: impl Into<PathBuf>) -> Result<EngineBuilder> {
    let config = script_engine_sandbox::Config::new(state_dir);
    let sources = PackageSources::of_this_machine();
    let packages = PackageSettings { sources, ..PackageSettings::new(packages::folder_below(&config.state_dir)) };
    let roots = config.state_dir.join("roots");
    local_with(config.with_roots_in(&roots), packages).await
}

/// Starts building an engine on the Linux sandbox with settings of the host's own. See [`local`].
#[cfg(feature = "sandbox")]
pub async fn local_with(config: script_engine_sandbox::Config, packages: PackageSettings) -> Result<EngineBuilder> {
    let (owner, compiled) = (fresh_owner(), compiled(&config.state_dir));
    on(script_engine_sandbox::Manager::open(config, owner)?, owner, compiled, packages).await
}

/// Starts building an engine on containers of a Docker Engine, with all languages of this build.
///
/// Fails with `Unavailable` if the daemon can't be reached, with `Unsupported` that says what stands in the
/// way if its containers are not as strict as promised.
///
/// What `config.build` says of mirrors, proxy, certificates and network goes before what `packages` says.
#[cfg(feature = "docker")]
pub async fn docker_with(config: script_engine_docker::Config, packages: PackageSettings) -> Result<EngineBuilder> {
    config.validate()?;
    let sources = sources::built_from(&config.build, packages.sources)?;
    // Layers become images.
    let packages = PackageSettings { sources, finished_in_place: false, ..packages };
    let (owner, compiled) = (fresh_owner(), compiled(&config.state_dir));
    on(script_engine_docker::Manager::open(config, owner)?, owner, compiled, packages).await
}

fn fresh_owner() -> OwnerId {
    OwnerId::from_bits(UuidIds.fresh())
}

/// The folder of compiled forms below a state folder.
fn compiled(state_dir: &Path) -> PathBuf {
    state_dir.join("compiled")
}

async fn on(
    manager: impl RuntimeManager,
    owner: OwnerId,
    compiled: PathBuf,
    packages: PackageSettings,
) -> Result<EngineBuilder> {
    let executor = Arc::new(PooledExecutor::new(Arc::new(manager), SessionSettings::default()).await?);
    let steps: Arc<dyn ScriptExecutor> = Arc::<PooledExecutor>::clone(&executor);
    let resolver = SandboxedResolver::new(steps, packages::ecosystems(), Arc::new(SystemClock), packages);
    let near = Arc::new(MemoryCache::default());
    let cache = TieredCache::new(vec![near, Arc::new(DiskCache::open(compiled, COMPILED_BYTES)?)]);
    let builder = Engine::builder(executor)
        .with_owner(owner)
        .with_dependency_resolver(Arc::new(resolver))
        .with_compiled_cache(Arc::new(cache));
    Ok(script_engine_languages::builtin().into_iter().fold(builder, EngineBuilder::with_language))
}
