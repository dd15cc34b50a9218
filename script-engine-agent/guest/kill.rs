//! Killing everything that scripts have started, wherever it hid.

use std::os::fd::{AsFd as _, OwnedFd};

use crate::sys::{process, signal};
use crate::usage::{self, Found};

/// Rounds of stopping what is found before it is killed: what was forked meanwhile is found in the
/// next.
const ROUNDS: usize = 16;

/// Kills all descendants of the agent that runs without a pid namespace under it. As process 1 the
/// kernel reaches them all at once; else they are looked for, stopped so that they fork no more, and
/// killed. To be called again until nothing is left.
pub fn descendants() {
    if process::id() == 1 {
        // Comes back without an error even where it reached nobody; that is for the caller to see.
        let _ = signal::send_to_all(signal::SIGKILL);
        return;
    }
    let mut seen: Vec<Found> = Vec::new();
    let mut held = Vec::new();
    for _ in 0..ROUNDS {
        let fresh: Vec<Found> = usage::descendants(process::id()).into_iter().filter(|it| !seen.contains(it)).collect();
        if fresh.is_empty() {
            break;
        }
        for found in fresh {
            seen.push(found);
            if let Some(process) = hold(found) {
                send(&process, signal::SIGSTOP);
                held.push(process);
            }
        }
    }
    for process in &held {
        send(process, signal::SIGKILL);
    }
}

/// Sends a signal to all descendants of the agent. What is stopped is woken if it is asked to end.
pub fn signal_descendants(number: i32) {
    if process::id() == 1 {
        let _ = signal::send_to_all(number);
        return;
    }
    for process in usage::descendants(process::id()).into_iter().filter_map(hold) {
        send(&process, number);
        if signal::asks_to_end(number) {
            send(&process, signal::SIGCONT);
        }
    }
}

/// Holds on to a process, unless its id means another one by now: its parent may have waited for it
/// since it was found.
fn hold(found: Found) -> Option<OwnedFd> {
    let held = signal::hold(found.pid).ok()?;
    usage::is(found).then_some(held)
}

fn send(process: &OwnedFd, number: i32) {
    // It may have ended by itself.
    let _ = signal::send_to(process.as_fd(), number);
}
