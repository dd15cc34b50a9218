//! JSON that a script wrote: read strictly, or refused with the reason. Not for our own JSON.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// How deeply arrays and objects may nest.
pub(super) const MAX_DEPTH: usize = 64;

/// Reads one JSON text. Refused beyond what JSON itself refuses (`NaN`, `1e400`): a name that an object has twice,
/// because readers disagree about which counts, and nesting deeper than [`MAX_DEPTH`].
pub(super) fn read_strict(text: &[u8]) -> Result<Value, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = Strict { depth: 0 }.deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

#[derive(Clone, Copy)]
struct Strict {
    depth: usize,
}

impl Strict {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        if self.depth == MAX_DEPTH {
            return Err(E::custom(format_args!("nests more than {MAX_DEPTH} levels deep")));
        }
        Ok(Self { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut found = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            found.push(item);
        }
        Ok(Value::Array(found))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut found = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(inner)?;
            // The name is the script's and may be a secret half: it is not repeated.
            if found.insert(name, value).is_some() {
                return Err(A::Error::custom("an object has the same name twice"));
            }
        }
        Ok(Value::Object(found))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, refusal: Option<&str>) {
        match (read_strict(text.as_bytes()), refusal) {
            (Ok(value), None) => assert_eq!(value, serde_json::from_str::<Value>(text).expect("JSON")),
            (Err(error), Some(words)) => assert!(error.to_string().contains(words), "{text:.40}: {error}"),
            (result, _) => panic!("{text:.40}: {result:?}"),
        }
    }

    #[test]
    fn strict_means_strict() {
        check(r#" {"a": [1, -2, 3.5, null, true, "x\u00e9"], "b": {}} "#, None);
        check("18446744073709551615", None);
        check(r#"{"a": 1, "a": 1}"#, Some("twice"));
        check(r#"{"a": {"b": 1, "\u0062": 2}}"#, Some("twice"));
        check("1e400", Some("out of range"));
        check("NaN", Some("expected"));
        check("[Infinity]", Some("expected"));
        check("{} {}", Some("trailing"));
        check("", Some("EOF"));
        check("\"\\ud800\"", Some(""));
        check(&format!("{}{}", "[".repeat(64), "]".repeat(64)), None);
        check(&format!("{}{}", "[".repeat(65), "]".repeat(65)), Some("levels deep"));
        check(&"[".repeat(1_000_000), Some("levels deep"));
        check(&"{\"a\":".repeat(1_000_000), Some("levels deep"));
        assert!(read_strict(b"\"\xff\"").is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_end_in_a_verdict(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(value) = read_strict(&bytes) {
                prop_assert_eq!(Ok(value), serde_json::from_slice::<Value>(&bytes).map_err(|it| it.to_string()));
            }
        }
    }
}
