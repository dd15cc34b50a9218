//! Starting a script: its pipes, the child or the stub, and how both report to the agent.

use std::ffi::CString;
use std::os::fd::{AsRawFd as _, OwnedFd};

use super::child::{Child, Failure, Program, REPORT};
use super::filter::Filter;
use super::gate::Gate;
use super::stub;
use crate::serve::{Config, Containment};
use crate::sys::{self, Errno, file, identity, process};
use crate::usage;
use crate::wire::{Start, gate};

/// Bytes that a script may print before the agent has looked.
const OUTPUT_PIPE: usize = 256 * 1024;
/// Where descriptors are put out of the way while the first few are filled.
const ABOVE: i32 = 32;

/// What was started, and the agent's ends of everything that leads to it.
#[derive(Debug)]
pub struct Launched {
    /// The script, or the stub that it runs under.
    pub pid: i32,
    /// Orders to the stub, and its reports; `None` without one.
    pub stub: Option<Stub>,
    /// Ends when the program is executed; says why if it could not be.
    pub report: OwnedFd,
    /// Where a primed program waits.
    pub gate: Option<Gate>,
    pub stdin: Option<OwnedFd>,
    pub stdout: OwnedFd,
    pub stderr: OwnedFd,
}

/// The agent's side of a stub.
#[derive(Debug)]
pub struct Stub {
    pub orders: OwnedFd,
    pub reports: OwnedFd,
}

/// Starts the job's program.
pub fn start(config: &Config, filter: &Filter, start: &Start, environment: &[Vec<u8>]) -> Result<Launched, Failure> {
    launch(&script(config, filter, start, environment)?, start.stdin, false)
}

/// Starts a program that waits for its job at its gate. It goes the same way as every other.
pub fn prime(config: &Config, filter: &Filter, start: &Start, environment: &[Vec<u8>]) -> Result<Launched, Failure> {
    launch(&script(config, filter, start, environment)?, start.stdin, true)
}

fn script<'a>(
    config: &'a Config,
    filter: &'a Filter,
    start: &'a Start,
    environment: &[Vec<u8>],
) -> Result<Child<'a>, Failure> {
    let texts = |items: &mut dyn Iterator<Item = &Vec<u8>>, what: &str| -> Result<Vec<CString>, Failure> {
        items
            .map(|it| sys::c_string(it))
            .collect::<sys::Result<_>>()
            .map_err(|error| Failure::new("start", format!("a NUL byte in the {what}"), error))
    };
    if start.argv.is_empty() {
        return Err(Failure::new("start", "the job names no program".to_owned(), Errno::EINVAL));
    }
    let program = Program::Script {
        arguments: texts(&mut start.argv.iter(), "arguments")?,
        environment: texts(&mut environment.iter().chain(&start.env), "environment")?,
    };
    Ok(Child { config, filter, start, program })
}

/// Starts a child that goes the same way as a script and then tells how it finds itself.
pub fn start_posture(config: &Config, filter: &Filter, start: &Start) -> Result<Launched, Failure> {
    launch(&Child { config, filter, start, program: Program::Posture }, false, false)
}

fn launch(child: &Child<'_>, feed: bool, gated: bool) -> Result<Launched, Failure> {
    if child.config.containment == Containment::Flat && process::id() != 1 && !usage::can_look() {
        let text = "without /proc and without a pid namespace what a script starts could not be found again";
        return Err(Failure::new("start", text.to_owned(), Errno::ENOSYS));
    }
    let fail = |what: &'static str| move |error| Failure::new("start", format!("cannot make {what}"), error);
    // Made as the script's user, or the script could not open /dev/stdin and its siblings.
    let (stdin, stdout, stderr) = identity::as_file_user(child.config.script_uid, || {
        let stdin = match file::open(b"/dev/null", file::O_RDONLY, 0) {
            Ok(empty) if !feed => (empty, None),
            _ => {
                let (read, write) = file::pipe()?;
                (read, feed.then_some(write))
            }
        };
        Ok((stdin, file::pipe()?, file::pipe()?))
    })
    .map_err(fail("the standard streams"))?;
    let report = file::pipe().map_err(fail("a pipe"))?;
    for end in [&stdout.0, &stderr.0, &report.0].into_iter().chain(&stdin.1) {
        file::set_nonblocking(end.as_raw_fd()).map_err(fail("a pipe"))?;
    }
    file::widen_pipe(&stdout.0, OUTPUT_PIPE);

    let standard = [stdin.0.as_raw_fd(), stdout.1.as_raw_fd(), stderr.1.as_raw_fd(), report.1.as_raw_fd()];
    let mut given: Vec<(i32, i32)> = (0..=REPORT).zip(standard).collect();
    let gate = if gated {
        let (job, said) = (file::pipe().map_err(fail("a gate"))?, file::pipe().map_err(fail("a gate"))?);
        for end in [&job.1, &said.0] {
            file::set_nonblocking(end.as_raw_fd()).map_err(fail("a gate"))?;
        }
        given.extend([(gate::JOB, job.0.as_raw_fd()), (gate::REPORT, said.1.as_raw_fd())]);
        Some((job, said))
    } else {
        None
    };
    let (pid, stub) = match child.config.containment {
        Containment::Flat => {
            let pid = process::fork(0).map_err(fail("a child"))?;
            if pid == 0 {
                arrange(&given);
                child.become_script();
            }
            (pid, None)
        }
        Containment::Nested => {
            let (orders, reports) = (file::pipe().map_err(fail("a pipe"))?, file::pipe().map_err(fail("a pipe"))?);
            for end in [&orders.1, &reports.0] {
                file::set_nonblocking(end.as_raw_fd()).map_err(fail("a pipe"))?;
            }
            given.extend([(stub::ORDERS, orders.0.as_raw_fd()), (stub::REPORTS, reports.1.as_raw_fd())]);
            let pid = process::fork(process::CLONE_NEWPID | process::CLONE_NEWNS).map_err(fail("a pid namespace"))?;
            if pid == 0 {
                arrange(&given);
                stub::be(child);
            }
            (pid, Some(Stub { orders: orders.1, reports: reports.0 }))
        }
    };
    let gate = gate.map(|(job, said)| Gate::new(said.0, job.1));
    Ok(Launched { pid, stub, report: report.0, gate, stdin: stdin.1, stdout: stdout.0, stderr: stderr.0 })
}

/// Gives the descriptors these numbers, of which the last is the highest, and closes everything else. The standard
/// streams and the gate stay open across exec.
fn arrange(given: &[(i32, i32)]) {
    let moved: sys::Result<Vec<(i32, i32)>> =
        given.iter().map(|(number, fd)| Ok((*number, file::duplicate_above(*fd, ABOVE)?))).collect();
    let Ok(moved) = moved else { process::exit(127) };
    let end = moved.last().map_or(0, |(number, _)| number + 1);
    (0..end).for_each(file::close);
    for (number, fd) in &moved {
        let kept = *number < REPORT || matches!(*number, gate::JOB | gate::REPORT);
        if file::duplicate_to(*fd, *number, if kept { 0 } else { file::O_CLOEXEC }).is_err() {
            process::exit(127);
        }
    }
    file::close_from(end);
}
