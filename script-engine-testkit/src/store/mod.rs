//! Suites for stores and the small components beside them.

mod access;
mod artifacts;
mod cache;
mod dependencies;
mod events;
mod executions;
mod output;
mod registry;
mod sample;
mod scripts;
mod secrets;

pub use access::access_policy;
pub use artifacts::artifact_store;
pub use cache::{CacheBackend, Tamper, compiled_cache};
pub use dependencies::{ResolverBackend, dependency_resolver};
pub use events::event_sink;
pub use executions::execution_store;
pub use output::output_store;
pub use registry::{RegistryBackend, script_registry};
pub use scripts::script_store;
pub use secrets::{PutSecret, SecretsBackend, secret_provider};

use std::sync::Arc;

use crate::case::BoxFuture;
use script_engine_core::Result;

/// Makes a fresh, empty one of what a suite is about, for each case.
pub type Factory<T> = Arc<dyn Fn() -> BoxFuture<Result<Arc<T>>> + Send + Sync>;

/// Makes a factory of a function.
pub fn factory<T: ?Sized + 'static>(
    make: impl Fn() -> BoxFuture<Result<Arc<T>>> + Send + Sync + 'static,
) -> Factory<T> {
    Arc::new(make)
}

/// Makes a factory of a function that needs no waiting and can't fail.
pub fn made<T: ?Sized + Send + Sync + 'static>(make: impl Fn() -> Arc<T> + Send + Sync + 'static) -> Factory<T> {
    Arc::new(move || {
        let it = make();
        Box::pin(async move { Ok(it) })
    })
}
