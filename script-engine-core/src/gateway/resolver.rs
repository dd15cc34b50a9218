//! How names become addresses.

use std::fmt;
use std::io;
use std::net::IpAddr;

use async_trait::async_trait;
use tokio::sync::Semaphore;

/// Names that are looked up at one time: each takes a thread meanwhile.
const MAX_LOOKUPS: usize = 32;

/// Turns names into addresses. What it says is judged afterwards, each time anew.
#[async_trait]
pub trait Resolver: fmt::Debug + Send + Sync + 'static {
    /// The addresses of `name`, which is in lower case and has no dot at its end. Cancel-safe.
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// The resolver of the machine that the engine is on.
#[derive(Debug)]
pub struct HostResolver(Semaphore);

impl Default for HostResolver {
    fn default() -> Self {
        Self(Semaphore::new(MAX_LOOKUPS))
    }
}

#[async_trait]
impl Resolver for HostResolver {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let _place = self.0.acquire().await.map_err(io::Error::other)?;
        Ok(tokio::net::lookup_host((name, 0)).await?.map(|it| it.ip()).collect())
    }
}
