//! The execution record as JSON. Fields are only ever added.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use script_engine::{ExecutionRecord, Outcome, StreamRecord, Timings};
use serde_json::{Map, Value, json};

/// The record of an execution that is over.
pub(crate) fn json(record: &ExecutionRecord) -> Value {
    let begun = &record.begun;
    let ending = record.ending.as_deref();
    let usage = ending.map(|it| it.usage).unwrap_or_default();
    let timings = ending.map(|it| it.timings).unwrap_or_default();
    let run = timings.of(script_engine::Stage::Run).as_secs_f64();
    let cpu = usage.cpu.as_secs_f64();
    let mut object = Map::new();
    let mut put = |name: &str, value: Value| object.insert(name.to_owned(), value);
    put("execution_id", begun.id.to_string().into());
    put("script_id", begun.script.to_string().into());
    put("script_name", begun.script_name.as_str().into());
    put("script_version", begun.version_number.to_string().into());
    put("version_id", begun.version.to_string().into());
    put("sha256", begun.sha256.to_string().into());
    put("language", begun.language.as_str().into());
    put("state", record.state.as_str().into());
    put("outcome", ending.map_or("running", |it| it.outcome.class()).into());
    put("exit_code", ending.and_then(|it| it.exit_code).into());
    put("signal", ending.and_then(|it| it.signal).into());
    let output = ending.map(|it| it.output.clone()).unwrap_or_default();
    for (name, stream) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
        put(name, String::from_utf8_lossy(&stream.bytes).into());
        if std::str::from_utf8(&stream.bytes).is_err() {
            put(&format!("{name}_base64"), STANDARD.encode(&stream.bytes).into());
        }
    }
    put("structured", output.structured.into());
    put("result", ending.and_then(|it| it.result.clone()).unwrap_or(Value::Null));
    put("parameters", begun.parameters.clone().into());
    put("invoker", begun.identity.invoker.as_str().into());
    put("tenant", begun.identity.tenant.as_str().into());
    put("created_at", begun.created_at.to_string().into());
    put("start_time", record.started.as_ref().map(|it| it.at.to_string()).into());
    put("completed_at", ending.map(|it| it.at.to_string()).into());
    put("duration_seconds", timings.total().as_secs_f64().into());
    put("cpu_seconds", cpu.into());
    put("cpu_percent", if run > 0.0 { (cpu / run * 1000.0).round() / 10.0 } else { 0.0 }.into());
    put("memory_mb", ((usage.peak_memory as f64 / 1_048_576.0 * 100.0).round() / 100.0).into());
    put("timings", waterfall(&timings));
    put("truncated", (output.stdout.truncated || output.stderr.truncated).into());
    put("output", json!({"stdout": counts(&output.stdout), "stderr": counts(&output.stderr)}));
    put("toolchain", record.started.as_ref().map(|it| it.toolchain.as_str()).filter(|it| !it.is_empty()).into());
    put("executor", begun.executor.as_str().into());
    put("enforcement", enforcement(record));
    put("notes", ending.map(|it| it.notes.clone()).unwrap_or_default().into());
    put("error", ending.map_or(Value::Null, |it| error(&it.outcome)));
    object.into()
}

/// Seconds for each stage; they sum to `duration_seconds`.
fn waterfall(timings: &Timings) -> Value {
    timings
        .iter()
        .map(|(stage, time)| (stage.as_str().to_owned(), time.as_secs_f64().into()))
        .collect::<Map<_, _>>()
        .into()
}

fn counts(stream: &StreamRecord) -> Value {
    json!({"bytes": stream.total, "dropped": stream.dropped, "truncated": stream.truncated})
}

fn enforcement(record: &ExecutionRecord) -> Value {
    let Some(started) = &record.started else { return Value::Null };
    let report = &started.enforcement;
    let enforced: Map<String, Value> =
        report.enforced.iter().map(|(it, by)| (it.as_str().to_owned(), by.as_str().into())).collect();
    let waived: Map<String, Value> =
        report.waived.iter().map(|it| (it.restriction.as_str().to_owned(), it.why.as_str().into())).collect();
    json!({"enforced": enforced, "waived": waived})
}

fn error(outcome: &Outcome) -> Value {
    let Some(message) = outcome.explain() else { return Value::Null };
    match outcome {
        Outcome::EngineFault(fault) => {
            json!({"kind": fault.kind.as_str(), "message": message, "retry": fault.retry.as_str()})
        }
        other => json!({"kind": other.class(), "message": message}),
    }
}
