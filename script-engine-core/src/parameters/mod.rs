//! Parameters: what a request gives, checked against a version's schema and brought into the form in
//! which a script gets it.
//!
//! Three steps, all pure: [`ParameterSchema::compile`] when a version is saved, [`bind`] when a request
//! is accepted, [`deliver`] when its job is made. What an execution gets is decided here and nowhere else;
//! how it reaches the sandbox is not.
//!
//! # How strings are coerced
//!
//! Forms and command lines send text only. A string is replaced where the schema names (by `type`, `enum`
//! or `const`, through `$ref` and the combining keywords) something other than a string, and the string is
//! not itself a valid value there. Tried in this order, first valid one wins:
//!
//! | asked for | accepted text |
//! |---|---|
//! | integer | a JSON integer of at most 64 bits: `-5`, `18446744073709551615`; not `007`, `5.0`, `1e3` |
//! | number | a JSON number, an integer only if 64 bits hold it exactly; not `1e400`, `NaN`, `.5`, `+1` |
//! | boolean | `true` `on` `yes` `1`, `false` `off` `no` `0` |
//! | array | the text of a JSON array |
//! | object | the text of a JSON object |
//!
//! No white space is trimmed from numbers and booleans, and an empty string is only ever a string. Where no
//! candidate is valid and no string is allowed, the first one that could be read is kept, so that the report
//! speaks of the number and not of the text.

mod coercion;
mod delivery;
mod expectation;
mod fitting;
mod schema;
mod soundness;
mod subschemas;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

use crate::output::{MASK, MAX_SECRET_BYTES};
use crate::{Problem, Secret};
pub(crate) use delivery::variable_of;
pub use delivery::{Delivery, IN_FILE_VARIABLE, MAX_ENV_TOTAL, MAX_ENV_VALUE, deliver};
use expectation::{problems_of, unknown_names};
use fitting::fit;
pub use schema::ParameterSchema;
pub use soundness::{MAX_SCHEMA_BYTES, MAX_SCHEMA_DEPTH, MAX_SUBSCHEMAS};
use subschemas::escape;

/// The most bytes that the parameters of one request may have as compact JSON.
pub const MAX_PARAMETERS_BYTES: usize = 4 * 1024 * 1024;
/// The most parameters of one request. With [`MAX_NAME_BYTES`] it keeps the names alone within the
/// environment that an agent takes.
pub const MAX_PARAMETERS: usize = 1000;
/// The most bytes of a parameter's name.
pub const MAX_NAME_BYTES: usize = 128;
/// How deeply arrays and objects may nest in a parameter. Small enough for recursion on a 2 MiB stack.
pub const MAX_VALUE_DEPTH: usize = 32;
/// How many problems are reported at once; more than this helps nobody.
pub const MAX_PROBLEMS: usize = 100;

/// Parameters that hold to their schema: typed, with defaults.
#[derive(Clone, PartialEq, Eq)]
pub struct Bound {
    values: Map<String, Value>,
    secrets: Vec<String>,
}

impl Bound {
    /// The values as the script gets them. Holds secrets: never log or store it, see [`Self::masked`].
    #[must_use]
    pub fn values(&self) -> &Map<String, Value> {
        &self.values
    }

    /// JSON pointers of the values that the schema marks as secret.
    #[must_use]
    pub fn secret_pointers(&self) -> &[String] {
        &self.secrets
    }

    /// The values as records may show them: secret ones are [`MASK`].
    #[must_use]
    pub fn masked(&self) -> Map<String, Value> {
        let mut shown = Value::Object(self.values.clone());
        for pointer in &self.secrets {
            if let Some(value) = shown.pointer_mut(pointer) {
                *value = Value::String(MASK.to_owned());
            }
        }
        match shown {
            Value::Object(map) => map,
            // The pointer to everything was secret.
            _ => Map::new(),
        }
    }

    /// The values without each parameter that is, or holds, a secret, and the names of those parameters.
    #[must_use]
    pub fn without_secrets(&self) -> (Self, Vec<String>) {
        let holds = |name: &str| {
            let pointer = format!("/{}", escape(name));
            // The empty pointer means all of them.
            self.secrets.iter().any(|it| it.is_empty() || *it == pointer || it.starts_with(&format!("{pointer}/")))
        };
        let (secret, shown): (Map<_, _>, Map<_, _>) =
            self.values.clone().into_iter().partition(|(name, _)| holds(name));
        let names = secret.into_iter().map(|(name, _)| name).collect();
        (Self { values: shown, secrets: Vec::new() }, names)
    }

    /// The bytes by which secret values could show up in output: each string in them that is not empty, and the
    /// digits of a number. Booleans and null are too common to be masked. [`bind`] saw to it that
    /// [`SecretMasker`](crate::output::SecretMasker) takes each of them.
    #[must_use]
    pub fn secret_values(&self) -> Vec<Vec<u8>> {
        let whole = Value::Object(self.values.clone());
        let secrets = self.secrets.iter().filter_map(|it| whole.pointer(it));
        secrets.flat_map(texts_of).map(String::into_bytes).collect()
    }
}

impl std::fmt::Debug for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bound").field("values", &self.masked()).field("secrets", &self.secrets).finish()
    }
}

