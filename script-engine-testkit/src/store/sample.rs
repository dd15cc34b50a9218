//! Values that the store suites put in.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use script_engine_core::contract::NewVersion;
use script_engine_core::script::Manifest;
use script_engine_core::{
    Capability, Connection, ConnectionEnd, Connections, Digest, Ending, EntryPoint, ExecutionId, Identity, LanguageId,
    LimitOverrides, Limits, Mechanism, NetworkPolicy, NewExecution, Outcome, OutputRecord, OwnerId, Priority, RefName,
    Restriction, Result, ScriptId, ScriptName, Stage, Started, StreamRecord, TenantId, Timestamp, Timings, Transition,
    Usage, VersionId,
};
use semver::Version;
use serde_json::{Map, json};

pub(super) fn name(text: &str) -> Result<ScriptName> {
    ScriptName::parse(text)
}

pub(super) fn tenant(text: &str) -> Result<TenantId> {
    TenantId::parse(text)
}

pub(super) fn identity(tenant: &str) -> Result<Identity> {
    Ok(Identity { tenant: TenantId::parse(tenant)?, invoker: "kit@example.org".into() })
}

/// A version whose manifest fills every field; `source` tells one from the other.
pub(super) fn version(script: u128, script_name: &str, source: &[u8]) -> Result<NewVersion> {
    Ok(NewVersion {
        name: name(script_name)?,
        tenant: TenantId::default(),
        script: ScriptId::from_bits(script),
        manifest: Arc::new(Manifest {
            language: LanguageId::parse("python")?,
            entry_point: EntryPoint::parse("src/main.py")?,
            source: Bytes::copy_from_slice(source),
            parameter_schema: Some(json!({"type": "object", "properties": {"ü": {"default": [1, 2.5, null]}}})),
            dependencies: Vec::new(),
            lock: None,
            limits: LimitOverrides {
                pids: Some(7),
                timeout: Some(Duration::from_micros(1_500_001)),
                ..LimitOverrides::default()
            },
            network: NetworkPolicy::allow(["example.org:443", "[2001:db8::7]:80"])?,
        }),
        number: None,
        author: "ada <ada@example.org> — ü".into(),
        at: Timestamp::from_micros(1_700_000_000_000_001),
        branch: RefName::parse("main")?,
    })
}

/// An execution that fills every field.
pub(super) fn execution(id: u128) -> Result<NewExecution> {
    let mut parameters = Map::new();
    parameters.insert("b".into(), json!({"deep": [1, -2.5, "ü\n\u{0}", null, true]}));
    parameters.insert("a".into(), json!("***"));
    Ok(NewExecution {
        id: ExecutionId::from_bits(id),
        owner: OwnerId::from_bits(7),
        script: ScriptId::from_bits(8),
        script_name: name("sample")?,
        version: VersionId(Digest::of(b"version")),
        version_number: Version::new(1, 2, 3),
        sha256: Digest::of(b"source"),
        language: LanguageId::parse("bash")?,
        parameters,
        identity: identity("acme")?,
        priority: Priority::High,
        limits: Limits { timeout: Duration::from_micros(12_345_678), ..Limits::default() },
        network: NetworkPolicy::Public { ports: vec![80, 443], entries: Vec::new() },
        executor: "sandbox".into(),
        target: Some(script_engine_core::contract::Target {
            name: "application".into(),
            user: Some("1000:1000".into()),
        }),
        idempotency_key: None,
        created_at: Timestamp::from_micros(1_700_000_000_123_457),
        labels: BTreeMap::from([("workflow".into(), "build ü".into())]),
    })
}

/// A start that fills every field.
pub(super) fn start() -> Transition {
    let capability = Capability::all(Mechanism::Kernel)
        .with(Restriction::Memory, Mechanism::Supervised)
        .without(Restriction::Cpu, "no cgroup is delegated");
    Transition::Start(Started {
        toolchain: "bash 5.2".into(),
        at: Timestamp::from_micros(1_700_000_001_000_003),
        enforcement: capability.report(),
        runtime: Some(Digest::of(b"runtime")),
    })
}

/// One connection of each end.
fn connections() -> Connections {
    let connection = |host: &str, end: ConnectionEnd| Connection {
        host: host.into(),
        port: 443,
        address: Some([192, 0, 2, 7].into()),
        opened_at: Timestamp::from_micros(1_700_000_001_500_001),
        duration: Duration::from_micros(250_001),
        sent: 1 << 33,
        received: 1,
        end,
    };
    let list = vec![
        connection("example.org", ConnectionEnd::Closed),
        connection("192.0.2.7", ConnectionEnd::Reset),
        Connection { address: Some([0x2001, 0xdb8, 0, 0, 0, 0, 0, 7].into()), ..connection("ü", ConnectionEnd::Cut) },
        Connection { address: None, ..connection("example.net", ConnectionEnd::Refused("not allowed".into())) },
        connection("example.com", ConnectionEnd::Failed("no route to host".into())),
    ];
    Connections { list, left_out: 4 }
}

/// An end that fills every field.
pub(super) fn finish(outcome: Outcome) -> Transition {
    Transition::Finish(Box::new(Ending {
        at: Timestamp::from_micros(1_700_000_002_000_007),
        outcome,
        exit_code: Some(255),
        signal: Some(9),
        usage: Usage { cpu: Duration::from_micros(1_234_567), peak_memory: (1 << 40) + 1, processes: 0 },
        output: OutputRecord {
            stdout: StreamRecord {
                bytes: Bytes::from_static(b"\x00\xff not utf-8 \xc3\x28"),
                total: 1 << 33,
                dropped: 1 << 32,
                truncated: true,
            },
            stderr: StreamRecord::default(),
            structured: vec![json!({"progress": 0.5}), json!(null)],
            structured_dropped: 3,
        },
        result: Some(json!({"answer": 42, "list": [1, 2]})),
        notes: vec!["one process was killed after the end".into()],
        connections: connections(),
        timings: Stage::ALL
            .into_iter()
            .fold(Timings::default(), |it, stage| it.with(stage, Duration::from_micros(1 + stage as u64))),
    }))
}
