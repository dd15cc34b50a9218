//! The suite of the compile cache over a real server, which the test starts and ends.

use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use script_engine_core::contract::CompiledCache as _;
use script_engine_core::{Digest, ErrorKind, Result};
use script_engine_testkit::store::{CacheBackend, compiled_cache};
use script_engine_testkit::{BoxFuture, Case, Conformance, Proof, Unproven};
use script_engine_valkey::{Config, ValkeyCache};

const LEDGER: &str = include_str!("conformance/ledger");

/// A server on a socket of its own, with nothing on disk.
struct Server {
    child: Child,
    socket: String,
}

impl Server {
    fn start() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let socket = format!("{}/script-engine-valkey-{}-{number}", std::env::temp_dir().display(), std::process::id());
        let child = Command::new("redis-server")
            .args(["--port", "0", "--unixsocket", &socket, "--save", "", "--appendonly", "no", "--dir", "/tmp"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server is installed");
        Self { child, socket }
    }

    /// Connects as soon as the server listens.
    async fn cache(&self, config: impl FnOnce(&mut Config)) -> Result<ValkeyCache> {
        let mut settings = Config::new(format!("redis+unix://{}", self.socket));
        config(&mut settings);
        let patience = tokio::time::Instant::now() + Duration::from_secs(20);
        loop {
            match ValkeyCache::connect(settings.clone()).await {
                Ok(cache) => return Ok(cache),
                Err(error) if tokio::time::Instant::now() > patience => return Err(error),
                Err(_) => tokio::task::yield_now().await,
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        drop(std::fs::remove_file(&self.socket));
    }
}

/// The cases that every cache must pass, and those of this one.
fn cases(server: &Arc<Server>) -> Vec<Case> {
    let number = AtomicU32::new(0);
    let fresh = Arc::clone(server);
    let mut cases = compiled_cache(Arc::new(move || {
        // A prefix of its own is an empty cache.
        let prefix = format!("case-{}:", number.fetch_add(1, Ordering::Relaxed));
        let server = Arc::clone(&fresh);
        Box::pin(async move {
            let cache = server.cache(|it| it.prefix.clone_from(&prefix)).await?;
            let socket = server.socket.clone();
            let tamper = move |key: Digest| -> BoxFuture<Result<()>> {
                change(&socket, &format!("{prefix}{key}"));
                Box::pin(async { Ok(()) })
            };
            Ok(Arc::new(CacheBackend {
                cache: Arc::new(cache),
                tamper: Some(Arc::new(tamper)),
                bounded_by: Some("the server bounds what it holds"),
            }))
        })
    }));
    let shared = Arc::clone(server);
    cases.push(Case::new("shared", "what one engine puts another finds, for as long as it lives", move || {
        Box::pin(is_shared(Arc::clone(&shared)))
    }));
    cases.push(Case::new("gone", "a server that is gone is an error in time", || Box::pin(is_gone())));
    cases
}

/// Changes a byte of what the server holds, as nobody should.
fn change(socket: &str, key: &str) {
    let changed = Command::new("redis-cli").args(["-s", socket, "SETRANGE", key, "70", "#"]).output();
    assert!(changed.expect("redis-cli is installed").status.success());
}

async fn is_shared(server: Arc<Server>) -> Proof {
    let settings = |it: &mut Config| {
        it.prefix = "shared:".into();
        it.time_to_live = Duration::from_secs(77);
    };
    let (one, other) = (server.cache(settings).await?, server.cache(settings).await?);
    let key = Digest::of(b"shared");
    one.put(key, Bytes::from_static(b"compiled")).await?;
    ensure(other.find(key).await? == Some(Bytes::from_static(b"compiled")), "the other engine found nothing")?;
    let left = Command::new("redis-cli").args(["-s", &server.socket, "TTL", &format!("shared:{key}")]).output();
    let left = String::from_utf8_lossy(&left.expect("redis-cli is installed").stdout).trim().to_owned();
    ensure(left.parse::<u64>().is_ok_and(|it| (1..=77).contains(&it)), &format!("it lives for {left} seconds"))
}

async fn is_gone() -> Proof {
    let server = Server::start();
    let cache = server.cache(|_| {}).await?;
    drop(server);
    let error = cache.find(Digest::of(b"x")).await.err().map(|it| it.kind());
    ensure(error == Some(ErrorKind::Unavailable), &format!("a dead server gave {error:?}"))
}

fn ensure(holds: bool, report: &str) -> Proof {
    if holds { Ok(()) } else { Err(Unproven::Failed(report.to_owned())) }
}

fn main() -> ExitCode {
    let server = Arc::new(Server::start());
    Conformance::new().with("valkey", LEDGER, cases(&server)).main()
}
