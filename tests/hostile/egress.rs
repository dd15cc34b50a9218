//! Scripts with an allow-list that look for a way beyond it. The hosts that they reach are real, on this machine's
//! loopback interface, which the bench's settings open; the names are what the case says they are.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use script_engine_core::gateway::Resolver;
use script_engine_core::{
    Connection, ConnectionEnd, ExecutionRecord, ExecutionRequest, ExecutionState, Identity, LanguageId, NetworkPolicy,
    ScriptDraft, ScriptName,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use crate::bench::{Bench, prints, story};
use crate::case::{Hostile, cases};

pub(crate) fn cases() -> Vec<Hostile> {
    cases![
        listed_hosts_are_reached,
        hosts_that_are_not_listed_are_not,
        names_that_lead_to_forbidden_addresses,
        a_name_that_changes_its_meaning,
        udp_and_questions_for_other_names,
        the_next_execution_inherits_nothing,
        entries_that_can_never_be,
        what_was_sent_last_arrives,
        each_end_closes_for_itself,
        a_host_that_does_not_read,
        more_connections_than_there_may_be,
        a_script_that_does_not_read,
        a_hundred_megabytes_both_ways,
        nonsense_for_the_resolver,
        every_client_works,
    ]
}

/// The names of a case, and which of them were asked for.
#[derive(Debug, Default)]
pub(crate) struct Names {
    answers: Mutex<BTreeMap<String, VecDeque<Vec<IpAddr>>>>,
    asked: Mutex<Vec<String>>,
}

impl Names {
    /// Lets a name mean these addresses, one answer after the other, the last one for ever.
    fn mean(&self, name: &str, answers: &[&[&str]]) {
        let addresses = |it: &&[&str]| it.iter().map(|it| it.parse().unwrap()).collect();
        self.answers.lock().unwrap().insert(name.to_owned(), answers.iter().map(addresses).collect());
    }
}

#[async_trait]
impl Resolver for Names {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        self.asked.lock().unwrap().push(name.to_owned());
        let mut answers = self.answers.lock().unwrap();
        let answers = answers.get_mut(name).ok_or_else(|| io::Error::other("there is no such name"))?;
        Ok(if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() }.unwrap_or_default())
    }
}

/// A host that listens on loopback and does the same with each connection.
struct Host {
    port: u16,
    accepted: Arc<AtomicUsize>,
}

impl Host {
    async fn new<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream));
            }
        });
        Self { port, accepted }
    }

    /// Gives back what it gets.
    async fn echo() -> Self {
        Self::new(|mut stream| async move {
            let (mut from, mut to) = stream.split();
            drop(tokio::io::copy(&mut from, &mut to).await);
        })
        .await
    }

    fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

fn open(entries: &[String]) -> impl FnOnce(ExecutionRequest) -> ExecutionRequest {
    let policy = NetworkPolicy::allow(entries).unwrap();
    move |request| request.with_network(policy)
}

fn connections(record: &ExecutionRecord) -> Vec<Connection> {
    record.ending.as_ref().map(|it| it.connections.list.clone()).unwrap_or_default()
}

/// What every script here begins with: `say` prints what a host makes of a greeting.
const SAY: &str = "
import socket
def say(host, port, family=socket.AF_INET):
    try:
        it = socket.create_connection((host, port), timeout=20)
        it.sendall(b'hello')
        it.shutdown(socket.SHUT_WR)
        answer = b''
        while piece := it.recv(100):
            answer += piece
        print(host, answer.decode() or 'nothing')
    except OSError as error:
        print(host, type(error).__name__)
";

async fn listed_hosts_are_reached(bench: &Bench) {
    let host = Host::echo().await;
    let port = host.port;
    bench.names.mean("a.example", &[&["127.0.0.1"]]);
    bench.names.mean("localhost", &[&["::1", "127.0.0.1"]]);
    let source = format!(
        "{SAY}
for host in ('a.example', 'A.Example', 'a.example.', 'localhost', '127.0.0.1', '127.0.0.2'):
    say(host, {port})
"
    );
    let entries = [format!("a.example:{port}"), format!("localhost:{port}"), format!("127.0.0.2:{port}")];
    let record = bench.run("python", &source, open(&entries)).await;
    // Nobody listens on the second address, which is said by a reset.
    let expected = "a.example hello\nA.Example hello\na.example. hello\nlocalhost hello\n127.0.0.1 hello\n";
    prints(&record, &format!("{expected}127.0.0.2 ConnectionResetError\n"));
    let found = connections(&record);
    assert_eq!(found.len(), 6, "{found:?}");
    for it in &found[..5] {
        assert_eq!((it.port, it.sent, it.received, &it.end), (port, 5, 5, &ConnectionEnd::Closed), "{it:?}");
        assert_eq!(it.address, Some(Ipv4Addr::LOCALHOST.into()));
    }
    assert_eq!(found[0].host, "a.example");
    assert!(matches!(&found[5].end, ConnectionEnd::Failed(why) if why.contains("refused")), "{:?}", found[5]);
    assert_eq!(host.accepted(), 5);
}

