//! Tables and properties of binding, coercion, schemas and delivery.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("not an object: {other}"),
    }
}

fn compile(schema: &Value) -> ParameterSchema {
    ParameterSchema::compile(schema).unwrap_or_else(|problems| panic!("{schema}: {problems:?}"))
}

fn bound(schema: &Value, given: Value) -> Bound {
    bind(Some(&compile(schema)), object(given)).unwrap_or_else(|problems| panic!("{schema}: {problems:?}"))
}

fn refused(schema: &Value, given: Value) -> Vec<(String, String)> {
    match bind(Some(&compile(schema)), object(given)) {
        Ok(bound) => panic!("{schema} took {bound:?}"),
        Err(problems) => problems.into_iter().map(|it| (it.field, it.message)).collect(),
    }
}

fn refused_schema(schema: &Value) -> Vec<(String, String)> {
    match ParameterSchema::compile(schema) {
        Ok(_) => panic!("{schema} was taken"),
        Err(problems) => problems.into_iter().map(|it| (it.field, it.message)).collect(),
    }
}

/// `x` sent as `text` to a schema for `x`: what the script gets, or `None` where it is refused.
#[track_caller]
fn check_coercion(schema: &Value, text: &str, expected: Option<Value>) {
    let schema = json!({ "properties": { "x": schema } });
    let result = bind(Some(&compile(&schema)), object(json!({ "x": text })));
    let got = result.as_ref().ok().and_then(|it| it.values().get("x")).cloned();
    assert_eq!(got, expected, "{schema} with {text:?}: {result:?}");
}

#[test]
fn strings_are_coerced_by_the_table() {
    let integer = json!({ "type": "integer" });
    let number = json!({ "type": "number" });
    let boolean = json!({ "type": "boolean" });
    let array = json!({ "type": "array" });
    let typed = json!({ "type": "object" });
    let table = [
        (&integer, "5", Some(json!(5))),
        (&integer, "-5", Some(json!(-5))),
        (&integer, "-0", Some(json!(0))),
        (&integer, "007", None),
        (&integer, " 5 ", None),
        (&integer, "5 ", None),
        (&integer, "+5", None),
        (&integer, "5.0", None),
        (&integer, "1e3", None),
        (&integer, "", None),
        (&integer, "-", None),
        (&integer, "NaN", None),
        (&integer, "٣", None),
        (&integer, "9007199254740993", Some(json!(9_007_199_254_740_993_u64))),
        (&integer, "18446744073709551615", Some(json!(u64::MAX))),
        (&integer, "-9223372036854775808", Some(json!(i64::MIN))),
        (&integer, "18446744073709551616", None),
        (&number, "5", Some(json!(5))),
        (&number, "1.5", Some(json!(1.5))),
        (&number, "-2.5e3", Some(json!(-2500.0))),
        (&number, "1e400", None),
        (&number, "NaN", None),
        (&number, "Infinity", None),
        (&number, " 1.5", None),
        (&number, "1.5\n", None),
        (&number, "", None),
        (&number, ".5", None),
        (&number, "01.5", None),
        (&number, "9007199254740993", Some(json!(9_007_199_254_740_993_u64))),
        (&number, "123456789012345678901", None),
        (&boolean, "true", Some(json!(true))),
        (&boolean, "on", Some(json!(true))),
        (&boolean, "0", Some(json!(false))),
        (&boolean, "no", Some(json!(false))),
        (&boolean, "TRUE", None),
        (&boolean, "", None),
        (&array, "[1, \"a\"]", Some(json!([1, "a"]))),
        (&array, "a,b", None),
        (&array, "{}", None),
        (&array, "[1e400]", None),
        (&array, "", None),
        (&typed, "{\"a\": 1}", Some(json!({ "a": 1 }))),
        (&typed, "[]", None),
        (&typed, "{", None),
    ];
    for (schema, text, expected) in table {
        check_coercion(schema, text, expected);
    }
}