/// Checks parameters against a schema, fills in its defaults and coerces strings as the module says.
/// Without a schema everything passes as sent, within the bounds on size.
///
/// A default is filled in where a property named in `properties` is missing, at any depth; an object that is
/// missing itself is not invented (give it the default `{}`).
///
/// # Errors
///
/// Every problem at once, at most [`MAX_PROBLEMS`]. `field` is `parameters` followed by the JSON pointer of
/// the value. A message shows the offending value unless it is, holds or is part of a secret.
pub fn bind(schema: Option<&ParameterSchema>, given: Map<String, Value>) -> Result<Bound, Vec<Problem>> {
    let problems = check_bounds(&given);
    if !problems.is_empty() {
        return Err(problems);
    }
    let Some(schema) = schema else {
        return Ok(Bound { values: given, secrets: Vec::new() });
    };
    let mut problems = unknown_names(schema, &given);
    let unknown: Vec<String> = problems.iter().map(|it| it.field.clone()).collect();
    let mut whole = Value::Object(given);
    let Ok(secrets) = fit(schema, &mut whole) else {
        let message = "take too long to check against the schema; send less, or simplify how the schema combines";
        return Err(vec![problem("", message)]);
    };
    for found in schema.root().iter_errors(&whole).flat_map(|it| problems_of(&it, &secrets)) {
        // A name that the schema does not take was reported already, and better.
        let said = problems.iter().any(|it| it.field == found.field && unknown.contains(&it.field));
        if !said && !problems.contains(&found) && problems.len() < MAX_PROBLEMS {
            problems.push(found);
        }
    }
    let unmaskable = secrets.iter().filter_map(|it| Some((it, not_maskable(whole.pointer(it)?)?)));
    problems.extend(unmaskable.map(|(pointer, message)| problem(pointer, message)));
    problems.truncate(MAX_PROBLEMS);
    match whole {
        Value::Object(values) if problems.is_empty() => Ok(Bound { values, secrets }),
        _ => Err(problems),
    }
}

fn problem(pointer: &str, message: impl Into<String>) -> Problem {
    Problem { field: format!("parameters{pointer}"), message: message.into() }
}

fn not_maskable(secret: &Value) -> Option<String> {
    let texts = texts_of(secret);
    if texts.iter().any(|it| it.trim_ascii().len() < Secret::MIN_LEN) {
        let least = Secret::MIN_LEN;
        return Some(format!(
            "is secret and has less than {least} bytes, too short to be masked in output; use a longer one"
        ));
    }
    let longest = texts.iter().map(String::len).max().unwrap_or(0);
    (longest > MAX_SECRET_BYTES)
        .then(|| format!("is secret and has {longest} bytes; more than {MAX_SECRET_BYTES} cannot be masked in output"))
}

fn texts_of(value: &Value) -> Vec<String> {
    match value {
        Value::Null | Value::Bool(_) => Vec::new(),
        Value::Number(number) => vec![number.to_string()],
        Value::String(text) if text.is_empty() => Vec::new(),
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items.iter().flat_map(texts_of).collect(),
        Value::Object(map) => map.values().flat_map(texts_of).collect(),
    }
}

fn check_bounds(given: &Map<String, Value>) -> Vec<Problem> {
    let mut problems = Vec::new();
    if given.len() > MAX_PARAMETERS {
        problems.push(problem("", format!("are {}; at most {MAX_PARAMETERS} are allowed", given.len())));
        return problems;
    }
    for (name, value) in given {
        let pointer = format!("/{}", escape(name));
        if name.is_empty() {
            problems.push(problem(&pointer, "has an empty name; name it"));
        } else if name.len() > MAX_NAME_BYTES {
            let shown: String = name.chars().take(32).collect();
            let message = format!("is a name of {} bytes; at most {MAX_NAME_BYTES} are allowed", name.len());
            problems.push(problem(&format!("/{}...", escape(&shown)), message));
        } else if is_deeper(value, MAX_VALUE_DEPTH) {
            problems.push(problem(&pointer, format!("nests more than {MAX_VALUE_DEPTH} levels deep; flatten it")));
        }
    }
    if problems.is_empty() {
        let bytes: usize = given.iter().map(|(name, value)| name.len() + 4 + json_len(value)).sum();
        if bytes > MAX_PARAMETERS_BYTES {
            let message =
                format!("have {bytes} bytes; at most {MAX_PARAMETERS_BYTES} are allowed, pass a file instead");
            problems.push(problem("", message));
        }
    }
    problems.truncate(MAX_PROBLEMS);
    problems
}

// Stops at the limit: a hostile value must not decide how far we recurse.
fn is_deeper(value: &Value, limit: usize) -> bool {
    match value {
        Value::Array(items) => limit == 0 || items.iter().any(|it| is_deeper(it, limit - 1)),
        Value::Object(map) => limit == 0 || map.values().any(|it| is_deeper(it, limit - 1)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn json_len(value: &Value) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // Neither a `Value` nor this writer can fail.
    match serde_json::to_writer(&mut count, value) {
        Ok(()) => count.0,
        Err(_) => usize::MAX / 2,
    }
}
