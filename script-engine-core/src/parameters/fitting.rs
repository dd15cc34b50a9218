//! Fits a value to a schema: fills in defaults and coerces strings. Validation comes afterwards.
//!
//! The walk visits a value together with every schema that applies to it. A budget of visits, validation
//! included, keeps a schema that multiplies (`allOf` of two references to the same thing, nested) from taking
//! for ever.

use serde_json::{Map, Value};

use super::coercion::{Target, read};
use super::schema::ParameterSchema;
use super::subschemas::{Node, escape};
use super::{MAX_VALUE_DEPTH, is_deeper};

/// How many times a schema may meet a value while one request is bound. Takes about a second.
const BUDGET: usize = 1_000_000;

/// The walk met too many pairs of schema and value.
#[derive(Debug)]
pub(super) struct TooCostly;

/// Fits `value` and returns the pointers of what the schema marks as secret.
pub(super) fn fit(schema: &ParameterSchema, value: &mut Value) -> Result<Vec<String>, TooCostly> {
    let mut fitter = Fitter::new(schema);
    let root = Node::root(schema.document());
    fitter.fit(&root, value)?;
    let mut secrets = Vec::new();
    fitter.visit(&root, value, &mut Vec::new(), &mut |node, path| {
        if is_secret(node) {
            secrets.push(path.concat());
        }
    })?;
    secrets.sort_unstable();
    secrets.dedup();
    Ok(secrets)
}

/// The state of one fitting.
pub(super) struct Fitter<'a> {
    schema: &'a ParameterSchema,
    budget: usize,
    depth: usize,
}

impl<'a> Fitter<'a> {
    pub(super) fn new(schema: &'a ParameterSchema) -> Self {
        Self { schema, budget: BUDGET, depth: 0 }
    }

    pub(super) fn fit(&mut self, node: &Node<'a>, value: &mut Value) -> Result<(), TooCostly> {
        self.spend()?;
        if node.object().is_none() {
            return Ok(());
        }
        if value.is_string() {
            self.coerce(node, value)?;
        }
        self.fit_parts(node, value)?;
        if let Some(referred) = self.schema.referred(node) {
            self.fit(&referred, value)?;
        }
        for part in node.list("allOf") {
            self.fit(&part, value)?;
        }
        self.fit_branch(&node.list("anyOf"), value)?;
        self.fit_branch(&node.list("oneOf"), value)?;
        if let Some(condition) = node.one("if") {
            let holds = self.is_valid(&condition, value)?;
            if let Some(branch) = node.one(if holds { "then" } else { "else" }) {
                self.fit(&branch, value)?;
            }
        }
        for (name, dependent) in node.map("dependentSchemas") {
            if value.get(name).is_some() {
                self.fit(&dependent, value)?;
            }
        }
        Ok(())
    }

