//! The attached standard streams of a container as one byte stream to the agent in it.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bollard::container::{AttachContainerResults, LogOutput};
use bollard::errors::Error as ApiError;
use bytes::{Buf as _, Bytes};
use futures_util::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How much of what an agent says on its standard error is heeded, in bytes.
const COMPLAINTS: usize = 4096;

/// The way to the agent. Frames come on standard output only: the daemon keeps no order between the two.
pub(crate) struct ContainerLink {
    output: Pin<Box<dyn Stream<Item = Result<LogOutput, ApiError>> + Send>>,
    input: Pin<Box<dyn AsyncWrite + Send>>,
    /// What was received and not read yet.
    rest: Bytes,
    complaints: usize,
    ended: Arc<AtomicBool>,
}

impl fmt::Debug for ContainerLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContainerLink").field("ended", &self.ended).finish_non_exhaustive()
    }
}

impl ContainerLink {
    /// Makes the link of attached streams; `ended` is set when nothing more will come.
    pub(crate) fn new(attached: AttachContainerResults, ended: Arc<AtomicBool>) -> Self {
        let AttachContainerResults { output, input } = attached;
        Self { output, input, rest: Bytes::new(), complaints: COMPLAINTS, ended }
    }

    fn complain(&mut self, message: &[u8]) {
        let heeded = message.get(..message.len().min(self.complaints)).unwrap_or_default();
        self.complaints -= heeded.len();
        if !heeded.is_empty() {
            tracing::warn!(line = %String::from_utf8_lossy(heeded).trim_end(), "an agent complained");
        }
    }

    fn end(&mut self) {
        self.ended.store(true, Ordering::Release);
    }
}

impl AsyncRead for ContainerLink {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while self.rest.is_empty() {
            match self.output.as_mut().poll_next(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(LogOutput::StdErr { message }))) => self.complain(&message),
                Poll::Ready(Some(Ok(
                    LogOutput::StdOut { message } | LogOutput::Console { message } | LogOutput::StdIn { message },
                ))) => self.rest = message,
                Poll::Ready(Some(Err(error))) => {
                    self.end();
                    return Poll::Ready(Err(io::Error::other(error)));
                }
                Poll::Ready(None) => {
                    self.end();
                    return Poll::Ready(Ok(()));
                }
            }
        }
        let count = self.rest.len().min(into.remaining());
        into.put_slice(&self.rest[..count]);
        self.rest.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ContainerLink {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.input.as_mut().poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.input.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.input.as_mut().poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use tokio::io::AsyncReadExt as _;

    #[tokio::test]
    async fn frames_come_on_standard_output_alone() {
        let part = |text: &'static str| Bytes::from_static(text.as_bytes());
        let output = stream::iter([
            Ok(LogOutput::StdOut { message: part("one ") }),
            Ok(LogOutput::StdErr { message: part("a complaint\n") }),
            Ok(LogOutput::StdOut { message: part("") }),
            Ok(LogOutput::StdOut { message: part("two") }),
        ]);
        let ended = Arc::new(AtomicBool::new(false));
        let attached = AttachContainerResults { output: Box::pin(output), input: Box::pin(tokio::io::sink()) };
        let mut link = ContainerLink::new(attached, Arc::clone(&ended));
        let mut text = String::new();
        link.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "one two");
        assert!(ended.load(Ordering::Acquire));
    }
}
