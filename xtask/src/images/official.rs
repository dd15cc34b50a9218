//! The official images, where a registry answers: pulled, with the programs that scripts expect everywhere added.

use std::path::Path;

use super::{Recipe, build, tag};
use crate::Outcome;
use crate::command::capture;
use crate::docker::Engine;

/// Bash and jq, which Alpine's images lack, by the package manager that the image has.
const ADDED: &str = "\
USER root
RUN if ! command -v bash >/dev/null || ! command -v jq >/dev/null; then \\
      if command -v apk >/dev/null; then apk add --no-cache bash jq; \\
      else apt-get update -qq && apt-get install -y -qq --no-install-recommends bash jq && \\
        rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*; fi; fi
";

/// What the label of an image of this `recipe` holds.
pub(super) fn key(recipe: &Recipe) -> String {
    format!("official {} {:016x}", recipe.official, super::hash(&[ADDED]))
}

/// Pulls the image that `recipe` names, of `registry` instead of its own if that is given, and makes of it what the
/// engine looks for. `folder` is empty.
pub(super) fn make(engine: &Engine, recipe: &Recipe, registry: Option<&str>, folder: &Path) -> Outcome {
    let image = name(recipe.official, registry);
    capture(engine.docker().args(["pull", "--quiet", &image]))?;
    let label = format!("{}={}", super::LABEL, key(recipe));
    build(engine, folder, &format!("FROM {image}\n{ADDED}"), &tag(recipe.name), &label)
}

/// The image's name in another registry: what follows its own.
fn name(official: &str, registry: Option<&str>) -> String {
    let Some(registry) = registry else { return official.to_owned() };
    let path = match official.split_once('/') {
        Some((host, path)) if host.contains('.') => path.to_owned(),
        Some(_) => official.to_owned(),
        // As Docker's own registry has those without a folder.
        None => format!("library/{official}"),
    };
    format!("{}/{path}", registry.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_registry_has_images_by_the_same_path() {
        assert_eq!(name("alpine:3.19", None), "alpine:3.19");
        assert_eq!(name("alpine:3.19", Some("mirror:5000/hub/")), "mirror:5000/hub/library/alpine:3.19");
        assert_eq!(name("mcr.microsoft.com/dotnet/sdk:10.0-alpine", Some("mirror")), "mirror/dotnet/sdk:10.0-alpine");
    }
}
