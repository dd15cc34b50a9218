//! What a parameter schema must be before it is compiled: a schema, of an object, within bounds, and such that
//! a check against it always ends and ends soon.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::expectation::expectation;
use super::subschemas::{Applies, Node};
use super::{is_deeper, json_len};
use crate::Problem;

/// The most bytes of a schema as compact JSON.
pub const MAX_SCHEMA_BYTES: usize = 128 * 1024;
/// How deeply a schema's JSON may nest.
pub const MAX_SCHEMA_DEPTH: usize = 32;
/// The most schemas inside a schema.
pub const MAX_SUBSCHEMAS: usize = 2000;
/// The most regular expressions in a schema.
const MAX_PATTERNS: usize = 64;
/// How many schemas may apply to the same value one inside the other, `$ref` followed. Times
/// [`super::MAX_VALUE_DEPTH`] it bounds the recursion of a check, which must fit a 2 MiB stack.
const MAX_CHAIN: usize = 16;

const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";
/// Keywords that make a reference depend on where evaluation came from.
const DYNAMIC: [&str; 4] = ["$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor"];
/// Keywords of which one shows that a schema without `type` is meant for objects.
const OBJECT_KEYWORDS: [&str; 9] = [
    "properties",
    "patternProperties",
    "additionalProperties",
    "unevaluatedProperties",
    "required",
    "$ref",
    "allOf",
    "anyOf",
    "oneOf",
];

/// What the walk over a document found.
pub(super) struct Places {
    /// Pointers by the `$anchor` that names them.
    pub(super) anchors: HashMap<String, String>,
    /// The keys of every `patternProperties`.
    pub(super) patterns: HashSet<String>,
}

pub(super) fn problem(pointer: &str, message: impl Into<String>) -> Problem {
    Problem { field: format!("parameter_schema{pointer}"), message: message.into() }
}

/// Checks all that can be said without compiling.
pub(super) fn check_document(document: &Value) -> Result<Places, Vec<Problem>> {
    // In this order: what comes later relies on what came before (recursion on the depth).
    check_size(document).map_err(|it| vec![it])?;
    check_meta(document)?;
    check_top(document).map_err(|it| vec![it])?;
    check_places(document)
}

fn check_size(document: &Value) -> Result<(), Problem> {
    if is_deeper(document, MAX_SCHEMA_DEPTH) {
        return Err(problem("", format!("nests more than {MAX_SCHEMA_DEPTH} levels deep; use `$defs` and `$ref`")));
    }
    let bytes = json_len(document);
    if bytes > MAX_SCHEMA_BYTES {
        return Err(problem("", format!("has {bytes} bytes; at most {MAX_SCHEMA_BYTES} are allowed")));
    }
    Ok(())
}