#[test]
fn a_string_stays_where_it_is_allowed() {
    check_coercion(&json!({}), "5", Some(json!("5")));
    check_coercion(&json!({ "type": "string" }), "5", Some(json!("5")));
    check_coercion(&json!({ "type": ["string", "integer"] }), "5", Some(json!("5")));
    check_coercion(&json!({ "anyOf": [{ "type": "integer" }, { "type": "string" }] }), "5", Some(json!("5")));
    // The string itself is not valid, the number is.
    let auto = json!({ "oneOf": [{ "const": "auto" }, { "type": "integer" }] });
    check_coercion(&auto, "5", Some(json!(5)));
    check_coercion(&auto, "auto", Some(json!("auto")));
    check_coercion(&auto, "car", None);
    check_coercion(&json!({ "enum": [1, 2] }), "2", Some(json!(2)));
    check_coercion(&json!({ "enum": [1, "2"] }), "2", Some(json!("2")));
    check_coercion(&json!({ "const": true }), "true", Some(json!(true)));
    check_coercion(&json!({ "type": ["boolean", "integer"] }), "1", Some(json!(1)));
    check_coercion(&json!({ "type": ["boolean", "null"] }), "yes", Some(json!(true)));
    check_coercion(&json!({ "type": ["array", "object"] }), "{\"a\":1}", Some(json!({ "a": 1 })));
    check_coercion(&json!({ "type": "null" }), "", None);
}

#[test]
fn coercion_reaches_inside() {
    let schema = json!({
        "properties": {
            "list": { "type": "array", "items": { "type": "integer" }, "prefixItems": [{ "type": "boolean" }] },
            "map": { "type": "object", "additionalProperties": { "type": "number" } },
            "deep": { "$ref": "#/$defs/deep" },
            "named": { "allOf": [{ "patternProperties": { "^n_": { "$ref": "#count" } } }] },
            "when": {
                "properties": { "kind": { "type": "string" } },
                "if": { "properties": { "kind": { "const": "n" } } },
                "then": { "properties": { "v": { "type": "integer" } } },
                "else": { "properties": { "v": { "type": "string" } } }
            }
        },
        "$defs": {
            "deep": { "type": "object", "properties": { "n": { "$ref": "#/$defs/a~1b" } } },
            "a/b": { "$anchor": "count", "type": "integer" }
        }
    });
    let given = json!({
        "list": "[\"yes\", \"7\", 8]", "map": { "a": "1.5" }, "deep": "{\"n\": \"3\"}", "named": { "n_a": "1", "m": "1" },
        "when": { "kind": "n", "v": "4" }
    });
    let expected = json!({
        "list": [true, 7, 8], "map": { "a": 1.5 }, "deep": { "n": 3 }, "named": { "n_a": 1, "m": "1" },
        "when": { "kind": "n", "v": 4 }
    });
    assert_eq!(Value::Object(bound(&schema, given).values), expected);
    let kept = bound(&schema, json!({ "when": { "kind": "s", "v": "4" } }));
    assert_eq!(kept.values["when"], json!({ "kind": "s", "v": "4" }));
}

#[test]
fn of_alternatives_the_fitting_one_is_coerced_and_filled() {
    let schema = json!({ "properties": { "target": { "oneOf": [
        { "properties": { "kind": { "const": "file" }, "path": { "type": "string" } }, "required": ["kind", "path"] },
        { "properties": { "kind": { "const": "port" }, "port": { "type": "integer" }, "tls": { "type": "boolean", "default": true } },
          "required": ["kind", "port"] }
    ] } } });
    let got = bound(&schema, json!({ "target": { "kind": "port", "port": "80" } }));
    assert_eq!(got.values["target"], json!({ "kind": "port", "port": 80, "tls": true }));
    let got = bound(&schema, json!({ "target": { "kind": "file", "path": "80" } }));
    assert_eq!(got.values["target"], json!({ "kind": "file", "path": "80" }));
}

