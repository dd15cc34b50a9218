//! Serving the engine: the settings. The loop is [`agent`], one script's way [`job`].

mod agent;
mod egress;
mod job;
pub mod link;

use crate::sys;
use agent::Agent;

/// How what a script starts is kept together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Containment {
    /// Each script runs under a stub init in a pid and mount namespace of its own. The agent must be
    /// allowed to make them (`CAP_SYS_ADMIN` in its user namespace), and `/proc` must not be masked
    /// where the agent sees it: the kernel lets nobody mount a fresh one over less than the whole.
    /// The stub masks what scripts must not see.
    Nested,
    /// The script is a child of the agent, which is process 1, or the reaper of its descendants.
    Flat,
}

/// Where and how the agent serves.
#[derive(Clone, Debug)]
pub struct Config {
    /// Descriptor from which the engine's frames are read.
    pub link_in: i32,
    /// Descriptor to which frames are written; may be the same.
    pub link_out: i32,
    pub containment: Containment,
    /// The user and group that scripts get; `None` leaves them the agent's.
    pub script_uid: Option<(u32, u32)>,
    /// Whether the ipc namespace, `/dev/shm` and `/dev/mqueue` belong to this sandbox alone: only then
    /// may a reset wipe them.
    pub private: bool,
    /// Where [`crate::wire::Place::Scripts`] is. Written by the agent, read-only to scripts.
    pub scripts_dir: Vec<u8>,
    /// Where [`crate::wire::Place::Work`] is. Belongs to the script's user.
    pub work_dir: Vec<u8>,
    /// The script's folder for temporary files.
    pub tmp_dir: Vec<u8>,
}

/// What `agent serve` may be told.
pub const USAGE: &str = "agent serve [--script-uid UID:GID] [--private] [--folder FOLDER] [--owner TEXT]";

impl Config {
    /// The settings of an agent that is started where it is to serve: in a container, or on a host for
    /// scripts without namespaces. The link is on its standard streams: both directions on standard
    /// input if that is a socket. Its folders are the usual ones, or those below `--folder`. What
    /// follows `--owner` marks the process for whoever looks for left-overs.
    pub fn from_arguments(arguments: &[&str]) -> Result<Self, String> {
        let mut config = Self {
            link_in: 0,
            link_out: if sys::file::is_socket(0) { 0 } else { 1 },
            containment: Containment::Flat,
            script_uid: None,
            private: false,
            scripts_dir: b"/scripts".to_vec(),
            work_dir: b"/work".to_vec(),
            tmp_dir: b"/tmp".to_vec(),
        };
        let mut rest = arguments.iter();
        while let Some(name) = rest.next() {
            if *name == "--private" {
                config.private = true;
                continue;
            }
            let value = rest.next().ok_or_else(|| format!("{name} needs a value; {USAGE}"))?;
            match *name {
                "--script-uid" => config.script_uid = Some(ids(value)?),
                "--folder" if value.starts_with('/') => {
                    let below = |name: &str| format!("{value}/{name}").into_bytes();
                    (config.scripts_dir, config.work_dir, config.tmp_dir) =
                        (below("scripts"), below("work"), below("tmp"));
                }
                "--folder" => return Err(format!("--folder: `{value}` is not absolute")),
                "--owner" => {}
                _ => return Err(format!("unknown option {name}; {USAGE}")),
            }
        }
        Ok(config)
    }
}

fn ids(text: &str) -> Result<(u32, u32), String> {
    let number = |it: &str| it.parse::<u32>().map_err(|error| format!("`{it}` is not an id: {error}"));
    let (user, group) = text.split_once(':').ok_or_else(|| format!("`{text}` is not UID:GID"))?;
    Ok((number(user)?, number(group)?))
}

/// Serves until the link ends, the lease expires, SIGTERM comes or the engine says so. Everything
/// that was started is gone when it returns. Gives the exit code.
pub fn serve(config: Config) -> i32 {
    match Agent::new(config) {
        Ok(mut agent) => {
            let end = agent.run();
            agent.finish(end)
        }
        Err(error) => crate::complain(&format!("cannot serve: {error}")),
    }
}
