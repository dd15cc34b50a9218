//! Scripts that show the secrets they were given, in every form and by every way out.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use script_engine_core::output::{OutputCursor, OutputItem};
use script_engine_core::{ErrorKind, ExecutionRecord, ExecutionRequest, Exit, Outcome, Secret, SecretRef, TenantId};

use crate::bench::{Bench, ends, story};
use crate::case::{Hostile, cases};

pub(crate) fn cases() -> Vec<Hostile> {
    cases![
        secrets_in_output,
        secrets_in_records_and_results,
        secrets_in_errors,
        secrets_across_a_cut,
        secrets_of_many_lines,
        secrets_of_others,
    ]
}

/// Every character in it needs care in some form.
const VALUE: &str = "Tr0ub4dor&3/+\"correct\\horse battery%staple=";

fn with_secret(bench: &Bench, value: &str) -> impl FnOnce(ExecutionRequest) -> ExecutionRequest + use<> {
    bench.secrets.set(TenantId::default(), "token", Secret::new(value).unwrap());
    |request| request.with_secret(SecretRef { name: "token".into(), variable: "TOKEN".into() })
}

/// All that anybody can see of an execution.
async fn everything(bench: &Bench, record: &ExecutionRecord) -> String {
    let mut reader = bench.engine.output(record.id(), OutputCursor::default()).await.unwrap();
    let mut bytes: Vec<Bytes> = Vec::new();
    while let Some(item) = reader.next().await {
        match item {
            OutputItem::Chunk { bytes: chunk, .. } => bytes.push(chunk),
            OutputItem::Record { value, .. } => bytes.push(value.to_string().into()),
            OutputItem::Gap { .. } => panic!("nothing was dropped"),
        }
    }
    let ending = record.ending.as_ref().unwrap();
    bytes.push(ending.output.stdout.bytes.clone());
    bytes.push(ending.output.stderr.bytes.clone());
    let live = String::from_utf8_lossy(&bytes.concat()).into_owned();
    format!("{live}\n{record:?}\n{}", record.outcome().and_then(Outcome::explain).unwrap_or_default())
}

/// Asserts that nothing anybody can see holds the value in any of its forms, and that something was masked.
async fn shows_nothing(bench: &Bench, record: &ExecutionRecord, value: &str) {
    let seen = everything(bench, record).await;
    let percent: String = value.bytes().map(|it| format!("%{it:02X}")).collect();
    let quoted = serde_json::to_string(value).unwrap();
    let hex: String = value.bytes().map(|it| format!("{it:02x}")).collect();
    let forms = [
        value.to_owned(),
        STANDARD.encode(value).trim_end_matches('=').to_owned(),
        percent.to_lowercase(),
        percent,
        quoted.trim_matches('"').to_owned(),
        hex.to_uppercase(),
        hex,
    ];
    for form in forms {
        assert!(!seen.contains(&form), "{form}: {}", story(record));
    }
    // A piece that is long enough to be of use.
    assert!(!seen.contains("correct") && !seen.contains("battery"), "{}", story(record));
    assert!(seen.contains("***"), "{}", story(record));
}

async fn secrets_in_output(bench: &Bench) {
    let source = r#"
import base64, binascii, json, os, sys, time, urllib.parse
value = os.environ['TOKEN']
raw = value.encode()
print(value)
print(value, file=sys.stderr)
for before in (b'', b'x', b'xy'):
    print(base64.b64encode(before + raw + b'z').decode())
    print(base64.urlsafe_b64encode(before + raw + b'z').decode())
print(urllib.parse.quote(value, safe=''))
print(urllib.parse.quote(value))
print(urllib.parse.quote_plus(value))
print(json.dumps(value))
print(binascii.hexlify(raw).decode())
print(binascii.hexlify(raw).decode().upper())
sys.stdout.flush()
for i in range(len(raw)):
    os.write(1, raw[i:i + 1])
    if i % 16 == 0:
        time.sleep(0.002)
os.write(1, b'\n')
for pid in ('self', '1', str(os.getppid())):
    for name in ('environ', 'cmdline'):
        try:
            os.write(1, open(f'/proc/{pid}/{name}', 'rb').read())
        except OSError:
            pass
os.write(1, b'\n'.join(b'%s=%s' % it for it in os.environb.items()))
"#;
    let record = bench.run("python", source, with_secret(bench, VALUE)).await;
    ends(&record, &Outcome::Succeeded);
    shows_nothing(bench, &record, VALUE).await;
}

