//! The way out of a sandbox: opened for the job that is started next, and ended with it.

use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use super::AgentSandbox;
use super::inbox::Reply;
use super::switchboard::Switchboard;
use crate::gateway::Gateway;
use crate::wire::{ToAgent, feature};
use crate::{ConnectionLog, Egress, EgressSettings, Error, ErrorKind, Host, HostPort, NetworkPolicy, Result};

/// How long what a script sent last may take to be taken by the host it was sent to, after the script's end.
const LAST_BYTES: Duration = Duration::from_secs(2);

/// Connections that are broken off when nobody holds them any more.
#[derive(Debug)]
pub(super) struct Connecting(pub(super) Arc<Switchboard>);

impl Drop for Connecting {
    fn drop(&mut self) {
        self.0.cut();
    }
}

impl AgentSandbox {
    /// Finds out how much of an allow-list this sandbox can open, by opening it: for a backend's probe.
    pub async fn egress(&mut self) -> Egress {
        let entry = |host: Host| HostPort::new(host, NonZeroU16::MIN);
        let name = entry(Host::Name("name.example".into()));
        // Of a range for documentation: nobody has it. Whether there is IPv6 is another matter, and is seen when it is asked for.
        let address = entry(Host::Address([192, 0, 2, 1].into()));
        let every_kind = vec![address, name.clone()];
        for (egress, entries) in [(Egress::Addresses, every_kind), (Egress::Names, vec![name])] {
            let policy = NetworkPolicy::Allow(entries);
            if self.open(&policy, &EgressSettings::default(), &Gateway::default()).await.is_ok() {
                self.next_connections = None;
                return egress;
            }
        }
        Egress::Nothing
    }

    /// See [`Sandbox::listen`](crate::contract::Sandbox::listen).
    pub(super) async fn open(
        &mut self,
        policy: &NetworkPolicy,
        settings: &EgressSettings,
        gateway: &Gateway,
    ) -> Result<ConnectionLog> {
        self.next_connections = None;
        // What has the host's network needs no way out of its own.
        if policy.is_off() || *policy == NetworkPolicy::Host {
            return Ok(ConnectionLog::default());
        }
        if self.features & feature::LISTEN == 0 {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "the agent can't listen for connections in this sandbox; leave `network` out or choose another backend",
            ));
        }
        let (execution, outbox) = (self.execution + 1, self.outbox.clone());
        let switchboard = Switchboard::new(execution, policy.canonical(), settings.clone(), gateway.clone(), outbox);
        self.outbox.send(&ToAgent::Listen(switchboard.listen()), execution).await?;
        match self.reply("listen").await? {
            Reply::Listening => {}
            other => return Err(other.unexpected("listen")),
        }
        let log = switchboard.log();
        self.next_connections = Some(Connecting(Arc::new(switchboard)));
        Ok(log)
    }

    /// Ends the connections of the last job, so that their record is complete.
    pub(super) async fn end_connections(&mut self) {
        if let Some(Connecting(switchboard)) = &self.connections {
            switchboard.close(LAST_BYTES).await;
        }
        self.connections = None;
    }
}
