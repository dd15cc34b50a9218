//! `script-engine samples`: the scripts that come with the engine, to look at and to copy.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use script_engine::{Sample, SamplePackage};
use serde_json::{Map, Value, json};

use crate::arguments::{CloneArguments, ListArguments, SamplesCommand, ShowArguments};
use crate::{exit, terminal};

/// The file that a clone's schema goes to.
const SCHEMA: &str = "parameters.json";

/// Lists, shows or copies samples. Gives 0, or 125 with a message on stderr.
pub(crate) fn samples(command: SamplesCommand) -> ExitCode {
    let text = match command {
        SamplesCommand::List(arguments) => Ok(list(&arguments)),
        SamplesCommand::Show(arguments) => show(&arguments),
        SamplesCommand::Clone(arguments) => clone(&arguments),
    };
    match text {
        Ok(text) => {
            // A closed pipe has nobody to tell.
            drop(terminal::print(&text));
            ExitCode::SUCCESS
        }
        Err(message) => exit::fail(&message),
    }
}

fn list(arguments: &ListArguments) -> String {
    let found = script_engine::samples(arguments.language.as_deref(), arguments.tag.as_deref());
    if arguments.json {
        let all: Vec<Value> = found.iter().map(|it| Value::Object(summary(it))).collect();
        return format!("{}\n", Value::Array(all));
    }
    let width = |of: fn(&Sample) -> usize| found.iter().map(|it| of(it)).max().unwrap_or_default();
    let (ids, languages) = (width(|it| it.id.len()), width(|it| it.language.len()));
    found.iter().map(|it| format!("{:<ids$}  {:<languages$}  {}\n", it.id, it.language, it.title)).collect()
}

fn show(arguments: &ShowArguments) -> Result<String, String> {
    let sample = get(&arguments.id)?;
    if arguments.source {
        return Ok(sample.source.to_owned());
    }
    let schema = sample.parameter_schema().map_err(|error| error.to_string())?;
    let destinations = sample.destinations(&Map::new()).map_err(|error| error.to_string())?;
    let destinations: Vec<String> = destinations.iter().map(ToString::to_string).collect();
    if arguments.json {
        let mut all = summary(sample);
        all.insert("description".into(), sample.description.into());
        all.insert("parameter_schema".into(), schema);
        all.insert("network".into(), json!({"parameters": sample.network_parameters(), "by_default": destinations}));
        all.insert("source".into(), sample.source.into());
        return Ok(format!("{}\n", Value::Object(all)));
    }
    let packages: Vec<String> = sample.packages.iter().map(shown).collect();
    let network = match sample.network_parameters().as_slice() {
        [] => "none".to_owned(),
        names if destinations.is_empty() => format!("by {}; none by default", names.join(" and ")),
        names => format!("by {}; {} by default", names.join(" and "), destinations.join(", ")),
    };
    let mut text = format!("{}\n\n{}\n\n", sample.title, wrapped(sample.description, 100));
    for (name, value) in [
        ("id", sample.id.to_owned()),
        ("language", sample.language.to_owned()),
        ("file", sample.entry_point.to_owned()),
        ("tags", sample.tags.join(", ")),
        ("packages", if packages.is_empty() { "none".to_owned() } else { packages.join(", ") }),
        ("network", network),
    ] {
        text.push_str(&format!("{name:<8}  {value}\n"));
    }
    text.push_str("\nparameters\n");
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        text.push_str(&parameter(name, property));
    }
    Ok(text)
}

fn clone(arguments: &CloneArguments) -> Result<String, String> {
    let sample = get(&arguments.id)?;
    let folder = arguments.folder.clone().unwrap_or_else(|| PathBuf::from(sample.id));
    let files = [(folder.join(sample.entry_point), sample.source), (folder.join(SCHEMA), sample.schema_text())];
    let there: Vec<String> = files
        .iter()
        .filter(|(path, _)| path.symlink_metadata().is_ok())
        .map(|(path, _)| path.display().to_string())
        .collect();
    if !there.is_empty() {
        return Err(format!("{}: there already; name another folder, or move what is there", there.join(", ")));
    }
    fs::create_dir_all(&folder).map_err(|error| format!("cannot make the folder {}: {error}", folder.display()))?;
    for (path, text) in &files {
        write_new(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    let [(script, _), (schema, _)] = &files;
    Ok(format!(
        "{}\n{}\nrun it with: script-engine run {} --schema {}\n",
        script.display(),
        schema.display(),
        terminal::quoted(&script.display().to_string()),
        terminal::quoted(&schema.display().to_string())
    ))
}

/// Writes a file that must not be there, whoever made it meanwhile.
fn write_new(path: &Path, text: &str) -> io::Result<()> {
    File::create_new(path)?.write_all(text.as_bytes())
}

fn get(id: &str) -> Result<&'static Sample, String> {
    script_engine::sample(id).map_err(|error| error.to_string())
}

fn summary(sample: &Sample) -> Map<String, Value> {
    let packages: Vec<Value> = sample
        .packages
        .iter()
        .map(|it| json!({"ecosystem": it.ecosystem, "name": it.name, "version": it.version}))
        .collect();
    let mut all = Map::new();
    for (name, value) in [
        ("id", sample.id.into()),
        ("title", sample.title.into()),
        ("language", sample.language.into()),
        ("entry_point", sample.entry_point.into()),
        ("tags", sample.tags.into()),
        ("packages", packages.into()),
    ] {
        all.insert(name.to_owned(), value);
    }
    all
}

fn shown(package: &SamplePackage) -> String {
    format!("{} {} {}", package.ecosystem, package.name, package.version).trim_end().to_owned()
}

/// A parameter's name and default, and what it means.
fn parameter(name: &str, property: &Value) -> String {
    let secret = if property["writeOnly"] == true { ", secret" } else { "" };
    let default = property.get("default").map(|it| format!(" = {it}")).unwrap_or_default();
    let text = property["description"].as_str().unwrap_or_default();
    format!("  {name}{default}{secret}\n      {}\n", wrapped(text, 94).replace('\n', "\n      "))
}

/// `text` in lines of at most `width` characters, as far as its words allow.
fn wrapped(text: &str, width: usize) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_wrapped_between_words() {
        for (text, width, expected) in
            [("", 5, ""), ("a b c", 3, "a b\nc"), ("long-word b", 3, "long-word\nb"), ("ä ö ü", 3, "ä ö\nü")]
        {
            assert_eq!(wrapped(text, width), expected);
        }
    }
}