async fn secrets_in_records_and_results(bench: &Bench) {
    let source = r#"
import json, os
value = os.environ['TOKEN']
print('@@' + json.dumps({'token': value, value: 1, 'deep': [{'token': 'a' + value + 'b'}]}))
with open(os.environ['SCRIPT_RESULT'], 'w') as file:
    json.dump({'token': value, value: [value]}, file)
"#;
    let record = bench.run("python", source, with_secret(bench, VALUE)).await;
    ends(&record, &Outcome::Succeeded);
    assert!(record.result().is_some(), "{}", story(&record));
    shows_nothing(bench, &record, VALUE).await;
}

async fn secrets_in_errors(bench: &Bench) {
    let record =
        bench.run("python", "import os; raise ValueError(os.environ['TOKEN'])", with_secret(bench, VALUE)).await;
    ends(&record, &Outcome::Failed(Exit::Code(1)));
    shows_nothing(bench, &record, VALUE).await;
    let record = bench.run("bash", "set -x; \"$TOKEN\"; cat \"/$TOKEN\"", with_secret(bench, VALUE)).await;
    shows_nothing(bench, &record, VALUE).await;
}

/// The cut of the record's view, and the limit of the store, go through a secret at every offset.
async fn secrets_across_a_cut(bench: &Bench) {
    let source = "
import os, sys
value = os.environ['TOKEN']
for i in range(300_000):
    sys.stdout.write(value + '.' * (i % 7))
";
    let with = with_secret(bench, VALUE);
    let record = bench
        .run("python", source, |request| {
            let mut request = with(request);
            request.limits.output_bytes = Some(4096);
            request
        })
        .await;
    ends(&record, &Outcome::Succeeded);
    let view = &record.ending.as_ref().unwrap().output.stdout;
    assert!(view.truncated && view.dropped > 0, "{}", view.total);
    let seen = String::from_utf8_lossy(&view.bytes).into_owned();
    let pieces = ["Tr0ub", "dor&3", "correct", "horse", "battery", "staple"];
    assert!(!pieces.iter().any(|it| seen.contains(it)), "a piece of the secret is shown");
}

/// A key of several lines, printed line by line and with other line ends; and a value with blanks around it.
async fn secrets_of_many_lines(bench: &Bench) {
    let key = "-----BEGIN KEY-----\nMIIEowIBAAKCAQEA7bq8\nQx9vJ0r4yNfP2mTzLwKd\n-----END KEY-----\n";
    let source = "
import os
value = os.environ['TOKEN']
print(value)
print(value.strip())
for line in value.splitlines():
    print('line:', line)
print(value.replace('\\n', '\\r\\n'))
print(value.replace('\\n', ' '))
";
    let record = bench.run("python", source, with_secret(bench, key)).await;
    ends(&record, &Outcome::Succeeded);
    let seen = everything(bench, &record).await;
    assert!(!seen.contains("MIIEowIBAAKCAQEA7bq8") && !seen.contains("Qx9vJ0r4yNfP2mTzLwKd"), "{seen}");
}

/// A script gets the secrets that its request names, and those of its tenant only.
async fn secrets_of_others(bench: &Bench) {
    bench.secrets.set(TenantId::parse("other").unwrap(), "theirs", Secret::new("their secret value").unwrap());
    let wanted = SecretRef { name: "theirs".into(), variable: "TOKEN".into() };
    let request = ExecutionRequest::new(bench.save("bash", "env").await).with_secret(wanted);
    let error = bench.engine.submit(request).await.expect_err("it is not the tenant's");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(!error.to_string().contains("their secret value"), "{error}");
    bench.secrets.set(TenantId::default(), "ours", Secret::new("our own secret value").unwrap());
    let record = bench.bash("env; cat /proc/*/environ 2>/dev/null; true").await;
    ends(&record, &Outcome::Succeeded);
    assert!(!everything(bench, &record).await.contains("secret value"));
}
