//! The image of a runtime with packages: on the daemon, else in the registry, else built of the base image and the
//! packages' tree by a Dockerfile that anybody can read, and then pushed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bollard::models::BuildInfo;
use bollard::query_parameters::BuildImageOptionsBuilder;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use script_engine_core::contract::{Progress, Unit};
use script_engine_core::{Digest, LayerMount};

use crate::config::Config;
use crate::context;
use crate::daemon::Daemon;
use crate::error::DockerError;
use crate::image::{self, Image};
use crate::registry;

/// What images with packages are labelled with: what they are of in full, the base image, the bytes of the packages.
pub(crate) const KEY_LABEL: &str = "script-engine.runtime";
const BASE_LABEL: &str = "script-engine.base";
pub(crate) const BYTES_LABEL: &str = "script-engine.bytes";
/// Goes into the key: a change in how images are built makes others of the same packages.
const RECIPE: u32 = 1;
/// How often it is told how much of the packages is sent.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Bytes of what a failed build said that are told.
const TOLD: usize = 2000;

/// What an image is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ingredients<'a> {
    pub(crate) language: &'a str,
    pub(crate) base: &'a Image,
    pub(crate) layer: &'a LayerMount,
}

impl Ingredients<'_> {
    /// Names the result: equal ingredients make equal images.
    fn key(&self) -> Digest {
        let Self { language, base, layer } = self;
        Digest::of(format!("{RECIPE}\n{language}\n{}\n{}\n{}", base.id, layer.digest, layer.at).as_bytes())
    }

    /// The name of the image, without a registry.
    fn name(&self, prefix: &str) -> String {
        format!("{prefix}-runtime/{}:{}", self.language, self.key().short())
    }

    fn dockerfile(&self, bytes: u64) -> String {
        let Self { language, base, layer } = self;
        let tree = context::TREE;
        format!(
            "# The packages {} for {language}, made by script-engine.\n\
             FROM {}\n\
             COPY [\"{tree}/\", \"{}/\"]\n\
             LABEL {KEY_LABEL}={} {BASE_LABEL}={} {BYTES_LABEL}={bytes}\n",
            layer.digest.short(),
            base.id,
            layer.at,
            self.key(),
            base.id,
        )
    }

    /// Whether an image is what these ingredients make: it says so, and stands on the same base.
    fn made(&self, image: &Image) -> bool {
        let said = image.labels.get(KEY_LABEL).is_some_and(|it| *it == self.key().to_string());
        said && image.layers.len() > self.base.layers.len() && image.layers.starts_with(&self.base.layers)
    }

    fn check(&self) -> Result<(), DockerError> {
        let at = &self.layer.at;
        let plain = |it: char| it.is_ascii_alphanumeric() || "/._-+@".contains(it);
        if !at.starts_with('/') || at.len() < 2 || at.ends_with('/') || !at.chars().all(plain) || at.contains("..") {
            return Err(DockerError::Unsupported(format!(
                "packages can't be put at `{at}`; give a plain absolute path"
            )));
        }
        let found = self.layer.source.metadata();
        found.map(drop).map_err(DockerError::file("can't find the packages in", &self.layer.source))
    }
}

/// Gets the image in place.
pub(crate) async fn provide(
    daemon: &Daemon,
    config: &Config,
    of: Ingredients<'_>,
    progress: &dyn Progress,
) -> Result<Image, DockerError> {
    of.check()?;
    let name = of.name(&config.image_prefix);
    if let Some(image) = image::look(daemon, &name, of.language).await?.filter(|it| of.made(it)) {
        return Ok(image);
    }
    let remote = config.image_cache.shared_by().map(|it| format!("{it}/{name}"));
    if let Some(remote) = &remote
        && let Some(image) = pulled(daemon, config, of, remote, progress).await
    {
        registry::tag(daemon, &image.id, &name).await?;
        return Ok(image);
    }
    let image = build(daemon, of, &name, progress).await?;
    if let Some(remote) = remote.filter(|_| config.image_cache.push_to_registry) {
        // The image is there; that others have to build it themselves is no fault of this execution.
        if let Err(error) = registry::push(daemon, config, &image.id, &remote, progress).await {
            tracing::warn!(image = remote, %error, "an image could not be pushed");
        }
    }
    Ok(image)
}

/// What the registry has, if it has it.
async fn pulled(
    daemon: &Daemon,
    config: &Config,
    of: Ingredients<'_>,
    remote: &str,
    progress: &dyn Progress,
) -> Option<Image> {
    let found = match registry::pull(daemon, config, remote, progress).await {
        Ok(()) => image::look(daemon, remote, of.language).await,
        Err(error) => Err(error),
    };
    match found {
        Ok(Some(image)) if of.made(&image) => Some(image),
        Ok(_) => {
            tracing::warn!(image = remote, "what the registry has under this name is something else; it is built");
            None
        }
        Err(error) => {
            tracing::debug!(image = remote, %error, "the registry does not have it; it is built");
            None
        }
    }
}

