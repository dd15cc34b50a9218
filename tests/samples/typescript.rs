//! The samples in TypeScript.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::case::{Case, cases};
use crate::site::{Answer, Asked, Site, closed_port};
use crate::stage::Stage;

pub(crate) fn cases() -> Vec<Case> {
    cases![
        "api-integration-test": api_integration_test,
        "json-schema-validator": json_schema_validator,
        "webhook-sender": webhook_sender,
    ]
}

/// An API of orders.
fn orders(asked: &Asked) -> Answer {
    let order = json!({
        "id": 7, "name": "first", "paid": true, "tags": ["a", "b"], "owner": {"email": "a@example.com"},
        "made_at": "2026-01-02T03:04:05Z", "ref": "5f1c1c3e-6b1f-4d3a-9a59-2c3f1f2b7a10",
    });
    match (asked.method.as_str(), asked.path.as_str()) {
        ("GET", "/health") => Answer::json(200, &json!({"status": "UP"})),
        ("GET", "/orders/7") => Answer::json(200, &order),
        ("POST", "/orders") if asked.json()["name"] == "new" => Answer::json(201, &json!({"id": 8})),
        ("GET", "/moved") => Answer::text(302, "").with("Location", "/health"),
        ("GET", "/broken") => Answer::text(200, "{"),
        ("GET", "/slow") => Answer::Nothing,
        _ => Answer::json(404, &json!({"error": "no such thing"})),
    }
}

async fn api_integration_test(stage: &Stage) {
    let site = Site::new(orders);
    let with = |endpoints: Value| json!({"base_url": site.url("/"), "endpoints": endpoints, "timeout_seconds": 2});
    let shape = json!({
        "id": "integer", "name": "string", "paid": "boolean", "tags": ["string"], "owner": {"email": "email"},
        "made_at": "datetime", "ref": "uuid", "note?": "string",
    });
    let sound = with(json!([
        {"path": "/orders/7", "schema": shape, "max_milliseconds": 60000},
        {"name": "a new one", "method": "POST", "path": "/orders", "body": {"name": "new"}, "expected_status": 201},
        {"path": "/moved", "expected_status": 302},
    ]));
    let result = stage.run("api-integration-test", sound).await.passes("all 3 endpoints of ");
    assert_eq!(result["endpoints"][1]["name"], "a new one");
    let only_health = json!({"base_url": site.url("")});
    stage.run("api-integration-test", only_health).await.passes("all 1 endpoints of ");

    let unsound = with(json!([
        {"path": "/orders/7", "schema": {"id": "string", "owner": {"email": "url", "name": "string"}}},
        {"path": "/nothing"},
        {"path": "/slow"},
        {"path": "/broken", "schema": {"a": "any"}},
        {"path": "/health"},
    ]));
    let result = stage.run("api-integration-test", unsound).await.fails("4 of 5 endpoints of ");
    let problems = |at: usize| result["endpoints"][at]["problems"].clone();
    assert_eq!(
        problems(0),
        json!(["id: Expected string, received number", "owner.email: Invalid url", "owner.name: Required"])
    );
    assert_eq!(problems(1), json!(["status 404, not 200"]));
    assert_eq!(problems(2), json!(["no answer within 2 s"]));
    assert_eq!(problems(3), json!(["the body: Expected object, received string"]));
    assert_eq!(result["endpoints"][4]["passed"], true);

    let gone = json!({"base_url": format!("http://127.0.0.1:{}", closed_port())});
    let result = stage.run("api-integration-test", gone).await.fails("1 of 1 endpoints of ");
    assert!(result["endpoints"][0]["problems"][0].as_str().unwrap().starts_with("no answer: E"), "{result:?}");
}