    fn fit_parts(&mut self, node: &Node<'a>, value: &mut Value) -> Result<(), TooCostly> {
        // A string may become a value that nests deeper than what was sent.
        self.depth += 1;
        if self.depth > MAX_VALUE_DEPTH + 1 {
            return Err(TooCostly);
        }
        if let Value::Object(map) = value {
            self.fill_in(node, map);
            for (name, part) in map {
                for schema in self.of_property(node, name) {
                    self.fit(&schema, part)?;
                }
            }
        } else if let Value::Array(items) = value {
            for (index, part) in items.iter_mut().enumerate() {
                if let Some(schema) = of_item(node, index) {
                    self.fit(&schema, part)?;
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }

    fn of_property(&self, node: &Node<'a>, name: &str) -> Vec<Node<'a>> {
        let mut found: Vec<_> = node.named("properties", name).into_iter().collect();
        let patterns = node.map("patternProperties").into_iter();
        found.extend(patterns.filter(|(pattern, _)| self.schema.matches(pattern, name)).map(|(_, it)| it));
        if found.is_empty() {
            found.extend(node.one("additionalProperties").or_else(|| node.one("unevaluatedProperties")));
        }
        found
    }

    fn fill_in(&self, node: &Node<'a>, map: &mut Map<String, Value>) {
        for (name, property) in node.map("properties") {
            if !map.contains_key(name)
                && let Some(default) = self.default_of(property)
            {
                map.insert(name.to_owned(), default);
            }
        }
    }

    // Its own, or that of what it refers to: chains of references were bounded when the schema was compiled.
    fn default_of(&self, mut node: Node<'a>) -> Option<Value> {
        loop {
            if let Some(default) = node.keyword("default") {
                return Some(default.clone());
            }
            node = self.schema.referred(&node)?;
        }
    }

    // Of alternatives, the first that the value satisfies as it is; else the first that it can be made to.
    fn fit_branch(&mut self, branches: &[Node<'a>], value: &mut Value) -> Result<(), TooCostly> {
        let mut order = Vec::new();
        for branch in branches {
            if self.is_valid(branch, value)? {
                order.insert(0, branch);
                break;
            }
            order.push(branch);
        }
        for branch in order {
            let mut candidate = value.clone();
            self.fit(branch, &mut candidate)?;
            if self.is_valid(branch, &candidate)? {
                *value = candidate;
                break;
            }
        }
        Ok(())
    }

    fn coerce(&mut self, node: &Node<'a>, value: &mut Value) -> Result<(), TooCostly> {
        let mut asked = Asked::default();
        self.gather_asked(node, &mut asked)?;
        let Value::String(text) = &*value else { return Ok(()) };
        if asked.targets.is_empty() || self.is_valid(node, value)? {
            return Ok(());
        }
        let mut first = None;
        for target in Target::ORDER.into_iter().filter(|it| asked.targets.contains(it)) {
            let Some(mut candidate) = read(text, target) else { continue };
            // Before anything recurses into it.
            if is_deeper(&candidate, MAX_VALUE_DEPTH) {
                continue;
            }
            self.fit(node, &mut candidate)?;
            if self.is_valid(node, &candidate)? {
                *value = candidate;
                return Ok(());
            }
            first = first.or(Some(candidate));
        }
        if let (Some(candidate), false) = (first, asked.string) {
            *value = candidate;
        }
        Ok(())
    }

    fn gather_asked(&mut self, node: &Node<'a>, asked: &mut Asked) -> Result<(), TooCostly> {
        self.spend()?;
        match node.keyword("type") {
            Some(Value::String(name)) => asked.add_name(name),
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).for_each(|it| asked.add_name(it)),
            _ => {}
        }
        let options = node.keyword("enum").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        options.iter().chain(node.keyword("const")).for_each(|it| asked.add_value(it));
        for part in self.schema.in_place(node) {
            self.gather_asked(&part, asked)?;
        }
        Ok(())
    }

    fn is_valid(&mut self, node: &Node<'a>, value: &Value) -> Result<bool, TooCostly> {
        self.visit(node, value, &mut Vec::new(), &mut |_, _| {})?;
        Ok(self.schema.is_valid(node, value))
    }

    /// Shows every schema that applies to the value or a part of it, in whichever branch; `path` holds the
    /// escaped tokens of the part's pointer.
    fn visit(
        &mut self,
        node: &Node<'a>,
        value: &Value,
        path: &mut Vec<String>,
        sink: &mut dyn FnMut(&Node<'a>, &[String]),
    ) -> Result<(), TooCostly> {
        self.spend()?;
        sink(node, path);
        for part in self.schema.in_place(node) {
            self.visit(&part, value, path, sink)?;
        }
        if path.len() > MAX_VALUE_DEPTH {
            return Err(TooCostly);
        }
        if let Value::Object(map) = value {
            for (name, part) in map {
                path.push(format!("/{}", escape(name)));
                for schema in self.of_property(node, name) {
                    self.visit(&schema, part, path, sink)?;
                }
                path.pop();
            }
        } else if let Value::Array(items) = value {
            for (index, part) in items.iter().enumerate() {
                path.push(format!("/{index}"));
                for schema in of_item(node, index).into_iter().chain(node.one("contains")) {
                    self.visit(&schema, part, path, sink)?;
                }
                path.pop();
            }
        }
        Ok(())
    }

    fn spend(&mut self) -> Result<(), TooCostly> {
        self.budget = self.budget.checked_sub(1).ok_or(TooCostly)?;
        Ok(())
    }
}

fn of_item<'a>(node: &Node<'a>, index: usize) -> Option<Node<'a>> {
    let prefix = node.nth("prefixItems", index);
    prefix.or_else(|| node.one("items")).or_else(|| node.one("unevaluatedItems"))
}

fn is_secret(node: &Node<'_>) -> bool {
    let marked = ["writeOnly", "x-secret"].iter().any(|it| node.keyword(it) == Some(&Value::Bool(true)));
    marked || node.keyword("format").and_then(Value::as_str) == Some("password")
}

/// The types that a schema names for one value.
#[derive(Default)]
struct Asked {
    targets: Vec<Target>,
    string: bool,
}

impl Asked {
    fn add_name(&mut self, name: &str) {
        self.string |= name == "string";
        self.targets.extend(Target::named(name));
    }

    fn add_value(&mut self, value: &Value) {
        self.string |= value.is_string();
        self.targets.extend(Target::of(value));
    }
}
