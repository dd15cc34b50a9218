//! The cache itself.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{AsyncCommands, Client, ExistenceCheck, SetExpiry, SetOptions};
use script_engine_core::contract::CompiledCache;
use script_engine_core::{Digest, Error, ErrorKind, Result, Retry};

/// The length of a digest's text, which a value begins with.
const DIGEST: usize = 64;

/// Settings of the cache.
#[derive(Clone, PartialEq, Eq)]
pub struct Config {
    /// The server, such as `redis://user:word@host:6379/0`.
    pub url: String,
    /// What every key begins with, so that several projects can share a server.
    pub prefix: String,
    /// How long a value is kept after it was put.
    pub time_to_live: Duration,
    /// How long one request may take.
    pub timeout: Duration,
    /// Bytes of one value; longer ones are not shared.
    pub max_value_bytes: u64,
}

impl Config {
    /// Makes the default settings for a server.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            prefix: "script-engine:compiled:".to_owned(),
            time_to_live: Duration::from_secs(7 * 86_400),
            timeout: Duration::from_secs(2),
            max_value_bytes: 64 << 20,
        }
    }
}

// The address may hold a password.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("prefix", &self.prefix)
            .field("time_to_live", &self.time_to_live)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// Keeps compiled forms on a Valkey or Redis server.
#[derive(Clone)]
pub struct ValkeyCache {
    config: Config,
    connection: ConnectionManager,
}

impl fmt::Debug for ValkeyCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValkeyCache").field("config", &self.config).finish_non_exhaustive()
    }
}

impl ValkeyCache {
    /// Connects. A connection that is lost later is made again by itself. Fails with `InvalidRequest` if
    /// the address is none, with `Unavailable` if nobody answers there.
    pub async fn connect(config: Config) -> Result<Self> {
        // The library's own words may hold the address, and that a password.
        let client = Client::open(config.url.as_str())
            .map_err(|_| Error::invalid("valkey.url", "is no address; give one such as redis://host:6379"))?;
        let settings = ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_connection_timeout(Some(config.timeout))
            .set_response_timeout(Some(config.timeout));
        let connection = ConnectionManager::new_with_config(client, settings).await.map_err(unavailable)?;
        Ok(Self { config, connection })
    }

    fn key(&self, key: Digest) -> String {
        format!("{}{key}", self.config.prefix)
    }
}

#[async_trait]
impl CompiledCache for ValkeyCache {
    async fn find(&self, key: Digest) -> Result<Option<Bytes>> {
        let name = self.key(key);
        let mut connection = self.connection.clone();
        let found: Option<Vec<u8>> = connection.get(&name).await.map_err(unavailable)?;
        let Some(content) = found.map(Bytes::from) else { return Ok(None) };
        match verified(&content) {
            Some(value) => Ok(Some(value)),
            None => {
                let _removed: u64 = connection.del(&name).await.map_err(unavailable)?;
                Ok(None)
            }
        }
    }

    async fn put(&self, key: Digest, value: Bytes) -> Result<()> {
        if value.len() as u64 > self.config.max_value_bytes {
            return Ok(());
        }
        let content = [Digest::of(&value).to_string().as_bytes(), &value].concat();
        let options = SetOptions::default()
            .conditional_set(ExistenceCheck::NX)
            .with_expiration(SetExpiry::EX(self.config.time_to_live.as_secs().max(1)));
        let mut connection = self.connection.clone();
        // Nothing comes back where the first value stays.
        let _answer: redis::Value =
            connection.set_options(self.key(key), content, options).await.map_err(unavailable)?;
        Ok(())
    }
}

/// The value, if it has the digest that stands before it.
fn verified(content: &Bytes) -> Option<Bytes> {
    let digest = content.get(..DIGEST)?;
    let value = content.slice(DIGEST..);
    (Digest::of(&value).to_string().as_bytes() == digest).then_some(value)
}

fn unavailable(error: redis::RedisError) -> Error {
    Error::new(ErrorKind::Unavailable, "the shared compile cache can't be reached; see to the server")
        .with_retry(Retry::Maybe { after: None })
        .with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_value_with_its_digest_is_one() {
        let whole = Bytes::from([Digest::of(b"value").to_string().as_bytes(), b"value"].concat());
        assert_eq!(verified(&whole).unwrap(), "value");
        assert_eq!(verified(&whole.slice(..whole.len() - 1)), None);
        assert_eq!(verified(&whole.slice(..10)), None);
    }

    #[test]
    fn no_password_is_shown() {
        let shown = format!("{:?}", Config::new("redis://user:word@host"));
        assert!(!shown.contains("word"), "{shown}");
    }

    #[tokio::test]
    async fn an_address_that_is_none_is_named_without_it() {
        let error = ValkeyCache::connect(Config::new("word@nowhere")).await.unwrap_err();
        assert_eq!((error.kind(), error.to_string().contains("word")), (ErrorKind::InvalidRequest, false));
    }
}
