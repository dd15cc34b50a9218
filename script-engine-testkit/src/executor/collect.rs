//! Fetching the files that scripts leave.

use std::sync::Arc;

use script_engine_core::contract::Spawned;

use super::bench::Bench;
use crate::seen::{Seen, soon};
use crate::verdict::{Proof, Unproven, ensure};

/// Runs a script to its end and keeps its sandbox.
async fn left(it: &Bench, name: &str, script: &str) -> Result<Spawned, Unproven> {
    let mut spawned = it.spawn(it.job(name, script)?).await?;
    let mut seen = Seen::default();
    let end = seen.watch(&mut *spawned.script).await;
    if end.is_err() || !seen.says("ready") {
        spawned.script.finish().await?;
        end?;
        return Err(Unproven::Failed(format!("the set-up failed: {}", seen.text())));
    }
    Ok(spawned)
}

pub(super) async fn ex_14(it: Arc<Bench>) -> Proof {
    let script = r#"
        cd "$3" && mkdir folder && echo plain > folder/file && echo tmp > "$4/file" &&
        ln -s folder/file link && ln -s folder linked && ln -s /etc etc && ln -s /etc/passwd passwd &&
        ln -s / root && ln -s link chain && mkfifo fifo && : > empty && echo ready"#;
    let mut spawned = left(&it, "leaves links", script).await?;
    let mut check = async || -> Proof {
        for (path, expected) in [("/work/folder/file", "plain\n"), ("/tmp/file", "tmp\n"), ("/work/empty", "")] {
            let found = soon(path, spawned.script.collect(path, 1 << 20)).await?;
            ensure!(found.as_deref() == Some(expected.as_bytes()), "{path} came as {found:?}");
        }
        for path in ["/work/none", "/work/none/deeper", "/tmp/none"] {
            let found = soon(path, spawned.script.collect(path, 1 << 20)).await?;
            ensure!(found.is_none(), "{path}, which is not there, came as {found:?}");
        }
        for path in [
            "/work/link",
            "/work/chain",
            "/work/linked/file",
            "/work/passwd",
            "/work/etc/passwd",
            "/work/root/etc/passwd",
            "/work/fifo",
            "/work/folder",
            "/work/folder/../folder/file",
            "/work/../etc/passwd",
            "/etc/passwd",
            "/proc/self/environ",
            "folder/file",
            "",
        ] {
            let collect =
                tokio::time::timeout(std::time::Duration::from_secs(20), spawned.script.collect(path, 1 << 20));
            let Ok(found) = collect.await else {
                return Err(Unproven::Failed(format!("{path:?} was opened, and reading it does not end")));
            };
            ensure!(found.is_err(), "{path:?} is no plain file below /work or /tmp, and came as {found:?}");
        }
        Ok(())
    };
    let checked = check().await;
    spawned.script.finish().await?;
    checked
}

pub(super) async fn ex_15(it: Arc<Bench>) -> Proof {
    let script = "awk 'BEGIN { for (i = 0; i < 25000; i++) printf \"%07d\\n\", i }' > \"$3/long\" && echo ready";
    let mut spawned = left(&it, "leaves long", script).await?;
    let expected: Vec<u8> = (0..25_000).flat_map(|it| format!("{it:07}\n").into_bytes()).collect();
    let len = expected.len() as u64;
    let mut check = async || -> Proof {
        for bound in [len, len + 1, 1 << 30] {
            let found = soon("a collection", spawned.script.collect("/work/long", bound)).await?;
            ensure!(found.as_deref() == Some(&expected[..]), "a file within its bound of {bound} came as another");
        }
        for bound in [len - 1, 65_536, 1, 0] {
            let found = spawned.script.collect("/work/long", bound).await;
            let came = found.as_ref().map(|it| it.as_ref().map(bytes::Bytes::len));
            ensure!(found.is_err(), "a file of {len} bytes with a bound of {bound} came as {came:?}");
        }
        let found = soon("a collection", spawned.script.collect("/work/long", len)).await?;
        ensure!(found.is_some(), "after a refusal nothing is collected any more");
        Ok(())
    };
    let checked = check().await;
    spawned.script.finish().await?;
    checked
}
