//! An engine in a process of its own that carries a flood of output, and tells what memory that took.

use std::fs;

use script_engine_core::Outcome;
use script_engine_core::output::{OutputCursor, OutputItem};
use tokio::process::Command;

use crate::bench::{Bench, Who, ends};
use crate::user;

/// Makes this program such an engine.
pub(crate) const MODE: &str = "--flood";
const BYTES: u64 = 1 << 30;

/// Starts the engine and gives by how many bytes its memory grew at the most.
pub(crate) async fn measure(who: Who) -> u64 {
    let output = Command::new(std::env::current_exe().unwrap())
        .arg(MODE)
        .arg(who.name())
        // Whoever starts it has the same user id.
        .env_remove(user::ALONE)
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    text.trim().parse().unwrap()
}

/// Is the engine: one execution prints, one reader follows it live.
pub(crate) async fn be_the_engine(who: Who) {
    let bench = Bench::new(who).await;
    bench.bash("echo warm").await;
    let before = peak();
    let id = bench.submit("bash", &format!("head -c {BYTES} /dev/zero"), |request| request).await;
    let mut reader = bench.engine.output(id, OutputCursor::default()).await.unwrap();
    let mut seen = 0;
    while let Some(item) = reader.next().await {
        match item {
            OutputItem::Chunk { bytes, .. } => seen += bytes.len() as u64,
            OutputItem::Gap { bytes, .. } => seen += bytes,
            OutputItem::Record { .. } => panic!("nothing was structured"),
        }
    }
    let record = bench.end(id).await;
    ends(&record, &Outcome::Succeeded);
    assert_eq!(record.ending.unwrap().output.stdout.total, BYTES);
    assert_eq!(seen, BYTES);
    let grown = peak() - before;
    bench.finish().await;
    println!("{grown}");
}

/// The most memory that this process has held so far.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|it| it.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}
