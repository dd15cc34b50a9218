//! The execution record as JSON. Fields are only ever added.

use std::fmt::{self, Display, Write as _};

use crate::check::diagnostic;
use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use script_engine::{
    Connection, Connections, ExecutionRecord, NetworkPolicy, Outcome, OutputRecord, StreamRecord, Timings,
};
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::{Map, Value, json};

/// The record of an execution that is over, as one object. What it writes it takes from the record as it goes, so
/// that a long output is not held once more.
pub(crate) struct Shown<'a>(pub(crate) &'a ExecutionRecord);

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let record = self.0;
        let begun = &record.begun;
        let ending = record.ending.as_deref();
        let usage = ending.map(|it| it.usage).unwrap_or_default();
        let timings = ending.map(|it| it.timings).unwrap_or_default();
        let run = timings.of(script_engine::Stage::Run).as_secs_f64();
        let cpu = usage.cpu.as_secs_f64();
        let nothing = OutputRecord::default();
        let output = ending.map_or(&nothing, |it| &it.output);
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("execution_id", &begun.id.to_string())?;
        object.serialize_entry("script_id", &begun.script.to_string())?;
        object.serialize_entry("script_name", begun.script_name.as_str())?;
        object.serialize_entry("script_version", &begun.version_number.to_string())?;
        object.serialize_entry("version_id", &begun.version.to_string())?;
        object.serialize_entry("sha256", &begun.sha256.to_string())?;
        object.serialize_entry("language", begun.language.as_str())?;
        object.serialize_entry("state", record.state.as_str())?;
        object.serialize_entry("outcome", ending.map_or("running", |it| it.outcome.class()))?;
        object.serialize_entry("exit_code", &ending.and_then(|it| it.exit_code))?;
        object.serialize_entry("signal", &ending.and_then(|it| it.signal))?;
        for (name, stream) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
            object.serialize_entry(name, &Text(Lossy(&stream.bytes)))?;
            if std::str::from_utf8(&stream.bytes).is_err() {
                let encoded = Base64Display::new(&stream.bytes, &STANDARD);
                object.serialize_entry(&format!("{name}_base64"), &Text(encoded))?;
            }
        }
        object.serialize_entry("structured", &output.structured)?;
        object.serialize_entry("result", &ending.and_then(|it| it.result.as_ref()))?;
        object.serialize_entry("parameters", &begun.parameters)?;
        object.serialize_entry("invoker", begun.identity.invoker.as_str())?;
        object.serialize_entry("tenant", begun.identity.tenant.as_str())?;
        object.serialize_entry("created_at", &begun.created_at.to_string())?;
        object.serialize_entry("start_time", &record.started.as_ref().map(|it| it.at.to_string()))?;
        object.serialize_entry("completed_at", &ending.map(|it| it.at.to_string()))?;
        object.serialize_entry("duration_seconds", &timings.total().as_secs_f64())?;
        object.serialize_entry("cpu_seconds", &cpu)?;
        object.serialize_entry("cpu_percent", &if run > 0.0 { (cpu / run * 1000.0).round() / 10.0 } else { 0.0 })?;
        object.serialize_entry("memory_mb", &((usage.peak_memory as f64 / 1_048_576.0 * 100.0).round() / 100.0))?;
        object.serialize_entry("timings", &waterfall(&timings))?;
        object.serialize_entry("truncated", &(output.stdout.truncated || output.stderr.truncated))?;
        object
            .serialize_entry("output", &json!({"stdout": counts(&output.stdout), "stderr": counts(&output.stderr)}))?;
        let toolchain = record.started.as_ref().map(|it| it.toolchain.as_str()).filter(|it| !it.is_empty());
        object.serialize_entry("toolchain", &toolchain)?;
        object.serialize_entry("executor", begun.executor.as_str())?;
        let target = begun.target.as_ref().map(|it| json!({"name": it.name, "user": it.user}));
        object.serialize_entry("target", &target)?;
        object.serialize_entry("enforcement", &enforcement(record))?;
        object.serialize_entry("network", &network(&begun.network))?;
        let none = Connections::default();
        let connections = ending.map_or(&none, |it| &it.connections);
        object.serialize_entry("connections", &connections.list.iter().map(connection).collect::<Vec<_>>())?;
        object.serialize_entry("connections_left_out", &connections.left_out)?;
        object.serialize_entry("notes", ending.map_or(&[][..], |it| &it.notes))?;
        object.serialize_entry("error", &ending.map_or(Value::Null, |it| error(&it.outcome)))?;
        object.end()
    }
}

/// Serialises what can be shown without making a text of it first.
struct Text<T>(T);

impl<T: Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// Bytes as text, with U+FFFD for what is none.
struct Lossy<'a>(&'a [u8]);

impl Display for Lossy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            f.write_str(chunk.valid())?;
            if !chunk.invalid().is_empty() {
                f.write_char(char::REPLACEMENT_CHARACTER)?;
            }
        }
        Ok(())
    }
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

/// What the script could reach: `[]` is nothing.
fn network(policy: &NetworkPolicy) -> Value {
    match policy {
        NetworkPolicy::Allow(entries) => entries.iter().map(ToString::to_string).collect::<Vec<_>>().into(),
        NetworkPolicy::Public { ports, entries } => {
            let ports = ports.iter().map(|it| format!("public:{it}"));
            ports.chain(entries.iter().map(ToString::to_string)).collect::<Vec<_>>().into()
        }
        NetworkPolicy::Host => json!(["host"]),
        _ => json!([]),
    }
}

fn connection(it: &Connection) -> Value {
    json!({
        "host": it.host,
        "port": it.port,
        "address": it.address.map(|it| it.to_string()),
        "opened_at": it.opened_at.to_string(),
        "duration_seconds": it.duration.as_secs_f64(),
        "bytes_sent": it.sent,
        "bytes_received": it.received,
        "end": it.end.as_str(),
        "why": it.end.why(),
    })
}

fn error(outcome: &Outcome) -> Value {
    let Some(message) = outcome.explain() else { return Value::Null };
    match outcome {
        Outcome::EngineFault(fault) => {
            json!({"kind": fault.kind.as_str(), "message": message, "retry": fault.retry.as_str()})
        }
        Outcome::NotCompiled(found) => {
            let found: Vec<Value> = found.iter().map(diagnostic).collect();
            json!({"kind": "not_compiled", "message": message, "diagnostics": found})
        }
        other => json!({"kind": other.class(), "message": message}),
    }
}
