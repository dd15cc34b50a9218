//! What the launcher is to build: one sandbox as plain data, and its binary form.
//!
//! The host compiles this file too. A plan holds no decision: whoever makes it has decided, and the
//! launcher does what it says, entry by entry, in the order given.

use crate::wire::{Header, Reader, Stream, WireError, Writer};

/// The kind of the frame that holds a plan; no message of the protocol has it.
pub const KIND: u8 = 128;
/// The version of the plan's binary form; both ends must speak the same one.
pub const VERSION: u32 = 1;

/// What a launcher says on its standard error, followed by the id of process 1 as the host sees it.
pub const PROCESS_1: &str = "process 1 is ";

/// A range of user or group ids: `count` of them from `inside` on are those from `outside` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdRange {
    /// The first id as the sandbox sees it.
    pub inside: u32,
    /// The same id as the host sees it.
    pub outside: u32,
    /// How many ids follow one another.
    pub count: u32,
}

/// One thing in the sandbox's root. Paths are absolute inside the sandbox and are made in the order
/// of the plan; `source` is an absolute path on the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A folder with its permission bits, and the folders above it.
    Folder {
        /// Where.
        path: String,
        /// Permission bits.
        mode: u32,
    },
    /// Something of the host, read-only: a folder with everything mounted below it, a file, or (a
    /// copy of) a symbolic link.
    Bind {
        /// What on the host.
        source: String,
        /// Where.
        path: String,
        /// Whether it is no fault if the host has no such thing.
        optional: bool,
    },
    /// Each thing in a folder of the host as a [`Entry::Bind`] of its own, so that others can be
    /// put beside them.
    Children {
        /// The folder on the host.
        source: String,
        /// Where.
        path: String,
        /// Names to leave out.
        except: Vec<String>,
    },
    /// A file with the given contents.
    File {
        /// Where.
        path: String,
        /// Its contents.
        contents: Vec<u8>,
    },
    /// A symbolic link.
    Link {
        /// Where.
        path: String,
        /// What it says.
        target: String,
    },
    /// Makes what is mounted at a place read-only. The root itself is sealed when all is in it.
    Seal {
        /// Where.
        path: String,
    },
    /// A bounded file system in memory, `nosuid`, `nodev`.
    Memory {
        /// Where; the folder is there.
        path: String,
        /// Its size in bytes.
        bytes: u64,
        /// How many files it may hold.
        inodes: u64,
        /// Permission bits of its top.
        mode: u32,
        /// Whether its top belongs to the script, else to the agent.
        script: bool,
    },
    /// A device of the host, by its name below `/dev`.
    Device {
        /// The name, the same inside.
        name: String,
    },
    /// POSIX message queues.
    Queues {
        /// Where; the folder is there.
        path: String,
    },
    /// The process table.
    Processes {
        /// Where; the folder is there.
        path: String,
    },
}

/// A sandbox to build.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The cgroup v2 folder in which the sandbox is to start; empty to stay in the launcher's.
    pub cgroup: String,
    /// User ids.
    pub uids: Vec<IdRange>,
    /// Group ids.
    pub gids: Vec<IdRange>,
    /// Whether the sandbox may set supplementary groups; an ordinary user can't allow it.
    pub setgroups: bool,
    /// The agent's user and group id inside.
    pub agent_id: u32,
    /// The script's user and group id inside; equal to the agent's where only one is mapped.
    pub script_id: u32,
    /// The name of the machine.
    pub hostname: String,
    /// Size of the root itself in bytes: mount points, links and generated files.
    pub root_bytes: u64,
    /// How many files the root itself may hold.
    pub root_inodes: u64,
    /// What is in the root.
    pub entries: Vec<Entry>,
}

impl Plan {
    /// Makes the frame that the launcher reads. Fails if the plan does not fit one.
    pub fn encode(&self) -> Result<Vec<u8>, WireError> {
        let mut w = Writer::default();
        let range = |w: &mut Writer, it: &IdRange| {
            w.u32(it.inside).u32(it.outside).u32(it.count);
        };
        w.u32(VERSION).text(&self.cgroup).list(&self.uids, range).list(&self.gids, range).bool(self.setgroups);
        w.u32(self.agent_id).u32(self.script_id).text(&self.hostname).u64(self.root_bytes).u64(self.root_inodes);
        w.list(&self.entries, |w, it| it.write(w));
        w.frame(KIND, Stream::Control, 0)
    }

