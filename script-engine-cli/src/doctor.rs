//! `script-engine doctor`: what works on this machine, seen by doing it, and how to mend what doesn't.

mod languages;

use std::process::ExitCode;

use script_engine::contract::{IdSource, ScriptExecutor};
use script_engine::memory::UuidIds;
use script_engine::sandbox_linux::Isolation;
use script_engine::{Egress, Enforced, Finding, Grade, OwnerId, Restriction, Shutdown, sandbox_linux};
use serde_json::{Map, Value, json};

use crate::arguments::{Backend, DoctorArguments};
use crate::{engine, terminal};

/// Says how this machine stands. Exit code 0 if scripts can run, 1 if not.
pub(crate) async fn doctor(arguments: DoctorArguments) -> ExitCode {
    let findings = examine(&arguments).await;
    let sound = findings.iter().all(|it| it.grade != Grade::Fail);
    let text = if arguments.json { as_json(&findings, sound) } else { as_text(&findings) };
    // A closed pipe has nobody to tell.
    drop(terminal::print(&text));
    if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn examine(arguments: &DoctorArguments) -> Vec<Finding> {
    let owner = OwnerId::from_bits(UuidIds.fresh());
    let given = &arguments.engine;
    let mut findings = match given.backend.unwrap_or_default() {
        Backend::Linux => sandbox_linux::examine(&engine::linux(Isolation::Namespaces, given), owner).await,
        Backend::Process => sandbox_linux::examine(&engine::linux(Isolation::Process, given), owner).await,
        #[cfg(feature = "docker")]
        Backend::Docker => match engine::docker(given) {
            Ok(config) => script_engine::docker::examine(&config, owner).await,
            Err(error) => vec![Finding::new("settings", Grade::Fail, error.to_string(), "correct what is named here")],
        },
    };
    if findings.iter().any(|it| it.grade == Grade::Fail) {
        return findings;
    }
    match engine::build(&arguments.engine, false).await {
        Ok(engine) => {
            findings.extend(engine.executors().iter().flat_map(|it| restrictions(it.as_ref())));
            findings.extend(languages::examine(&engine).await);
            engine.shutdown(Shutdown::Drain).await;
        }
        Err(error) => findings.push(Finding::new("engine", Grade::Fail, error.to_string(), "mend what is named here")),
    }
    findings
}

fn restrictions(executor: &dyn ScriptExecutor) -> Vec<Finding> {
    let capability = executor.capability();
    let stands = |it: Restriction| match capability.of(it) {
        Enforced::By(mechanism) => (Grade::Ok, format!("enforced, {}", mechanism.as_str()), ""),
        Enforced::Not(why) => (Grade::Warn, "not enforced".to_owned(), why),
    };
    let finding = |it: Restriction| {
        let (grade, what, mend) = stands(it);
        Finding::new(format!("restriction {it}"), grade, what, mend)
    };
    Restriction::ALL.into_iter().map(finding).chain([allow_lists(capability.egress())]).collect()
}

/// What `--network` can open.
fn allow_lists(egress: Egress) -> Finding {
    let (grade, what, mend) = match egress {
        Egress::Addresses => (Grade::Ok, "hosts by name and by address", ""),
        Egress::Names => {
            (Grade::Ok, "hosts by name", "the sandbox's network can't be configured: name hosts, not addresses")
        }
        Egress::Nothing => {
            (Grade::Warn, "none", "use the backend `linux`, whose sandboxes have a network of their own")
        }
    };
    Finding::new("network allow-lists", grade, what, mend)
}

fn as_text(findings: &[Finding]) -> String {
    let width = findings.iter().map(|it| it.name.len()).max().unwrap_or_default();
    let mut text = String::new();
    for Finding { name, grade, what, mend } in findings {
        text.push_str(&format!("{grade:<5} {name:<width$}  {what}\n"));
        if !mend.is_empty() {
            text.push_str(&format!("{:<5} {:<width$}  {mend}\n", "", ""));
        }
    }
    text
}

fn as_json(findings: &[Finding], sound: bool) -> String {
    let all: Map<String, Value> = findings
        .iter()
        .map(|it| {
            (it.name.clone().into_owned(), json!({"verdict": it.grade.as_str(), "what": it.what, "mend": it.mend}))
        })
        .collect();
    format!("{}\n", json!({"version": env!("CARGO_PKG_VERSION"), "sound": sound, "findings": all}))
}