#[test]
fn defaults_are_filled_in_at_any_depth_but_objects_are_not_invented() {
    let schema = json!({ "type": "object", "properties": {
        "count": { "type": "integer", "default": 3 },
        "options": { "type": "object", "properties": { "retries": { "default": 1 }, "name": { "type": "string" } } },
        "made": { "type": "object", "default": {}, "properties": { "size": { "$ref": "#/$defs/size" } } }
    }, "required": ["count"], "$defs": { "size": { "default": "small" } } });
    assert_eq!(Value::Object(bound(&schema, json!({})).values), json!({ "count": 3, "made": { "size": "small" } }));
    let got = bound(&schema, json!({ "options": {}, "count": "4" }));
    assert_eq!(
        Value::Object(got.values),
        json!({ "options": { "retries": 1 }, "count": 4, "made": { "size": "small" } })
    );
}

#[test]
fn every_violation_is_reported_at_once_with_its_field() {
    let schema = json!({
        "type": "object",
        "properties": {
            "count": { "type": "integer", "minimum": 1 },
            "mode": { "enum": ["fast", "slow"] },
            "mail": { "type": "string", "format": "email" },
            "hosts": { "type": "array", "items": { "type": "object", "required": ["name"],
                "properties": { "name": { "type": "string" } }, "additionalProperties": false } },
            "size": { "type": ["integer", "null"] },
            "target": { "anyOf": [{ "type": "integer" }, { "type": "string", "pattern": "^a+$" }] }
        },
        "required": ["name/of"]
    });
    let found = refused(
        &schema,
        json!({ "count": "0", "mode": "quick", "mail": "x", "hosts": [{}, { "name": "a", "nmae": 1 }], "size": "big",
            "target": "b", "colour": "my secret" }),
    );
    let expected = [
        (
            "parameters/colour",
            "is not a parameter of this script: it takes `count`, `mode`, `mail`, `hosts`, `size`, `target`",
        ),
        ("parameters/count", "must be at least 1; got 0"),
        ("parameters/mode", "must be one of \"fast\", \"slow\"; got \"quick\""),
        ("parameters/mail", "must have the format `email`; got \"x\""),
        ("parameters/hosts/0/name", "is required"),
        ("parameters/hosts/1/nmae", "is not allowed here; leave it out"),
        ("parameters/size", "must be null or an integer; got \"big\""),
        ("parameters/target", "must be an integer, or must match the pattern `^a+$`; got \"b\""),
        ("parameters/name~1of", "is required"),
    ];
    for (field, message) in expected {
        assert!(found.contains(&(field.to_owned(), message.to_owned())), "{field}: {found:#?}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[test]
fn unknown_names_are_refused_unless_the_schema_says_otherwise() {
    let given = || json!({ "a": 1, "b": 2 });
    for open in [
        json!({ "properties": { "a": {} }, "additionalProperties": true }),
        json!({ "properties": { "a": {} }, "additionalProperties": { "type": "integer" } }),
        json!({ "properties": { "a": {} }, "unevaluatedProperties": { "type": "integer" } }),
        json!({ "properties": { "a": {} }, "patternProperties": { "^b$": {} } }),
        json!({ "properties": { "a": {} }, "allOf": [{ "$ref": "#/$defs/more" }], "$defs": { "more": { "properties": { "b": {} } } } }),
        json!({ "properties": { "a": {} }, "if": true, "then": { "properties": { "b": {} } } }),
    ] {
        assert_eq!(Value::Object(bound(&open, given()).values), given(), "{open}");
    }
    for closed in [
        json!({ "properties": { "a": {} } }),
        json!({ "type": "object", "properties": { "a": {} } }),
        json!({ "properties": { "a": {} }, "additionalProperties": false }),
        json!({ "properties": { "a": {} }, "unevaluatedProperties": false }),
        json!({ "properties": { "a": {} }, "patternProperties": { "^c$": {} } }),
    ] {
        let found = refused(&closed, given());
        let message = "is not a parameter of this script: it takes `a`".to_owned();
        assert_eq!(found, [("parameters/b".to_owned(), message)], "{closed}");
    }
    let found = refused(&json!({ "type": "object" }), json!({ "a": 1 }));
    assert_eq!(found[0].1, "is not a parameter of this script: it takes none");
}

#[test]
fn secrets_are_marked_and_never_shown() {
    let schema = json!({ "properties": {
        "password": { "type": "string", "minLength": 50, "writeOnly": true },
        "pin": { "type": "integer", "maximum": 5, "x-secret": true },
        "login": { "type": "object", "properties": { "key": { "$ref": "#/$defs/key" } }, "maxProperties": 0 },
        "other": { "anyOf": [{ "type": "integer" }, { "format": "password", "maxLength": 1 }] }
    }, "$defs": { "key": { "type": "string", "format": "password", "enum": ["k"] } } });
    let given =
        json!({ "password": "hunter2-hunter2", "pin": "31337", "login": { "key": "hunter2" }, "other": "hunter2" });
    let found = refused(&schema, given);
    assert_eq!(found.len(), 5, "{found:#?}");
    assert!(!format!("{found:?}").contains("hunter2") && !format!("{found:?}").contains("31337"), "{found:#?}");

    let schema = json!({ "properties": {
        "a": { "writeOnly": true }, "b": { "type": "array", "items": { "x-secret": true } }, "c": {} } });
    let bound = bound(&schema, json!({ "a": { "x": "secret-1", "y": 12345 }, "b": ["secret-2", true], "c": "plain" }));
    assert_eq!(bound.secret_pointers(), ["/a", "/b/0", "/b/1"]);
    assert_eq!(Value::Object(bound.masked()), json!({ "a": "***", "b": ["***", "***"], "c": "plain" }));
    assert_eq!(bound.secret_values(), [&b"secret-1"[..], b"12345", b"secret-2"]);
    let shown = format!("{bound:?} {:?}", deliver(&bound));
    assert!(!shown.contains("secret-1") && !shown.contains("secret-2") && shown.contains("plain"), "{shown}");
}

#[test]
fn a_secret_that_cannot_be_masked_is_refused() {
    let schema = json!({ "properties": {
        "a": { "writeOnly": true }, "b": { "writeOnly": true }, "c": { "writeOnly": true }, "d": { "writeOnly": true } } });
    let given = json!({ "a": "abc", "b": [1234, "  x  "], "c": "", "d": "x".repeat(MAX_SECRET_BYTES + 1) });
    let found = refused(&schema, given);
    let fields: Vec<&str> = found.iter().map(|(field, _)| field.as_str()).collect();
    assert_eq!(fields, ["parameters/a", "parameters/b", "parameters/d"]);
    assert!(!found[0].1.contains("abc"), "{found:?}");
    let bound = bound(&schema, json!({ "a": "abcd", "b": 1234, "c": "", "d": null }));
    let values = bound.secret_values();
    assert_eq!(values, [b"abcd", b"1234"]);
    crate::output::SecretMasker::new(values).expect("maskable");
}

#[test]
fn without_a_schema_everything_passes_as_sent() {
    let given = object(json!({ "a": "5", "b": [null, { "c": 1.5 }] }));
    let bound = bind(None, given.clone()).expect("no schema, no rules");
    assert_eq!(bound.values, given);
    assert!(bound.secret_pointers().is_empty());
}

#[track_caller]
fn check_refused_schema(schema: &Value, field: &str, words: &str) {
    let found = refused_schema(schema);
    assert!(found.iter().any(|(place, message)| place == field && message.contains(words)), "{schema}: {found:#?}");
}

#[test]
fn what_is_not_a_usable_schema_is_refused_at_its_place() {
    let deep = (0..40).fold(json!({}), |inner, _| json!({ "not": inner }));
    let wide: Map<String, Value> = (0..3000).map(|it| (format!("p{it}"), json!({}))).collect();
    let patterns: Map<String, Value> = (0..65).map(|it| (format!("^p{it}$"), json!({}))).collect();
    let long = json!({ "type": "object", "description": "x".repeat(MAX_SCHEMA_BYTES) });
    let table = [
        (json!("text"), "parameter_schema", "must be"),
        (json!(true), "parameter_schema", "must be an object"),
        (json!([]), "parameter_schema", "must be"),
        (json!({}), "parameter_schema", "does not describe an object"),
        (json!({ "name": { "type": "string" } }), "parameter_schema", "does not describe an object"),
        (json!({ "type": "array" }), "parameter_schema/type", "must be \"object\""),
        (json!({ "type": "objekt" }), "parameter_schema/type", "is not a JSON Schema"),
        (json!({ "properties": { "a": { "type": 5 } } }), "parameter_schema/properties/a/type", "is not a JSON Schema"),
        (json!({ "properties": { "a": "string" } }), "parameter_schema/properties/a", "is not a JSON Schema"),
        (
            json!({ "properties": { "a": { "minLength": -1 } } }),
            "parameter_schema/properties/a/minLength",
            "at least 0",
        ),
        (json!({ "properties": [] }), "parameter_schema/properties", "must be an object"),
        (
            json!({ "properties": { "a": { "pattern": "(" } } }),
            "parameter_schema/properties/a/pattern",
            "regular expression",
        ),
        (
            json!({ "properties": { "a": { "pattern": "(?=a)b" } } }),
            "parameter_schema/properties/a/pattern",
            "regular expression",
        ),
        (
            json!({ "properties": { "a": { "pattern": "(a{1000}){1000}" } } }),
            "parameter_schema/properties/a/pattern",
            "regular expression",
        ),
        (
            json!({ "patternProperties": { "(?<!a)b": {} } }),
            "parameter_schema/patternProperties/(?<!a)b",
            "regular expression",
        ),
        (
            json!({ "$schema": "http://json-schema.org/draft-07/schema#", "type": "object" }),
            "parameter_schema/$schema",
            "2020-12",
        ),
        (
            json!({ "properties": { "a": { "$ref": "https://example.com/x" } } }),
            "parameter_schema/properties/a/$ref",
            "nothing is fetched",
        ),
        (
            json!({ "properties": { "a": { "$ref": "file:///etc/passwd" } } }),
            "parameter_schema/properties/a/$ref",
            "nothing is fetched",
        ),
        (
            json!({ "properties": { "a": { "$ref": "#/$defs/none" } } }),
            "parameter_schema/properties/a/$ref",
            "leads to no schema",
        ),
        (
            json!({ "properties": { "a": { "$ref": "#/properties/b/enum/0" }, "b": { "enum": [{}] } } }),
            "parameter_schema/properties/a/$ref",
            "leads to no schema",
        ),
        (
            json!({ "properties": { "a": { "$id": "http://x/", "type": "string" } } }),
            "parameter_schema/properties/a/$id",
            "only allowed at the top",
        ),
        (
            json!({ "properties": { "a": { "$dynamicRef": "#x" } } }),
            "parameter_schema/properties/a/$dynamicRef",
            "is not supported",
        ),
        (json!({ "$ref": "#" }), "parameter_schema", "leads back to itself"),
        (
            json!({ "type": "object", "$defs": { "a": { "allOf": [{ "$ref": "#/$defs/b" }] }, "b": { "not": { "$ref": "#/$defs/a" } } } }),
            "parameter_schema/$defs/b",
            "leads back to itself",
        ),
        (json!({ "type": "object", "not": deep }), "parameter_schema", "levels deep"),
        (json!({ "type": "object", "properties": wide }), "parameter_schema", "at most 2000"),
        (json!({ "type": "object", "patternProperties": patterns }), "parameter_schema", "regular expressions"),
        (long, "parameter_schema", "bytes"),
        (
            json!({ "properties": { "a": { "type": "integer", "default": "x" } } }),
            "parameter_schema/properties/a/default",
            "must be an integer",
        ),
        (
            json!({ "properties": { "a": { "type": "object", "properties": { "b": { "maximum": 1 } }, "default": { "b": 2 } } } }),
            "parameter_schema/properties/a/default/b",
            "at most 1",
        ),
    ];
    for (schema, field, words) in &table {
        check_refused_schema(schema, field, words);
    }
    assert_eq!(refused_schema(&json!({ "properties": { "a": { "type": 5 }, "b": { "minimum": "x" } } })).len(), 2);
}

#[test]
fn usable_schemas_are_taken() {
    for schema in [
        json!({ "$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "https://example.com/s", "type": "object" }),
        json!({ "properties": { "host": { "type": "string", "pattern": "^[\\w.-]{1,63}$" } } }),
        json!({ "properties": { "a": { "type": "string", "format": "no-such-format" } } }),
        json!({ "properties": { "$id": { "type": "string" }, "$ref": { "type": "string" } } }),
        json!({ "properties": { "a": { "enum": [{ "$ref": "x", "$id": "y" }] } } }),
        json!({ "$ref": "#/definitions/top", "definitions": { "top": { "type": "object", "properties": { "a": {} } } } }),
    ] {
        compile(&schema);
    }
}

#[test]
fn a_schema_that_multiplies_is_cut_off() {
    let node = json!({ "allOf": [{ "$ref": "#/$defs/n" }, { "$ref": "#/$defs/n" }] });
    let schema =
        json!({ "properties": { "x": { "$ref": "#/$defs/n" } }, "$defs": { "n": { "properties": { "x": node } } } });
    let value = (0..MAX_VALUE_DEPTH - 1).fold(json!(1), |inner, _| json!({ "x": inner }));
    let found = refused(&schema, value);
    assert!(found[0].1.contains("too long"), "{found:?}");
}

#[test]
fn the_deepest_recursion_fits_a_small_stack() {
    let chain = |it: usize| {
        if it == 13 {
            json!({ "properties": { "x": { "$ref": "#/$defs/d0" } } })
        } else {
            json!({ "anyOf": [{ "$ref": format!("#/$defs/d{}", it + 1) }] })
        }
    };
    let defs: Map<String, Value> = (0..14).step_by(1).map(|it| (format!("d{it}"), chain(it))).collect();
    let found = ParameterSchema::compile(&json!({ "properties": { "x": { "$ref": "#/$defs/d0" } }, "$defs": defs }));
    assert!(found.is_err(), "more than sixteen schemas for one value");
    let chain = |it: usize| {
        if it == 6 {
            json!({ "properties": { "x": { "$ref": "#/$defs/d0" } } })
        } else {
            json!({ "allOf": [{ "$ref": format!("#/$defs/d{}", it + 1) }] })
        }
    };
    let defs: Map<String, Value> = (0..7).map(|it| (format!("d{it}"), chain(it))).collect();
    let schema = compile(&json!({ "properties": { "x": { "$ref": "#/$defs/d0" } }, "$defs": defs }));
    let value = (0..MAX_VALUE_DEPTH - 1).fold(json!(1), |inner, _| json!({ "x": inner }));
    let bind_it = move || bind(Some(&schema), object(json!({ "x": value.clone() }))).map(|it| it.values().len());
    let thread = std::thread::Builder::new().stack_size(2 * 1024 * 1024).spawn(bind_it).expect("a thread");
    assert_eq!(thread.join().expect("no overflow"), Ok(1));
}

#[test]
fn text_that_nests_deeply_is_not_followed() {
    let schema = json!({ "properties": { "x": { "type": "array", "items": { "$ref": "#/properties/x" } } } });
    let found = refused(&schema, json!({ "x": format!("{}{}", "[".repeat(100), "]".repeat(100)) }));
    assert_eq!(found[0].0, "parameters/x");
    let found = refused(&schema, json!({ "x": "[".repeat(1_000_000) }));
    assert_eq!(found[0].0, "parameters/x");
}

#[test]
fn the_bounds_on_parameters_hold() {
    let check = |given: Value, field: &str, words: &str| {
        let found = bind(None, object(given)).expect_err("beyond a bound");
        assert!(found.iter().any(|it| it.field == field && it.message.contains(words)), "{found:?}");
    };
    let many: Map<String, Value> = (0..=MAX_PARAMETERS).map(|it| (format!("p{it}"), json!(1))).collect();
    check(Value::Object(many), "parameters", "1001");
    check(json!({ "": 1 }), "parameters/", "empty name");
    check(json!({ "é".repeat(65): 1 }), &format!("parameters/{}...", "é".repeat(32)), "130 bytes");
    check(json!({ "x": "a".repeat(MAX_PARAMETERS_BYTES) }), "parameters", "at most");
    let fits = json!({ "x": "a".repeat(MAX_PARAMETERS_BYTES - 7) });
    assert!(bind(None, object(fits)).is_ok());
    let deep = |levels| (0..levels).fold(json!(1), |inner, _| json!([inner]));
    assert!(bind(None, object(json!({ "x": deep(MAX_VALUE_DEPTH) }))).is_ok());
    check(json!({ "x": deep(MAX_VALUE_DEPTH + 1) }), "parameters/x", "levels deep");
}

fn delivered(given: Value) -> Delivery {
    deliver(&bind(None, object(given)).expect("bound")).expect("no collision")
}

fn variable<'a>(delivery: &'a Delivery, name: &str) -> Option<&'a [u8]> {
    delivery.env.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_slice())
}

#[test]
fn the_environment_holds_each_value_under_its_name() {
    let got = delivered(
        json!({ "name": "a $(id) \n'\"\u{e9}", "Max-size.é": 5, "list": [1, { "a": "b" }], "none": null, "yes": true, "empty": "" }),
    );
    let expected: Vec<(&str, &[u8])> = vec![
        ("PARAM_NAME", "a $(id) \n'\"\u{e9}".as_bytes()),
        ("PARAM_MAX_SIZE__", b"5"),
        ("PARAM_LIST", br#"[1,{"a":"b"}]"#),
        ("PARAM_NONE", b"null"),
        ("PARAM_YES", b"true"),
        ("PARAM_EMPTY", b""),
    ];
    let env: Vec<(&str, &[u8])> = got.env.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
    assert_eq!(env, expected);
    let args: Value = serde_json::from_slice(&got.args_json).expect("JSON");
    assert_eq!(args["Max-size.é"], json!(5));
}

#[test]
fn names_that_collide_are_refused_and_both_named() {
    let bound = bind(None, object(json!({ "a-b": 1, "A_B": 2, "c": 3 }))).expect("bound");
    let problems = deliver(&bound).expect_err("a collision");
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].field, "parameters/A_B");
    assert_eq!(problems[0].message, "and `a-b` would both be PARAM_A_B in the environment; rename one of them");
}

#[test]
fn what_does_not_fit_the_environment_is_in_the_file_and_said_so() {
    let fits = "a".repeat(MAX_ENV_VALUE);
    let got = delivered(json!({ "fits": fits, "a/b": "a".repeat(MAX_ENV_VALUE + 1), "nul": "a\0b", "s_in_file": "x" }));
    assert_eq!(variable(&got, "PARAM_FITS").map(<[u8]>::len), Some(MAX_ENV_VALUE));
    assert_eq!(variable(&got, "PARAM_A_B"), Some(&b"@/scripts/args.json#/a~1b"[..]));
    assert_eq!(variable(&got, "PARAM_NUL"), Some(&b"@/scripts/args.json#/nul"[..]));
    assert_eq!(variable(&got, "PARAM_S_IN_FILE"), Some(&b"x"[..]));
    assert_eq!(variable(&got, IN_FILE_VARIABLE), Some(&b"PARAM_A_B PARAM_NUL"[..]));
    let args: Value = serde_json::from_slice(&got.args_json).expect("JSON");
    assert_eq!(args["nul"], json!("a\0b"));
    assert_eq!(variable(&delivered(json!({ "a": 1 })), IN_FILE_VARIABLE), None);

    let many: Map<String, Value> = (0..20).map(|it| (format!("p{it}"), json!("a".repeat(MAX_ENV_VALUE)))).collect();
    let got = delivered(Value::Object(many));
    let whole = got.env.iter().filter(|(_, value)| value.len() == MAX_ENV_VALUE).count();
    assert_eq!(whole, MAX_ENV_TOTAL / MAX_ENV_VALUE);
    assert_eq!(got.env.len(), 21);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z0-9\\[\\]{}\":,. -]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec(("[a-c]{1,2}", inner), 0..5).prop_map(|it| Value::Object(it.into_iter().collect())),
        ]
    })
}

