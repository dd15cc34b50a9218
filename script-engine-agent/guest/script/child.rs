//! The last steps of a new process before it is the script: everything that is to be taken from it
//! is taken here, in the order in which it can be.

use std::ffi::CString;
use std::os::fd::AsRawFd as _;

use super::filter::Filter;
use crate::serve::{Config, Containment};
use crate::sys::{self, Errno, file, identity, process, signal};
use crate::wire::Start;

/// Where a child reports why it could not become the script; closes on exec.
pub const REPORT: i32 = 3;
/// The longest report; a pipe takes it at once.
pub const MAX_REPORT: usize = 4096;
/// What scripts get as out-of-memory score: they go before the agent does.
const OOM_SCORE: &[u8] = b"500";

/// Why something could not be started.
#[derive(Debug)]
pub struct Failure {
    pub operation: String,
    pub message: String,
    pub errno: Errno,
}

impl Failure {
    pub fn new(operation: &str, message: String, errno: Errno) -> Self {
        Self { operation: operation.to_owned(), message, errno }
    }

    /// Tells it to the agent, and ends.
    pub fn report(&self) -> ! {
        let mut text = self.errno.0.to_le_bytes().to_vec();
        text.extend_from_slice(self.operation.as_bytes());
        text.push(b'\n');
        text.extend_from_slice(self.message.as_bytes());
        text.truncate(MAX_REPORT);
        // If this fails, the agent sees a child that ended.
        let _ = file::write_all(REPORT, &text);
        process::exit(127)
    }

    /// Reads a report.
    pub fn read(text: &[u8]) -> Self {
        let (errno, rest) = text.split_first_chunk::<4>().unwrap_or((&[0; 4], text));
        let rest = String::from_utf8_lossy(rest);
        let (operation, message) = rest.split_once('\n').unwrap_or(("start", &rest));
        Self { operation: operation.to_owned(), message: message.to_owned(), errno: Errno(i32::from_le_bytes(*errno)) }
    }
}

/// What a child becomes.
pub enum Program {
    /// The job's program.
    Script { arguments: Vec<CString>, environment: Vec<CString> },
    /// A look at itself instead, told on standard output.
    Posture,
}

/// All that a child needs to know.
pub struct Child<'a> {
    pub config: &'a Config,
    pub filter: &'a Filter,
    pub start: &'a Start,
    pub program: Program,
}

impl Child<'_> {
    /// Becomes the script. The standard streams and [`REPORT`] are in place, nothing else is open.
    pub fn become_script(&self) -> ! {
        let failure = match self.confine() {
            Ok(()) => match &self.program {
                Program::Script { arguments, environment } => execute(arguments, environment),
                Program::Posture => crate::posture::tell(self.config),
            },
            Err(failure) => failure,
        };
        failure.report()
    }

    fn confine(&self) -> Result<(), Failure> {
        step("session", process::new_session())?;
        file::set_umask(0o022);
        // The agent is not dumpable, and what it forked is not either; its own files in /proc would
        // be root's. Nothing of the script is alive that could make use of it.
        set_dumpable()?;
        if self.config.containment == Containment::Flat {
            go_first();
        }
        let domain = self.filter.domain()?;

        step("bounding set", identity::drop_bounding_set())?;
        match (identity::leave_groups(), self.config.script_uid) {
            // Where one user is mapped the groups are that user's and cannot be left.
            (Ok(()), _) | (Err(_), None) => {}
            (Err(error), Some(_)) => step("groups", Err(error))?,
        }
        if let Some((user, group)) = self.config.script_uid {
            step("user", identity::become_user(user, group))?;
        }
        step("capabilities", identity::drop_capabilities())?;
        set_dumpable()?;
        step("death signal", process::control(process::PR_SET_PDEATHSIG, signal::SIGKILL as usize, 0))?;

        let cwd = &self.start.cwd;
        if !cwd.is_empty() {
            file::change_folder(cwd).map_err(|error| {
                Failure::new("cwd", format!("cannot enter {}", String::from_utf8_lossy(cwd)), error)
            })?;
        }
        step("no new privileges", process::control(process::PR_SET_NO_NEW_PRIVS, 1, 0))?;
        if let Some(domain) = domain {
            step("landlock", sys::landlock::enter(domain.as_raw_fd()))?;
        }
        self.limit()?;
        step("signals", signal::reset())?;
        // Last: it forbids most of what came before.
        self.filter.install()
    }

    fn limit(&self) -> Result<(), Failure> {
        step("limit core", process::limit(process::RLIMIT_CORE, 0))?;
        if self.start.open_files > 0 {
            step("limit open files", process::limit(process::RLIMIT_NOFILE, u64::from(self.start.open_files)))?;
        }
        if self.start.processes > 0 {
            step("limit processes", process::limit(process::RLIMIT_NPROC, u64::from(self.start.processes)))?;
        }
        step("limit file size", process::limit(process::RLIMIT_FSIZE, self.start.file_bytes))
    }
}

