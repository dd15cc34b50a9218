//! Bytes of one connection on their way from the script to the host, within the credit that was given.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;

/// What comes next on a connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Bytes(Bytes),
    /// The script, or the execution, is done with it.
    End,
    /// The script broke it off.
    Reset,
}

#[derive(Debug, Default)]
struct State {
    bytes: BytesMut,
    /// Bytes that the agent may still send.
    credit: u64,
    ended: bool,
    reset: bool,
    /// The execution is over: what waits is still to be sent.
    closing: bool,
}

/// See the module. One task puts in, one takes out.
#[derive(Debug, Default)]
pub(super) struct Flow {
    state: Mutex<State>,
    changed: Notify,
}

impl Flow {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_one();
    }

    /// Takes bytes of the script; `false` if there was no credit for them.
    #[must_use]
    pub(super) fn push(&self, bytes: &[u8]) -> bool {
        let mut state = self.lock();
        let Some(left) = state.credit.checked_sub(bytes.len() as u64) else { return false };
        state.credit = left;
        state.bytes.extend_from_slice(bytes);
        drop(state);
        self.changed.notify_one();
        true
    }

    /// The agent may send this many more bytes.
    pub(super) fn grant(&self, bytes: u32) {
        self.lock().credit += u64::from(bytes);
    }

    /// The script sends no more.
    pub(super) fn end(&self) {
        self.change(|it| it.ended = true);
    }

    /// The script broke it off.
    pub(super) fn reset(&self) {
        self.change(|it| it.reset = true);
    }

    /// The execution is over.
    pub(super) fn close(&self) {
        self.change(|it| it.closing = true);
    }

    /// Whether the script itself was done with it.
    pub(super) fn is_ended(&self) -> bool {
        self.lock().ended
    }

    /// Waits for what comes next. Cancel-safe.
    pub(super) async fn next(&self) -> Piece {
        loop {
            {
                let mut state = self.lock();
                if state.reset {
                    return Piece::Reset;
                }
                if !state.bytes.is_empty() {
                    return Piece::Bytes(state.bytes.split().freeze());
                }
                if state.ended || state.closing {
                    return Piece::End;
                }
            }
            self.changed.notified().await;
        }
    }

    /// Waits until the script breaks it off. Cancel-safe.
    pub(super) async fn broken(&self) {
        while !self.lock().reset {
            self.changed.notified().await;
        }
    }

    /// Waits until nothing more is to be expected of the script's side: it broke off, or the execution is over.
    /// Cancel-safe.
    pub(super) async fn over(&self) {
        loop {
            {
                let state = self.lock();
                if state.reset || state.closing {
                    return;
                }
            }
            self.changed.notified().await;
        }
    }
}
