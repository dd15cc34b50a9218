//! Connections: what a network policy opens, and the record of it.

use std::net::Ipv4Addr;
use std::sync::Arc;

use script_engine_core::{ConnectionEnd, Connections, Egress, EgressSettings, ErrorKind, NetworkPolicy};

use super::bench::Bench;
use crate::network::{GREETING, Host, TRIES, opened};
use crate::seen::Seen;
use crate::verdict::{Proof, Unproven, ensure, fail};

/// Runs a script that tries `hosts` under a policy; gives what it printed and what it connected to.
async fn tried(
    it: &Bench,
    policy: NetworkPolicy,
    egress: EgressSettings,
    hosts: &[(&str, u16)],
) -> Result<(String, Connections), Unproven> {
    let arguments: Vec<String> = hosts.iter().flat_map(|(host, port)| [(*host).to_owned(), port.to_string()]).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut job = it.job_with("connects", TRIES, &arguments)?;
    (job.network, job.egress) = (policy, egress);
    let mut spawned = it.spawn(job).await?;
    let mut seen = Seen::default();
    let end = seen.watch(&mut *spawned.script).await;
    spawned.script.finish().await?;
    end?;
    Ok((String::from_utf8_lossy(&seen.stdout).into_owned(), spawned.connections.snapshot()))
}

/// Whether the executor can open a policy. One that can't must refuse it.
async fn opens(it: &Bench, policy: &NetworkPolicy) -> Result<bool, Unproven> {
    if it.executor.capability().egress() >= Egress::for_policy(policy) {
        return Ok(true);
    }
    let mut job = it.job_with("connects", TRIES, &[])?;
    (job.network, job.egress) = (policy.clone(), opened());
    match it.spawn(job).await {
        Ok(_) => fail!("{policy:?} was started, and can't be opened"),
        Err(error) if error.kind() == ErrorKind::Unsupported => Ok(false),
        Err(error) => fail!("{policy:?} can't be opened, and is refused as {}: {error}", error.kind().as_str()),
    }
}

pub(super) async fn ex_08(it: Arc<Bench>) -> Proof {
    let (host, other) = (Host::new().await?, Host::new().await?);
    let policy = host.policy()?;
    let by_address = NetworkPolicy::allow(["192.0.2.1:80"])?;
    opens(&it, &by_address).await?;
    if !opens(&it, &policy).await? {
        return Ok(());
    }
    let hosts = [("localhost", host.port), ("localhost", other.port), ("name.invalid", host.port)];
    let (printed, _) = tried(&it, policy, opened(), &hosts).await?;
    ensure!(printed == format!("{GREETING}no\nno\n"), "of {hosts:?}, the first allowed, came {printed:?}");
    let (printed, _) = tried(&it, NetworkPolicy::Off, opened(), &hosts).await?;
    ensure!(printed == "no\nno\nno\n", "of {hosts:?}, none allowed, came {printed:?}");
    Ok(())
}

pub(super) async fn ex_17(it: Arc<Bench>) -> Proof {
    let host = Host::new().await?;
    let policy = host.policy()?;
    if !opens(&it, &policy).await? {
        return Ok(());
    }
    let hosts = [("localhost", host.port)];
    let (printed, found) = tried(&it, policy.clone(), opened(), &hosts).await?;
    ensure!(printed == GREETING, "the host said {printed:?}");
    let [one] = &found.list[..] else { fail!("one connection was made, and on record are {found:?}") };
    ensure!(one.host == "localhost" && one.port == host.port, "the host is recorded as {one:?}");
    ensure!(one.address == Some(Ipv4Addr::LOCALHOST.into()), "the address is recorded as {one:?}");
    ensure!((one.sent, one.received) == (0, GREETING.len() as u64), "the bytes are recorded as {one:?}");
    // Nothing is open of this machine now.
    let (printed, found) = tried(&it, policy, EgressSettings::default(), &hosts).await?;
    ensure!(!printed.contains(GREETING), "a closed address was reached: {printed:?}");
    let [one] = &found.list[..] else { fail!("one connection was refused, and on record are {found:?}") };
    ensure!(matches!(one.end, ConnectionEnd::Refused(_)), "the refusal is recorded as {one:?}");
    Ok(())
}