async fn build(
    daemon: &Daemon,
    of: Ingredients<'_>,
    name: &str,
    progress: &dyn Progress,
) -> Result<Image, DockerError> {
    const ACTION: &str = "build an image";
    let source = of.layer.source.clone();
    let unreadable = DockerError::file("can't read the packages in", &source);
    let measured = tokio::task::spawn_blocking({
        let source = source.clone();
        move || context::size(&source)
    });
    let bytes = measured.await.map_err(std::io::Error::other).and_then(|it| it).map_err(unreadable)?;
    let options = BuildImageOptionsBuilder::default()
        .dockerfile(context::DOCKERFILE)
        .t(name)
        .networkmode("none")
        .rm(true)
        .forcerm(true)
        .build();
    let api = daemon.api().await?;
    let sent = Arc::new(AtomicU64::new(0));
    let counted = {
        let sent = Arc::clone(&sent);
        let count = move |piece: &Bytes| {
            sent.fetch_add(piece.len() as u64, Ordering::Relaxed);
        };
        context::stream(of.dockerfile(bytes), source).inspect_ok(count)
    };
    let body = bollard::body_try_stream(counted);
    let mut steps = Steps::default();
    let mut built = std::pin::pin!(api.build_image(options, None, Some(body)));
    let mut looks = tokio::time::interval(LOOK_EVERY);
    // The first word comes when all is sent: that takes as long as there are bytes.
    let mut within = daemon.within() + per_bytes(bytes);
    loop {
        let mut word = std::pin::pin!(daemon.call_within(ACTION, within, async { Ok(built.next().await) }));
        let told = loop {
            tokio::select! {
                biased;
                told = &mut word => break told?,
                _ = looks.tick(), if steps.total.is_none() => {
                    // Headers of files come on top.
                    let sent = sent.load(Ordering::Relaxed).min(bytes);
                    progress.report(&format!("send {name}"), sent, Some(bytes), Unit::Bytes);
                }
            }
        };
        let Some(told) = told else { break };
        steps.take(&told.map_err(DockerError::api(ACTION, daemon.within()))?);
        progress.report(&format!("build {name}"), steps.done, steps.total, Unit::Items);
        within = daemon.within() + per_bytes(bytes);
    }
    let image = image::look(daemon, name, of.language).await?;
    image.filter(|it| of.made(it)).ok_or_else(|| DockerError::Image {
        language: of.language.to_owned(),
        image: name.to_owned(),
        problem: format!("was not built as it should be; the daemon says: {}", steps.said),
    })
}

/// A second for each 4 MiB.
fn per_bytes(bytes: u64) -> Duration {
    Duration::from_secs(bytes >> 22)
}

/// How far a build is: the daemon says `Step 2/4 : ...`.
#[derive(Debug, Default)]
struct Steps {
    done: u64,
    total: Option<u64>,
    said: String,
}

impl Steps {
    fn take(&mut self, told: &BuildInfo) {
        let Some(line) = &told.stream else { return };
        let counted = line.strip_prefix("Step ").and_then(|it| it.split_once(' ')?.0.split_once('/'));
        if let Some((done, total)) = counted.and_then(|(done, total)| Some((done.parse().ok()?, total.parse().ok()?))) {
            (self.done, self.total) = (done, Some(total));
        }
        self.said.extend(line.chars().take(TOLD.saturating_sub(self.said.len())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn image(layers: &[&str], key: Option<Digest>) -> Image {
        let labels = key.map(|it| (KEY_LABEL.to_owned(), it.to_string())).into_iter().collect::<HashMap<_, _>>();
        let layers = layers.iter().map(ToString::to_string).collect();
        Image { id: "sha256:00".into(), layers, labels, ..Image::default() }
    }

    fn layer(at: &str) -> LayerMount {
        LayerMount { digest: Digest::of(b"packages"), source: "/".into(), at: at.into() }
    }

    #[test]
    fn the_dockerfile_can_be_read() {
        let (base, layer) = (image(&["a"], None), layer("/packages"));
        let of = Ingredients { language: "python", base: &base, layer: &layer };
        let key = of.key();
        assert_eq!(
            of.dockerfile(7),
            format!(
                "# The packages {} for python, made by script-engine.\nFROM sha256:00\n\
                 COPY [\"tree/\", \"/packages/\"]\nLABEL script-engine.runtime={key} script-engine.base=sha256:00 \
                 script-engine.bytes=7\n",
                layer.digest.short()
            )
        );
        assert_eq!(of.name("stella"), format!("stella-runtime/python:{}", key.short()));
    }

    #[test]
    fn an_image_that_only_says_so_is_not_taken() {
        let (base, layer) = (image(&["a", "b"], None), layer("/packages"));
        let of = Ingredients { language: "python", base: &base, layer: &layer };
        let key = of.key();
        assert!(of.made(&image(&["a", "b", "c"], Some(key))));
        assert!(!of.made(&image(&["a", "b"], Some(key))));
        assert!(!of.made(&image(&["x", "b", "c"], Some(key))));
        assert!(!of.made(&image(&["a", "b", "c"], Some(Digest::of(b"other")))));
        assert!(!of.made(&image(&["a", "b", "c"], None)));
    }

    #[test]
    fn nothing_but_a_plain_path_gets_into_the_dockerfile() {
        let base = image(&[], None);
        for (at, fits) in [
            ("/packages", true),
            ("/opt/a_b-c.d/e", true),
            ("/", false),
            ("packages", false),
            ("/a/../b", false),
            ("/a\"]\nRUN x", false),
            ("/a b", false),
            ("/a/", false),
        ] {
            let layer = layer(at);
            let of = Ingredients { language: "python", base: &base, layer: &layer };
            assert_eq!(of.check().is_ok(), fits, "{at}");
        }
    }

    #[test]
    fn steps_are_counted_as_the_daemon_counts_them() {
        let mut steps = Steps::default();
        for line in ["Step 1/3 : FROM x", " ---> 00", "Step 3/3 : LABEL y", "Step x"] {
            steps.take(&BuildInfo { stream: Some(line.into()), ..BuildInfo::default() });
        }
        assert_eq!((steps.done, steps.total), (3, Some(3)));
        assert!(steps.said.starts_with("Step 1/3"));
    }
}
