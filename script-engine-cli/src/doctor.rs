//! `script-engine doctor`: what works on this machine, seen by doing it, and how to mend what doesn't.

mod languages;

use std::process::ExitCode;

use script_engine::contract::{IdSource, ScriptExecutor};
use script_engine::memory::UuidIds;
use script_engine::sandbox_linux::Isolation;
use script_engine::{Egress, Enforced, OwnerId, Restriction, Shutdown, sandbox_linux};
use serde_json::{Map, Value, json};

use crate::arguments::{Backend, DoctorArguments};
use crate::{engine, terminal};

/// How one thing stands.
struct Finding {
    name: String,
    verdict: &'static str,
    what: String,
    mend: String,
}

impl Finding {
    fn new(name: impl Into<String>, verdict: &'static str, what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { name: name.into(), verdict, what: what.into(), mend: mend.into() }
    }
}

/// The verdicts.
const OK: &str = "ok";
const WARN: &str = "warn";
const FAIL: &str = "fail";

/// Says how this machine stands. Exit code 0 if scripts can run, 1 if not.
pub(crate) async fn doctor(arguments: DoctorArguments) -> ExitCode {
    let findings = examine(&arguments).await;
    let sound = findings.iter().all(|it| it.verdict != FAIL);
    let text = if arguments.json { as_json(&findings, sound) } else { as_text(&findings) };
    // A closed pipe has nobody to tell.
    drop(terminal::print(&text));
    if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn examine(arguments: &DoctorArguments) -> Vec<Finding> {
    let owner = OwnerId::from_bits(UuidIds.fresh());
    let given = &arguments.engine;
    let mut findings = match given.backend.unwrap_or_default() {
        Backend::Linux => machine(&engine::linux(Isolation::Namespaces, given), owner).await,
        Backend::Process => machine(&engine::linux(Isolation::Process, given), owner).await,
        #[cfg(feature = "docker")]
        Backend::Docker => match engine::docker(given) {
            Ok(config) => daemon(&config, owner).await,
            Err(error) => vec![Finding::new("settings", FAIL, error.to_string(), "correct what is named here")],
        },
    };
    if findings.iter().any(|it| it.verdict == FAIL) {
        return findings;
    }
    match engine::build(&arguments.engine, false).await {
        Ok(engine) => {
            findings.extend(engine.executors().iter().flat_map(|it| restrictions(it.as_ref())));
            findings.extend(languages::examine(&engine).await);
            engine.shutdown(Shutdown::Drain).await;
        }
        Err(error) => findings.push(Finding::new("engine", FAIL, error.to_string(), "mend what is named here")),
    }
    findings
}

/// How this machine stands.
async fn machine(config: &sandbox_linux::Config, owner: OwnerId) -> Vec<Finding> {
    let found = sandbox_linux::examine(config, owner).await;
    found.into_iter().map(|it| Finding::new(it.name, it.grade.as_str(), it.what, it.mend)).collect()
}

/// How a Docker Engine stands.
#[cfg(feature = "docker")]
async fn daemon(config: &script_engine::docker::Config, owner: OwnerId) -> Vec<Finding> {
    let found = script_engine::docker::examine(config, owner).await;
    found.into_iter().map(|it| Finding::new(it.name, it.grade.as_str(), it.what, it.mend)).collect()
}

fn restrictions(executor: &dyn ScriptExecutor) -> Vec<Finding> {
    let capability = executor.capability();
    let stands = |it: Restriction| match capability.of(it) {
        Enforced::By(mechanism) => (OK, format!("enforced, {}", mechanism.as_str()), ""),
        Enforced::Not(why) => (WARN, "not enforced".to_owned(), why),
    };
    let finding = |it: Restriction| {
        let (verdict, what, mend) = stands(it);
        Finding::new(format!("restriction {it}"), verdict, what, mend)
    };
    Restriction::ALL.into_iter().map(finding).chain([allow_lists(capability.egress())]).collect()
}

/// What `--network` can open.
fn allow_lists(egress: Egress) -> Finding {
    let (verdict, what, mend) = match egress {
        Egress::Addresses => (OK, "hosts by name and by address", ""),
        Egress::Names => (OK, "hosts by name", "the sandbox's network can't be configured: name hosts, not addresses"),
        Egress::Nothing => (WARN, "none", "use the backend `linux`, whose sandboxes have a network of their own"),
    };
    Finding::new("network allow-lists", verdict, what, mend)
}

fn as_text(findings: &[Finding]) -> String {
    let width = findings.iter().map(|it| it.name.len()).max().unwrap_or_default();
    let mut text = String::new();
    for Finding { name, verdict, what, mend } in findings {
        text.push_str(&format!("{verdict:<5} {name:<width$}  {what}\n"));
        if !mend.is_empty() {
            text.push_str(&format!("{:<5} {:<width$}  {mend}\n", "", ""));
        }
    }
    text
}

fn as_json(findings: &[Finding], sound: bool) -> String {
    let all: Map<String, Value> = findings
        .iter()
        .map(|it| (it.name.clone(), json!({"verdict": it.verdict, "what": it.what, "mend": it.mend})))
        .collect();
    format!("{}\n", json!({"version": env!("CARGO_PKG_VERSION"), "sound": sound, "findings": all}))
}
