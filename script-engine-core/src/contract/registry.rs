//! What the engine asks to find a script. Hosts with scripts in tables of their own implement this.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::{Identity, Result, ScriptName, ScriptVersion, Selector};

/// Turns what a request names into the exact version to run.
#[async_trait]
pub trait ScriptRegistry: fmt::Debug + Send + Sync + 'static {
    /// Resolves a name and a selector for an identity.
    ///
    /// - [RG-01] A script or version that does not exist is `NotFound`.
    /// - [RG-02] A script that the identity may not see is `NotFound` too: its existence is not told.
    /// - [RG-03] The same selector gives another version only after a save or a move of a ref.
    async fn resolve(&self, identity: &Identity, name: &ScriptName, selector: &Selector) -> Result<Arc<ScriptVersion>>;
}