    /// Reads the plan in a frame.
    pub fn decode(header: &Header, payload: &[u8]) -> Result<Self, WireError> {
        if header.kind != KIND {
            return Err(WireError::Kind(header.kind));
        }
        let mut r = Reader::new(payload);
        if r.u32()? != VERSION {
            return Err(WireError::Value("plan version"));
        }
        let range = |r: &mut Reader<'_>| Ok(IdRange { inside: r.u32()?, outside: r.u32()?, count: r.u32()? });
        let plan = Self {
            cgroup: r.text()?,
            uids: r.list(range)?,
            gids: r.list(range)?,
            setgroups: r.bool()?,
            agent_id: r.u32()?,
            script_id: r.u32()?,
            hostname: r.text()?,
            root_bytes: r.u64()?,
            root_inodes: r.u64()?,
            entries: r.list(Entry::read)?,
        };
        r.end()?;
        Ok(plan)
    }
}

impl Entry {
    fn write(&self, w: &mut Writer) {
        match self {
            Self::Folder { path, mode } => w.u8(0).text(path).u32(*mode),
            Self::Bind { source, path, optional } => w.u8(1).text(source).text(path).bool(*optional),
            Self::Children { source, path, except } => w.u8(2).text(source).text(path).list(except, |w, it| {
                w.text(it);
            }),
            Self::File { path, contents } => w.u8(3).text(path).bytes(contents),
            Self::Link { path, target } => w.u8(4).text(path).text(target),
            Self::Seal { path } => w.u8(5).text(path),
            Self::Memory { path, bytes, inodes, mode, script } => {
                w.u8(6).text(path).u64(*bytes).u64(*inodes).u32(*mode).bool(*script)
            }
            Self::Device { name } => w.u8(7).text(name),
            Self::Queues { path } => w.u8(8).text(path),
            Self::Processes { path } => w.u8(9).text(path),
        };
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(match r.u8()? {
            0 => Self::Folder { path: r.text()?, mode: r.u32()? },
            1 => Self::Bind { source: r.text()?, path: r.text()?, optional: r.bool()? },
            2 => Self::Children { source: r.text()?, path: r.text()?, except: r.list(Reader::text)? },
            3 => Self::File { path: r.text()?, contents: r.bytes()? },
            4 => Self::Link { path: r.text()?, target: r.text()? },
            5 => Self::Seal { path: r.text()? },
            6 => Self::Memory { path: r.text()?, bytes: r.u64()?, inodes: r.u64()?, mode: r.u32()?, script: r.bool()? },
            7 => Self::Device { name: r.text()? },
            8 => Self::Queues { path: r.text()? },
            9 => Self::Processes { path: r.text()? },
            _ => return Err(WireError::Value("plan entry")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::HEADER_LEN;

    fn decode(frame: &[u8]) -> Result<Plan, WireError> {
        let (header, payload) = frame.split_at(HEADER_LEN);
        Plan::decode(&Header::decode(header.try_into().expect("a whole header"))?, payload)
    }

    fn every_entry() -> Plan {
        let text = || "/a b".to_owned();
        Plan {
            cgroup: "/sys/fs/cgroup/x".into(),
            uids: vec![IdRange { inside: 0, outside: 1 << 30, count: 1 }],
            gids: vec![IdRange { inside: 1000, outside: 7, count: 2 }],
            setgroups: true,
            agent_id: 0,
            script_id: 1000,
            hostname: "sandbox".into(),
            root_bytes: u64::MAX,
            root_inodes: 9,
            entries: vec![
                Entry::Folder { path: text(), mode: 0o755 },
                Entry::Bind { source: text(), path: text(), optional: true },
                Entry::Children { source: text(), path: text(), except: vec!["x".into()] },
                Entry::File { path: text(), contents: vec![0, 255] },
                Entry::Link { path: text(), target: text() },
                Entry::Seal { path: text() },
                Entry::Memory { path: text(), bytes: 1, inodes: 2, mode: 3, script: true },
                Entry::Device { name: "null".into() },
                Entry::Queues { path: text() },
                Entry::Processes { path: text() },
            ],
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for plan in [Plan::default(), every_entry()] {
            let frame = plan.encode().expect("it fits");
            assert_eq!(decode(&frame), Ok(plan));
        }
    }

    #[test]
    fn a_part_of_a_plan_is_no_plan() {
        let frame = every_entry().encode().expect("it fits");
        for end in HEADER_LEN..frame.len() {
            assert!(decode(&frame[..end]).is_err(), "{end} bytes");
        }
        let mut longer = frame;
        longer.push(0);
        assert_eq!(decode(&longer), Err(WireError::Trailing));
    }

    #[test]
    fn a_plan_that_does_not_fit_a_frame_is_refused() {
        let contents = vec![0; 70_000];
        let plan = Plan { entries: vec![Entry::File { path: "/x".into(), contents }], ..Plan::default() };
        assert_eq!(plan.encode().map_err(|it| matches!(it, WireError::TooLong(_))), Err(true));
    }
}
