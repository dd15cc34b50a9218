//! The suite of [`ArtifactStore`].

use std::sync::Arc;

use bytes::Bytes;
use script_engine_core::Digest;
use script_engine_core::contract::ArtifactStore;

use super::Factory;
use crate::case::{Case, on};
use crate::interrupt::join_all;
use crate::verdict::{Proof, ensure, ensure_error};

type Made = Factory<dyn ArtifactStore>;

/// The cases of an artifact store.
#[must_use]
pub fn artifact_store(make: Made) -> Vec<Case> {
    let make = Arc::new(make);
    vec![
        Case::new("AS-01", "what was put is there under its digest", on(&make, as_01)),
        Case::new("AS-02", "what was deleted is gone", on(&make, as_02)),
    ]
}

async fn as_01(make: Arc<Made>) -> Proof {
    let store = make().await?;
    let large: Bytes = (0..=255).cycle().take(3 << 20).collect();
    for content in [Bytes::new(), Bytes::from_static(b"\x00\xff\r\n"), large] {
        let digest = store.put(content.clone()).await?;
        ensure!(digest == Digest::of(&content), "put gave {digest}, which is not the content's digest");
        ensure!(store.put(content.clone()).await? == digest, "a second put gave another digest");
        ensure!(store.get(digest).await? == content, "the content came back as other bytes");
    }
    let same = Bytes::from_static(b"at once");
    for digest in join_all((0..16).map(|_| store.put(same.clone())).collect()).await {
        ensure!(digest? == Digest::of(&same), "puts at once gave different digests");
    }
    ensure_error!(store.get(Digest::of(b"none")).await, NotFound, "what was never put");
    Ok(())
}

async fn as_02(make: Arc<Made>) -> Proof {
    let store = make().await?;
    let (one, two) = (store.put(Bytes::from_static(b"one")).await?, store.put(Bytes::from_static(b"two")).await?);
    store.delete(one).await?;
    ensure_error!(store.get(one).await, NotFound, "after a delete");
    store.delete(one).await?;
    store.delete(Digest::of(b"none")).await?;
    ensure!(store.get(two).await? == "two", "a delete took other content along");
    store.put(Bytes::from_static(b"one")).await?;
    ensure!(store.get(one).await? == "one", "what was deleted can't be put again");
    Ok(())
}
