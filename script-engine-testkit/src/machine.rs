//! A machine under test: what suites need to know of it, and how they look at it from outside.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use script_engine_core::contract::IdSource;
use script_engine_core::memory::UuidIds;
use script_engine_core::{EgressSettings, Job, JobFile, Limits, NetworkPolicy, OwnerId, RelPath, Result, RuntimeSpec};
use tokio::time::Instant;

/// A machine under test, seen from outside: not by asking the implementation.
#[async_trait]
pub trait TestMachine: fmt::Debug + Send + Sync + 'static {
    /// The runtime that scripts are run in; has `sh`, `bash` and the usual small programs.
    fn runtime(&self) -> RuntimeSpec;

    /// Names whatever `owner` has left on the machine: mounts, control groups, files, containers. The
    /// record that says of an engine which lives that it does is not left over.
    async fn leftovers(&self, owner: OwnerId) -> Result<Vec<String>>;

    /// Names the processes on the machine whose command line holds `marker`.
    async fn processes(&self, marker: &str) -> Result<Vec<String>>;
}

/// Names the processes of this Linux whose command line holds `marker`, for backends that start them
/// on the machine that the suite is carried out on. Zombies count: somebody has to reap them.
pub fn processes_here(marker: &str) -> Result<Vec<String>> {
    let unreadable = |error| script_engine_core::Error::internal("can't list /proc").with_source(error);
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").map_err(unreadable)?.filter_map(std::result::Result::ok) {
        let Some(pid) = entry.file_name().to_str().and_then(|it| it.parse::<u32>().ok()) else { continue };
        // A process that is gone by now is none.
        let Ok(line) = std::fs::read(entry.path().join("cmdline")) else { continue };
        if line.windows(marker.len()).any(|it| it == marker.as_bytes()) {
            found.push(format!("{pid}: {}", String::from_utf8_lossy(&line).replace('\0', " ")));
        }
    }
    Ok(found)
}

/// How long something that ends by itself may take until it is gone, and how often one looks.
const GONE_WITHIN: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Waits until `look` names nothing any more. What was broken off may end behind one's back, and
/// nothing tells of it. Gives what is still there in the end.
pub(crate) async fn gone_soon(look: impl AsyncFn() -> Result<Vec<String>>) -> Result<Vec<String>> {
    let since = Instant::now();
    let mut turns = tokio::time::interval(LOOK_EVERY);
    loop {
        turns.tick().await;
        let left = look().await?;
        if left.is_empty() || since.elapsed() > GONE_WITHIN {
            return Ok(left);
        }
    }
}

/// Gives a fresh owner.
pub(crate) fn fresh_owner() -> OwnerId {
    OwnerId::from_bits(UuidIds.fresh())
}

/// What stands in the command line of every process of a case's scripts. Not the owner's own name,
/// which stands in those of the backend.
pub(crate) fn marker(owner: OwnerId) -> String {
    format!("kit-{:032x}", owner.bits().rotate_left(32))
}

/// Makes a job of a script. The name is what a fake knows the script by. The script's arguments are
/// the marker, then `/scripts`, `/work`, `/tmp`, and then `arguments`.
pub(crate) fn job(runtime: RuntimeSpec, marker: &str, name: &str, script: &str, arguments: &[&str]) -> Result<Job> {
    let argv = ["/bin/sh", "/scripts/main.sh", marker, "/scripts", "/work", "/tmp"];
    Ok(Job {
        runtime,
        files: vec![file("main.sh", format!("# scenario: {name}\n{script}\n").as_bytes())?],
        argv: argv.iter().chain(arguments).map(|it| (*it).to_owned()).collect(),
        env: vec![("PATH".into(), b"/usr/local/bin:/usr/bin:/bin".to_vec()), ("LC_ALL".into(), b"C".to_vec())],
        stdin: false,
        limits: Limits { memory_bytes: 256 << 20, pids: 64, work_bytes: 64 << 20, ..Limits::default() },
        network: NetworkPolicy::Off,
        target: None,
        tenant: None,
        given: Vec::new(),
        egress: EgressSettings::default(),
    })
}

/// Makes a file of a job.
pub(crate) fn file(path: &str, content: &[u8]) -> Result<JobFile> {
    Ok(JobFile { path: RelPath::parse(path)?, content: Bytes::copy_from_slice(content), executable: false })
}