async fn json_schema_validator(stage: &Stage) {
    stage.run("json-schema-validator", json!({})).await.passes("all 1 documents are valid");
    let schema = json!({
        "type": "object", "required": ["name"], "additionalProperties": false,
        "properties": {"name": {"type": "string"}, "size": {"enum": ["s", "m"]}},
    });
    let documents = json!([{"name": "a", "size": "m"}, {"size": "xl", "extra": null}, 5]);
    let both = json!({"schema": schema, "documents": documents});
    let result = stage.run("json-schema-validator", both).await.fails("2 of 3 documents are invalid, with 4 problems");
    let told: Vec<String> = result["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| format!("{} {} {}", it["document"], it["path"].as_str().unwrap(), it["message"].as_str().unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            "1  lacks the property `name`",
            "1  has the property `extra`, which is not allowed",
            "1 /size must be one of [\"s\",\"m\"]",
            "2  must be object",
        ]
    );
    // `prefixItems` came with 2020-12; before, it is a word without a meaning.
    let items = json!({"schema": {"prefixItems": [{"const": 1}]}, "documents": [[2]]});
    stage.run("json-schema-validator", items.clone()).await.fails("1 of 1 documents are invalid, with 1 problems");
    let mut older = items;
    older["draft"] = json!("draft-07");
    stage.run("json-schema-validator", older).await.passes("all 1 documents are valid");
    let nonsense = json!({"schema": {"type": "nonsense"}});
    stage.run("json-schema-validator", nonsense).await.fails("the schema can't be used: ");
    let one_shown = json!({"schema": false, "documents": [1, 2], "max_errors": 1});
    let ended = stage.run("json-schema-validator", one_shown).await;
    let result = ended.fails("2 of 2 documents are invalid, with 2 problems");
    assert_eq!(result["problems"].as_array().unwrap().len(), 1);
}

async fn webhook_sender(stage: &Stage) {
    const KEY: &str = "correct horse battery";
    let count = AtomicU32::new(0);
    let site = Site::new(move |asked| match asked.path.as_str() {
        "/flaky" if count.fetch_add(1, Ordering::Relaxed) < 2 => Answer::text(503, "").with("Retry-After", "0.05"),
        "/flaky" => Answer::json(202, &json!({"received": asked.json()["id"]})),
        "/gone" => Answer::text(410, ""),
        "/slow" => Answer::Nothing,
        _ => Answer::text(200, "thank you"),
    });
    let with = |path: &str, more: Value| {
        let mut all = json!({"webhook_url": site.url(path), "backoff_milliseconds": 10, "timeout_seconds": 5});
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };

    let told =
        json!({"signing_secret": KEY, "payload": {"a": 1}, "confirm_field": "received", "headers": {"X-More": "1"}});
    let ended = stage.run("webhook-sender", with("/flaky", told)).await;
    let result = ended.passes("delivered deployment.finished in attempt 3, status 202");
    ended.hides(KEY);
    assert_eq!(result["confirmation"], result["delivery_id"]);
    let seen = site.seen();
    assert_eq!(seen.len(), 3);
    for asked in &seen {
        assert_eq!(asked.header("x-delivery-id"), result["delivery_id"]);
        assert_eq!((asked.header("x-event"), asked.header("x-more")), ("deployment.finished", "1"));
        assert_eq!((&asked.json()["data"]["a"], &asked.body), (&json!(1), &seen[0].body));
        assert_eq!(asked.header("x-signature-256"), format!("sha256={}", signature(KEY, &asked.body)));
    }

    let ended = stage.run("webhook-sender", with("/gone", json!({}))).await;
    assert_eq!(ended.fails("not delivered in 1 attempts: status 410")["confirmation"], Value::Null);
    assert_eq!(site.seen().last().unwrap().header("x-signature-256"), "");
    stage.run("webhook-sender", with("/ok", json!({}))).await.passes("delivered deployment.finished in attempt 1");
    let confirm = json!({"confirm_field": "received"});
    stage.run("webhook-sender", with("/ok", confirm)).await.fails("the answer has no `received` that confirms it");
    let impatient = json!({"timeout_seconds": 0.3, "max_attempts": 2});
    let ended = stage.run("webhook-sender", with("/slow", impatient)).await;
    ended.fails("not delivered in 2 attempts: no answer within 0.3 s");
    let gone = json!({"webhook_url": format!("http://127.0.0.1:{}", closed_port()), "backoff_milliseconds": 1});
    let result = stage.run("webhook-sender", gone).await.fails("not delivered in 4 attempts: E");
    assert_eq!(result["attempts"].as_array().unwrap().len(), 4);
}

/// The HMAC-SHA256 of a body, by another implementation.
fn signature(key: &str, body: &[u8]) -> String {
    const PROGRAM: &str = "import hashlib, hmac, sys\n\
                           print(hmac.new(sys.argv[1].encode(), sys.stdin.buffer.read(), hashlib.sha256).hexdigest())";
    let mut python = Command::new("python3");
    python.args(["-c", PROGRAM, key]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut python = python.spawn().unwrap();
    python.stdin.take().unwrap().write_all(body).unwrap();
    let output = python.wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