fn any_schema() -> impl Strategy<Value = Value> {
    let kind = || prop::sample::select(vec!["string", "integer", "number", "boolean", "array", "object", "null"]);
    let leaf = prop_oneof![
        kind().prop_map(|it| json!({ "type": it })),
        (kind(), kind()).prop_map(|(a, b)| json!({ "enum": [a, b, 1, true] })),
        any::<bool>().prop_map(Value::from),
        (0..20i64).prop_map(|it| json!({ "minimum": it, "type": "integer", "writeOnly": it % 2 == 0 })),
        Just(json!({ "$ref": "#" })),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let list = || prop::collection::vec(inner.clone(), 1..3);
        prop_oneof![
            prop::collection::vec(("[a-c]{1,2}", inner.clone()), 0..4)
                .prop_map(|it| json!({ "properties": Value::Object(it.into_iter().collect()) })),
            list().prop_map(|it| json!({ "allOf": it })),
            list().prop_map(|it| json!({ "anyOf": it })),
            list().prop_map(|it| json!({ "oneOf": it })),
            list().prop_map(|it| json!({ "type": "array", "prefixItems": it, "items": { "$ref": "#" } })),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| json!({ "if": a, "then": b, "else": { "not": {} } })),
            (inner.clone(), any_json()).prop_map(|(a, b)| json!({ "allOf": [a], "default": b })),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_schema_and_value_end_in_a_verdict(schema in any_schema(), given in any_json()) {
        let top = json!({ "type": "object", "properties": { "a": schema } });
        if let Ok(compiled) = ParameterSchema::compile(&top) {
            let given = object(json!({ "a": given }));
            if let Ok(bound) = bind(Some(&compiled), given) {
                prop_assert!(compiled.root().is_valid(&Value::Object(bound.values.clone())));
                // Fitting is done: what was bound binds again, unchanged.
                prop_assert_eq!(bind(Some(&compiled), bound.values.clone()).map(|it| it.values), Ok(bound.values));
            }
        }
    }

    #[test]
    fn any_document_compiles_or_is_refused(document in any_json()) {
        drop(ParameterSchema::compile(&document));
        drop(ParameterSchema::compile(&json!({ "type": "object", "properties": document })));
    }

    #[test]
    fn coerced_integers_read_back_as_sent(number in any::<i64>()) {
        let schema = compile(&json!({ "properties": { "x": { "type": "integer" } } }));
        let bound = bind(Some(&schema), object(json!({ "x": number.to_string() }))).expect("an integer");
        let args = deliver(&bound).expect("delivery").args_json;
        prop_assert_eq!(String::from_utf8_lossy(&args), format!("{{\"x\":{number}}}"));
    }
}
