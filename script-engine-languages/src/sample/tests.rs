//! What must hold of every sample: it is found, its schema can be used, it declares what it needs.

use std::collections::BTreeSet;

use script_engine_core::contract::Source;
use script_engine_core::detect::detect;
use script_engine_core::parameters::{ParameterSchema, bind};
use serde_json::json;

use super::*;
use crate::builtin;

#[track_caller]
fn ids(language: Option<&str>, tag: Option<&str>) -> Vec<&'static str> {
    samples(language, tag).iter().map(|it| it.id).collect()
}

#[test]
fn they_are_found_by_language_and_tag() {
    let all = ids(None, None);
    assert_eq!(all.len(), 18);
    assert!(all.is_sorted(), "{all:?}");
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 18);
    assert_eq!(ids(Some("go"), None), ["container-inspect", "tcp-port-check"]);
    for name in ["csharp", "C#", "csx"] {
        assert_eq!(
            ids(Some(name), None),
            ["database-migration-check", "health-check-http", "smoke-test-api"],
            "{name}"
        );
    }
    assert_eq!(ids(Some("Bash"), Some("system")), ["disk-space-check"]);
    assert_eq!(ids(None, Some("Kafka")), ["kafka-consumer-check"]);
    assert_eq!(ids(Some("cobol"), None), [""; 0]);
    assert_eq!(ids(None, Some("")), [""; 0]);
}

#[test]
fn one_is_found_by_its_id_alone() {
    assert_eq!(sample("hello-world").unwrap().title, "Greets a target; structured record and JSON result");
    for (id, message) in [
        ("slack", "there is no sample `slack`; did you mean slack-notification?"),
        ("prom", "there is no sample `prom`; did you mean prometheus-query?"),
        ("Disk_Check", "there is no sample `Disk_Check`; did you mean disk-space-check?"),
        ("x\ny", "there is no sample `x\\ny`; list the samples to see which there are"),
        ("", "there is no sample ``; list the samples to see which there are"),
    ] {
        let error = sample(id).unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::NotFound, message));
    }
}

#[test]
fn each_has_a_schema_with_which_no_arguments_are_enough() {
    for sample in &LIBRARY {
        let document = sample.parameter_schema().unwrap();
        assert_eq!(document["$schema"], "https://json-schema.org/draft/2020-12/schema", "{}", sample.id);
        for place in ["title", "description"] {
            assert!(document[place].is_string(), "{}", sample.id);
        }
        let schema = ParameterSchema::compile(&document).unwrap_or_else(|it| panic!("{}: {it:?}", sample.id));
        let bound = bind(Some(&schema), Map::new()).unwrap_or_else(|it| panic!("{}: {it:?}", sample.id));
        for name in schema.names().iter().filter(|it| document["properties"].get(it).is_some()) {
            let property = &document["properties"][name];
            assert!(bound.values().contains_key(name), "{}: {name} has no default", sample.id);
            for place in ["title", "description"] {
                assert!(property[place].is_string(), "{}: {name} has no {place}", sample.id);
            }
            let secret = ["password", "token", "webhook_url", "signing_secret"].contains(&name.as_str());
            // The URL of a webhook that is no Slack's has no secret in it.
            let secret = secret && (sample.id, name.as_str()) != ("webhook-sender", "webhook_url");
            assert_eq!(bound.secret_pointers().contains(&format!("/{name}")), secret, "{}: {name}", sample.id);
        }
    }
}

#[test]
fn each_reads_every_parameter_that_its_schema_names() {
    for sample in &LIBRARY {
        let document = sample.parameter_schema().unwrap();
        for name in document["properties"].as_object().unwrap().keys() {
            assert!(sample.source.contains(name.as_str()), "{}: {name}", sample.id);
        }
        assert!(sample.source.contains("SCRIPT_ARGS_FILE"), "{}", sample.id);
        assert!(sample.source.contains("SCRIPT_RESULT"), "{}", sample.id);
        assert!(sample.source.contains(sample.id), "{} names itself in its result", sample.id);
    }
}

#[test]
fn each_declares_its_packages_in_its_own_text() {
    for sample in &LIBRARY {
        for SamplePackage { ecosystem, name, version } in sample.packages {
            let line = match *ecosystem {
                "pypi" if version.starts_with('<') => format!("\"{name}{version}\""),
                "pypi" => format!("\"{name}=={version}\""),
                "npm" => format!("// npm: {name}@{version}\n"),
                "maven" => format!("//DEPS {name}:{version}\n"),
                "nuget" => format!("#r \"nuget: {name}, {version}\"\n"),
                "apt" => format!("# apt: {name}\n"),
                other => panic!("{other}"),
            };
            assert!(sample.source.contains(&line), "{}: {line}", sample.id);
        }
    }
}

#[test]
fn each_declares_nothing_else() {
    let languages = builtin();
    for sample in &LIBRARY {
        let Some(language) = languages.iter().find(|it| it.info().id.as_str() == sample.language) else {
            // A language that this build has not.
            continue;
        };
        let entry_point = EntryPoint::parse(sample.entry_point).unwrap();
        let source = Source { entry_point, bytes: sample.source.into() };
        let mut found = language.dependencies(&source).unwrap().packages;
        let mut named = sample.packages.to_vec();
        found.sort();
        named.sort_by_key(|it| it.name);
        assert_eq!(found.len(), named.len(), "{}: {found:?}", sample.id);
        for (found, named) in found.iter().zip(&named) {
            // An ecosystem beside the language's own is said before the name.
            assert!(found.name.ends_with(named.name), "{}: {found:?}", sample.id);
            assert!(found.requirement.contains(named.version), "{}: {found:?}", sample.id);
        }
    }
}

#[test]
fn each_is_seen_to_be_in_its_language() {
    let languages = builtin();
    let infos: Vec<_> = languages.iter().map(|it| it.info().clone()).collect();
    for sample in &LIBRARY {
        let Some(own) = infos.iter().find(|it| it.id.as_str() == sample.language) else {
            // A language that this build has not.
            continue;
        };
        let draft = sample.draft(ScriptName::parse(sample.id).unwrap()).unwrap();
        let found = detect(None, draft.entry_point.as_ref(), &draft.source, &infos).unwrap();
        assert_eq!(found.id, own.id, "{}", sample.id);
        assert_eq!(draft.language.as_ref(), Some(&own.id));
    }
}

#[test]
fn each_says_where_it_connects_to() {
    let of = |id: &str, parameters: Value| {
        let Value::Object(parameters) = parameters else { panic!("{parameters}") };
        let found = sample(id).unwrap().destinations(&parameters).unwrap();
        found.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(of("health-check-http", json!({})), ["localhost:8080"]);
    assert_eq!(of("health-check-http", json!({"endpoint": "https://a.example/x"})), ["a.example:443"]);
    assert_eq!(of("slack-notification", json!({})), ["slack.com:443"]);
    assert_eq!(of("service-restart", json!({})), [""; 0]);
    assert_eq!(of("service-restart", json!({"health_port": 80})), ["localhost:80"]);
    assert_eq!(of("kafka-consumer-check", json!({"bootstrap_servers": "a:1,b:2"})), ["a:1", "b:2"]);
    assert_eq!(of("hello-world", json!({})), [""; 0]);
    for sample in &LIBRARY {
        let document = sample.parameter_schema().unwrap();
        for name in sample.network_parameters() {
            assert!(document["properties"].get(name).is_some(), "{}: {name}", sample.id);
        }
    }
}
