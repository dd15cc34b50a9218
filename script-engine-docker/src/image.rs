//! The image that a language's scripts run in: found on the daemon, else pulled, and from then on known by its
//! id, for a name may come to mean another image.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bollard::query_parameters::{CreateImageOptionsBuilder, TagImageOptionsBuilder};
use bytes::Bytes;
use futures_util::StreamExt as _;
use script_engine_core::contract::Progress;
use script_engine_core::{Digest, LayerMount, RuntimeSpec};
use tokio::sync::OnceCell;

use crate::config::{Config, Delivery};
use crate::daemon::Daemon;
use crate::error::DockerError;
use crate::layer::{self, Ingredients};
use crate::{garbage, registry, tar};

/// Runtimes that are remembered; more make the first be looked for again.
const REMEMBERED: usize = 1024;

/// An image that the daemon has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Image {
    /// By which it was found.
    pub(crate) name: String,
    /// What it is, as the daemon says: `sha256:` and a digest.
    pub(crate) id: String,
    /// The digest in it.
    pub(crate) digest: Option<Digest>,
    /// Folders for which it asks for volumes.
    pub(crate) volumes: Vec<String>,
    /// The digests of its layers, the lowest first.
    pub(crate) layers: Vec<String>,
    pub(crate) labels: HashMap<String, String>,
}

/// One image, found by the first who wants it.
type Found = Arc<OnceCell<Arc<Image>>>;

/// The images that were looked for.
#[derive(Debug, Default)]
pub(crate) struct Images {
    /// By runtime, and whether the agent is in it.
    known: Mutex<HashMap<(RuntimeSpec, bool), Found>>,
    made: AtomicU64,
}

impl Images {
    /// Gets the image of a runtime in place, with the agent as its uppermost layer if one is given. Calls for one runtime at the same time do the work once.
    pub(crate) async fn provide(
        &self,
        daemon: &Daemon,
        config: &Config,
        spec: &RuntimeSpec,
        agent: Option<&LayerMount>,
        progress: &dyn Progress,
    ) -> Result<Arc<Image>, DockerError> {
        let bare = RuntimeSpec { layer: None, ..spec.clone() };
        let base = self.cell(&bare, false);
        let found = base.get_or_try_init(|| async { find(daemon, config, &bare, progress).await.map(Arc::new) });
        let mut image = Arc::clone(found.await?);
        if let Some(packages) = spec.layer.as_ref().filter(|_| config.delivery != Delivery::Mounted) {
            let of = Ingredients { language: &spec.language, base: &image, layer: packages };
            image = self.put_on(daemon, config, (spec, false), of, progress).await?;
        }
        if let Some(agent) = agent {
            let of = Ingredients { language: &spec.language, base: &image, layer: agent };
            image = self.put_on(daemon, config, (spec, true), of, progress).await?;
        }
        Ok(image)
    }

    /// Puts a layer on an image, and keeps what comes of it for a runtime with or without the agent.
    pub(crate) async fn put_on(
        &self,
        daemon: &Daemon,
        config: &Config,
        (spec, with_agent): (&RuntimeSpec, bool),
        of: Ingredients<'_>,
        progress: &dyn Progress,
    ) -> Result<Arc<Image>, DockerError> {
        let cell = self.cell(spec, with_agent);
        let image = cell.get_or_try_init(|| async {
            let image = Box::pin(layer::provide(daemon, config, of, progress)).await?;
            self.made.fetch_add(1, Ordering::Relaxed);
            Ok::<_, DockerError>(Arc::new(image))
        });
        let image = image.await?;
        garbage::touch(&config.state_dir, image)?;
        Ok(Arc::clone(image))
    }

    /// How often an image was got in place that is made here.
    pub(crate) fn made(&self) -> u64 {
        self.made.load(Ordering::Relaxed)
    }

    /// The ids of the images that somebody holds a lease of.
    pub(crate) fn held(&self) -> HashSet<String> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let images = known.values().filter_map(|it| it.get());
        images.filter(|it| Arc::strong_count(it) > 1).map(|it| it.id.clone()).collect()
    }

    /// The ids of the images made here that were got in place.
    pub(crate) fn own(&self) -> HashSet<String> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let layered = known.iter().filter(|((spec, with_agent), _)| spec.layer.is_some() || *with_agent);
        layered.filter_map(|(_, it)| it.get()).map(|it| it.id.clone()).collect()
    }

    fn cell(&self, spec: &RuntimeSpec, with_agent: bool) -> Found {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (spec.clone(), with_agent);
        if known.len() >= REMEMBERED && !known.contains_key(&key) {
            known.clear();
        }
        Arc::clone(known.entry(key).or_default())
    }

    /// Looks again for what was found to be gone.
    pub(crate) fn forget(&self, spec: &RuntimeSpec) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let bare = RuntimeSpec { layer: None, ..spec.clone() };
        known.retain(|(it, _), _| it != spec && *it != bare);
    }

    /// Looks again for images that were removed.
    pub(crate) fn forget_ids(&self, gone: &HashSet<String>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, it| it.get().is_none_or(|it| !gone.contains(&it.id)));
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
        match registry::pull(daemon, config, name, progress).await {
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

/// An image with nothing in it, which is made if it is not there: the agent needs nothing.
pub(crate) async fn empty(daemon: &Daemon, config: &Config) -> Result<Image, DockerError> {
    const ACTION: &str = "make an empty image";
    let (repository, tag) = (format!("{}-runtime/empty", config.image_prefix), "1");
    let name = format!("{repository}:{tag}");
    if let Some(image) = look(daemon, &name, "none").await? {
        return Ok(image);
    }
    let options = CreateImageOptionsBuilder::default().from_src("-").repo(&repository).tag(tag).build();
    let api = daemon.api().await?;
    let archive = bollard::body_full(Bytes::from(tar::empty()));
    let mut made = std::pin::pin!(api.create_image(Some(options), Some(archive), None));
    let mut id = None;
    while let Some(told) = daemon.call(ACTION, async { Ok(made.next().await) }).await? {
        let told = told.map_err(DockerError::api(ACTION, daemon.within()))?;
        id = told.status.filter(|it| it.starts_with("sha256:")).or(id);
    }
    // Podman 4 does not hear the tag.
    if let Some(id) = id {
        let options = TagImageOptionsBuilder::default().repo(&repository).tag(tag).build();
        daemon.call("name an image", api.tag_image(&id, Some(options))).await?;
    }
    let image = look(daemon, &name, "none").await?;
    image.ok_or_else(|| DockerError::Unsupported(format!("the Docker Engine does not keep {name}")))
}

/// What the daemon has under a name.
pub(crate) async fn look(daemon: &Daemon, name: &str, language: &str) -> Result<Option<Image>, DockerError> {
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
    let config = found.config.unwrap_or_default();
    Ok(Some(Image {
        name: name.to_owned(),
        digest: id.strip_prefix("sha256:").unwrap_or(&id).parse().ok(),
        id,
        volumes: config.volumes.unwrap_or_default(),
        layers: found.root_fs.and_then(|it| it.layers).unwrap_or_default(),
        labels: config.labels.unwrap_or_default(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
