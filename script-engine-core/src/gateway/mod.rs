//! The way out of a sandbox: connects where a policy allows it.
//!
//! Names are resolved when a script connects, every address that comes of it is judged, and what was judged is what is
//! dialled, so a name that changes its meaning in between changes nothing.

mod resolver;

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use crate::contract::Clock;
use crate::memory::SystemClock;
use crate::{EgressSettings, Host, NetworkPolicy};

pub use resolver::{HostResolver, Resolver};

/// Addresses of one name that are tried.
const MAX_CANDIDATES: usize = 16;
/// How long one address is tried while there are others.
const CANDIDATE_TIMEOUT: Duration = Duration::from_secs(3);

/// See the module.
#[derive(Clone, Debug)]
pub struct Gateway {
    resolver: Arc<dyn Resolver>,
    clock: Arc<dyn Clock>,
}

impl Default for Gateway {
    fn default() -> Self {
        Self::new(Arc::new(HostResolver::default()), Arc::new(SystemClock))
    }
}

/// Why a connection was not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotConnected {
    /// It is not allowed.
    Refused {
        /// Why.
        why: String,
        /// The address that was judged, if it came to that.
        address: Option<IpAddr>,
    },
    /// The host can't be reached.
    Failed {
        /// Why.
        why: String,
        /// The address that was dialled last, if it came to that.
        address: Option<IpAddr>,
    },
}

impl fmt::Display for NotConnected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Refused { why, .. } | Self::Failed { why, .. }) = self;
        f.write_str(why)
    }
}

impl Gateway {
    /// Makes a gateway that resolves names by `resolver` and stamps connections by `clock`.
    #[must_use]
    pub fn new(resolver: Arc<dyn Resolver>, clock: Arc<dyn Clock>) -> Self {
        Self { resolver, clock }
    }

    /// What stamps connections.
    #[must_use]
    pub fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }

    /// Connects to `host` and `port`, if `policy` allows that and `settings` an address of it. Cancel-safe: nothing
    /// is left of a connection that was under way.
    pub async fn connect(
        &self,
        policy: &NetworkPolicy,
        settings: &EgressSettings,
        host: &Host,
        port: u16,
    ) -> Result<(TcpStream, IpAddr), NotConnected> {
        if !policy.allows(host, port) {
            let why = format!("{host}:{port} is not in the network policy; add it to `network`");
            return Err(NotConnected::Refused { why, address: None });
        }
        let entry = policy.lists(host, port).then_some(host);
        let deadline = Instant::now() + settings.connect_timeout;
        let found = match timeout_at(deadline, self.resolve(host)).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => {
                let why = format!("the name can't be resolved: {error}");
                return Err(NotConnected::Failed { why, address: None });
            }
            Err(_) => {
                let why = format!("the name was not resolved within {:?}", settings.connect_timeout);
                return Err(NotConnected::Failed { why, address: None });
            }
        };
        dial(&judged(&found, settings, entry)?, port, deadline).await
    }

    async fn resolve(&self, host: &Host) -> io::Result<Vec<IpAddr>> {
        match host {
            Host::Address(address) => Ok(vec![*address]),
            Host::Name(name) => self.resolver.resolve(name).await,
        }
    }
}

/// The addresses that may be dialled, of all that were found.
fn judged(found: &[IpAddr], settings: &EgressSettings, entry: Option<&Host>) -> Result<Vec<IpAddr>, NotConnected> {
    let mut allowed = Vec::new();
    let mut refused = None;
    for address in found {
        match settings.judge(entry, *address) {
            Ok(()) if allowed.len() < MAX_CANDIDATES => allowed.push(*address),
            Ok(()) => {}
            Err(why) => {
                refused.get_or_insert(NotConnected::Refused { why, address: Some(*address) });
            }
        }
    }
    match (allowed.is_empty(), refused) {
        (false, _) => Ok(allowed),
        (true, Some(refused)) => Err(refused),
        (true, None) => Err(NotConnected::Failed { why: "the name has no address".to_owned(), address: None }),
    }
}

async fn dial(addresses: &[IpAddr], port: u16, deadline: Instant) -> Result<(TcpStream, IpAddr), NotConnected> {
    let mut failed = NotConnected::Failed { why: "the name has no address".to_owned(), address: None };
    for (index, address) in addresses.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let patience = if index + 1 == addresses.len() { left } else { left.min(CANDIDATE_TIMEOUT) };
        let why = match timeout(patience, TcpStream::connect(SocketAddr::new(*address, port))).await {
            Ok(Ok(stream)) => {
                // Small pieces are the script's to join; one that can't be told is only slower.
                drop(stream.set_nodelay(true));
                return Ok((stream, *address));
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "did not answer in time".to_owned(),
        };
        failed = NotConnected::Failed { why: format!("{address}: {why}"), address: Some(*address) };
    }
    Err(failed)
}

#[cfg(test)]
mod tests;
