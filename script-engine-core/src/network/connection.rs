//! What an execution reached and what it was refused: the record of its connections.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::Timestamp;

/// Connections of one execution that are listed; what comes beyond is counted.
const MAX_LISTED: usize = 1000;

/// One connection of a script, or its attempt at one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The host, as the script named it.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The address that was dialled last; `None` if it did not come to that.
    pub address: Option<IpAddr>,
    /// When the script connected.
    pub opened_at: Timestamp,
    /// How long it lasted.
    pub duration: Duration,
    /// Bytes that the script sent and the host took.
    pub sent: u64,
    /// Bytes that the host sent.
    pub received: u64,
    /// How it ended.
    pub end: ConnectionEnd,
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectionEnd {
    /// Both sides were done.
    Closed,
    /// One side broke it off.
    Reset,
    /// It was not done when the execution was over.
    Cut,
    /// It was not allowed, for this reason.
    Refused(String),
    /// The host could not be reached, for this reason.
    Failed(String),
}

impl ConnectionEnd {
    /// The end in lower case.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Reset => "reset",
            Self::Cut => "cut",
            Self::Refused(_) => "refused",
            Self::Failed(_) => "failed",
        }
    }

    /// Why, where it was not the two sides' own doing.
    #[must_use]
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::Closed | Self::Reset | Self::Cut => None,
            Self::Refused(why) | Self::Failed(why) => Some(why),
        }
    }
}

/// The connections of one execution, in the order of their ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// The first ones, up to a bound.
    pub list: Vec<Connection>,
    /// How many there were beyond the bound.
    pub left_out: u64,
}

/// Where connections are written down while an execution lasts; clones share the one list.
#[derive(Clone, Debug, Default)]
pub struct ConnectionLog(Arc<Mutex<Connections>>);

impl ConnectionLog {
    /// Writes one down.
    pub fn record(&self, connection: Connection) {
        let mut connections = self.lock();
        if connections.list.len() < MAX_LISTED {
            connections.list.push(connection);
        } else {
            connections.left_out += 1;
        }
    }

    /// What is written down so far: after the sandbox is released, all.
    #[must_use]
    pub fn snapshot(&self) -> Connections {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Connections> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_counted() {
        let log = ConnectionLog::default();
        for port in 0..MAX_LISTED as u16 + 7 {
            log.clone().record(Connection {
                host: "a.example".into(),
                port,
                address: None,
                opened_at: Timestamp::from_micros(0),
                duration: Duration::ZERO,
                sent: 0,
                received: 0,
                end: ConnectionEnd::Closed,
            });
        }
        let Connections { list, left_out } = log.snapshot();
        assert_eq!((list.len(), left_out), (MAX_LISTED, 7));
        assert_eq!(list.last().unwrap().port, 999);
    }
}
