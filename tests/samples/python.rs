//! The samples in Python.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::case::{Case, cases};
use crate::site::{Answer, Site, closed_port};
use crate::stage::Stage;

pub(crate) fn cases() -> Vec<Case> {
    cases![
        "hello-world": hello_world,
        "log-analyzer": log_analyzer,
        "prometheus-query": prometheus_query,
        "slack-notification": slack_notification,
        "system-health-check": system_health_check,
    ]
}

async fn hello_world(stage: &Stage) {
    let result = stage.run("hello-world", json!({})).await.passes("Hello, world!");
    assert_eq!(result["target"], "world");
    stage.run("hello-world", json!({"target": "Zoë", "greeting": "Moin"})).await.passes("Moin, Zoë!");
    stage.run("hello-world", json!({"target": " "})).await.fails("nobody to greet");
}

async fn system_health_check(stage: &Stage) {
    let generous = json!({"max_load_per_cpu": 1000, "max_memory_percent": 100, "max_disk_percent": 100});
    let result = stage.run("system-health-check", generous).await.passes("system is healthy: load per cpu");
    for metric in ["load_per_cpu", "memory_percent", "swap_percent", "disk_percent", "uptime_seconds"] {
        assert!(result["metrics"].get(metric).is_some(), "{result:?}");
    }
    let strict = json!({"max_load_per_cpu": 1000, "max_memory_percent": 0, "mount_points": ["/missing"]});
    let result = stage.run("system-health-check", strict).await.fails("memory in use (percent) is");
    assert_eq!(result["problems"][1], "/missing can't be looked at: No such file or directory");
}

/// An hour of a log, an entry every ten seconds, with errors in the minutes that `bad` says.
fn log(bad: impl Fn(u32) -> bool) -> String {
    let entry = |minute: u32, second: u32| {
        if bad(minute) {
            format!(
                "2026-01-02 10:{minute:02}:{second:02},250 ERROR [db] query {minute}{second} timed out\n  at db.query\n"
            )
        } else {
            format!("2026-01-02 10:{minute:02}:{second:02},250 INFO [web] request {minute}{second} served\n")
        }
    };
    (0..60)
        .flat_map(|minute| (0..60).step_by(10).map(move |second| (minute, second)))
        .map(|(m, s)| entry(m, s))
        .collect()
}

