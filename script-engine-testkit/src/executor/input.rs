//! What scripts read from stdin.

use std::sync::Arc;

use bytes::Bytes;
use script_engine_core::Exit;

use super::bench::Bench;
use crate::seen::{Seen, soon};
use crate::verdict::{Proof, ensure};

pub(super) async fn ex_22(it: Arc<Bench>) -> Proof {
    whole(&it).await?;
    empty(&it).await?;
    unread(&it).await
}

/// More than any pipe holds, in uneven pieces, comes back as it was sent.
async fn whole(it: &Bench) -> Proof {
    let sent: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
    let mut job = it.job("cat", "cat")?;
    job.stdin = true;
    let mut spawned = it.spawn(job).await?;
    let control = Arc::clone(&spawned.control);
    let write = async {
        let mut rest = Bytes::copy_from_slice(&sent);
        let mut len = 1;
        while !rest.is_empty() {
            control.write_stdin(rest.split_to(len.min(rest.len()))).await?;
            len = len * 3 % 70_001 + 1;
        }
        control.close_stdin().await?;
        control.close_stdin().await
    };
    let mut seen = Seen::default();
    let (written, end) = tokio::join!(soon("writing", write), seen.watch(&mut *spawned.script));
    spawned.script.finish().await?;
    written?;
    end?;
    ensure!(seen.stdout == sent, "{} bytes came back of {}, or others", seen.stdout.len(), sent.len());
    ensure!(seen.exit.is_some_and(|it| it.exit == Exit::Code(0)), "ended as {:?}", seen.exit);
    Ok(())
}

/// Without stdin there is an end of file, and no terminal.
async fn empty(it: &Bench) -> Proof {
    let script = "cat; [ -t 0 ] && echo terminal; echo end";
    let seen = it.see(it.job("empty stdin", script)?).await?;
    ensure!(seen.stdout == b"end\n", "without stdin a script reads {}", seen.text());
    let mut job = it.job("empty stdin", script)?;
    job.stdin = true;
    let mut spawned = it.spawn(job).await?;
    spawned.control.close_stdin().await?;
    let mut seen = Seen::default();
    let end = seen.watch(&mut *spawned.script).await;
    spawned.script.finish().await?;
    end?;
    ensure!(seen.stdout == b"end\n", "with stdin closed at once a script reads {}", seen.text());
    Ok(())
}

/// Writing to a script that does not read ends with the script.
async fn unread(it: &Bench) -> Proof {
    let mut job = it.job("does not read", "sleep 0.2; echo end")?;
    job.stdin = true;
    let mut spawned = it.spawn(job).await?;
    let control = Arc::clone(&spawned.control);
    let mut seen = Seen::default();
    let write = control.write_stdin(Bytes::from(vec![b'x'; 4 << 20]));
    let (written, end) =
        tokio::join!(soon("writing to a script that does not read and ends", write), seen.watch(&mut *spawned.script));
    let later = soon("writing to a script that is gone", control.write_stdin(Bytes::from_static(b"x"))).await;
    let closed = soon("closing the stdin of a script that is gone", control.close_stdin()).await;
    spawned.script.finish().await?;
    end?;
    written?;
    later?;
    closed?;
    ensure!(seen.stdout == b"end\n", "ended as {}", seen.text());
    Ok(())
}
