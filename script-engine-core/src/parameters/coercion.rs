//! Reads a string as the JSON type that a schema asks for. The rules stand in the parent module's table.

use serde_json::{Number, Value};

/// The types a string can be read as, in the order in which they are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Integer,
    Number,
    Boolean,
    Array,
    Object,
}

impl Target {
    pub(super) const ORDER: [Self; 5] = [Self::Integer, Self::Number, Self::Boolean, Self::Array, Self::Object];

    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "integer" => Self::Integer,
            "number" => Self::Number,
            "boolean" => Self::Boolean,
            "array" => Self::Array,
            "object" => Self::Object,
            _ => return None,
        })
    }

    pub(super) fn of(value: &Value) -> Option<Self> {
        Some(match value {
            Value::Number(number) if number.is_f64() => Self::Number,
            Value::Number(_) => Self::Integer,
            Value::Bool(_) => Self::Boolean,
            Value::Array(_) => Self::Array,
            Value::Object(_) => Self::Object,
            Value::Null | Value::String(_) => return None,
        })
    }
}

pub(super) fn read(text: &str, target: Target) -> Option<Value> {
    match target {
        Target::Integer => integer(text),
        Target::Number => number(text),
        Target::Boolean => match text {
            "true" | "on" | "yes" | "1" => Some(Value::Bool(true)),
            "false" | "off" | "no" | "0" => Some(Value::Bool(false)),
            _ => None,
        },
        Target::Array => serde_json::from_str(text).ok().filter(Value::is_array),
        Target::Object => serde_json::from_str(text).ok().filter(Value::is_object),
    }
}

fn integer(text: &str) -> Option<Value> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    // A leading zero is an identifier or an octal number, and in neither case the number it looks like.
    let canonical = digits == "0" || !digits.starts_with('0');
    if !canonical || digits.is_empty() || !digits.bytes().all(|it| it.is_ascii_digit()) {
        return None;
    }
    let number = text.parse::<i64>().map(Number::from).or_else(|_| text.parse::<u64>().map(Number::from));
    number.ok().map(Value::Number)
}

fn number(text: &str) -> Option<Value> {
    let body = text.strip_prefix('-').unwrap_or(text);
    if body.bytes().all(|it| it.is_ascii_digit()) {
        // More digits than 64 bits hold would lose some on the way through a float.
        return integer(text);
    }
    // The parser tolerates white space around a number.
    let bare = text.bytes().all(|it| it.is_ascii_digit() || b"+-.eE".contains(&it));
    bare.then(|| serde_json::from_str(text).ok()).flatten().filter(Value::is_number)
}
