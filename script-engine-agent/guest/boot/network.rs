//! The network of a sandbox: a loopback interface and nothing else.

use std::fs;

use super::fault::{At as _, Fault};
use crate::sys::namespace;

/// Brings the loopback interface up.
pub(super) fn build() -> Result<(), Fault> {
    namespace::bring_loopback_up().at("bring the loopback interface up")?;
    // Any port may be listened on, as in a container. Where the kernel lacks the setting scripts are
    // refused the low ports, which is no gap.
    drop(fs::write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0"));
    Ok(())
}
