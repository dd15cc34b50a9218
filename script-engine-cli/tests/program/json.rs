//! `run --json`: one object on stdout with the fields in their order, and nothing else anywhere.

use serde_json::Value;

use crate::stage::Stage;

/// Replaces what differs from run to run by what it must look like.
fn steady(record: &Value) -> String {
    let mut lines = Vec::new();
    for (name, value) in record.as_object().unwrap() {
        let text = value.to_string();
        let shown = match name.as_str() {
            "execution_id" | "script_id" => text.split('_').next().unwrap().to_owned() + "_...\"",
            "version_id" | "sha256" => format!("{} hex digits", text.chars().filter(char::is_ascii_hexdigit).count()),
            "created_at" | "start_time" | "completed_at" => format!("{} {}", &text[1..2], text.ends_with("Z\"")),
            "duration_seconds" | "cpu_seconds" | "cpu_percent" | "memory_mb" => format!("number {}", value.is_number()),
            "timings" => value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" "),
            "toolchain" => text.split(' ').next().unwrap().to_owned() + " ...\"",
            "enforcement" => format!("object {}", value.is_object()),
            _ => text,
        };
        lines.push(format!("{name}: {shown}"));
    }
    lines.join("\n")
}

#[test]
fn the_record_has_its_fields_in_their_order() {
    let script =
        "import json, os, sys\nprint('@@{\"step\": 1}')\nprint('bye', file=sys.stderr)\nprint('{\"answer\": 42}')\n";
    let stage = Stage::new(&[("a.py", script)]);
    let (record, ended) = stage.record(&["a.py", "--param", "who=me"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let expect = r#"execution_id: "exec_..."
script_id: "scr_..."
script_name: "a"
script_version: "1.0.0"
version_id: 64 hex digits
sha256: 64 hex digits
language: "python"
state: "COMPLETED"
outcome: "succeeded"
exit_code: 0
signal: null
stdout: "@@{\"step\": 1}\n{\"answer\": 42}\n"
stderr: "bye\n"
structured: [{"step":1}]
result: {"answer":42}
parameters: {"who":"me"}
invoker: "cli"
tenant: "default"
created_at: 2 true
start_time: 2 true
completed_at: 2 true
duration_seconds: number true
cpu_seconds: number true
cpu_percent: number true
memory_mb: number true
timings: queue resolve provision acquire start run collect settle
truncated: false
output: {"stdout":{"bytes":29,"dropped":0,"truncated":false},"stderr":{"bytes":4,"dropped":0,"truncated":false}}
toolchain: "python ..."
executor: "linux"
target: null
enforcement: object true
network: []
connections: []
connections_left_out: 0
notes: []
error: null"#;
    assert_eq!(steady(&record), expect);
}

#[test]
fn what_is_no_text_comes_as_base64_too() {
    let stage = Stage::new(&[("a.sh", "printf 'a\\xffb'; kill -TERM $$\n")]);
    let (record, ended) = stage.record(&["a.sh"]);
    assert_eq!(ended.code, Some(128 + 15));
    assert_eq!(record["stdout"], "a\u{fffd}b");
    assert_eq!(record["stdout_base64"], "Yf9i");
    assert!(record.get("stderr_base64").is_none());
    assert_eq!((&record["state"], &record["outcome"]), (&"FAILED".into(), &"failed".into()));
    assert_eq!((&record["exit_code"], &record["signal"]), (&Value::Null, &15.into()));
    assert!(record["error"].to_string().contains("signal 15 ended the script"), "{}", record["error"]);
}

#[test]
fn the_times_of_the_stages_are_there() {
    let stage = Stage::new(&[("a.sh", "echo\n")]);
    let (record, _) = stage.record(&["a.sh"]);
    let parts: f64 = record["timings"].as_object().unwrap().values().map(|it| it.as_f64().unwrap()).sum();
    assert!((parts - record["duration_seconds"].as_f64().unwrap()).abs() < 1e-6, "{record}");
}
