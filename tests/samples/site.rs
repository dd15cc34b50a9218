//! A small HTTP server on the loopback interface, which answers as a function says, and ports that do not answer.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;

/// What a client asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// The path with the query.
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// What it is told.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// A status, further headers, and a body.
    Says(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// Nothing, for as long as the server is there.
    Nothing,
}

/// The server. It ends with this.
pub(crate) struct Site {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    over: AtomicBool,
    seen: Mutex<Vec<Asked>>,
    /// Connections that get no answer.
    held: Mutex<Vec<TcpStream>>,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(own, _)| own == name).map_or("", |(_, value)| value)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

impl Answer {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::Says(status, vec![("Content-Type", "application/json".into())], body.to_string().into_bytes())
    }

    pub(crate) fn text(status: u16, body: impl Into<String>) -> Self {
        Self::Says(status, vec![("Content-Type", "text/plain; charset=utf-8".into())], body.into().into_bytes())
    }

    /// The same with one more header.
    pub(crate) fn with(self, name: &'static str, value: impl Into<String>) -> Self {
        match self {
            Self::Says(status, mut headers, body) => {
                headers.push((name, value.into()));
                Self::Says(status, headers, body)
            }
            Self::Nothing => Self::Nothing,
        }
    }
}

impl Site {
    pub(crate) fn new(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let (shared, answer) = (Arc::clone(&state), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.over.load(Ordering::Acquire) {
                    return;
                }
                let (state, answer) = (Arc::clone(&shared), Arc::clone(&answer));
                if let Ok(stream) = stream {
                    thread::spawn(move || serve(stream, &state, answer.as_ref()));
                }
            }
        });
        Self { address, state }
    }

    /// The address of a path of it.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The same with another scheme.
    pub(crate) fn at(&self, scheme: &str) -> String {
        format!("{scheme}://{}", self.address)
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// What it was asked, first things first.
    pub(crate) fn seen(&self) -> Vec<Asked> {
        self.state.seen.lock().unwrap().clone()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::Release);
        // Wakes the thread that waits for connections.
        drop(TcpStream::connect(self.address));
        self.state.held.lock().unwrap().clear();
    }
}

/// Answers one request. Clients that leave in between are no concern of a test's.
fn serve(stream: TcpStream, state: &State, answer: &(impl Fn(&Asked) -> Answer + ?Sized)) {
    let Some(asked) = read(&stream) else { return };
    state.seen.lock().unwrap().push(asked.clone());
    match answer(&asked) {
        Answer::Nothing => state.held.lock().unwrap().push(stream),
        Answer::Says(status, headers, body) => {
            let mut head = format!("HTTP/1.1 {status} Said\r\nContent-Length: {}\r\nConnection: close\r\n", body.len());
            for (name, value) in headers {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
            head.push_str("\r\n");
            let mut stream = stream;
            let body = if asked.method == "HEAD" { Vec::new() } else { body };
            drop(stream.write_all(&[head.into_bytes(), body].concat()));
        }
    }
}

fn read(stream: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
        Some(line.trim_end().to_owned())
    };
    let first = line()?;
    let mut words = first.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let header = line()?;
        let Some((name, value)) = header.split_once(':') else { break };
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    let mut asked = Asked { method, path, headers, body: Vec::new() };
    if asked.header("transfer-encoding") == "chunked" {
        loop {
            let size = usize::from_str_radix(&line_of(&mut reader)?, 16).ok()?;
            let mut chunk = vec![0; size];
            reader.read_exact(&mut chunk).ok()?;
            line_of(&mut reader)?;
            if size == 0 {
                break;
            }
            asked.body.extend(chunk);
        }
    } else {
        asked.body = vec![0; asked.header("content-length").parse().unwrap_or(0)];
        reader.read_exact(&mut asked.body).ok()?;
    }
    Some(asked)
}

fn line_of(reader: &mut BufReader<&TcpStream>) -> Option<String> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    Some(line.trim_end().to_owned())
}

/// A port that nobody listens at.
pub(crate) fn closed_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// A port at which connections are made, and nobody takes or answers them, for as long as this lives.
pub(crate) struct Mute(TcpListener);

impl Mute {
    pub(crate) fn new() -> Self {
        Self(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap())
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }
}
