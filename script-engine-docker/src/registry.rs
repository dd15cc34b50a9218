//! Registries: names of images, pulls and pushes with how far they are.

use std::collections::HashMap;

use bollard::models::ProgressDetail;
use bollard::query_parameters::{CreateImageOptionsBuilder, PushImageOptionsBuilder, TagImageOptionsBuilder};
use futures_util::StreamExt as _;
use script_engine_core::contract::{Progress, Unit};

use crate::config::Config;
use crate::daemon::Daemon;
use crate::error::DockerError;
use crate::login;

/// The registry of names without one.
pub(crate) const HUB: &str = "docker.io";

/// Pulls an image, and tells how far that is.
pub(crate) async fn pull(
    daemon: &Daemon,
    config: &Config,
    name: &str,
    progress: &dyn Progress,
) -> Result<(), DockerError> {
    const ACTION: &str = "pull an image";
    let (repository, tag) = split(name);
    let options = CreateImageOptionsBuilder::default().from_image(repository).tag(tag).build();
    let api = daemon.api().await?;
    let step = format!("pull {name}");
    let mut layers = Layers::default();
    let mut pulled = std::pin::pin!(api.create_image(
        Some(options),
        None,
        login::find(config, registry(name), daemon.within()).await?
    ));
    // What takes long is told of; what tells nothing any more has failed.
    while let Some(told) = daemon.call(ACTION, async { Ok(pulled.next().await) }).await? {
        let told = told.map_err(DockerError::api(ACTION, daemon.within()))?;
        layers.take(told.id.as_deref(), told.progress_detail.as_ref());
        layers.report(&step, progress);
    }
    Ok(())
}

/// Gives an image of the daemon a further name, and pushes it by that.
pub(crate) async fn push(
    daemon: &Daemon,
    config: &Config,
    id: &str,
    name: &str,
    progress: &dyn Progress,
) -> Result<(), DockerError> {
    const ACTION: &str = "push an image";
    tag(daemon, id, name).await?;
    let (repository, label) = split(name);
    let options = PushImageOptionsBuilder::default().tag(label).build();
    let api = daemon.api().await?;
    let step = format!("push {name}");
    let mut layers = Layers::default();
    let mut pushed = std::pin::pin!(api.push_image(
        repository,
        Some(options),
        login::find(config, registry(name), daemon.within()).await?
    ));
    while let Some(told) = daemon.call(ACTION, async { Ok(pushed.next().await) }).await? {
        let told = told.map_err(DockerError::api(ACTION, daemon.within()))?;
        // Of a push the daemon's client is not told which layer it is about: they are known by their sizes.
        let layer = told.progress_detail.as_ref().and_then(|it| it.total).map(|it| it.to_string());
        layers.take(layer.as_deref(), told.progress_detail.as_ref());
        layers.report(&step, progress);
    }
    Ok(())
}

/// Gives an image of the daemon a further name.
pub(crate) async fn tag(daemon: &Daemon, id: &str, name: &str) -> Result<(), DockerError> {
    let (repository, tag) = split(name);
    let options = TagImageOptionsBuilder::default().repo(repository).tag(tag).build();
    let api = daemon.api().await?;
    daemon.call("name an image", api.tag_image(id, Some(options))).await
}

/// A name without its tag or digest, and that; `latest` if there is none.
fn split(name: &str) -> (&str, &str) {
    if let Some((repository, digest)) = name.split_once('@') {
        return (repository, digest);
    }
    match name.rsplit_once(':') {
        // A colon before a slash is that of a port.
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (name, "latest"),
    }
}

/// The registry that a name means.
fn registry(name: &str) -> &str {
    match name.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first,
        _ => HUB,
    }
}

/// How far each layer is, in bytes.
#[derive(Debug, Default)]
struct Layers(HashMap<String, (u64, u64)>);

impl Layers {
    fn take(&mut self, layer: Option<&str>, detail: Option<&ProgressDetail>) {
        /// Layers of one image that are heeded.
        const MOST: usize = 1024;
        let (Some(layer), Some(detail)) = (layer, detail) else { return };
        let number = |it: Option<i64>| it.and_then(|it| u64::try_from(it).ok()).unwrap_or(0);
        if number(detail.total) > 0 && (self.0.len() < MOST || self.0.contains_key(layer)) {
            self.0.insert(layer.to_owned(), (number(detail.current), number(detail.total)));
        }
    }

    fn sum(&self) -> (u64, Option<u64>) {
        let sum = self.0.values().fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
        (sum.0, Some(sum.1).filter(|it| *it > 0))
    }

    fn report(&self, step: &str, progress: &dyn Progress) {
        let (done, total) = self.sum();
        progress.report(step, done, total, Unit::Bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_split_as_registries_do() {
        for (name, expected, at) in [
            ("python:3.12-slim", ("python", "3.12-slim"), HUB),
            ("python", ("python", "latest"), HUB),
            ("library/python", ("library/python", "latest"), HUB),
            ("localhost:5000/a/b", ("localhost:5000/a/b", "latest"), "localhost:5000"),
            ("localhost:5000/a/b:c", ("localhost:5000/a/b", "c"), "localhost:5000"),
            ("r.example/a@sha256:00", ("r.example/a", "sha256:00"), "r.example"),
        ] {
            assert_eq!(split(name), expected);
            assert_eq!(registry(name), at);
        }
    }

    #[test]
    fn progress_is_the_sum_of_the_layers() {
        let told = |current, total| ProgressDetail { current: Some(current), total: Some(total) };
        let mut layers = Layers::default();
        assert_eq!(layers.sum(), (0, None));
        for (layer, current, total) in [("a", 5, 10), ("b", 1, 20), ("a", 10, 10), ("c", -1, -1)] {
            layers.take(Some(layer), Some(&told(current, total)));
        }
        layers.take(None, Some(&told(7, 7)));
        assert_eq!(layers.sum(), (11, Some(30)));
    }
}
