//! The suite of [`CompiledCache`].

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use script_engine_core::contract::CompiledCache;
use script_engine_core::{Digest, Result};

use super::Factory;
use crate::case::{BoxFuture, Case, on};
use crate::verdict::{Proof, Unproven, ensure};

/// A cache that holds exactly [`Self::ENTRIES`] values of a kilobyte each.
#[derive(Clone)]
pub struct CacheBackend {
    /// The cache.
    pub cache: Arc<dyn CompiledCache>,
    /// Changes a byte of the value that is kept under a key, behind the cache's back; where nobody
    /// but the cache reaches what it holds, there is none.
    pub tamper: Option<Tamper>,
    /// Why it is not the cache that bounds what it holds, where it is something else, such as a server.
    pub bounded_by: Option<&'static str>,
}

/// Changes what is kept under a key.
pub type Tamper = Arc<dyn Fn(Digest) -> BoxFuture<Result<()>> + Send + Sync>;

impl CacheBackend {
    /// How many values of a kilobyte the cache is made for.
    pub const ENTRIES: usize = 8;
}

impl fmt::Debug for CacheBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cache.fmt(f)
    }
}

type Made = Factory<CacheBackend>;

/// The cases of a compile cache.
#[must_use]
pub fn compiled_cache(make: Made) -> Vec<Case> {
    let make = Arc::new(make);
    vec![
        Case::new("CC-01", "gives the bytes that were put, or nothing", on(&make, cc_01)),
        Case::new("CC-02", "is bounded, and what was used longest ago goes first", on(&make, cc_02)),
    ]
}

fn key(n: usize) -> Digest {
    Digest::of(format!("key {n}").as_bytes())
}

fn value(n: usize) -> Bytes {
    (0..1024).map(|it| (it * 7 + n).to_le_bytes()[0]).collect()
}

async fn cc_01(make: Arc<Made>) -> Proof {
    let it = make().await?;
    ensure!(it.cache.find(key(0)).await?.is_none(), "an empty cache found something");
    it.cache.put(key(0), value(0)).await?;
    it.cache.put(key(1), Bytes::new()).await?;
    ensure!(it.cache.find(key(0)).await? == Some(value(0)), "the bytes came back as others");
    ensure!(it.cache.find(key(1)).await? == Some(Bytes::new()), "an empty value came back as another");
    it.cache.put(key(0), value(9)).await?;
    ensure!(it.cache.find(key(0)).await? == Some(value(0)), "a second put of a key replaced the first value");
    if let Some(tamper) = &it.tamper {
        tamper(key(0)).await?;
        let found = it.cache.find(key(0)).await?;
        ensure!(found.is_none(), "a value that does not verify was given out");
    }
    Ok(())
}

async fn cc_02(make: Arc<Made>) -> Proof {
    const ENTRIES: usize = CacheBackend::ENTRIES;
    let it = make().await?;
    if let Some(reason) = it.bounded_by {
        return Err(Unproven::Skipped(reason.to_owned()));
    }
    let held = async |range: std::ops::Range<usize>| -> Result<usize, Unproven> {
        let mut count = 0;
        for n in range {
            count += usize::from(it.cache.find(key(n)).await?.is_some());
        }
        Ok(count)
    };
    for n in 0..ENTRIES {
        it.cache.put(key(n), value(n)).await?;
    }
    let count = held(0..ENTRIES).await?;
    ensure!(count == ENTRIES, "holds {count} of {ENTRIES} values that fit");
    // The first is used again, so the second is the one used longest ago.
    it.cache.find(key(0)).await?;
    it.cache.put(key(ENTRIES), value(ENTRIES)).await?;
    ensure!(it.cache.find(key(1)).await?.is_none(), "the value used longest ago was not the one that went");
    ensure!(it.cache.find(key(0)).await?.is_some(), "a value that was just used went");
    for n in 100..300 {
        it.cache.put(key(n), value(n)).await?;
    }
    let count = held(0..300).await?;
    ensure!(count <= ENTRIES, "holds {count} values, {ENTRIES} is the bound");
    ensure!(it.cache.find(key(299)).await?.is_some(), "the newest value went");
    Ok(())
}