fn check_meta(document: &Value) -> Result<(), Vec<Problem>> {
    let mut problems: Vec<Problem> = Vec::new();
    for error in jsonschema::draft202012::meta::validator().iter_errors(document).take(super::MAX_PROBLEMS) {
        let found = problem(error.instance_path().as_str(), format!("is not a JSON Schema: {}", expectation(&error)));
        if !problems.iter().any(|it| it.field == found.field) {
            problems.push(found);
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

fn check_top(document: &Value) -> Result<(), Problem> {
    let Some(top) = document.as_object() else {
        return Err(problem("", "must be an object that describes an object, for example {\"type\": \"object\"}"));
    };
    if let Some(draft) = top.get("$schema")
        && draft.as_str().map(|it| it.trim_end_matches('#')) != Some(DRAFT)
    {
        return Err(problem("/$schema", format!("must be `{DRAFT}` or be left out; got {draft}")));
    }
    match top.get("type") {
        Some(Value::String(it)) if it == "object" => Ok(()),
        Some(_) => Err(problem("/type", "must be \"object\": the parameters are the properties of one object")),
        None if OBJECT_KEYWORDS.iter().any(|it| top.contains_key(*it)) => Ok(()),
        None => Err(problem(
            "",
            "does not describe an object: add \"type\": \"object\" and list the parameters in `properties`",
        )),
    }
}

fn check_places(document: &Value) -> Result<Places, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut places = Places { anchors: HashMap::new(), patterns: HashSet::new() };
    let (mut count, mut regexes) = (0, 0);
    let mut known = HashSet::new();
    let mut references = Vec::new();
    let mut pending = vec![Node::root(document)];
    while let Some(node) = pending.pop() {
        count += 1;
        known.insert(node.pointer.clone());
        regexes += usize::from(node.keyword("pattern").is_some());
        for (pattern, _) in node.map("patternProperties") {
            regexes += 1;
            places.patterns.insert(pattern.to_owned());
        }
        for keyword in DYNAMIC.iter().filter(|it| node.keyword(it).is_some()) {
            problems.push(problem(&format!("{}/{keyword}", node.pointer), "is not supported; use `$ref` into `$defs`"));
        }
        if !node.pointer.is_empty() {
            for keyword in ["$id", "$schema"].iter().filter(|it| node.keyword(it).is_some()) {
                problems.push(problem(&format!("{}/{keyword}", node.pointer), "is only allowed at the top"));
            }
        }
        if let Some(anchor) = node.keyword("$anchor").and_then(Value::as_str) {
            places.anchors.insert(anchor.to_owned(), node.pointer.clone());
        }
        if let Some(reference) = node.keyword("$ref").and_then(Value::as_str) {
            references.push((format!("{}/$ref", node.pointer), reference));
        }
        pending.extend(node.children().into_iter().map(|(_, it)| it));
    }
    for (place, reference) in references {
        let target = resolve(document, &places.anchors, reference);
        if !reference.starts_with('#') {
            problems.push(problem(&place, "must point into this schema (`#/$defs/...`); nothing is fetched"));
        } else if !target.is_some_and(|it| known.contains(&it.pointer)) {
            problems.push(problem(&place, format!("leads to no schema in this document: `{reference}`")));
        }
    }
    if count > MAX_SUBSCHEMAS {
        problems.push(problem("", format!("holds {count} schemas; at most {MAX_SUBSCHEMAS} are allowed")));
    }
    if regexes > MAX_PATTERNS {
        problems.push(problem("", format!("holds {regexes} regular expressions; at most {MAX_PATTERNS} are allowed")));
    }
    problems.truncate(super::MAX_PROBLEMS);
    if problems.is_empty() { Ok(places) } else { Err(problems) }
}

/// Finds where a local reference leads.
pub(super) fn resolve<'a>(document: &'a Value, anchors: &HashMap<String, String>, reference: &str) -> Option<Node<'a>> {
    let fragment = decode_percent(reference.strip_prefix('#')?)?;
    let pointer = match anchors.get(&fragment) {
        Some(pointer) => pointer.clone(),
        None => fragment,
    };
    document.pointer(&pointer).map(|schema| Node { pointer, schema })
}

fn decode_percent(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (high, low) = (char::from(rest.next()?).to_digit(16)?, char::from(rest.next()?).to_digit(16)?);
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(bytes).ok()
}

/// Refuses schemas that apply to the same value in a circle or in a very long chain.
pub(super) fn check_chains(document: &Value, anchors: &HashMap<String, String>) -> Result<(), Vec<Problem>> {
    let mut chains = Chains { document, anchors, lengths: HashMap::new() };
    let mut pending = vec![Node::root(document)];
    while let Some(node) = pending.pop() {
        pending.extend(node.children().into_iter().map(|(_, it)| it));
        let pointer = node.pointer.clone();
        match chains.length(node, 0) {
            Some(length) if length <= MAX_CHAIN => {}
            _ => {
                let message = format!(
                    "leads back to itself or through more than {MAX_CHAIN} schemas for the same value; shorten the chain"
                );
                return Err(vec![problem(&pointer, message)]);
            }
        }
    }
    Ok(())
}

struct Chains<'a> {
    document: &'a Value,
    anchors: &'a HashMap<String, String>,
    lengths: HashMap<String, usize>,
}

impl<'a> Chains<'a> {
    // A circle is a chain without an end: the bound on the recursion finds both.
    fn length(&mut self, node: Node<'a>, above: usize) -> Option<usize> {
        if let Some(length) = self.lengths.get(&node.pointer) {
            return Some(*length);
        }
        if above > MAX_CHAIN {
            return None;
        }
        let mut longest = 0;
        let inside = node.children().into_iter().filter(|(applies, _)| *applies == Applies::InPlace).map(|(_, it)| it);
        let referred = node.keyword("$ref").and_then(Value::as_str);
        let referred = referred.and_then(|it| resolve(self.document, self.anchors, it));
        for next in inside.chain(referred) {
            longest = longest.max(self.length(next, above + 1)? + 1);
        }
        self.lengths.insert(node.pointer, longest);
        Some(longest)
    }
}
