//! Killing everything that scripts have started, wherever it hid.

use crate::sys::{process, signal};
use crate::usage;

/// Rounds of stopping what is found before killing it: what forks meanwhile is found in the next.
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
    let own = process::id();
    let mut stopped = Vec::new();
    for _ in 0..ROUNDS {
        let fresh: Vec<i32> = usage::descendants(own).into_iter().filter(|it| !stopped.contains(it)).collect();
        if fresh.is_empty() {
            break;
        }
        for pid in fresh {
            // It may be gone by now. Its id cannot have been given to another process: the agent is
            // its parent, or becomes it, and has not waited for it yet.
            let _ = signal::send(pid, signal::SIGSTOP);
            stopped.push(pid);
        }
    }
    for pid in stopped {
        let _ = signal::send(pid, signal::SIGKILL);
    }
}

/// Sends a signal to all descendants of the agent.
pub fn signal_descendants(number: i32) {
    if process::id() == 1 {
        let _ = signal::send_to_all(number);
        return;
    }
    for pid in usage::descendants(process::id()) {
        let _ = signal::send(pid, number);
        if signal::asks_to_end(number) {
            let _ = signal::send(pid, signal::SIGCONT);
        }
    }
}
