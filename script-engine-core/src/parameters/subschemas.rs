//! Where a JSON Schema holds further schemas, and how each of them applies.

use serde_json::{Map, Value};

/// A schema inside the document: its JSON pointer and itself.
#[derive(Clone, Debug)]
pub(super) struct Node<'a> {
    pub(super) pointer: String,
    pub(super) schema: &'a Value,
}

/// How a subschema applies to the value that its parent applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Applies {
    /// To the same value.
    InPlace,
    /// To a part of the value, or (definitions) to nothing by itself.
    Elsewhere,
}

const ONE_IN_PLACE: [&str; 4] = ["not", "if", "then", "else"];
const ONE_ELSEWHERE: [&str; 7] = [
    "additionalProperties",
    "propertyNames",
    "unevaluatedProperties",
    "items",
    "contains",
    "unevaluatedItems",
    "contentSchema",
];
const LIST_IN_PLACE: [&str; 3] = ["allOf", "anyOf", "oneOf"];
const MAP_ELSEWHERE: [&str; 4] = ["properties", "patternProperties", "$defs", "definitions"];

impl<'a> Node<'a> {
    pub(super) fn root(schema: &'a Value) -> Self {
        Self { pointer: String::new(), schema }
    }

    pub(super) fn object(&self) -> Option<&'a Map<String, Value>> {
        self.schema.as_object()
    }

    pub(super) fn keyword(&self, keyword: &str) -> Option<&'a Value> {
        self.schema.get(keyword)
    }

    /// The schema that stands directly under a keyword.
    pub(super) fn one(&self, keyword: &str) -> Option<Self> {
        let schema = self.keyword(keyword)?;
        is_schema(schema).then(|| Self { pointer: format!("{}/{}", self.pointer, escape(keyword)), schema })
    }

    /// The schemas in a keyword's list.
    pub(super) fn list(&self, keyword: &str) -> Vec<Self> {
        let items = self.keyword(keyword).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let node = |(at, schema)| Self { pointer: format!("{}/{}/{at}", self.pointer, escape(keyword)), schema };
        items.iter().enumerate().map(node).collect()
    }

    /// One of the schemas in a keyword's list.
    pub(super) fn nth(&self, keyword: &str, index: usize) -> Option<Self> {
        let schema = self.keyword(keyword)?.get(index)?;
        Some(Self { pointer: format!("{}/{}/{index}", self.pointer, escape(keyword)), schema })
    }

    /// One of the named schemas in a keyword's object.
    pub(super) fn named(&self, keyword: &str, name: &str) -> Option<Self> {
        let schema = self.keyword(keyword)?.as_object()?.get(name)?;
        Some(Self { pointer: format!("{}/{}/{}", self.pointer, escape(keyword), escape(name)), schema })
    }

    /// The named schemas in a keyword's object.
    pub(super) fn map(&self, keyword: &str) -> Vec<(&'a str, Self)> {
        let Some(map) = self.keyword(keyword).and_then(Value::as_object) else { return Vec::new() };
        let node = |(name, schema): (&'a String, _)| {
            let pointer = format!("{}/{}/{}", self.pointer, escape(keyword), escape(name));
            (name.as_str(), Self { pointer, schema })
        };
        map.iter().map(node).collect()
    }

    /// All schemas directly inside this one. `$ref` is not followed.
    pub(super) fn children(&self) -> Vec<(Applies, Self)> {
        let mut found = Vec::new();
        if self.object().is_none() {
            return found;
        }
        found.extend(ONE_IN_PLACE.iter().filter_map(|it| self.one(it)).map(|it| (Applies::InPlace, it)));
        found.extend(LIST_IN_PLACE.iter().flat_map(|it| self.list(it)).map(|it| (Applies::InPlace, it)));
        found.extend(self.map("dependentSchemas").into_iter().map(|(_, it)| (Applies::InPlace, it)));
        found.extend(ONE_ELSEWHERE.iter().filter_map(|it| self.one(it)).map(|it| (Applies::Elsewhere, it)));
        found.extend(self.list("prefixItems").into_iter().map(|it| (Applies::Elsewhere, it)));
        let named = MAP_ELSEWHERE.iter().flat_map(|it| self.map(it));
        found.extend(named.map(|(_, it)| (Applies::Elsewhere, it)));
        found
    }
}

fn is_schema(value: &Value) -> bool {
    value.is_object() || value.is_boolean()
}

/// Escapes a name for a JSON pointer (RFC 6901).
pub(super) fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
