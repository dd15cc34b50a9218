//! The script, its schema and its parameters, read from what the command line names.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use bytes::Bytes;
use script_engine::{EntryPoint, Identity, LanguageId, ScriptDraft, ScriptName};
use serde_json::{Map, Value};

use crate::arguments::ScriptArguments;

/// On whose behalf the program does what it does.
pub(crate) fn identity() -> Identity {
    Identity { invoker: "cli".into(), ..Identity::default() }
}

/// A draft with its schema, and the parameters. Reports all problems at once.
pub(crate) fn script(arguments: &ScriptArguments) -> Result<(ScriptDraft, Map<String, Value>), Vec<String>> {
    let mut problems = Vec::new();
    let draft = draft_of(&arguments.file, arguments.language.as_deref());
    let mut draft = draft.unwrap_or_else(|found| {
        problems.extend(found);
        ScriptDraft::new(script_name(&arguments.file), Bytes::new())
    });
    let mut take = |found: Result<(), String>| problems.extend(found.err());
    if let Some(path) = &arguments.schema {
        take(read_json(path, "--schema").map(|it| draft.parameter_schema = Some(it)));
    }
    let mut values = Map::new();
    take(parameters(arguments).map(|it| values = it));
    if problems.is_empty() { Ok((draft, values)) } else { Err(problems) }
}

/// A draft of a script file. Reports all problems at once.
pub(crate) fn draft_of(file: &Path, language: Option<&str>) -> Result<ScriptDraft, Vec<String>> {
    let mut problems = Vec::new();
    let mut take = |found: Result<(), String>| problems.extend(found.err());
    let mut draft = ScriptDraft::new(script_name(file), Bytes::new());
    take(read_file(file, script_engine::script::MAX_SOURCE as u64).map(|it| draft.source = it.into()));
    take(entry_point(file).map(|it| draft.entry_point = it));
    if let Some(language) = language {
        let parsed = LanguageId::parse(&language.to_lowercase());
        take(parsed.map(|it| draft.language = Some(it)).map_err(|error| format!("--language {error}")));
    }
    if problems.is_empty() { Ok(draft) } else { Err(problems) }
}

/// The file's own name, under which the script finds itself.
fn entry_point(file: &Path) -> Result<Option<EntryPoint>, String> {
    let Some(name) = file.file_name() else { return Ok(None) };
    let name = name.to_str().ok_or_else(|| format!("{}: the name is not UTF-8; rename the file", file.display()))?;
    EntryPoint::parse(name).map(Some).map_err(|error| error.to_string())
}

/// A script name from a file name: lower case, with `-` for what a name may not hold.
pub(crate) fn script_name(file: &Path) -> ScriptName {
    let stem = file.file_stem().map(|it| it.to_string_lossy().to_lowercase()).unwrap_or_default();
    let plain: String =
        stem.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' }).take(100).collect();
    let plain = plain.trim_start_matches(['-', '_']);
    let fallback = || ScriptName::parse("script");
    #[expect(clippy::expect_used, reason = "the literal is a valid name")]
    ScriptName::parse(plain).or_else(|_| fallback()).expect("a plain name")
}

fn read_file(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    let fail = |error: io::Error| format!("cannot read {}: {error}", path.display());
    let file = fs::File::open(path).map_err(fail)?;
    if file.metadata().map_err(fail)?.is_dir() {
        return Err(format!("cannot read {}: it is a folder", path.display()));
    }
    // One byte more than allowed shows that there is more.
    let mut content = Vec::new();
    file.take(most + 1).read_to_end(&mut content).map_err(fail)?;
    Ok(content)
}

pub(crate) fn read_json(path: &Path, option: &str) -> Result<Value, String> {
    const MOST: u64 = 16 << 20;
    let content = read_file(path, MOST).map_err(|error| format!("{option}: {error}"))?;
    serde_json::from_slice(&content).map_err(|error| format!("{option} {}: is not JSON: {error}", path.display()))
}

fn parameters(arguments: &ScriptArguments) -> Result<Map<String, Value>, String> {
    let mut parameters = match &arguments.parameter_file {
        None => Map::new(),
        Some(path) => match read_json(path, "--params")? {
            Value::Object(map) => map,
            _ => return Err(format!("--params {}: is not a JSON object of parameters", path.display())),
        },
    };
    for (name, value) in &arguments.parameters {
        parameters.insert(name.clone(), value.clone().into());
    }
    Ok(parameters)
}
