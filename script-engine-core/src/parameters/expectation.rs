//! Says what is wrong with a value: what its schema expects, and the value unless it is secret.

use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use jsonschema::{JsonType, ValidationError};
use serde_json::{Map, Value};

use super::schema::ParameterSchema;
use super::subschemas::escape;
use super::{MAX_PROBLEMS, problem};
use crate::Problem;

/// The most characters of a value, or of a list of options, that a message shows.
const MAX_SHOWN: usize = 80;
/// The most names or alternatives that a message lists.
const MAX_LISTED: usize = 10;

/// The names among the parameters that the schema does not take. Their values are not shown: a mistyped name
/// may hold a secret.
pub(super) fn unknown_names(schema: &ParameterSchema, given: &Map<String, Value>) -> Vec<Problem> {
    let unknown = given.keys().filter(|it| !schema.takes(it)).take(MAX_PROBLEMS);
    let report = |name: &String| problem(&format!("/{}", escape(name)), not_a_parameter(schema.names()));
    unknown.map(report).collect()
}

fn not_a_parameter(names: &[String]) -> String {
    if names.is_empty() {
        return "is not a parameter of this script: it takes none".to_owned();
    }
    let more = if names.len() > MAX_LISTED { format!(" and {} more", names.len() - MAX_LISTED) } else { String::new() };
    let listed: Vec<String> = names.iter().take(MAX_LISTED).map(|it| format!("`{it}`")).collect();
    format!("is not a parameter of this script: it takes {}{more}", listed.join(", "))
}

/// One validation error as problems, each at the field that has to change.
pub(super) fn problems_of(error: &ValidationError<'_>, secrets: &[String]) -> Vec<Problem> {
    let pointer = error.instance_path().as_str();
    match error.kind() {
        Kind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            vec![problem(&format!("{pointer}/{}", escape(name)), "is required")]
        }
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            let place =
                |name: &String| problem(&format!("{pointer}/{}", escape(name)), "is not allowed here; leave it out");
            unexpected.iter().map(place).collect()
        }
        _ => vec![problem(pointer, format!("{}{}", expectation(error), shown(error, pointer, secrets)))],
    }
}

fn shown(error: &ValidationError<'_>, pointer: &str, secrets: &[String]) -> String {
    if secrets.iter().any(|secret| is_within(pointer, secret)) {
        return String::new();
    }
    match error.instance().as_ref() {
        // The field names it; its parts may be long, or secret.
        Value::Array(_) | Value::Object(_) => String::new(),
        value => format!("; got {}", shorten(&value.to_string())),
    }
}

fn is_within(pointer: &str, outer: &str) -> bool {
    pointer.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN) {
        Some((cut, _)) => format!("{}...", &text[..cut]),
        None => text.to_owned(),
    }
}

/// What the schema expects, without the value.
pub(super) fn expectation(error: &ValidationError<'_>) -> String {
    match error.kind() {
        Kind::Type { kind: TypeKind::Single(one) } => format!("must be {}", article(*one)),
        Kind::Type { kind: TypeKind::Multiple(set) } => {
            format!("must be {}", set.iter().map(article).collect::<Vec<_>>().join(" or "))
        }
        Kind::Minimum { limit } => format!("must be at least {limit}"),
        Kind::Maximum { limit } => format!("must be at most {limit}"),
        Kind::ExclusiveMinimum { limit } => format!("must be greater than {limit}"),
        Kind::ExclusiveMaximum { limit } => format!("must be less than {limit}"),
        Kind::MultipleOf { multiple_of } => format!("must be a multiple of {multiple_of}"),
        Kind::MinLength { limit } => format!("must have at least {limit} characters"),
        Kind::MaxLength { limit } => format!("must have at most {limit} characters"),
        Kind::MinItems { limit } => format!("must have at least {limit} items"),
        Kind::MaxItems { limit } => format!("must have at most {limit} items"),
        Kind::AdditionalItems { limit } => format!("must have at most {limit} items"),
        Kind::MinProperties { limit } => format!("must have at least {limit} properties"),
        Kind::MaxProperties { limit } => format!("must have at most {limit} properties"),
        Kind::UniqueItems => "must not hold the same item twice".to_owned(),
        Kind::Pattern { pattern } => format!("must match the pattern `{}`", shorten(pattern)),
        Kind::Format { format } => format!("must have the format `{}`", shorten(format)),
        Kind::Enum { options } => match options.as_array() {
            Some(options) => format!("must be one of {}", listed(options)),
            None => "must be one of the listed values".to_owned(),
        },
        Kind::Constant { expected_value } => format!("must be {}", shorten(&expected_value.to_string())),
        Kind::Required { property } => format!("must have {}", shorten(&property.to_string())),
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            let names: Vec<String> = unexpected.iter().take(MAX_LISTED).map(|it| shorten(it)).collect();
            format!("must not have `{}`", names.join("`, `"))
        }
        Kind::UnevaluatedItems { .. } => "has items that are not allowed".to_owned(),
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => alternatives(error, context),
        Kind::OneOfMultipleValid { .. } => {
            "fits more than one of the allowed forms; it must fit exactly one".to_owned()
        }
        Kind::Not { .. } => "has a form that is not allowed".to_owned(),
        Kind::FalseSchema => "is not allowed here; leave it out".to_owned(),
        Kind::Contains => "does not hold the required item".to_owned(),
        Kind::PropertyNames { error } => {
            format!("has a property whose name is not allowed: a name {}", expectation(error))
        }
        Kind::ContentEncoding { content_encoding } => format!("must be encoded as `{}`", shorten(content_encoding)),
        Kind::ContentMediaType { content_media_type } => format!("must be `{}`", shorten(content_media_type)),
        Kind::FromUtf8 { .. } => "must be encoded text".to_owned(),
        Kind::Custom { .. }
        | Kind::BacktrackLimitExceeded { .. }
        | Kind::RegexEngineFailure { .. }
        | Kind::Referencing(_) => format!("cannot be checked: {}", error.masked()),
    }
}

fn listed(options: &[Value]) -> String {
    let shown: Vec<String> = options.iter().take(MAX_LISTED).map(|it| shorten(&it.to_string())).collect();
    let more = if options.len() > MAX_LISTED { ", ..." } else { "" };
    format!("{}{more}", shown.join(", "))
}

fn alternatives(error: &ValidationError<'_>, context: &[Vec<ValidationError<'static>>]) -> String {
    let base = error.instance_path().as_str();
    let first = |branch: &Vec<ValidationError<'static>>| {
        let error = branch.first()?;
        let part = error.instance_path().as_str();
        let part = part.strip_prefix(base).unwrap_or(part);
        Some(if part.is_empty() { expectation(error) } else { format!("{part} {}", expectation(error)) })
    };
    let mut found: Vec<String> = Vec::new();
    for text in context.iter().take(MAX_LISTED).filter_map(first) {
        if !found.contains(&text) {
            found.push(text);
        }
    }
    found.join(", or ")
}

fn article(kind: JsonType) -> &'static str {
    match kind {
        JsonType::Array => "an array",
        JsonType::Boolean => "true or false",
        JsonType::Integer => "an integer",
        JsonType::Null => "null",
        JsonType::Number => "a number",
        JsonType::Object => "an object",
        JsonType::String => "a string",
    }
}
