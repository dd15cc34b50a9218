//! Runtime images: the official ones where a registry answers, else Debian's base with a language on top, of packages
//! from Debian, PyPI and npm. Each is tagged as the engine looks for a language's base image, and made again only
//! when its recipe has changed.

mod base;
mod official;
mod packages;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::Outcome;
use crate::command::{capture, path_of};
use crate::docker::Engine;
use crate::setup;

/// One image.
pub(crate) struct Recipe {
    /// The language.
    pub(crate) name: &'static str,
    /// The image that the language has by default, as a registry knows it.
    official: &'static str,
    /// The files that the recipe is made of, in this folder: what the image's label is a hash of.
    sources: &'static [&'static str],
    /// Gathers what is copied into the image, below the folder, and gives the Dockerfile's lines after `FROM`.
    gather: fn(&Path) -> Outcome<String>,
}

/// All images, in the order in which they are built.
pub(crate) const ALL: &[Recipe] = &[
    Recipe {
        name: "bash",
        official: "alpine:3.19",
        sources: &[include_str!("base.rs")],
        gather: |_| Ok(String::new()),
    },
    Recipe {
        name: "python",
        official: "python:3.12-slim",
        sources: &[include_str!("python.rs")],
        gather: python::gather,
    },
    Recipe {
        name: "typescript",
        official: "node:22-alpine",
        sources: &[include_str!("node.rs"), PACKAGES],
        gather: node::gather,
    },
    Recipe {
        name: "go",
        official: "golang:1.22-alpine",
        sources: &[include_str!("go.rs"), PACKAGES],
        gather: go::gather,
    },
    Recipe {
        name: "java",
        official: "eclipse-temurin:21-jdk-alpine",
        sources: &[include_str!("java.rs")],
        gather: java::gather,
    },
    Recipe {
        name: "csharp",
        official: "mcr.microsoft.com/dotnet/sdk:10.0-alpine",
        sources: &[include_str!("csharp.rs"), include_str!("../runtime/recipe.rs")],
        gather: csharp::gather,
    },
];
const PACKAGES: &str = include_str!("packages.rs");

mod csharp;
mod go;
mod java;
mod node;
mod python;

/// The label that holds the hash of the recipe.
const LABEL: &str = "script-engine.recipe";

/// The images of `languages`; all if there are none.
pub(crate) fn named(languages: &[&str]) -> Outcome<Vec<&'static Recipe>> {
    let find = |name: &&str| {
        ALL.iter().find(|it| it.name == *name).ok_or_else(|| {
            let known: Vec<&str> = ALL.iter().map(|it| it.name).collect();
            format!("there is no image of {name}; there are those of {}", known.join(", ")).into()
        })
    };
    match languages {
        [] => Ok(ALL.iter().collect()),
        some => some.iter().map(find).collect(),
    }
}

/// Makes those of `recipes` that are not there, of the official images if the registry that has them answers;
/// `registry` is one that has them instead of their own.
pub(crate) fn ensure(engine: &Engine, recipes: &[&Recipe], registry: Option<&str>) -> Outcome {
    let base = format!("{:016x}", hash(&[include_str!("base.rs")]));
    let is_made = |it: &Recipe| {
        [key(it, &base), official::key(it)].contains(&label_of(engine, &tag(it.name)).unwrap_or_default())
    };
    let missing: Vec<&Recipe> = recipes.iter().copied().filter(|it| !is_made(it)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let scratch = Scratch::new()?;
    let begin = Instant::now();
    let made = |tag: &str, how: &str| println!("image {tag} {how} ({} s)", begin.elapsed().as_secs());
    let mut answers = true;
    for recipe in missing {
        let (folder, tag) = (scratch.0.join(recipe.name), tag(recipe.name));
        std::fs::create_dir_all(&folder)?;
        if answers {
            match official::make(engine, recipe, registry, &folder) {
                Ok(()) => {
                    made(&tag, &format!("of {}", recipe.official));
                    continue;
                }
                Err(error) if registry.is_some() => return Err(error),
                Err(error) => println!("images are made of packages: {error}"),
            }
            answers = false;
        }
        setup::ensure(base::NEEDS)?;
        if label_of(engine, base::TAG).as_ref() != Some(&base) {
            base::build(engine, &scratch.0, &format!("{LABEL}={base}"))?;
            made(base::TAG, "of packages");
        }
        let lines = (recipe.gather)(&folder)?;
        let dockerfile = format!("FROM {}\n{lines}", base::TAG);
        build(engine, &folder, &dockerfile, &tag, &format!("{LABEL}={}", key(recipe, &base)))?;
        std::fs::remove_dir_all(&folder)?;
        made(&tag, "of packages");
    }
    Ok(())
}

/// What the engine looks for as a language's base image.
pub(crate) fn tag(language: &str) -> String {
    format!("stella-runtime/{language}:base")
}

fn key(recipe: &Recipe, base: &str) -> String {
    format!("{base}{:016x}", hash(recipe.sources))
}

/// The hash of the recipe that an image was made by.
fn label_of(engine: &Engine, tag: &str) -> Option<String> {
    let label = format!("{{{{index .Config.Labels {LABEL:?}}}}}");
    let told = capture(engine.docker().args(["image", "inspect", "--format", &label, tag])).ok()?;
    Some(String::from_utf8_lossy(&told).trim().to_owned())
}

/// Builds an image with a label of a folder, which is sent as a stream, and a Dockerfile.
fn build(engine: &Engine, folder: &Path, dockerfile: &str, tag: &str, label: &str) -> Outcome {
    const NAME: &str = ".Dockerfile";
    std::fs::write(folder.join(NAME), dockerfile)?;
    let mut tar = Command::new("tar")
        .args(["--create", "--directory"])
        .arg(folder)
        .arg(".")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let context = tar.stdout.take().ok_or("no stdout was made")?;
    let output = engine
        .docker()
        // Packages come by the machine's own network, for the engine's has no way out.
        .args(["build", "--quiet", "--force-rm", "--network", "host"])
        .args(["--file", NAME, "--tag", tag, "--label", label, "-"])
        .stdin(context)
        .output()?;
    let packed = tar.wait()?;
    if output.status.success() && packed.success() {
        return Ok(());
    }
    let told = [output.stdout, output.stderr].concat();
    Err(format!("the image {tag} can't be built:\n{}", String::from_utf8_lossy(&told)).into())
}

/// FNV-1a over texts: the same on every machine and for every compiler.
fn hash(texts: &[&str]) -> u64 {
    let bytes = texts.iter().flat_map(|it| it.bytes().chain([0]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// A folder that is removed in the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Outcome<Self> {
        let path = Path::new("/var/tmp").join(format!("script-engine-images-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// A Python that has pip, for packages from PyPI.
fn python() -> Outcome<PathBuf> {
    path_of("python3").ok_or_else(|| "python3 is not in PATH".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_that_changes_has_another_hash() {
        assert_eq!(hash(&[""]), hash(&[""]));
        assert_ne!(hash(&["a", "b"]), hash(&["ab"]));
        assert_ne!(hash(&["a", "b"]), hash(&["a", "c"]));
    }

    #[test]
    fn each_language_has_an_image_of_its_own() {
        let mut keys: Vec<String> = ALL.iter().map(|it| key(it, "")).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), ALL.len());
    }
}
