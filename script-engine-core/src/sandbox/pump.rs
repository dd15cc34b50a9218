//! Moves frames between a link and the inbox: one task reads, one writes and pings.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use super::inbox::Inbox;
use super::lost;
use crate::contract::Link;
use crate::wire::{HEADER_LEN, Header, MAX_FRAME, ToAgent};
use crate::{Error, Result};

/// Frames that may wait to be written. The agent always reads, so the queue is short.
const QUEUE: usize = 64;
/// Bytes that are read at once.
const READ: usize = 4 * MAX_FRAME;

/// The running pump; dropping it closes the link.
#[derive(Debug)]
pub(super) struct Pump {
    reader: JoinHandle<()>,
    writer: JoinHandle<()>,
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.reader.abort();
        self.writer.abort();
    }
}

/// The way to the agent; clones share the one queue.
#[derive(Clone, Debug)]
pub(super) struct Outbox(mpsc::Sender<Vec<u8>>);

impl Outbox {
    /// Queues a message. Fails if it does not fit a frame or the link is gone.
    pub(super) async fn send(&self, message: &ToAgent, execution: u32) -> Result<()> {
        let frame = message.encode(execution).map_err(|error| {
            Error::invalid("job", "does not fit the agent's protocol; make its arguments shorter").with_source(error)
        })?;
        self.0.send(frame).await.map_err(|_| lost("the link was closed"))
    }
}

#[cfg(test)]
impl Outbox {
    /// A way that leads to whoever holds its other end.
    pub(super) fn kept() -> (Self, mpsc::Receiver<Vec<u8>>) {
        let (sender, kept) = mpsc::channel(QUEUE);
        (Self(sender), kept)
    }
}

/// Starts the pump over `link`.
pub(super) fn start(
    link: Box<dyn Link>,
    inbox: Arc<Inbox>,
    stdin_credit: Arc<Semaphore>,
    ping: Duration,
) -> (Pump, Outbox) {
    let (from, to) = tokio::io::split(link);
    let (sender, queue) = mpsc::channel(QUEUE);
    let writer = tokio::spawn(write(to, queue, ping));
    let write = writer.abort_handle();
    let reader = tokio::spawn(async move {
        let reason = read(from, &inbox, &stdin_credit).await;
        inbox.lose(&reason);
        stdin_credit.close();
        // Both halves gone is the link closed, upon which the agent ends everything.
        write.abort();
    });
    (Pump { reader, writer }, Outbox(sender))
}

/// Reads until the link ends; gives the reason of the end.
async fn read(mut link: ReadHalf<Box<dyn Link>>, inbox: &Inbox, stdin_credit: &Semaphore) -> String {
    let mut buffer = BytesMut::with_capacity(READ);
    loop {
        while let Some(bytes) = buffer.first_chunk::<HEADER_LEN>() {
            let header = match Header::decode(bytes) {
                Ok(header) => header,
                Err(error) => return format!("the agent broke the protocol: {error}"),
            };
            if buffer.len() < HEADER_LEN + header.length {
                break;
            }
            buffer.advance(HEADER_LEN);
            let payload = buffer.split_to(header.length).freeze();
            if let Err(reason) = inbox.take(&header, payload, stdin_credit) {
                return format!("the agent broke the protocol: {reason}");
            }
        }
        buffer.reserve(READ);
        match link.read_buf(&mut buffer).await {
            Ok(0) => return "the agent closed the link".to_owned(),
            Ok(_) => {}
            Err(error) => return format!("the link broke: {error}"),
        }
    }
}

/// Writes what is queued, and a ping whenever it is due.
async fn write(mut link: WriteHalf<Box<dyn Link>>, mut queue: mpsc::Receiver<Vec<u8>>, ping: Duration) {
    let Ok(ping_frame) = ToAgent::Ping.encode(0) else { return };
    let mut pings = tokio::time::interval(ping);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let written = tokio::select! {
            frame = queue.recv() => match frame {
                Some(frame) => link.write_all(&frame).await,
                None => return,
            },
            _ = pings.tick() => link.write_all(&ping_frame).await,
        };
        if written.is_err() {
            return;
        }
    }
}
