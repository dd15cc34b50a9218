//! A compiled parameter schema and what the other steps ask it. What a schema may be is in `soundness`.

use std::collections::HashMap;

use jsonschema::{Draft, PatternOptions, ValidationError, ValidationOptions, Validator, ValidatorMap};
use serde_json::{Value, json};

use super::expectation::expectation;
use super::fitting::Fitter;
use super::soundness::{Places, check_chains, check_document, problem, resolve};
use super::subschemas::{Applies, Node};
use crate::Problem;

/// The bytes that a regular expression may take when compiled.
const MAX_PATTERN_BYTES: usize = 1024 * 1024;

/// A compiled parameter schema. Cheap to use, not cheap to make: keep it.
pub struct ParameterSchema {
    document: Value,
    root: Validator,
    /// A validator for every place in the document, by `#` and its pointer.
    validators: ValidatorMap,
    anchors: HashMap<String, String>,
    /// Validators of one regular expression each, for the keys of `patternProperties`.
    patterns: HashMap<String, Validator>,
    names: Vec<String>,
    name_patterns: Vec<String>,
    open: bool,
}

impl ParameterSchema {
    /// Compiles a schema.
    ///
    /// Supported is draft 2020-12 with references inside the document (`#`, `#/...`, `#anchor`); nothing is ever
    /// fetched. Formats are checked, unknown formats are annotations. Regular expressions have no look-around
    /// and no back-references. `writeOnly`, `x-secret` and the format `password` mark a secret.
    ///
    /// # Errors
    ///
    /// Every problem found; `field` is `parameter_schema` followed by the JSON pointer of the bad place.
    pub fn compile(document: &Value) -> Result<Self, Vec<Problem>> {
        let Places { anchors, patterns } = check_document(document)?;
        check_chains(document, &anchors)?;
        let options = options();
        let root = options.build(document).map_err(|it| vec![build_problem(document, &it)])?;
        let validators = options.build_map(document).map_err(|it| vec![build_problem(document, &it)])?;
        let mut compiled = HashMap::new();
        for pattern in patterns {
            let validator = options.build(&json!({ "pattern": pattern }));
            compiled.insert(pattern, validator.map_err(|it| vec![build_problem(document, &it)])?);
        }
        let mut schema = Self {
            document: document.clone(),
            root,
            validators,
            anchors,
            patterns: compiled,
            names: Vec::new(),
            name_patterns: Vec::new(),
            open: false,
        };
        schema.gather_names();
        schema.check_defaults()?;
        Ok(schema)
    }

    /// The schema as it was given.
    #[must_use]
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// The names of the parameters that the schema knows, in its order.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    pub(super) fn root(&self) -> &Validator {
        &self.root
    }

    pub(super) fn is_valid(&self, node: &Node<'_>, value: &Value) -> bool {
        self.validator(node).is_some_and(|it| it.is_valid(value))
    }

    fn validator(&self, node: &Node<'_>) -> Option<&Validator> {
        self.validators.get(&format!("#{}", node.pointer))
    }

    /// The schema that the `$ref` of this one leads to.
    pub(super) fn referred(&self, node: &Node<'_>) -> Option<Node<'_>> {
        resolve(&self.document, &self.anchors, node.keyword("$ref")?.as_str()?)
    }

    /// The schemas that apply to the same value: those inside, and the one referred to.
    pub(super) fn in_place<'a>(&'a self, node: &Node<'a>) -> Vec<Node<'a>> {
        let inside = node.children().into_iter().filter(|(applies, _)| *applies == Applies::InPlace);
        inside.map(|(_, it)| it).chain(self.referred(node)).collect()
    }

    /// Whether a name is one that the schema takes, by `properties` or `patternProperties`, or because it says
    /// by itself what happens with others.
    pub(super) fn takes(&self, name: &str) -> bool {
        let known = self.open || self.names.iter().any(|it| it == name);
        known || self.name_patterns.iter().any(|it| self.matches(it, name))
    }

    /// Whether a key of `patternProperties` matches a name.
    pub(super) fn matches(&self, pattern: &str, name: &str) -> bool {
        self.patterns.get(pattern).is_some_and(|it| it.is_valid(&Value::String(name.to_owned())))
    }

    fn gather_names(&mut self) {
        let (mut names, mut patterns, mut open) = (Vec::new(), Vec::new(), false);
        let mut pending = vec![Node::root(&self.document)];
        while let Some(node) = pending.pop() {
            names.extend(node.map("properties").into_iter().map(|(name, _)| name.to_owned()));
            patterns.extend(node.map("patternProperties").into_iter().map(|(name, _)| name.to_owned()));
            let rest = ["additionalProperties", "unevaluatedProperties"].map(|it| node.keyword(it));
            open |= rest.into_iter().flatten().any(|it| *it != Value::Bool(false));
            // In reverse, so that popping keeps the document's order.
            pending.extend(self.in_place(&node).into_iter().rev());
        }
        let mut seen = std::collections::HashSet::new();
        names.retain(|it: &String| seen.insert(it.clone()));
        (self.names, self.name_patterns, self.open) = (names, patterns, open);
    }

    // A default that breaks its own schema would make every request that leaves the parameter out fail.
    fn check_defaults(&self) -> Result<(), Vec<Problem>> {
        let mut problems = Vec::new();
        let mut pending = vec![Node::root(&self.document)];
        while let Some(node) = pending.pop() {
            pending.extend(node.children().into_iter().map(|(_, it)| it));
            let Some(default) = node.keyword("default") else { continue };
            let mut value = default.clone();
            let place = format!("{}/default", node.pointer);
            if Fitter::new(self).fit(&node, &mut value).is_err() {
                problems.push(problem(&place, "takes too long to check against its schema; simplify it"));
                continue;
            }
            let Some(validator) = self.validator(&node) else { continue };
            if let Err(error) = validator.validate(&value) {
                let part = error.instance_path().as_str();
                let message = format!("breaks the schema that it belongs to: {}", expectation(&error));
                problems.push(problem(&format!("{place}{part}"), message));
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}

// The validators would fill pages.
impl std::fmt::Debug for ParameterSchema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParameterSchema").field("document", &self.document).finish_non_exhaustive()
    }
}

fn options() -> ValidationOptions<'static> {
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .offline()
        .should_validate_formats(true)
        .with_pattern_options(PatternOptions::regex().size_limit(MAX_PATTERN_BYTES))
}

// Depending on the step that failed, the bad place is the instance (of the meta-schema) or the schema path.
fn build_problem(document: &Value, error: &ValidationError<'_>) -> Problem {
    let places = [error.instance_path().as_str(), error.schema_path().as_str()];
    let found = places.into_iter().find(|it| !it.is_empty() && document.pointer(it).is_some()).unwrap_or_default();
    // Whatever the library says of a pattern, this is what there is to do.
    if found.ends_with("/pattern") || found.contains("/patternProperties/") {
        let message = "is not a usable regular expression: no look-around, no back-references, \
                       no repetition that makes it large";
        return problem(found, message);
    }
    problem(found, format!("cannot be used: {}", error.masked()))
}
