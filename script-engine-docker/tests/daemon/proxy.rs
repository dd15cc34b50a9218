//! A proxy before a daemon that lets no volumes be made, as restricted sockets do.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

use crate::bench::Folder;

const ANSWER: &str = "HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nContent-Length: 34\r\n\r\n\
    {\"message\":\"no volumes from here\"}";

pub(crate) struct Proxy {
    folder: Folder,
    refused: Arc<AtomicUsize>,
    serving: JoinHandle<()>,
}

impl Proxy {
    pub(crate) fn start(endpoint: &str) -> Self {
        let (folder, refused) = (Folder::new(), Arc::<AtomicUsize>::default());
        let listener = UnixListener::bind(folder.0.join("socket")).unwrap();
        let (daemon, count) = (endpoint.trim_start_matches("unix://").to_owned(), Arc::clone(&refused));
        let serving = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let daemon = UnixStream::connect(&daemon).await.unwrap();
                tokio::spawn(serve(client, daemon, Arc::clone(&count)));
            }
        });
        Self { folder, refused, serving }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("unix://{}", self.folder.0.join("socket").display())
    }

    pub(crate) fn refused(&self) -> usize {
        self.refused.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// A request begins with what is read first of it: the client waits for the answer before it sends the next.
async fn serve(client: UnixStream, daemon: UnixStream, refused: Arc<AtomicUsize>) {
    let ((mut from_client, mut to_client), (mut from_daemon, mut to_daemon)) =
        (client.into_split(), daemon.into_split());
    let (mut request, mut answer) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    loop {
        tokio::select! {
            read = from_client.read(&mut request) => {
                let Some(piece) = read.ok().filter(|it| *it > 0).map(|it| &request[..it]) else {
                    drop(to_daemon.shutdown().await);
                    break;
                };
                let line = String::from_utf8_lossy(piece.split(|it| *it == b'\r').next().unwrap_or_default());
                if line.starts_with("POST ") && line.contains("/volumes/create") {
                    refused.fetch_add(1, Ordering::Relaxed);
                    let mut rest = vec![0; body_to_come(piece)];
                    from_client.read_exact(&mut rest).await.unwrap();
                    to_client.write_all(ANSWER.as_bytes()).await.unwrap();
                } else if to_daemon.write_all(piece).await.is_err() {
                    return;
                }
            }
            read = from_daemon.read(&mut answer) => {
                let Some(piece) = read.ok().filter(|it| *it > 0).map(|it| &answer[..it]) else { return };
                if to_client.write_all(piece).await.is_err() {
                    return;
                }
            }
        }
    }
    // The client has said all; the daemon may not have.
    drop(tokio::io::copy(&mut from_daemon, &mut to_client).await);
}

/// Bytes of a request's body that are not in this piece, which has its head.
fn body_to_come(piece: &[u8]) -> usize {
    let text = String::from_utf8_lossy(piece).to_ascii_lowercase();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let length = head.lines().find_map(|it| it.strip_prefix("content-length: ")?.parse().ok());
    length.unwrap_or(0_usize).saturating_sub(body.len())
}
