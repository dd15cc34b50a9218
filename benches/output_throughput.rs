//! How fast a gigabyte goes through the engine, and what it costs in memory, against a pipe.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::process::Command;

use script_engine_benches::{Way, compare, engine, peak_memory, run, save};

const SCRIPT: &str = "head -c 1073741824 /dev/zero\n";

#[tokio::main]
async fn main() {
    let engine = engine().await;
    let script = save(&engine, "flood.sh", SCRIPT).await;
    let (engine, script) = (&engine, &script);
    let before = peak_memory();
    compare(
        "1 GiB of output",
        7,
        vec![
            Way::new("script | wc -c", || async {
                let status = Command::new("bash").arg("-c").arg(format!("({SCRIPT}) | wc -c > /dev/null")).status();
                assert!(status.is_ok_and(|it| it.success()));
            }),
            Way::new("engine", || async move {
                let record = run(engine, script).await;
                assert_eq!(record.ending.map(|it| it.output.stdout.total), Some(1 << 30));
            }),
        ],
    )
    .await;
    println!("  peak memory of the engine {} MiB, {} MiB before", peak_memory() >> 20, before >> 20);
    engine.shutdown(script_engine::Shutdown::Drain).await;
}