/// By other names, on other ports, and by the address of a host that is listed by its name.
async fn hosts_that_are_not_listed_are_not(bench: &Bench) {
    let (host, other) = (Host::echo().await, Host::echo().await);
    for name in ["a.example", "evil-a.example", "b.a.example", "a.example.evil", "example"] {
        bench.names.mean(name, &[&["127.0.0.1"]]);
    }
    let source = format!(
        "{SAY}
for host in ('evil-a.example', 'b.a.example', 'a.example.evil', 'example', '127.0.0.1', 'localhost',
             '127.64.0.2', '192.0.2.1', '10.0.0.1', '169.254.169.254', '::1', '::ffff:127.0.0.1', '2001:db8::1'):
    say(host, {})
say('a.example', {})
",
        host.port, other.port
    );
    let record = bench.run("python", &source, open(&[format!("a.example:{}", host.port)])).await;
    let printed = crate::bench::stdout(&record);
    assert_eq!(printed.lines().count(), 14, "{}", story(&record));
    for line in printed.lines() {
        let refused = ["gaierror", "OSError", "ConnectionRefusedError", "UnicodeError"];
        assert!(refused.iter().any(|it| line.ends_with(it)), "{line}: {}", story(&record));
    }
    assert_eq!((host.accepted(), other.accepted()), (0, 0));
    assert_eq!(connections(&record), []);
    assert!(bench.names.asked.lock().unwrap().is_empty(), "nothing is resolved that is not listed");
}

async fn names_that_lead_to_forbidden_addresses(bench: &Bench) {
    let metadata = [
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "::ffff:a9fe:a9fe",
        "fd00:ec2::254",
        "100.100.100.200",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
    ];
    let closed =
        ["10.0.0.1", "192.168.0.1", "::ffff:172.16.0.1", "fd00::1", "fe80::1", "100.64.0.1", "0.0.0.0", "ff02::1"];
    let all: Vec<&str> = metadata.into_iter().chain(closed).collect();
    let mut entries = Vec::new();
    for (number, address) in all.iter().enumerate() {
        bench.names.mean(&format!("n{number}.example"), &[&[address]]);
        entries.push(format!("n{number}.example:80"));
    }
    let source = format!("{SAY}\nfor number in range({}): say(f'n{{number}}.example', 80)\n", all.len());
    let record = bench.run("python", &source, open(&entries)).await;
    for line in crate::bench::stdout(&record).lines() {
        // Where the program meets the reset, and so its name, depends on how far it is then.
        let met = ["ConnectionResetError", "BrokenPipeError", "OSError"];
        assert!(met.iter().any(|it| line.ends_with(it)), "{line}: {}", story(&record));
    }
    let found = connections(&record);
    assert_eq!(found.len(), all.len(), "{found:?}");
    for (number, address) in all.iter().enumerate() {
        let it = found.iter().find(|it| it.host == format!("n{number}.example")).unwrap();
        let expected = if number < metadata.len() { "never reachable" } else { "address" };
        assert!(matches!(&it.end, ConnectionEnd::Refused(why) if why.contains(expected)), "{address}: {it:?}");
        assert_eq!(it.address, Some(address.parse().unwrap()));
        assert_eq!((it.sent, it.received), (0, 0));
    }
}

