//! `run --network`: what is listed is reached, what an operator may not name by a name is not, and all of it is told.

use std::io::Write as _;
use std::net::TcpListener;

use serde_json::json;

use crate::stage::Stage;

/// Tries each host and port it is given and prints what it hears, or `no`.
const TRIES: &str = "
import json, os, socket
for host, port in json.load(open('/scripts/args.json'))['hosts']:
    try:
        print(socket.create_connection((host, port), timeout=20).recv(100).decode() or 'no')
    except OSError:
        print('no')
";
const SCHEMA: &str = r#"{"properties": {"hosts": {"type": "array"}}}"#;

/// A host on this machine that greets everybody.
fn host() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            // Who hangs up first did not want to hear it.
            drop(stream.write_all(b"hello"));
        }
    });
    port
}

#[test]
fn what_is_listed_is_reached_and_recorded() {
    let (port, other) = (host(), host());
    let stage = Stage::new(&[("a.py", TRIES), ("schema.json", SCHEMA)]);
    let hosts = json!([["localhost", port], ["127.0.0.1", port], ["localhost", other]]);
    let (record, ended) = stage.record(&[
        "a.py",
        "--schema",
        "schema.json",
        "--param",
        &format!("hosts={hosts}"),
        "--network",
        &format!("LOCALHOST.:{port}"),
    ]);
    assert_eq!((ended.code, &record["stdout"]), (Some(0), &json!("hello\nhello\nno\n")), "{record}");
    assert_eq!(record["network"], json!([format!("localhost:{port}")]));
    let connections = record["connections"].as_array().unwrap();
    assert_eq!((connections.len(), &record["connections_left_out"]), (2, &json!(0)));
    for it in connections {
        let told = ["host", "port", "address", "bytes_sent", "bytes_received", "why"].map(|name| &it[name]);
        assert_eq!(told, [&json!("localhost"), &json!(port), &json!("127.0.0.1"), &json!(0), &json!(5), &json!(null)]);
        assert!(it["duration_seconds"].is_number() && it["opened_at"].is_string() && it["end"].is_string(), "{it}");
    }
}

#[test]
fn entries_that_are_none_are_named() {
    let stage = Stage::new(&[("a.py", TRIES)]);
    for (entry, expect) in [
        ("example.com", "has no port"),
        ("https://example.com:443", "is a URL"),
        ("*.example.com:443", "wildcard"),
        ("127.1:80", "plain IPv4 address"),
        ("169.254.169.254:80", "metadata address, which is never reachable"),
        ("[::ffff:169.254.169.254]:80", "metadata address, which is never reachable"),
    ] {
        let ended = stage.run(&["run", "a.py", "--network", entry]);
        assert_eq!((ended.code, ended.stdout.as_slice()), (Some(125), &b""[..]), "{entry}: {}", ended.stderr);
        assert!(ended.stderr.contains(expect) && ended.stderr.contains("network"), "{entry}: {}", ended.stderr);
    }
}
