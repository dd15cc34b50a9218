//! Connections of a script, multiplexed over the agent's link. See [`super`] for who compiles this file.
//!
//! The agent listens where the engine says, tells of each connection with an id that it counts up, and both pass its
//! bytes on within the credit that the other end gave. Neither has any before: the agent gives its first credit with
//! `Accepted`, the engine when it has connected. Either may end its direction, or reset both.

use super::frame::{MAX_PAYLOAD, Reader, WireError, Writer};

/// Connections that an agent has open at one time; it turns away what comes beyond.
pub const MAX_CONNECTIONS: usize = 256;
/// The most credit that one direction of a connection ever has.
pub const CONNECTION_WINDOW: u32 = 128 * 1024;
/// The most bytes of a connection in one frame.
pub const MAX_PIECE: usize = MAX_PAYLOAD - PREFIX;
/// Bytes before those of the connection: its id and what follows.
pub const PREFIX: usize = 5;
/// Stands before bytes.
pub const BYTES: u8 = 0;

/// Where the agent is to listen for a job's connections, and which names it answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listen {
    /// Hosts (names in lower case, or addresses) and ports.
    pub entries: Vec<(String, u16)>,
    /// Ports on which every name is answered and listened for.
    pub ports: Vec<u16>,
}

impl Listen {
    pub(super) fn write(&self, w: &mut Writer) {
        w.list(&self.entries, |w, (host, port)| {
            w.text(host).u16(*port);
        });
        w.list(&self.ports, |w, port| {
            w.u16(*port);
        });
    }

    pub(super) fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self { entries: r.list(|r| Ok((r.text()?, r.u16()?)))?, ports: r.list(Reader::u16)? })
    }
}

/// What happens on a connection; the same in both directions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Traffic {
    /// Bytes, within the credit that the other end gave.
    Bytes(Vec<u8>),
    /// No more bytes will come.
    End,
    /// The other end may send this many more bytes.
    Credit(u32),
    /// The connection is over, whatever was under way.
    Reset,
}

impl Traffic {
    pub(super) fn write(&self, id: u32, w: &mut Writer) {
        w.u32(id);
        match self {
            Self::Bytes(bytes) => w.u8(BYTES).0.extend_from_slice(bytes),
            Self::End => drop(w.u8(1)),
            Self::Credit(bytes) => drop(w.u8(2).u32(*bytes)),
            Self::Reset => drop(w.u8(3)),
        }
    }

    pub(super) fn read(r: &mut Reader<'_>) -> Result<(u32, Self), WireError> {
        let id = r.u32()?;
        let traffic = match r.u8()? {
            BYTES => Self::Bytes(r.rest().to_vec()),
            1 => Self::End,
            2 => Self::Credit(r.u32()?),
            3 => Self::Reset,
            _ => return Err(WireError::Value("traffic")),
        };
        Ok((id, traffic))
    }
}