async fn log_analyzer(stage: &Stage) {
    let site = Site::new(|asked| match asked.path.as_str() {
        "/sound.log" => Answer::text(200, log(|minute| minute == 7)),
        "/spike.log" => Answer::text(200, log(|minute| minute == 30 || minute == 31)),
        "/bad.log" => Answer::text(200, log(|minute| minute % 4 == 0)),
        "/json.log" => {
            Answer::text(200, "{\"ts\": \"2026-01-02T10:00:00Z\", \"level\": \"error\", \"msg\": \"no 5\"}\n")
        }
        "/other.log" => Answer::text(200, "nothing\nof a log\n"),
        "/slow.log" => Answer::Nothing,
        _ => Answer::text(404, ""),
    });
    let with = |path: &str, more: Value| {
        let mut all = json!({"source": site.url(path)});
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    let sound = with("/sound.log", json!({"spike_factor": 10}));
    let result = stage.run("log-analyzer", sound).await.passes("log is sound: 6 errors in 360 entries (1.67 %)");
    assert_eq!((&result["lines"], &result["levels"]), (&json!(366), &json!({"INFO": 354, "ERROR": 6})));
    assert_eq!(result["top_errors"], json!([{"message": "db] query # timed out", "count": 6}]));

    let result =
        stage.run("log-analyzer", with("/spike.log", json!({}))).await.fails("spikes: 1, the highest with 12 errors");
    assert_eq!(result["spikes"], json!([{"from": "2026-01-02T10:30:00+00:00", "errors": 12}]));
    let reported = with("/spike.log", json!({"fail_on_spikes": false}));
    let result = stage.run("log-analyzer", reported).await.passes("log is sound: 12 errors in 360 entries");
    assert_eq!(result["spikes"][0]["errors"], 12);
    stage.run("log-analyzer", with("/bad.log", json!({}))).await.fails("25 % of the entries are errors, above 5 %");
    let result = stage.run("log-analyzer", with("/json.log", json!({}))).await.fails("100 % of the entries are errors");
    assert_eq!(result["top_errors"][0]["message"], "no #");
    stage.run("log-analyzer", with("/other.log", json!({}))).await.fails("could be understood, in 2 lines");
    stage.run("log-analyzer", with("/missing.log", json!({}))).await.fails("/missing.log answers with status 404");
    let late = with("/slow.log", json!({"timeout_seconds": 0.5}));
    stage.run("log-analyzer", late).await.fails("/slow.log did not answer within 0.5 s");
    let long = with("/sound.log", json!({"max_lines": 100}));
    stage.run("log-analyzer", long).await.fails("more than 100 lines");

    let file = stage.shown().join("app.log");
    crate::stage::write(&file, log(|_| false).as_bytes());
    stage.run("log-analyzer", json!({"source": file})).await.passes("log is sound: 0 errors in 360 entries");
    stage
        .run("log-analyzer", json!({"source": "/missing.log"}))
        .await
        .fails("/missing.log can't be read: No such file");
    let piped = stage.run_with_stdin("log-analyzer", json!({"source": "-"}), &log(|_| false)).await;
    piped.passes("log is sound: 0 errors in 360 entries");
}

async fn prometheus_query(stage: &Stage) {
    let vector = |series: Value| json!({"status": "success", "data": {"resultType": "vector", "result": series}});
    let site = Site::new(move |asked| {
        let Some(query) = asked.path.strip_prefix("/api/v1/query?query=") else { return Answer::text(404, "") };
        match query {
            "avg%28up%29" => Answer::json(200, &vector(json!([{"metric": {}, "value": [1_767_348_000.1, "0.97"]}]))),
            "up" => Answer::json(
                200,
                &vector(json!([
                    {"metric": {"job": "a"}, "value": [1_767_348_000, "1"]},
                    {"metric": {"job": "b"}, "value": [1_767_348_000, "0"]},
                ])),
            ),
            "scalar" => {
                Answer::json(200, &json!({"status": "success", "data": {"resultType": "scalar", "result": [1, "0.5"]}}))
            }
            "nan" => Answer::json(200, &vector(json!([{"metric": {}, "value": [1, "NaN"]}]))),
            "nothing" => Answer::json(200, &vector(json!([]))),
            "slow" => Answer::Nothing,
            "html" => Answer::text(200, "<html>"),
            _ => Answer::json(400, &json!({"status": "error", "errorType": "bad_data", "error": "parse error"})),
        }
    });
    let with = |query: &str, comparison: &str, threshold: f64| json!({"prometheus_url": site.url("/"), "query": query, "comparison": comparison, "threshold": threshold, "timeout_seconds": 2});
    let by_default = json!({"prometheus_url": site.url("")});
    let result = stage.run("prometheus-query", by_default).await.passes("`avg(up)` is 0.97, >= 0.95");
    assert_eq!(result["series"], json!([{"labels": {}, "value": 0.97, "passed": true}]));
    stage.run("prometheus-query", with("up", "lte", 1.0)).await.passes("`up` holds for 2 series, <= 1");
    stage.run("prometheus-query", with("scalar", "eq", 0.5)).await.passes("`scalar` is 0.5, == 0.5");
    stage.run("prometheus-query", with("scalar", "gt", 0.5)).await.fails("`scalar` is 0.5, not > 0.5");
    stage.run("prometheus-query", with("scalar", "lt", 0.5)).await.fails("`scalar` is 0.5, not < 0.5");
    let result = stage
        .run("prometheus-query", with("up", "gte", 0.95))
        .await
        .fails("`up` is 0.0, not >= 0.95, for {'job': 'b'}");
    assert_eq!((&result["failed"], &result["count"]), (&json!(1), &json!(2)));
    stage.run("prometheus-query", with("nan", "gte", 0.0)).await.fails("`nan` is nan, not >= 0");
    stage.run("prometheus-query", with("nothing", "gte", 0.0)).await.fails("`nothing` gives no data");
    stage.run("prometheus-query", with("sum(", "gte", 0.0)).await.fails("refuses the query `sum(`: ");
    stage.run("prometheus-query", with("html", "gte", 0.0)).await.fails("is not that of a Prometheus server");
    stage.run("prometheus-query", with("slow", "gte", 0.0)).await.fails("did not answer within 2 s");
    let gone = json!({"prometheus_url": format!("http://127.0.0.1:{}", closed_port())});
    stage.run("prometheus-query", gone).await.fails("can't be reached: ");
}

async fn slack_notification(stage: &Stage) {
    const TOKEN: &str = "xoxb-test-0123456789";
    let patient = AtomicBool::new(false);
    let site = Site::new(move |asked| match asked.path.as_str() {
        "/api/chat.postMessage" if asked.header("authorization") != format!("Bearer {TOKEN}") => {
            Answer::json(200, &json!({"ok": false, "error": "invalid_auth"}))
        }
        "/api/chat.postMessage" if !patient.swap(true, Ordering::Relaxed) => {
            Answer::json(429, &json!({"ok": false, "error": "ratelimited"})).with("Retry-After", "1")
        }
        "/api/chat.postMessage" => Answer::json(200, &json!({"ok": true, "channel": "C1", "ts": "1.5"})),
        "/services/right/path" => Answer::text(200, "ok"),
        "/services/slow/path" => Answer::Nothing,
        _ => Answer::text(404, "no_team"),
    });
    let by_token = |token: &str| {
        json!({"token": token, "slack_api_url": site.url("/api/"), "channel": "#ops", "service": "shop <!channel> & co",
               "version": "2.1", "status": "rolled_back", "details": "see <http://x|y>", "deployed_by": "ops"})
    };
    let ended = stage.run("slack-notification", by_token(TOKEN)).await;
    let result =
        ended.passes("sent to Slack: Deployment of shop &lt;!channel&gt; &amp; co 2.1 to production rolled back");
    ended.hides(TOKEN);
    assert_eq!((&result["channel"], &result["timestamp"]), (&json!("C1"), &json!("1.5")));
    let seen = site.seen();
    assert_eq!(seen.len(), 2);
    let sent = seen[1].json();
    assert_eq!((&sent["channel"], &sent["text"]), (&json!("#ops"), &result["text"]));
    // What people wrote can call nobody and link nowhere.
    assert!(!String::from_utf8_lossy(&seen[1].body).contains("<"), "{sent}");

    let ended = stage.run("slack-notification", by_token("xoxb-wrong-9876543210")).await;
    ended.fails("slack refuses the message: invalid_auth (status 200)");
    ended.hides("xoxb-wrong-9876543210");

    let by_webhook = |path: &str| json!({"webhook_url": site.url(path), "timeout_seconds": 1});
    let ended = stage.run("slack-notification", by_webhook("/services/right/path")).await;
    ended.passes("sent to Slack: Deployment of my-service 1.0.0 to production succeeded");
    ended.hides("/services/right/path");
    let ended = stage.run("slack-notification", by_webhook("/services/wrong/path")).await;
    ended.fails("slack refuses the message: no_team (status 404)");
    ended.hides("/services/wrong/path");
    let ended = stage.run("slack-notification", by_webhook("/services/slow/path")).await;
    ended.fails("slack did not answer within 1 s");
    ended.hides("/services/slow/path");
    let gone = json!({"webhook_url": format!("http://127.0.0.1:{}/services/gone/path", closed_port())});
    let ended = stage.run("slack-notification", gone).await;
    ended.fails("slack can't be reached: ");
    ended.hides("/services/gone/path");
    stage.run("slack-notification", json!({})).await.fails("there is no way to Slack");
}
