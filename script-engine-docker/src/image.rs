//! The image that a language's scripts run in: found on the daemon, else pulled, and from then on known by its
//! id, for a name may come to mean another image.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bollard::models::CreateImageInfo;
use bollard::query_parameters::CreateImageOptionsBuilder;
use bytes::Bytes;
use futures_util::StreamExt as _;
use script_engine_core::contract::Progress;
use script_engine_core::{Digest, RuntimeSpec};
use tokio::sync::OnceCell;

use crate::config::Config;
use crate::daemon::Daemon;
use crate::error::DockerError;
use crate::tar;

/// Runtimes that are remembered; more make the first be looked for again.
const REMEMBERED: usize = 1024;

/// An image that the daemon has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Image {
    /// By which it was found.
    pub(crate) name: String,
    /// What it is, as the daemon says: `sha256:` and a digest.
    pub(crate) id: String,
    /// The digest in it.
    pub(crate) digest: Option<Digest>,
    /// Folders for which it asks for volumes.
    pub(crate) volumes: Vec<String>,
}

/// The images that were looked for.
#[derive(Debug, Default)]
pub(crate) struct Images {
    known: Mutex<HashMap<RuntimeSpec, Arc<OnceCell<Arc<Image>>>>>,
}

impl Images {
    /// Gets the image of a runtime in place. Calls for one runtime at the same time do the work once.
    pub(crate) async fn provide(
        &self,
        daemon: &Daemon,
        config: &Config,
        spec: &RuntimeSpec,
        progress: &dyn Progress,
    ) -> Result<Arc<Image>, DockerError> {
        let cell = self.cell(spec);
        let image = cell.get_or_try_init(|| async { find(daemon, config, spec, progress).await.map(Arc::new) }).await?;
        Ok(Arc::clone(image))
    }

    fn cell(&self, spec: &RuntimeSpec) -> Arc<OnceCell<Arc<Image>>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED && !known.contains_key(spec) {
            known.clear();
        }
        Arc::clone(known.entry(spec.clone()).or_default())
    }

    /// Looks again for what was found to be gone.
    pub(crate) fn forget(&self, spec: &RuntimeSpec) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(spec);
    }
}

/// Where a language's image is looked for, in this order, and whether it may be pulled.
fn candidates(config: &Config, spec: &RuntimeSpec) -> Vec<(String, bool)> {
    if let Some(image) = config.images.get(&spec.language) {
        return vec![(image.clone(), true)];
    }
    let own = format!("{}-runtime/{}:base", config.image_prefix, spec.language);
    let named = Some(spec.image.clone()).filter(|it| !it.is_empty());
    [(own, false)].into_iter().chain(named.map(|it| (it, true))).collect()
}

async fn find(
    daemon: &Daemon,
    config: &Config,
    spec: &RuntimeSpec,
    progress: &dyn Progress,
) -> Result<Image, DockerError> {
    let candidates = candidates(config, spec);
    for (name, _) in &candidates {
        if let Some(image) = look(daemon, name, &spec.language).await? {
            return Ok(image);
        }
    }
    let mut refusals = Vec::new();
    for (name, _) in candidates.iter().filter(|(_, may_be_pulled)| *may_be_pulled) {
        match pull(daemon, name, progress).await {
            Ok(()) => match look(daemon, name, &spec.language).await? {
                Some(image) => return Ok(image),
                None => refusals.push("it was pulled and is not there".to_owned()),
            },
            Err(error) if error.is_unreachable() => return Err(error),
            Err(error) => refusals.push(error.to_string()),
        }
    }
    let (own, _) = candidates.first().cloned().unwrap_or_default();
    let tried = if refusals.is_empty() { "it names none to pull".to_owned() } else { refusals.join("; ") };
    Err(DockerError::Image {
        language: spec.language.clone(),
        image: candidates.last().map(|(name, _)| name.clone()).unwrap_or_default(),
        problem: format!("is not there: {tried}; load or pull one by hand, tag it {own}, or name another in `images`"),
    })
}

/// The id of an image with nothing in it, which is made if it is not there: the agent needs nothing.
pub(crate) async fn empty(daemon: &Daemon, config: &Config) -> Result<String, DockerError> {
    const ACTION: &str = "make an empty image";
    let (repository, tag) = (format!("{}-runtime/empty", config.image_prefix), "1");
    let name = format!("{repository}:{tag}");
    if let Some(image) = look(daemon, &name, "none").await? {
        return Ok(image.id);
    }
    let options = CreateImageOptionsBuilder::default().from_src("-").repo(&repository).tag(tag).build();
    let api = daemon.api().await?;
    let archive = bollard::body_full(Bytes::from(tar::empty()));
    let mut made = std::pin::pin!(api.create_image(Some(options), Some(archive), None));
    while let Some(told) = daemon.call(ACTION, async { Ok(made.next().await) }).await? {
        told.map_err(DockerError::api(ACTION, daemon.within()))?;
    }
    let image = look(daemon, &name, "none").await?;
    image.map(|it| it.id).ok_or_else(|| DockerError::Unsupported(format!("the Docker Engine does not keep {name}")))
}

