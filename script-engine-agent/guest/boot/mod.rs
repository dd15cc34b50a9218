//! `agent launch`: builds a sandbox as its plan says and serves in it as process 1.
//!
//! The launcher is a process of its own so that the host never forks. It reads one plan from the
//! link, clones process 1 into new namespaces, writes that one's id maps from outside, waits for it
//! and ends as it ended. Whatever fails is told to the host as a `Fault` that names the step.

mod fault;
mod identity;
mod network;
mod root;

use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

use crate::plan::Plan;
use crate::serve;
use crate::sys::namespace::{self, Side};
use crate::sys::process::{self, Ended, Waited};
use crate::sys::{Errno, Result as SysResult, file, poll, signal};
use crate::wire::{HEADER_LEN, Header};
use fault::{At as _, Fault};

/// The link: standard input, by the contract between launcher and host.
const LINK: i32 = 0;

/// Runs the launcher. Gives the exit code: in the launcher when process 1 has ended, in process 1 when
/// it has served.
pub fn launch() -> i32 {
    match start() {
        Ok(Some((Side::Inside, plan, pipe))) => be_sandbox(&plan, pipe),
        Ok(Some((Side::Outside { pid, in_cgroup }, plan, pipe))) => be_launcher(&plan, pid, in_cgroup, pipe),
        // The host went away before it had a use for this launcher.
        Ok(None) => 0,
        Err(fault) => fault.report(LINK),
    }
}

/// What process 1 waits at until its ids are mapped; the launcher's end stays open while it lives.
struct Gate {
    inside: OwnedFd,
    outside: OwnedFd,
    /// Where the launcher hears of process 1's end, and of the host's wish for it.
    signals: OwnedFd,
}

fn start() -> Result<Option<(Side, Plan, Gate)>, Fault> {
    let Some(plan) = read_plan()? else { return Ok(None) };
    let (inside, outside) = file::pipe().at("make a pipe")?;
    let cgroup = match plan.cgroup.as_str() {
        "" => None,
        path => Some(file::open(path.as_bytes(), file::O_RDONLY, 0).at_path("open the cgroup", path)?),
    };
    let signals = signal::receive(&[signal::SIGTERM, signal::SIGCHLD]).at("listen for signals")?;
    let side = namespace::clone(cgroup.as_ref().map(|it| it.as_fd())).at("create the namespaces")?;
    Ok(Some((side, plan, Gate { inside, outside, signals })))
}

fn read_plan() -> Result<Option<Plan>, Fault> {
    let mut header = [0; HEADER_LEN];
    if !read_exact(&mut header).at("read the plan")? {
        return Ok(None);
    }
    let header =
        Header::decode(&header).map_err(|error| Fault::new("read the plan", error.to_string(), Errno::EINVAL))?;
    let mut payload = vec![0; header.length];
    if !read_exact(&mut payload).at("read the plan")? {
        return Ok(None);
    }
    match Plan::decode(&header, &payload) {
        Ok(plan) => Ok(Some(plan)),
        Err(error) => Err(Fault::new("read the plan", error.to_string(), Errno::EINVAL)),
    }
}

/// Fills the buffer; false if the link ends first.
fn read_exact(buffer: &mut [u8]) -> SysResult<bool> {
    let mut done = 0;
    while let Some(rest) = buffer.get_mut(done..).filter(|it| !it.is_empty()) {
        match file::read(LINK, rest)? {
            0 => return Ok(false),
            count => done += count,
        }
    }
    Ok(true)
}

/// Outside: maps the ids, opens the gate, lets go of the link and waits.
fn be_launcher(plan: &Plan, pid: i32, in_cgroup: bool, Gate { inside, outside, signals }: Gate) -> i32 {
    drop(inside);
    if let Err(fault) = prepare(plan, pid, in_cgroup, &outside) {
        // Process 1 finds the gate closed without having been opened, and ends.
        return fault.report(LINK);
    }
    // For a host that has to wait for process 1 when the launcher was killed.
    let _ = file::write_all(2, format!("{}{pid}\n", crate::plan::PROCESS_1).as_bytes());
    // From here on the link is process 1's alone, so that the host sees its end.
    file::close(LINK);
    let ended = wait(pid, &signals);
    drop(outside);
    match ended {
        Some(it) if it.signal != 0 => 128 + it.signal,
        Some(it) => it.code,
        None => 1,
    }
}

/// Waits for process 1's end: nothing of its namespace is left then. On SIGTERM brings it about, where
/// a launcher that is killed would end before the sandbox does.
fn wait(pid: i32, signals: &OwnedFd) -> Option<Ended> {
    loop {
        match process::reap() {
            Ok(Waited::Ended(it)) => return Some(it),
            Ok(Waited::Alive) => {}
            Ok(Waited::None) | Err(_) => return None,
        }
        let mut entry = [poll::Entry { fd: signals.as_raw_fd(), events: poll::IN, revents: 0 }];
        // Without a poll this would spin, not fail.
        let _ = poll::poll(&mut entry, 60_000);
        while let Some(signal) = signal::next(signals.as_fd()) {
            if signal == signal::SIGTERM {
                // It may have ended by itself.
                let _ = signal::send(pid, signal::SIGKILL);
            }
        }
    }
}

fn prepare(plan: &Plan, pid: i32, in_cgroup: bool, gate: &OwnedFd) -> Result<(), Fault> {
    if !plan.cgroup.is_empty() && !in_cgroup {
        std::fs::write(format!("{}/cgroup.procs", plan.cgroup), pid.to_string())
            .at_path("enter the cgroup", &plan.cgroup)?;
    }
    identity::write_maps(plan, pid)?;
    file::write_all(gate.as_raw_fd(), b"1").at("let process 1 go on")
}

/// Inside: waits for the maps, builds the sandbox, serves.
fn be_sandbox(plan: &Plan, Gate { inside, outside, signals }: Gate) -> i32 {
    drop((outside, signals));
    match build(plan, inside) {
        Ok(()) => serve::serve(serve::Config {
            link_in: LINK,
            link_out: LINK,
            containment: serve::Containment::Nested,
            script_uid: (plan.script_id != plan.agent_id).then_some((plan.script_id, plan.script_id)),
            private: true,
            scripts_dir: b"/scripts".to_vec(),
            work_dir: b"/work".to_vec(),
            tmp_dir: b"/tmp".to_vec(),
        }),
        Err(fault) => fault.report(LINK),
    }
}

fn build(plan: &Plan, gate: OwnedFd) -> Result<(), Fault> {
    signal::reset().at("reset the signals")?;
    namespace::die_with_parent().at("bind process 1 to the launcher")?;
    if file::read(gate.as_raw_fd(), &mut [0]).at("wait for the launcher")? == 0 {
        return Err(Fault::elsewhere());
    }
    identity::take(plan)?;
    // The change of identity undid it. A launcher that ended in between has closed its end of the gate.
    namespace::die_with_parent().at("bind process 1 to the launcher")?;
    let mut entry = [poll::Entry { fd: gate.as_raw_fd(), events: 0, revents: 0 }];
    poll::poll(&mut entry, 0).at("look for the launcher")?;
    if entry[0].revents & poll::HUP != 0 {
        return Err(Fault::elsewhere());
    }
    drop(gate);
    file::set_umask(0o022);
    namespace::set_hostname(plan.hostname.as_bytes()).at("set the host name")?;
    root::build(plan)?;
    network::build()
}