/// Offers the calling process, and what it will start, to the kernel when memory runs out. Where that
/// is not allowed the kernel's own choice has to do. The process must be dumpable: else its files in
/// /proc are not its own.
pub fn go_first() {
    let _ = file::open(b"/proc/self/oom_score_adj", file::O_WRONLY, 0)
        .and_then(|it| file::write_all(it.as_raw_fd(), OOM_SCORE));
}

fn set_dumpable() -> Result<(), Failure> {
    step("dumpable", process::control(process::PR_SET_DUMPABLE, 1, 0)).map(drop)
}

fn step<T>(operation: &str, outcome: sys::Result<T>) -> Result<T, Failure> {
    outcome.map_err(|error| Failure::new(operation, "the system refuses".to_owned(), error))
}

/// Executes the program, looked up in the job's own `PATH`. Comes back only if it could not.
fn execute(arguments: &[CString], environment: &[CString]) -> Failure {
    let Some(name) = arguments.first() else {
        return Failure::new("exec", "the job names no program".to_owned(), Errno::EINVAL);
    };
    let shown = name.to_string_lossy();
    if name.as_bytes().contains(&b'/') {
        let error = process::execute(name, arguments, environment);
        let there = file::open(name.as_bytes(), file::O_PATH, 0).is_ok();
        let text = if error == Errno::ENOENT && there {
            format!("cannot execute {shown}: the interpreter that its first line names, or its loader, is not there")
        } else {
            format!("cannot execute {shown}")
        };
        return Failure::new("exec", text, error);
    }
    let path = environment.iter().find_map(|it| it.as_bytes().strip_prefix(b"PATH="));
    let Some(path) = path.filter(|_| !name.is_empty()) else {
        return Failure::new("exec", format!("cannot find {shown}: the job has no PATH"), Errno::ENOENT);
    };
    let mut refused = None;
    for folder in path.split(|it| *it == b':') {
        // An empty entry means the working folder, which scripts own: never look there.
        if !folder.starts_with(b"/") {
            continue;
        }
        let candidate = [folder, b"/", name.as_bytes()].concat();
        let Ok(candidate) = sys::c_string(&candidate) else { continue };
        match process::execute(&candidate, arguments, environment) {
            Errno::ENOENT | Errno::ENOTDIR => {}
            Errno::EACCES => refused = Some(candidate),
            error => {
                return Failure::new("exec", format!("cannot execute {}", candidate.to_string_lossy()), error);
            }
        }
    }
    match refused {
        Some(it) => Failure::new("exec", format!("cannot execute {}", it.to_string_lossy()), Errno::EACCES),
        None => {
            let text = format!("cannot find {shown} in PATH {}", String::from_utf8_lossy(path));
            Failure::new("exec", text, Errno::ENOENT)
        }
    }
}
