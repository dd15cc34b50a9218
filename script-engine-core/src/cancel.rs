//! Calling work off: one side says so, the other hears it and ends by itself, with what it had made removed.

use std::future::Future;

use tokio::sync::watch;

use crate::{Error, ErrorKind, Result};

/// Calls work off. Dropping it calls nothing off.
#[derive(Debug)]
pub struct CancelHandle(watch::Sender<bool>);

impl CancelHandle {
    /// Calls the work off, for good. Idempotent.
    pub fn cancel(&self) {
        self.0.send_replace(true);
    }
}

/// Hears whether work is called off. Clones hear the same.
#[derive(Clone, Debug)]
pub struct Cancel(watch::Receiver<bool>);

impl Cancel {
    /// Makes both sides.
    #[must_use]
    pub fn pair() -> (CancelHandle, Self) {
        let (sender, receiver) = watch::channel(false);
        (CancelHandle(sender), Self(receiver))
    }

    /// Makes one for work that nobody calls off.
    #[must_use]
    pub fn never() -> Self {
        Self::pair().1
    }

    /// Whether the work is called off.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until the work is called off. Cancel-safe.
    pub async fn cancelled(&self) {
        if self.0.clone().wait_for(|it| *it).await.is_err() {
            // Nobody can call it off any more.
            std::future::pending::<()>().await;
        }
    }

    /// Waits for a part of the work that may be dropped. Fails with `Cancelled` if the work is called
    /// off before that part is done; the part is dropped then.
    pub async fn guard<T>(&self, part: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.cancelled() => Err(Self::error()),
            done = part => done,
        }
    }

    /// What work fails with that was called off.
    #[must_use]
    pub fn error() -> Error {
        Error::new(ErrorKind::Cancelled, "it was called off")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_part_ends_with_itself_or_with_the_cancel() {
        let (handle, cancel) = Cancel::pair();
        assert_eq!(cancel.guard(async { Ok(1) }).await.unwrap(), 1);
        let endless = cancel.guard(std::future::pending::<Result<()>>());
        let (ended, ()) = tokio::join!(endless, async { handle.cancel() });
        assert_eq!(ended.unwrap_err().kind(), ErrorKind::Cancelled);
        assert!(cancel.is_cancelled());
        assert_eq!(cancel.clone().guard(async { Ok(1) }).await.unwrap_err().kind(), ErrorKind::Cancelled);
    }

    #[tokio::test(start_paused = true)]
    async fn a_handle_that_is_dropped_calls_nothing_off() {
        let wait = std::time::Duration::from_secs(1);
        assert!(tokio::time::timeout(wait, Cancel::never().cancelled()).await.is_err());
    }
}