/// What the daemon has under a name.
async fn look(daemon: &Daemon, name: &str, language: &str) -> Result<Option<Image>, DockerError> {
    let api = daemon.api().await?;
    let found = match daemon.call("look at an image", api.inspect_image(name)).await {
        Ok(found) => found,
        Err(error) if error.is_missing() => return Ok(None),
        Err(error) => return Err(error),
    };
    let problem = |problem: &str| DockerError::Image {
        language: language.to_owned(),
        image: name.to_owned(),
        problem: problem.to_owned(),
    };
    if found.os.as_deref().is_some_and(|it| !it.eq_ignore_ascii_case("linux")) {
        return Err(problem("is not one for Linux"));
    }
    let id = found.id.ok_or_else(|| problem("has no id, says the daemon"))?;
    let volumes = found.config.and_then(|it| it.volumes).unwrap_or_default();
    Ok(Some(Image {
        name: name.to_owned(),
        digest: id.strip_prefix("sha256:").and_then(|it| it.parse().ok()),
        id,
        volumes,
    }))
}

/// Pulls an image, and tells how far that is.
async fn pull(daemon: &Daemon, name: &str, progress: &dyn Progress) -> Result<(), DockerError> {
    const ACTION: &str = "pull an image";
    let (repository, tag) = split(name);
    let options = CreateImageOptionsBuilder::default().from_image(repository).tag(tag).build();
    let api = daemon.api().await?;
    let step = format!("pull {name}");
    let mut layers = Layers::default();
    let mut pulled = std::pin::pin!(api.create_image(Some(options), None, None));
    // What takes long is told of; what tells nothing any more has failed.
    while let Some(told) = daemon.call(ACTION, async { Ok(pulled.next().await) }).await? {
        let told = told.map_err(DockerError::api(ACTION, daemon.within()))?;
        layers.take(&told);
        let (done, total) = layers.sum();
        progress.report(&step, done, total);
    }
    Ok(())
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

/// How far each layer is, in bytes.
#[derive(Debug, Default)]
struct Layers(HashMap<String, (u64, u64)>);

impl Layers {
    fn take(&mut self, told: &CreateImageInfo) {
        /// Layers of one image that are heeded.
        const MOST: usize = 1024;
        let (Some(layer), Some(detail)) = (&told.id, &told.progress_detail) else { return };
        let number = |it: Option<i64>| it.and_then(|it| u64::try_from(it).ok()).unwrap_or(0);
        if number(detail.total) > 0 && (self.0.len() < MOST || self.0.contains_key(layer)) {
            self.0.insert(layer.clone(), (number(detail.current), number(detail.total)));
        }
    }

    fn sum(&self) -> (u64, Option<u64>) {
        let sum = self.0.values().fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
        (sum.0, Some(sum.1).filter(|it| *it > 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bollard::models::ProgressDetail;

    #[test]
    fn a_name_is_split_as_registries_do() {
        for (name, expected) in [
            ("python:3.12-slim", ("python", "3.12-slim")),
            ("python", ("python", "latest")),
            ("localhost:5000/a/b", ("localhost:5000/a/b", "latest")),
            ("localhost:5000/a/b:c", ("localhost:5000/a/b", "c")),
            ("a@sha256:00", ("a", "sha256:00")),
        ] {
            assert_eq!(split(name), expected);
        }
    }

    #[test]
    fn an_image_that_is_named_goes_before_the_own_one_and_that_before_the_languages() {
        let spec = |image: &str| RuntimeSpec { language: "python".into(), image: image.into(), layer: None };
        let mut config = Config::new("/srv");
        let own = ("stella-runtime/python:base".to_owned(), false);
        assert_eq!(candidates(&config, &spec("python:3")), [own.clone(), ("python:3".into(), true)]);
        assert_eq!(candidates(&config, &spec("")), [own]);
        config.images.insert("python".into(), "mine:1".into());
        assert_eq!(candidates(&config, &spec("python:3")), [("mine:1".into(), true)]);
    }

    #[test]
    fn progress_is_the_sum_of_the_layers() {
        let told = |layer: &str, current, total| CreateImageInfo {
            id: Some(layer.into()),
            progress_detail: Some(ProgressDetail { current: Some(current), total: Some(total) }),
            ..CreateImageInfo::default()
        };
        let mut layers = Layers::default();
        assert_eq!(layers.sum(), (0, None));
        layers.take(&told("a", 5, 10));
        layers.take(&told("b", 1, 20));
        layers.take(&told("a", 10, 10));
        layers.take(&told("c", -1, -1));
        assert_eq!(layers.sum(), (11, Some(30)));
    }
}
