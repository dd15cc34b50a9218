//! What others do to a fake script while it runs: its stdin, and the requests to stop.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use script_engine_core::contract::{ScriptControl, Stop};
use script_engine_core::{Error, ErrorKind, Result};
use tokio::sync::Notify;

use super::host::Reaped;

/// Bytes of stdin that may wait for the script.
const STDIN: usize = 4096;

/// What has been done to a script.
#[derive(Debug, Default)]
pub(super) struct Pressure {
    done: Mutex<Done>,
    /// Told when something was done to the script.
    pub(super) changed: Notify,
    /// Told when the script read of its stdin, or ended.
    drained: Notify,
}

#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) asked: bool,
    pub(super) killed: bool,
    pub(super) reaped: bool,
    pub(super) over: bool,
    open: bool,
    stdin: VecDeque<u8>,
}

impl Pressure {
    pub(super) fn new(open: bool) -> Self {
        let it = Self::default();
        it.done().open = open;
        it
    }

    pub(super) fn done(&self) -> MutexGuard<'_, Done> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes at most `most` bytes of stdin. `None` at its end; empty if there are none yet.
    pub(super) fn read(&self, most: usize) -> Option<Bytes> {
        let mut done = self.done();
        if done.stdin.is_empty() {
            return done.open.then(Bytes::new);
        }
        let most = most.min(done.stdin.len());
        let bytes = done.stdin.drain(..most).collect();
        drop(done);
        self.drained.notify_waiters();
        Some(bytes)
    }

    /// Whether whoever reads stdin has to wait.
    pub(super) fn is_idle(&self) -> bool {
        let done = self.done();
        done.open && done.stdin.is_empty()
    }

    /// Marks the script as over; those who write to it go on.
    pub(super) fn finish(&self) {
        self.done().over = true;
        self.drained.notify_waiters();
    }
}

impl Reaped for Pressure {
    fn reaped(&self) {
        self.done().reaped = true;
        self.changed.notify_one();
    }
}

#[async_trait]
impl ScriptControl for Pressure {
    async fn stop(&self, stop: Stop) -> Result<()> {
        tokio::task::yield_now().await;
        match stop {
            Stop::Ask => self.done().asked = true,
            Stop::Kill => self.done().killed = true,
        }
        self.changed.notify_one();
        Ok(())
    }

    async fn write_stdin(&self, mut bytes: Bytes) -> Result<()> {
        while !bytes.is_empty() {
            let room = self.drained.notified();
            {
                let mut done = self.done();
                if done.over {
                    return Ok(());
                }
                if !done.open {
                    return Err(Error::new(ErrorKind::InvalidRequest, "stdin is closed; write before closing it"));
                }
                let piece = bytes.len().min(STDIN - done.stdin.len());
                done.stdin.extend(bytes.split_to(piece));
            }
            self.changed.notify_one();
            if !bytes.is_empty() {
                room.await;
            }
        }
        Ok(())
    }

    async fn close_stdin(&self) -> Result<()> {
        tokio::task::yield_now().await;
        self.done().open = false;
        self.changed.notify_one();
        Ok(())
    }
}
