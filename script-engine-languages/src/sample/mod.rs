//! The sample library: scripts that an operations engineer would like to keep, each with the schema of its parameters
//! and the packages it declares. The files lie in `samples/`, a folder each; [`library`] names them.
//!
//! A sample is no script of the engine's until somebody clones it: [`clone_sample`] saves it under a name of one's own.

mod destination;
mod library;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use script_engine_core::{
    Engine, EntryPoint, Error, ErrorKind, HostPort, Identity, LanguageId, Result, ScriptDraft, ScriptName,
    ScriptVersion,
};
use semver::Version;
use serde_json::{Map, Value};

use destination::Reach;
use library::LIBRARY;

/// A script of the library.
#[derive(Debug)]
#[non_exhaustive]
pub struct Sample {
    /// Its id, which is stable.
    pub id: &'static str,
    /// What it is, in a few words.
    pub title: &'static str,
    /// What it does and when it fails, in a few sentences.
    pub description: &'static str,
    /// The id of its language.
    pub language: &'static str,
    /// Its file name.
    pub entry_point: &'static str,
    /// What it is about.
    pub tags: &'static [&'static str],
    /// The packages that it declares, in its own text too.
    pub packages: &'static [SamplePackage],
    /// Its text.
    pub source: &'static str,
    schema: &'static str,
    reaches: &'static [Reach],
}

/// A package that a sample declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SamplePackage {
    /// Where it comes from: `pypi`, `npm`, `maven`, `nuget` or `apt`.
    pub ecosystem: &'static str,
    /// Its name there.
    pub name: &'static str,
    /// The version, or a requirement such as `<2`; empty for any.
    pub version: &'static str,
}

impl Sample {
    /// The JSON Schema of its parameters.
    pub fn parameter_schema(&self) -> Result<Value> {
        // The tests see that each one can be read.
        serde_json::from_str(self.schema).map_err(|error| {
            Error::internal("the schema of a sample can't be read").with_context("sample", self.id).with_source(error)
        })
    }

    /// The schema's text, as its author formatted it.
    #[must_use]
    pub fn schema_text(&self) -> &'static str {
        self.schema
    }

    /// Which `host:port` it connects to when it gets these parameters, with defaults in place of those that are missing.
    /// That is what an allow-list must open for it; empty if it needs no network. Fails with `InvalidRequest` if a parameter
    /// names a host that an allow-list can't hold.
    pub fn destinations(&self, parameters: &Map<String, Value>) -> Result<Vec<HostPort>> {
        let schema = self.parameter_schema()?;
        let value =
            |name: &str| parameters.get(name).or_else(|| schema.pointer(&format!("/properties/{name}/default")));
        let mut found = Vec::new();
        for destination in self.reaches.iter().flat_map(|it| it.destinations(value)) {
            let destination = HostPort::parse(&destination)?;
            if !found.contains(&destination) {
                found.push(destination);
            }
        }
        Ok(found)
    }

    /// The names of the parameters that decide where it connects to.
    #[must_use]
    pub fn network_parameters(&self) -> Vec<&'static str> {
        self.reaches.iter().flat_map(Reach::parameters).collect()
    }

    /// A draft of it under a name of one's own, to change or to save.
    pub fn draft(&self, name: ScriptName) -> Result<ScriptDraft> {
        Ok(ScriptDraft::new(name, self.source.as_bytes())
            .with_language(LanguageId::parse(self.language)?)
            .with_entry_point(EntryPoint::parse(self.entry_point)?)
            .with_parameter_schema(self.parameter_schema()?))
    }

    /// Whether it is in the language that somebody means by `name`: its id, its title or its files' extension.
    fn is_in(&self, name: &str) -> bool {
        let extension = self.entry_point.rsplit_once('.').map_or("", |(_, extension)| extension);
        [self.language, library::language_title(self.language), extension]
            .iter()
            .any(|it| it.eq_ignore_ascii_case(name))
    }
}

/// Lists the samples, by id, that are in `language` (its id, title or file extension, whatever the case) and have the
/// tag `tag`; all of them if neither is given.
#[must_use]
pub fn samples(language: Option<&str>, tag: Option<&str>) -> Vec<&'static Sample> {
    let wanted = |it: &&Sample| {
        language.is_none_or(|language| it.is_in(language))
            && tag.is_none_or(|tag| it.tags.iter().any(|own| own.eq_ignore_ascii_case(tag)))
    };
    LIBRARY.iter().filter(wanted).collect()
}

/// Gets a sample by its id. Fails with `NotFound`, naming ids that are close.
pub fn sample(id: &str) -> Result<&'static Sample> {
    LIBRARY.iter().find(|it| it.id == id).ok_or_else(|| {
        let close: Vec<&str> = LIBRARY.iter().map(|it| it.id).filter(|it| is_close(it, id)).collect();
        let hint = match close.as_slice() {
            [] => "list the samples to see which there are".to_owned(),
            close => format!("did you mean {}?", close.join(" or ")),
        };
        Error::new(ErrorKind::NotFound, format!("there is no sample `{}`; {hint}", id.escape_debug()))
    })
}

/// Saves a sample as a script of one's own. It then is a script like any other: the library keeps no hold on it.
///
/// Fails with `NotFound` if there is no such sample, with `AlreadyExists` if the tenant has a script of this name, and
/// as [`Engine::save`] does. Cancel-safe: either it was saved or it was not.
pub async fn clone_sample(
    engine: &Engine,
    identity: &Identity,
    id: &str,
    name: ScriptName,
) -> Result<Arc<ScriptVersion>> {
    let mut draft = sample(id)?.draft(name.clone())?;
    let taken = || {
        let message = format!("a script named `{name}` exists; clone the sample under another name");
        Error::new(ErrorKind::AlreadyExists, message).with_context("sample", id)
    };
    if engine.find_script(identity, &name).await?.is_some() {
        return Err(taken());
    }
    // Of two clones at once under one name, the second finds the number taken.
    draft.number = Some(Version::new(1, 0, 0));
    engine.save(identity, draft).await.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => taken(),
        _ => error,
    })
}

/// Whether somebody who typed `text` may have meant `id`: they share a word, but for small words, or the beginning.
fn is_close(id: &str, text: &str) -> bool {
    let text = text.to_lowercase();
    let has = |word: &str| word.len() > 2 && word != "check" && id.split('-').any(|own| own == word);
    text.split(|c: char| !c.is_ascii_alphanumeric()).any(has) || (text.len() > 2 && id.starts_with(&text))
}
