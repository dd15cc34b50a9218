//! One connection: dialled, carried in both directions, and written down.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::AcquireError;
use tokio::time::Instant;

use super::flow::Piece;
use super::switchboard::{Common, Line};
use crate::gateway::NotConnected;
use crate::wire::{CONNECTION_WINDOW, MAX_PIECE, Traffic};
use crate::{Connection, ConnectionEnd, Host, Timestamp};

/// How long a host that a script is done with may be silent before the connection is given up.
const HALF_CLOSED: Duration = Duration::from_secs(60);

/// What is known of a connection when the script has made it.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) id: u32,
    /// The host; what the agent said if that is none.
    pub(super) host: Result<Host, String>,
    pub(super) port: u16,
    pub(super) line: Line,
}

/// Carries one connection from its beginning to its end. Writes it down, also if it is aborted.
pub(super) async fn relay(common: Arc<Common>, relay: Relay) {
    let Relay { id, host, port, line } = relay;
    let host_text = host.as_ref().map_or_else(Clone::clone, ToString::to_string);
    let mut entry = Entry::begin(&common, id, host_text, port);
    let Ok(host) = host else {
        entry.end = ConnectionEnd::Refused("it is not the name of a host".to_owned());
        return common.tell(id, Traffic::Reset).await;
    };
    let dialled = tokio::select! {
        dialled = common.gateway.connect(&common.policy, &common.settings, &host, port) => dialled,
        () = line.flow.over() => return,
    };
    match dialled {
        Ok((stream, address)) => {
            entry.address = Some(address);
            line.flow.grant(CONNECTION_WINDOW);
            common.tell(id, Traffic::Credit(CONNECTION_WINDOW)).await;
            entry.end = carry(&common, id, &line, stream, &entry.counts).await;
            if entry.end == ConnectionEnd::Reset {
                common.tell(id, Traffic::Reset).await;
            }
        }
        Err(not) => {
            (entry.end, entry.address) = match not {
                NotConnected::Refused { why, address } => (ConnectionEnd::Refused(why), address),
                NotConnected::Failed { why, address } => (ConnectionEnd::Failed(why), address),
            };
            common.tell(id, Traffic::Reset).await;
        }
    }
}

/// Carries until both directions are done, one breaks, or the execution is over.
async fn carry(common: &Common, id: u32, line: &Line, stream: TcpStream, counts: &Counts) -> ConnectionEnd {
    let (from, to) = stream.into_split();
    let up = up(common, id, line, to, &counts.sent);
    let down = down(common, id, line, from, &counts.received);
    tokio::pin!(up, down);
    let (mut sending, mut receiving) = (true, true);
    while sending || receiving {
        let done = tokio::select! {
            done = &mut up, if sending => {
                sending = false;
                done
            }
            done = &mut down, if receiving => {
                receiving = false;
                done
            }
            () = line.flow.over(), if !sending => {
                let ended = line.flow.is_ended();
                return if ended { ConnectionEnd::Closed } else { ConnectionEnd::Cut };
            }
        };
        if done.is_err() {
            return ConnectionEnd::Reset;
        }
    }
    ConnectionEnd::Closed
}

/// One direction broke.
#[derive(Debug)]
struct Broken;

impl From<io::Error> for Broken {
    fn from(_: io::Error) -> Self {
        Self
    }
}

impl From<AcquireError> for Broken {
    fn from(_: AcquireError) -> Self {
        Self
    }
}

/// From the script to the host.
async fn up(common: &Common, id: u32, line: &Line, mut to: OwnedWriteHalf, sent: &AtomicU64) -> Result<(), Broken> {
    loop {
        match line.flow.next().await {
            Piece::Bytes(bytes) => {
                tokio::select! {
                    written = to.write_all(&bytes) => written?,
                    () = line.flow.broken() => return Err(Broken),
                }
                sent.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                let credit = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
                line.flow.grant(credit);
                common.tell(id, Traffic::Credit(credit)).await;
            }
            Piece::End => return Ok(to.shutdown().await?),
            Piece::Reset => return Err(Broken),
        }
    }
}

/// From the host to the script.
async fn down(common: &Common, id: u32, line: &Line, mut from: OwnedReadHalf, got: &AtomicU64) -> Result<(), Broken> {
    loop {
        let first = line.credit.acquire().await?;
        while tokio::time::timeout(HALF_CLOSED, from.readable()).await.is_err() {
            // Idle is allowed, but not to who hears of nobody any more.
            if line.flow.is_ended() {
                return Err(Broken);
            }
        }
        let most = MAX_PIECE.min(line.credit.available_permits() + 1);
        // Made when there is something to read: many connections are idle.
        let mut bytes = Vec::with_capacity(most);
        let count = (&mut from).take(most as u64).read_buf(&mut bytes).await?;
        if count == 0 {
            common.tell(id, Traffic::End).await;
            return Ok(());
        }
        first.forget();
        line.credit.forget_permits(count - 1);
        got.fetch_add(count as u64, Ordering::Relaxed);
        common.tell(id, Traffic::Bytes(bytes)).await;
    }
}

#[derive(Debug, Default)]
struct Counts {
    sent: AtomicU64,
    received: AtomicU64,
}

/// The line of the record that is written when the connection is over, however that comes.
struct Entry<'a> {
    common: &'a Common,
    id: u32,
    host: String,
    port: u16,
    address: Option<std::net::IpAddr>,
    opened_at: Timestamp,
    since: Instant,
    counts: Counts,
    end: ConnectionEnd,
}

impl<'a> Entry<'a> {
    fn begin(common: &'a Common, id: u32, host: String, port: u16) -> Self {
        Self {
            common,
            id,
            host,
            port,
            address: None,
            opened_at: common.gateway.clock().now(),
            since: Instant::now(),
            counts: Counts::default(),
            end: ConnectionEnd::Cut,
        }
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.common.forget(self.id);
        self.common.log.record(Connection {
            host: std::mem::take(&mut self.host),
            port: self.port,
            address: self.address,
            opened_at: self.opened_at,
            duration: self.since.elapsed(),
            sent: self.counts.sent.load(Ordering::Relaxed),
            received: self.counts.received.load(Ordering::Relaxed),
            end: std::mem::replace(&mut self.end, ConnectionEnd::Cut),
        });
    }
}
