//! A small index on loopback: for tests only. It serves what it is given, with the status and the headers that a test wants.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use bytes::Bytes;

/// How it answers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answers {
    /// Contents by path.
    pub(crate) files: BTreeMap<String, Bytes>,
    /// A status for everything, in place of 200 and 404.
    pub(crate) status: Option<u16>,
    /// Lines of the head of each answer.
    pub(crate) headers: Vec<String>,
    /// The `Authorization` without which it answers 401.
    pub(crate) authorization: Option<String>,
}

/// A server that ends when this is dropped.
pub(crate) struct Index {
    pub(crate) url: String,
    answers: Arc<Mutex<Answers>>,
    thread: Option<JoinHandle<()>>,
}

impl Index {
    pub(crate) fn start(answers: Answers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answers = Arc::new(Mutex::new(answers));
        let known = Arc::clone(&answers);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                let answers = known.lock().unwrap().clone();
                // A connection that says nothing is the one that ends it.
                if !answer(stream.unwrap(), &answers) {
                    break;
                }
            }
        });
        Self { url, answers, thread: Some(thread) }
    }

    pub(crate) fn set(&self, change: impl FnOnce(&mut Answers)) {
        change(&mut self.answers.lock().unwrap());
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        drop(TcpStream::connect(self.url.trim_start_matches("http://")).unwrap());
        self.thread.take().unwrap().join().unwrap();
    }
}

fn answer(stream: TcpStream, answers: &Answers) -> bool {
    let mut lines = BufReader::new(&stream).lines().map_while(Result::ok).take_while(|it| !it.is_empty());
    let Some(first) = lines.next() else { return false };
    let path = first.split(' ').nth(1).unwrap_or_default().split('?').next().unwrap_or_default().to_owned();
    let given =
        lines.filter_map(|it| it.split_once(": ").map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())));
    let given: BTreeMap<String, String> = given.collect();
    let file = answers.files.get(path.trim_start_matches('/'));
    let refused = answers.authorization.as_ref().is_some_and(|it| given.get("authorization") != Some(it));
    let status = if refused { 401 } else { answers.status.unwrap_or(if file.is_some() { 200 } else { 404 }) };
    let body = file.filter(|_| status == 200).cloned().unwrap_or_default();
    let mut head = format!("HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    for line in &answers.headers {
        head.push_str(&format!("{line}\r\n"));
    }
    head.push_str("\r\n");
    // Who asks may have gone.
    drop((&stream).write_all(head.as_bytes()).and_then(|()| (&stream).write_all(&body)));
    true
}
