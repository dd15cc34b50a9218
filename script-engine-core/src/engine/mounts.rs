//! A version with its arguments for a container of somebody else's: checked as at submit, compiled as before a run,
//! and not run.

use std::sync::atomic::Ordering;

use super::components::Components;
use super::save::refused;
use crate::contract::Action;
use crate::mounts::{MountRequest, Mounts, Parts};
use crate::packages::LayerUse;
use crate::parameters::{self, Bound, Delivery};
use crate::{Cancel, Error, ErrorKind, Problem, Result, ScriptVersion};

impl Components {
    pub(super) async fn mounts(&self, request: MountRequest) -> Result<Mounts> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::new(ErrorKind::Closed, "the engine is shutting down; build a new one"));
        }
        let version = self.registry.resolve(&request.identity, &request.script, &request.selector).await?;
        self.access.check(&request.identity, &version.tenant, Action::Execute(&version.name)).await?;
        let manifest = &version.manifest;
        let language = std::sync::Arc::clone(self.language(&manifest.language)?);
        let (bound, _) = self.bind(&version, request.parameters).map_err(Error::invalid_all)?;
        let (shown, left_out) = bound.without_secrets();
        let delivery = parameters::deliver(&shown).map_err(Error::invalid_all)?;
        let never = Cancel::never();
        let executor = self.step_executor()?;
        let (compiled, toolchain) = self.compiled(executor, &language, manifest, &never).await?;
        let compiled = compiled.map_err(|found| refused(&found))?;
        let layer = match compiled.with_packages {
            true => self.layer(language.as_ref(), &toolchain, manifest, LayerUse::Run, None).await?,
            false => None,
        };
        let info = language.info();
        let own = info.env.iter().chain(&compiled.env).cloned();
        let parts = Parts {
            image: request.image.unwrap_or_else(|| info.image.clone()),
            command: compiled.argv,
            env: own.chain(texts(delivery.env)?).collect(),
            secret_variables: left_out.iter().map(|it| parameters::variable_of(it)).collect(),
            files: compiled.files,
            args_json: delivery.args_json,
            layer: layer.map(|it| (it, info.packages_dir.clone())),
        };
        Mounts::new(version.name.as_str(), &version.number.to_string(), parts)
    }

    /// Parameters against a version's schema, and the form in which its script gets them.
    pub(super) fn bind(
        &self,
        version: &ScriptVersion,
        given: serde_json::Map<String, serde_json::Value>,
    ) -> Result<(Bound, Delivery), Vec<Problem>> {
        let schema = match &version.manifest.parameter_schema {
            None => None,
            Some(document) => Some(self.schemas.compiled(version.id, document)?),
        };
        let bound = parameters::bind(schema.as_deref(), given)?;
        let delivery = parameters::deliver(&bound)?;
        Ok((bound, delivery))
    }
}

/// Variables of parameters, which came of JSON and so are text.
fn texts(env: Vec<(String, Vec<u8>)>) -> Result<Vec<(String, String)>> {
    let text = |(name, value): (String, Vec<u8>)| {
        let value = String::from_utf8(value);
        value.map(|it| (name, it)).map_err(|error| Error::internal("a parameter is no text").with_source(error))
    };
    env.into_iter().map(text).collect()
}
