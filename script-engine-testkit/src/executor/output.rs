//! What scripts print.

use std::sync::Arc;

use script_engine_core::contract::{OutputStream, ScriptEvent};
use script_engine_core::{Exit, Timestamp};

use super::bench::Bench;
use crate::machine::file;
use crate::verdict::{Proof, Unproven, ensure, fail};

/// Lines of each stream.
pub(crate) const LINES: usize = 300_000;

/// Numbers, one a line.
pub(crate) fn numbers() -> Vec<u8> {
    (0..LINES).flat_map(|it| format!("{it:07}\n").into_bytes()).collect()
}

pub(super) async fn ex_11(it: Arc<Bench>) -> Proof {
    let numbers = numbers();
    let count = format!("awk 'BEGIN {{ for (i = 0; i < {LINES}; i++) printf \"%07d\\n\", i }}'");
    let script = format!("{count} >&2 & {count}; wait; cat \"$2/all.bin\"; printf 'no newline' >&2");
    // Every byte there is, and no newline at the end.
    let all: Vec<u8> = (0..=255).rev().cycle().take(100_000).collect();
    let mut job = it.job("prints", &script)?;
    job.files.push(file("all.bin", &all)?);
    let seen = it.see(job).await?;
    ensure!(seen.exit.is_some_and(|it| it.exit == Exit::Code(0)), "ended as {}", seen.text());
    same("stdout", &seen.stdout, &[&numbers[..], &all].concat())?;
    same("stderr", &seen.stderr, &[&numbers[..], b"no newline"].concat())
}

fn same(stream: &str, found: &[u8], expected: &[u8]) -> Proof {
    if found == expected {
        return Ok(());
    }
    let at = found.iter().zip(expected).position(|(a, b)| a != b).unwrap_or(found.len().min(expected.len()));
    fail!("{stream} has {} bytes, expected {}; they differ from byte {at} on", found.len(), expected.len());
}

/// What the script prints that nobody listens to.
const UNHEARD: u64 = 64 << 20;
/// What the other one prints meanwhile, which is the clock.
const HEARD: u64 = 128 << 20;
/// The most that may be printed while nobody fetches: pipes, frames and windows on the way.
const UNDER_WAY: u64 = 16 << 20;

pub(super) async fn ex_12(it: Arc<Bench>) -> Proof {
    let print = |bytes: u64| it.job(&format!("flood {bytes}"), &format!("head -c {bytes} /dev/zero"));
    let mut unheard = it.spawn(print(UNHEARD)?).await?;
    let mut heard = it.spawn(print(HEARD)?).await?;
    let (total, end) = drain(&mut *heard.script).await?;
    heard.script.finish().await?;
    ensure!(total == HEARD, "{total} bytes came of {HEARD}");
    let Some(end) = end else { fail!("no output came") };
    // Whoever printed all of it in that time was not blocked, and somebody holds it.
    let mut early = 0;
    let mut total = 0;
    let mut watch = async || -> Proof {
        loop {
            match unheard.script.next().await {
                ScriptEvent::Output { time, bytes, .. } => {
                    total += bytes.len() as u64;
                    early += if time <= end { bytes.len() as u64 } else { 0 };
                }
                ScriptEvent::Beat(_) => {}
                ScriptEvent::Exited(report) if report.exit == Exit::Code(0) => return Ok(()),
                other => fail!("the script that nobody listened to: {other:?}"),
            }
        }
    };
    let watched = watch().await;
    unheard.script.finish().await?;
    watched?;
    ensure!(total == UNHEARD, "of the script that nobody listened to came {total} bytes of {UNHEARD}");
    ensure!(early <= UNDER_WAY, "{early} bytes were printed while nobody fetched any");
    Ok(())
}

/// Counts what a script prints and says when the last of it was printed.
async fn drain(
    script: &mut dyn script_engine_core::contract::RunningScript,
) -> Result<(u64, Option<Timestamp>), Unproven> {
    let (mut total, mut end) = (0, None);
    loop {
        match script.next().await {
            ScriptEvent::Output { stream: OutputStream::Stdout, time, bytes } => {
                total += bytes.len() as u64;
                end = end.max(Some(time));
            }
            ScriptEvent::Output { bytes, .. } => fail!("stderr says {:?}", String::from_utf8_lossy(&bytes)),
            ScriptEvent::Beat(_) => {}
            ScriptEvent::Exited(_) => return Ok((total, end)),
            ScriptEvent::Lost { reason, .. } => fail!("the sandbox was lost: {reason}"),
        }
    }
}
