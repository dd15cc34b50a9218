//! The connections of one execution, on the engine's side: sorts what the agent tells of them, and has a task for each
//! that dials and carries. Bounded by the credit that each connection has, and by their number.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::flow::Flow;
use super::pump::Outbox;
use super::relay::{Relay, relay};
use crate::gateway::Gateway;
use crate::wire::connection::{BYTES, PREFIX};
use crate::wire::{CONNECTION_WINDOW, Listen, MAX_CONNECTIONS, ToAgent, Traffic};
use crate::{Connection, ConnectionEnd, ConnectionLog, EgressSettings, Host, HostPort, NetworkPolicy};

/// What every connection of one execution has in common.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) execution: u32,
    pub(super) policy: NetworkPolicy,
    pub(super) settings: EgressSettings,
    pub(super) gateway: Gateway,
    pub(super) outbox: Outbox,
    pub(super) log: ConnectionLog,
    lines: Mutex<HashMap<u32, Line>>,
}

/// The engine's hold on one connection.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) flow: Arc<Flow>,
    /// Bytes that the agent takes.
    pub(super) credit: Arc<Semaphore>,
}

impl Line {
    fn new(credit: u32) -> Self {
        Self { flow: Arc::new(Flow::default()), credit: Arc::new(Semaphore::new(credit as usize)) }
    }
}

impl Common {
    fn lines(&self) -> MutexGuard<'_, HashMap<u32, Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets a connection that is over.
    pub(super) fn forget(&self, id: u32) {
        self.lines().remove(&id);
    }

    /// Tells the agent what happens on a connection. A link that is gone ends everything by itself.
    pub(super) async fn tell(&self, id: u32, traffic: Traffic) {
        drop(self.outbox.send(&ToAgent::Traffic { id, traffic }, self.execution).await);
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Switchboard {
    common: Arc<Common>,
    tasks: Mutex<Tasks>,
}

#[derive(Debug, Default)]
struct Tasks {
    set: JoinSet<()>,
    /// The last connection's id; they are counted up.
    last: u32,
    /// Whether the execution is over.
    closed: bool,
}

impl Switchboard {
    pub(super) fn new(
        execution: u32,
        policy: NetworkPolicy,
        settings: EgressSettings,
        gateway: Gateway,
        outbox: Outbox,
    ) -> Self {
        let (log, lines) = (ConnectionLog::default(), Mutex::default());
        let common = Common { execution, policy, settings, gateway, outbox, log, lines };
        Self { common: Arc::new(common), tasks: Mutex::default() }
    }

    pub(super) fn log(&self) -> ConnectionLog {
        self.common.log.clone()
    }

    fn tasks(&self) -> MutexGuard<'_, Tasks> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the agent is to listen for.
    pub(super) fn listen(&self) -> Listen {
        fn told<'a>(entries: impl Iterator<Item = &'a HostPort>) -> Vec<(String, u16)> {
            entries.map(|it| (it.host().to_string(), it.port())).collect()
        }
        match &self.common.policy {
            NetworkPolicy::Off | NetworkPolicy::Host => Listen::default(),
            NetworkPolicy::Allow(entries) => Listen { entries: told(entries.iter()), ports: Vec::new() },
            NetworkPolicy::Public { ports, entries } => {
                // Any name on one of the ports is listened for already.
                let by_name = |it: &Host| matches!(it, Host::Name(_)) && !it.is_localhost();
                let covered = |it: &HostPort| by_name(it.host()) && ports.contains(&it.port());
                Listen { entries: told(entries.iter().filter(|it| !covered(it))), ports: ports.clone() }
            }
        }
    }

    /// Hears of a new connection. The error says how the agent broke the protocol.
    pub(super) fn accepted(&self, id: u32, host: &str, port: u16, credit: u32) -> Result<(), String> {
        let mut tasks = self.tasks();
        if id <= tasks.last {
            return Err("a connection with the id of another".to_owned());
        }
        // The agent may hear that a connection is over before it is forgotten here.
        if credit > CONNECTION_WINDOW || self.common.lines().len() >= 2 * MAX_CONNECTIONS {
            return Err("more connections or more credit than there may be".to_owned());
        }
        tasks.last = id;
        if tasks.closed {
            return Ok(());
        }
        if credit == 0 {
            self.refuse(host, port, format!("more than {MAX_CONNECTIONS} connections at one time"));
            return Ok(());
        }
        let line = Line::new(credit);
        self.common.lines().insert(id, line.clone());
        // Those that are done; the set would hold their results for ever.
        while tasks.set.try_join_next().is_some() {}
        let host = Host::parse(host).map_err(|_| host.to_owned());
        tasks.set.spawn(relay(Arc::clone(&self.common), Relay { id, host, port, line }));
        Ok(())
    }

    fn refuse(&self, host: &str, port: u16, why: String) {
        self.common.log.record(Connection {
            host: host.to_owned(),
            port,
            address: None,
            opened_at: self.common.gateway.clock().now(),
            duration: Duration::ZERO,
            sent: 0,
            received: 0,
            end: ConnectionEnd::Refused(why),
        });
    }

    /// Takes one frame of traffic. The error says how the agent broke the protocol.
    pub(super) fn traffic(&self, mut payload: Bytes) -> Result<(), String> {
        let cut = || "a frame of traffic that is cut short".to_owned();
        let id = payload.try_get_u32_le().map_err(|_| cut())?;
        // One that the engine has ended is still spoken of until the agent hears of that.
        let Some(line) = self.common.lines().get(&id).cloned() else { return Ok(()) };
        match payload.first().ok_or_else(cut)? {
            &BYTES => match line.flow.push(&payload[1..]) {
                true => Ok(()),
                false => Err("more bytes of a connection than it had credit for".to_owned()),
            },
            1 => {
                line.flow.end();
                Ok(())
            }
            2 => {
                let bytes = payload.get(1..PREFIX).and_then(|it| it.try_into().ok()).map(u32::from_le_bytes);
                let bytes = bytes.ok_or_else(cut)? as usize;
                if line.credit.available_permits() + bytes > CONNECTION_WINDOW as usize {
                    return Err("more credit for a connection than there may be".to_owned());
                }
                line.credit.add_permits(bytes);
                Ok(())
            }
            _ => {
                line.flow.reset();
                self.common.forget(id);
                Ok(())
            }
        }
    }

    /// Ends every connection: gives what the script has sent at most `patience` to be taken, and breaks off the rest.
    /// Afterwards the log is complete.
    pub(super) async fn close(&self, patience: Duration) {
        let mut set = {
            let mut tasks = self.tasks();
            tasks.closed = true;
            std::mem::take(&mut tasks.set)
        };
        self.common.lines().values().for_each(|it| it.flow.close());
        let done = async { while set.join_next().await.is_some() {} };
        if tokio::time::timeout(patience, done).await.is_err() {
            set.shutdown().await;
        }
    }

    /// Breaks every connection off, without waiting.
    pub(super) fn cut(&self) {
        let mut tasks = self.tasks();
        tasks.closed = true;
        tasks.set.abort_all();
    }
}