async fn a_name_that_changes_its_meaning(bench: &Bench) {
    let host = Host::echo().await;
    bench.names.mean("a.example", &[&["127.0.0.1"], &["169.254.169.254"], &["10.0.0.1", "127.0.0.1"], &["10.0.0.1"]]);
    let source = format!("{SAY}\nfor _ in range(4): say('a.example', {})\n", host.port);
    let record = bench.run("python", &source, open(&[format!("a.example:{}", host.port)])).await;
    let lines: Vec<String> = crate::bench::stdout(&record).lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 4, "{}", story(&record));
    assert_eq!((lines[0].as_str(), lines[2].as_str()), ("a.example hello", "a.example hello"), "{lines:?}");
    let ends: Vec<&str> = connections(&record).iter().map(|it| it.end.as_str()).collect::<Vec<_>>();
    assert_eq!(ends, ["closed", "refused", "closed", "refused"]);
    assert_eq!(host.accepted(), 2);
}

async fn udp_and_questions_for_other_names(bench: &Bench) {
    let host = Host::echo().await;
    let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, host.port)).await.unwrap();
    bench.names.mean("a.example", &[&["127.0.0.1"]]);
    let source = format!(
        "
import socket
it = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for name in ('a.example', 'localhost', '127.0.0.1'):
    try:
        it.sendto(b'secret', (name, {}))
    except OSError:
        pass
for name in ('secret.evil.example', 'secret.a.example'):
    try:
        print(socket.getaddrinfo(name, 80))
    except socket.gaierror:
        pass
print(sorted({{it[4][0] for it in socket.getaddrinfo('a.example', {})}}))
",
        host.port, host.port
    );
    let record = bench.run("python", &source, open(&[format!("a.example:{}", host.port)])).await;
    prints(&record, "['127.64.0.1']\n");
    assert_eq!(udp.try_recv(&mut [0; 8]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    assert!(bench.names.asked.lock().unwrap().is_empty());
}

async fn the_next_execution_inherits_nothing(bench: &Bench) {
    let host = Host::echo().await;
    bench.names.mean("a.example", &[&["127.0.0.1"]]);
    let source = format!("{SAY}\nfor host in ('a.example', '127.64.0.1', '127.0.0.1'): say(host, {})\n", host.port);
    let name = ScriptName::parse("with-network").unwrap();
    let policy = NetworkPolicy::allow([format!("a.example:{}", host.port)]).unwrap();
    let draft = ScriptDraft::new(name.clone(), source.into_bytes())
        .with_language(LanguageId::parse("python").unwrap())
        .with_network(policy.clone());
    bench.engine.save(&Identity::default(), draft).await.unwrap();
    let run = async |set: fn(ExecutionRequest) -> ExecutionRequest| {
        let id = bench.engine.submit(set(ExecutionRequest::new(name.clone()))).await.unwrap();
        bench.end(id).await
    };
    let opened = "a.example hello\n127.64.0.1 hello\n127.0.0.1 ConnectionRefusedError\n";
    let closed = "a.example gaierror\n127.64.0.1 ConnectionRefusedError\n127.0.0.1 ConnectionRefusedError\n";
    let record = run(|it| it).await;
    prints(&record, opened);
    assert_eq!(record.begun.network, policy, "the version's own");
    let record = run(|it| it.with_network(NetworkPolicy::Off)).await;
    prints(&record, closed);
    assert_eq!((record.begun.network.clone(), connections(&record)), (NetworkPolicy::Off, Vec::new()));
    prints(&run(|it| it).await, opened);
}

async fn entries_that_can_never_be(bench: &Bench) {
    let name = bench.save("python", "print(1)").await;
    for (entry, why) in [
        ("169.254.169.254:80", "metadata"),
        ("[::ffff:169.254.169.254]:80", "metadata"),
        ("[fd00:ec2::254]:80", "metadata"),
        ("10.0.0.1:80", "egress.private"),
        ("0.0.0.0:80", "not an address of one machine"),
    ] {
        let policy = NetworkPolicy::allow([entry]).unwrap();
        let refused = bench.engine.submit(ExecutionRequest::new(name.clone()).with_network(policy)).await.unwrap_err();
        assert_eq!(refused.problems()[0].field, "network");
        assert!(refused.to_string().contains(why), "{refused}");
    }
    let public = NetworkPolicy::Public { ports: vec![443], entries: Vec::new() };
    let refused = bench.engine.submit(ExecutionRequest::new(name).with_network(public)).await.unwrap_err();
    assert!(refused.to_string().contains("name each host and port"), "{refused}");
}

async fn what_was_sent_last_arrives(bench: &Bench) {
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let host = Host::new(move |mut stream| {
        let told = told.clone();
        async move {
            let mut got = Vec::new();
            drop(stream.read_to_end(&mut got).await);
            told.send(got.len()).unwrap_or_default();
        }
    })
    .await;
    bench.names.mean("a.example", &[&["127.0.0.1"]]);
    // It ends in the same instant, without closing and by whatever way.
    let source = format!(
        "
import os, socket
it = socket.create_connection(('a.example', {}))
it.sendall(b'x' * 100000)
os._exit(0)
",
        host.port
    );
    let record = bench.run("python", &source, open(&[format!("a.example:{}", host.port)])).await;
    prints(&record, "");
    assert_eq!(heard.recv().await, Some(100_000));
    let found = connections(&record);
    assert_eq!((found.len(), found[0].sent), (1, 100_000), "{found:?}");
}

async fn each_end_closes_for_itself(bench: &Bench) {
    // Speaks first, ends its own direction, and then listens.
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let host = Host::new(move |mut stream| {
        let told = told.clone();
        async move {
            stream.write_all(b"first").await.unwrap();
            stream.shutdown().await.unwrap();
            let mut got = String::new();
            drop(stream.read_to_string(&mut got).await);
            drop(told.send(got));
        }
    })
    .await;
    bench.names.mean("a.example", &[&["127.0.0.1"]]);
    let source = format!(
        "
import socket
it = socket.create_connection(('a.example', {}))
print(it.recv(100), it.recv(100))
it.sendall(b'afterwards')
it.close()
",
        host.port
    );
    let record = bench.run("python", &source, open(&[format!("a.example:{}", host.port)])).await;
    prints(&record, "b'first' b''\n");
    assert_eq!(heard.recv().await.as_deref(), Some("afterwards"));
}

/// Output, signs of life, other connections and the end go on past one that is stuck.
async fn a_host_that_does_not_read(bench: &Bench) {
    let stuck = Host::new(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let host = Host::echo().await;
    bench.names.mean("stuck.example", &[&["127.0.0.1"]]);
    bench.names.mean("a.example", &[&["127.0.0.1"]]);
    let source = format!(
        "{SAY}
import threading
def flood():
    it = socket.create_connection(('stuck.example', {}))
    while True:
        it.send(b'x' * 65536)
for _ in range(8):
    threading.Thread(target=flood, daemon=True).start()
for number in range(2000):
    print('x' * 1000)
for _ in range(20):
    say('a.example', {})
print('end', flush=True)
threading.Event().wait()
",
        stuck.port, host.port
    );
    let entries = [format!("stuck.example:{}", stuck.port), format!("a.example:{}", host.port)];
    let id = bench.submit("python", &source, open(&entries)).await;
    let text = bench.await_text(id, "end").await;
    assert_eq!(text.matches("a.example hello").count(), 20);
    let begin = std::time::Instant::now();
    bench.engine.cancel(id).await.unwrap();
    let record = bench.end(id).await;
    assert_eq!(record.state, ExecutionState::Cancelled, "{}", story(&record));
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    let cut =
        connections(&record).iter().filter(|it| it.host == "stuck.example" && it.end != ConnectionEnd::Closed).count();
    assert_eq!(cut, 8, "{:?}", connections(&record));
}

async fn more_connections_than_there_may_be(bench: &Bench) {
    let host = Host::echo().await;
    bench.names.mean("a.example", &[&["127.0.0.1"]]);
    let source = format!(
        "{SAY}
held, refused = [], 0
for _ in range(400):
    try:
        it = socket.create_connection(('a.example', {port}), timeout=20)
        it.sendall(b'x')
        if it.recv(1) == b'x':
            held.append(it)
        else:
            refused += 1
    except OSError:
        refused += 1
print(len(held), refused)
held.clear()
for _ in range(800):
    it = socket.create_connection(('a.example', {port}), timeout=20)
    it.close()
say('a.example', {port})
",
        port = host.port
    );
    let record = bench.run("python", &source, open(&[format!("a.example:{}", host.port)])).await;
    prints(&record, "256 144\na.example hello\n");
    let connections = record.ending.as_ref().unwrap().connections.clone();
    assert_eq!(connections.list.len(), 1000);
    assert_eq!(connections.left_out, 400 + 800 + 1 - 1000);
    let refused =
        connections.list.iter().filter(|it| matches!(&it.end, ConnectionEnd::Refused(why) if why.contains("256")));
    assert_eq!(refused.count(), 144);
}

/// What hosts send waits in the host's and the kernel's memory, and a bounded part of it in the agent's.
async fn a_script_that_does_not_read(bench: &Bench) {
    let host = Host::new(|mut stream| async move {
        let piece = vec![b'x'; 1 << 16];
        while stream.write_all(&piece).await.is_ok() {}
    })
    .await;
    bench.names.mean("a.example", &[&["127.0.0.1"]]);
    let source = format!(
        "
import select, socket
held = [socket.create_connection(('a.example', {})) for _ in range(256)]
while len(select.select(held, [], [])[0]) < 256:
    pass
for _ in range(3000):
    print('x' * 1000)
print(sum(len(it.recv(1)) for it in held))
",
        host.port
    );
    let before = resident();
    let record = bench.run("python", &source, open(&[format!("a.example:{}", host.port)])).await;
    assert!(crate::bench::stdout(&record).ends_with("x\n256\n"), "{}", story(&record));
    let grown = resident().saturating_sub(before);
    assert!(grown < 96 << 20, "the engine grew by {grown} bytes");
}

async fn a_hundred_megabytes_both_ways(bench: &Bench) {
    const BYTES: u64 = 100 << 20;
    let host = Host::echo().await;
    bench.names.mean("a.example", &[&["127.0.0.1"]]);
    let source = format!(
        "
import socket, threading
it = socket.create_connection(('a.example', {}))
def send():
    piece = b'x' * (1 << 20)
    for _ in range({BYTES} >> 20):
        it.sendall(piece)
    it.shutdown(socket.SHUT_WR)
threading.Thread(target=send).start()
count = 0
while piece := it.recv(1 << 20):
    count += len(piece)
print(count)
",
        host.port
    );
    let before = resident();
    let record = bench.run("python", &source, open(&[format!("a.example:{}", host.port)])).await;
    prints(&record, &format!("{BYTES}\n"));
    let grown = resident().saturating_sub(before);
    assert!(grown < 32 << 20, "the engine grew by {grown} bytes");
    let found = connections(&record);
    assert_eq!((found[0].sent, found[0].received), (BYTES, BYTES));
}

/// Bytes of memory that this process has had at most.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|it| it.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

async fn nonsense_for_the_resolver(bench: &Bench) {
    let host = Host::echo().await;
    bench.names.mean("a.example", &[&["127.0.0.1"]]);
    let source = format!(
        "{SAY}
import random
it = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
it.connect(('127.0.0.1', 53))
it.setblocking(False)
question = bytes.fromhex('abcd01000001000000000000') + b'\\x01a\\x07example\\x00\\x00\\x01\\x00\\x01'
random.seed(1)
for number in range(20000):
    piece = bytearray(question)
    for _ in range(random.randrange(4)):
        piece[random.randrange(len(piece))] = random.randrange(256)
    try:
        it.send(piece[:random.randrange(len(piece) + 1)] + random.randbytes(random.choice((0, 0, 3, 2000))))
        it.recv(2000)
    except OSError:
        pass
say('a.example', {})
",
        host.port
    );
    let record = bench.run("python", &source, open(&[format!("a.example:{}", host.port)])).await;
    prints(&record, "a.example hello\n");
}

async fn every_client_works(bench: &Bench) {
    // Speaks enough of HTTP.
    let host = Host::new(|mut stream| async move {
        let mut got = Vec::new();
        while !got.windows(4).any(|it| it == b"\r\n\r\n") {
            let mut piece = [0; 1024];
            match stream.read(&mut piece).await {
                Ok(count @ 1..) => got.extend_from_slice(&piece[..count]),
                Ok(_) | Err(_) => return,
            }
        }
        drop(stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello").await);
    })
    .await;
    let port = host.port;
    bench.names.mean("a.example", &[&["127.0.0.1"]]);
    for (language, source) in [
        (
            "bash",
            format!("exec 3<>/dev/tcp/a.example/{port}; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; tail -n1 <&3; echo"),
        ),
        (
            "python",
            format!("import urllib.request as it; print(it.urlopen('http://a.example:{port}/').read().decode())"),
        ),
        ("typescript", format!("console.log(await (await fetch('http://A.example:{port}/')).text());")),
    ] {
        let record = bench.run(language, &source, open(&[format!("a.example:{port}")])).await;
        prints(&record, "hello\n");
    }
}
