//! The way out of a fake sandbox: decides as a gateway does, and reaches nobody.

use std::net::Ipv4Addr;
use std::time::Duration;

use script_engine_core::contract::Clock;
use script_engine_core::{Connection, ConnectionEnd, ConnectionLog, EgressSettings, Host, NetworkPolicy};

/// What a host says, as far as a fake goes.
const GREETING: &str = "hello\n";

/// What a fake script may reach. Every name means the loopback address.
#[derive(Clone, Debug, Default)]
pub(super) struct FakeEgress {
    pub(super) policy: NetworkPolicy,
    pub(super) settings: EgressSettings,
    pub(super) log: ConnectionLog,
}

impl FakeEgress {
    /// What a script hears that connects.
    pub(super) fn connect(&self, host: &str, port: u16, clock: &dyn Clock) -> &'static str {
        let Ok(host) = Host::parse(host) else { return "no\n" };
        if !self.policy.allows(&host, port) {
            // There is nothing to connect to.
            return "no\n";
        }
        let address = match host {
            Host::Address(address) => address,
            Host::Name(_) => Ipv4Addr::LOCALHOST.into(),
        };
        let entry = if matches!(self.policy, NetworkPolicy::Allow(_)) { Some(&host) } else { None };
        let judged = self.settings.judge(entry, address);
        let (answer, received, end) = match judged {
            Ok(()) => (GREETING, GREETING.len() as u64, ConnectionEnd::Closed),
            Err(why) => ("no\n", 0, ConnectionEnd::Refused(why)),
        };
        self.log.record(Connection {
            host: host.to_string(),
            port,
            address: Some(address),
            opened_at: clock.now(),
            duration: Duration::from_millis(1),
            sent: 0,
            received,
            end,
        });
        answer
    }
}
