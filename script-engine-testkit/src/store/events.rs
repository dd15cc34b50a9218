//! The suite of [`EventSink`].

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use script_engine_core::contract::EventSink;
use script_engine_core::{EngineEvent, ErrorKind, Timestamp};

use super::Factory;
use crate::case::{Case, on};
use crate::verdict::{Proof, ensure};

type Made = Factory<dyn EventSink>;

/// The cases of an event sink. The sink must have a listener that does not listen.
#[must_use]
pub fn event_sink(make: Made) -> Vec<Case> {
    vec![Case::new("EV-01", "an event is taken without waiting for those who listen", on(&Arc::new(make), ev_01))]
}

async fn ev_01(make: Arc<Made>) -> Proof {
    let sink = make().await?;
    let (done, wait) = mpsc::channel();
    // On a thread of its own, so that a sink that blocks is a failure and not a hang.
    std::thread::spawn(move || {
        for at in 0..100_000 {
            sink.emit(&EngineEvent::Trouble {
                kind: ErrorKind::Internal,
                message: "x".into(),
                at: Timestamp::from_micros(at),
            });
        }
        // Nobody waits any more once the case has failed.
        let _ = done.send(());
    });
    ensure!(wait.recv_timeout(Duration::from_secs(10)).is_ok(), "100000 events were not taken within 10 seconds");
    Ok(())
}
