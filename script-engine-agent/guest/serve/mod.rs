//! Serving the engine: the settings. The loop is [`agent`], one script's way [`job`].

mod agent;
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

impl Config {
    /// The settings of an agent that is started in a container, or by a host without namespaces: the
    /// link on its standard streams; the usual folders, or those below `--folder`. What follows
    /// `--owner` marks the process for whoever looks for left-overs.
    pub fn from_arguments(arguments: &[&str]) -> Result<Self, String> {
        let stdin_is_socket = sys::file::is_socket(0);
        let mut config = Self {
            link_in: 0,
            link_out: if stdin_is_socket { 0 } else { 1 },
            containment: Containment::Flat,
            script_uid: None,
            private: sys::process::id() == 1,
            scripts_dir: b"/scripts".to_vec(),
            work_dir: b"/work".to_vec(),
            tmp_dir: b"/tmp".to_vec(),
        };
        let mut rest = arguments;
        while let [name, value, tail @ ..] = rest {
            match *name {
                "--script-uid" => {
                    let (user, group) = value.split_once(':').ok_or_else(|| format!("`{value}` is not UID:GID"))?;
                    let number = |it: &str| it.parse::<u32>().map_err(|error| format!("`{it}` is not an id: {error}"));
                    config.script_uid = Some((number(user)?, number(group)?));
                }
                "--folder" => {
                    let below = |name: &str| format!("{value}/{name}").into_bytes();
                    (config.scripts_dir, config.work_dir, config.tmp_dir) =
                        (below("scripts"), below("work"), below("tmp"));
                }
                "--owner" => {}
                _ => return Err(format!("serve: unknown argument {name}")),
            }
            rest = tail;
        }
        if rest.is_empty() { Ok(config) } else { Err(format!("serve: nothing follows {rest:?}")) }
    }
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
