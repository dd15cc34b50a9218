//! Starting: what a program finds, and what a start that fails leaves.

use std::sync::Arc;

use script_engine_core::{Cancel, ErrorKind, Job, Stopwatch};

use super::bench::Bench;
use crate::interrupt::{act_at, drop_at};
use crate::machine::{file, gone_soon};
use crate::seen::soon;
use crate::verdict::{Proof, ensure, fail};

/// The most points at which a start is broken off.
const POINTS: usize = 48;

pub(super) async fn ex_01(it: Arc<Bench>) -> Proof {
    let missing = Job { argv: vec!["/nowhere/program".into()], ..it.job("fails", "")? };
    let mut interpreter = it.job("fails", "")?;
    let mut script = file("script", b"#!/nowhere/interpreter\n")?;
    script.executable = true;
    interpreter.files.push(script);
    interpreter.argv = vec!["/scripts/script".into()];
    let plain = Job { argv: vec!["/scripts/main.sh".into()], ..it.job("fails", "exit 0")? };
    let mut twice = it.job("fails", "exit 0")?;
    twice.files.push(file("main.sh", b"exit 1")?);
    for (job, what) in [
        (missing, "a program that is missing"),
        (interpreter, "an interpreter that is missing"),
        (plain, "a file that is not executable"),
        (twice, "a file that is there twice"),
    ] {
        if it.spawn(job).await.is_ok() {
            fail!("{what} was started");
        }
        it.nothing_left(what).await?;
        let left = it.backend.leftovers(it.owner).await?;
        ensure!(left.is_empty(), "{what}: left over are {left:?}");
    }
    for point in 0..POINTS {
        let job = it.job("never", "while :; do sleep 1000; done")?;
        let mut stopwatch = Stopwatch::start();
        if let Some(spawned) = drop_at(point, it.executor.spawn(job, &mut stopwatch, Cancel::never())).await {
            spawned?.script.finish().await?;
            break;
        }
        // What was broken off may need the reaper, and after it there is nothing.
        let left = gone_soon(async || {
            it.executor.reap(it.owner).await?;
            it.backend.leftovers(it.owner).await
        });
        let left = left.await?;
        ensure!(left.is_empty(), "a start that was dropped at its wait {point}: left over are {left:?}");
        it.nothing_left(&format!("a start that was dropped at its wait {point}")).await?;
    }
    Ok(())
}

pub(super) async fn ex_07(it: Arc<Bench>) -> Proof {
    let job = || it.job("never", "while :; do sleep 1000; done");
    let (handle, cancel) = Cancel::pair();
    handle.cancel();
    let when = "a start that was called off before";
    let (before, mut stopwatch) = (job()?, Stopwatch::start());
    let ending = async { Ok(it.executor.spawn(before, &mut stopwatch, cancel).await) };
    match soon(when, ending).await? {
        Ok(_) => fail!("{when} was carried out"),
        Err(error) => ensure!(error.kind() == ErrorKind::Cancelled, "{when} failed as {error:?}"),
    }
    it.nothing_of(it.owner, when).await?;
    it.nothing_left(when).await?;
    for point in 0..POINTS {
        let (handle, cancel) = Cancel::pair();
        let (job, mut stopwatch) = (job()?, Stopwatch::start());
        let spawn = it.executor.spawn(job, &mut stopwatch, cancel);
        let ending = async { Ok(act_at(point, spawn, || handle.cancel()).await) };
        let when = format!("a start that was called off at its wait {point}");
        let (started, acted) = soon(&when, ending).await?;
        if let Ok(spawned) = started {
            spawned.script.finish().await?;
        }
        // By now, not soon: whoever was told of the end may count on it.
        it.nothing_of(it.owner, &when).await?;
        it.nothing_left(&when).await?;
        if !acted {
            break;
        }
    }
    Ok(())
}

pub(super) async fn ex_04(it: Arc<Bench>) -> Proof {
    let arguments = [
        "",
        "plain",
        "two words",
        "\"quoted\"",
        "it's",
        "-dash",
        "--",
        "new\nline",
        "tab\t",
        "$HOME `id` *",
        "ü☃",
        "\\",
    ];
    let script = "shift 4; for it; do printf '%s\\000' \"$it\"; done";
    let seen = it.see(it.job_with("arguments", script, &arguments)?).await?;
    let expected: Vec<u8> = arguments.iter().flat_map(|it| [it.as_bytes(), b"\0"].concat()).collect();
    ensure!(seen.stdout == expected, "the arguments came as {}", seen.text());

    // A program that is no shell: a shell adds to its environment and leaves out of it.
    let mut job = it.job("environment", "")?;
    job.argv = vec!["/bin/cat".into(), "/proc/self/environ".into()];
    job.env.extend([
        ("EMPTY".into(), Vec::new()),
        ("LINES_".into(), b"a\nb\n".to_vec()),
        ("BYTES".into(), b"\xff\xfe=\x01 $PATH".to_vec()),
        ("LONG".into(), vec![b'x'; 40_000]),
    ]);
    let mut expected: Vec<Vec<u8>> = job.env.iter().map(|(name, it)| [name.as_bytes(), b"=", it].concat()).collect();
    let seen = it.see(job).await?;
    let mut found: Vec<Vec<u8>> = seen.stdout.split(|it| *it == 0).map(<[u8]>::to_vec).collect();
    ensure!(found.pop().is_some_and(|it| it.is_empty()), "the environment does not end with a NUL: {}", seen.text());
    expected.sort();
    found.sort();
    let foreign = found.iter().find(|it| !expected.contains(it)).map(|it| String::from_utf8_lossy(it).into_owned());
    let lacking = expected.iter().find(|it| !found.contains(it)).map(|it| String::from_utf8_lossy(it).into_owned());
    ensure!(found == expected, "the environment lacks {lacking:?} and has {foreign:?}");

    let all: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let script =
        "cd \"$2\" && find . -type f | sort && [ -x tool ] && [ ! -x data/all.bin ] && cat data/empty data/all.bin";
    let mut job = it.job("files", script)?;
    job.files.extend([file("data/all.bin", &all)?, file("data/empty", b"")?, file("tool", b"#!/bin/sh\n")?]);
    for file in &mut job.files {
        file.executable = file.path.as_str() == "tool";
    }
    let seen = it.see(job).await?;
    let expected = [b"./data/all.bin\n./data/empty\n./main.sh\n./tool\n", &all[..]].concat();
    ensure!(seen.stdout == expected, "the files came as {}", seen.text());
    Ok(())
}
