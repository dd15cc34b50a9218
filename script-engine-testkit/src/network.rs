//! Hosts on this machine's loopback interface that scripts of the suites try to reach, and the scripts.

use std::net::Ipv4Addr;

use script_engine_core::{EgressSettings, NetworkPolicy, Open, Result};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What a host says to whoever connects, before it hangs up.
pub(crate) const GREETING: &str = "hello\n";

/// Tries each host and port that it is given, and prints what it hears, or `no`. Needs bash, which opens
/// connections by itself.
pub(crate) const TRIES: &str = r#"
shift 4 2>/dev/null || shift $#
while [ $# -gt 1 ]; do
    bash -c 'exec 3<>"/dev/tcp/$0/$1" && head -n1 <&3' "$1" "$2" 2>/dev/null || echo no
    shift 2
done"#;

/// A host that greets.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) port: u16,
    serving: JoinHandle<()>,
}

impl Host {
    pub(crate) async fn new() -> Result<Self, crate::verdict::Unproven> {
        let unready = |error: std::io::Error| crate::verdict::Unproven::Failed(format!("no host can be made: {error}"));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(unready)?;
        let port = listener.local_addr().map_err(unready)?.port();
        let serving = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut greeting = GREETING.as_bytes();
                    // Who hangs up first did not want to hear it.
                    drop(tokio::io::copy(&mut greeting, &mut stream).await);
                });
            }
        });
        Ok(Self { port, serving })
    }

    /// The policy that allows exactly this host.
    pub(crate) fn policy(&self) -> Result<NetworkPolicy> {
        NetworkPolicy::allow([format!("localhost:{}", self.port)])
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Settings by which `localhost` is this machine.
pub(crate) fn opened() -> EgressSettings {
    EgressSettings { loopback: Open::Named, ..EgressSettings::default() }
}
