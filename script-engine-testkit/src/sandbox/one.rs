//! One sandbox: its files, its jobs, its reset and its end.

use std::sync::Arc;

use bytes::Bytes;
use script_engine_core::contract::{Sandbox, Stop};
use script_engine_core::{Exit, Job, JobFile, OwnerId};

use super::{SandboxBackend, SandboxSource};
use crate::machine::{self, file};
use crate::seen::{Seen, soon};
use crate::verdict::{Proof, Unproven, ensure, fail};

pub(super) type Backend = Arc<Arc<dyn SandboxBackend>>;

/// A source of sandboxes with an owner of its own.
pub(super) struct Bench {
    pub(super) backend: Backend,
    owner: OwnerId,
    source: Arc<dyn SandboxSource>,
    pub(super) marker: String,
}

impl Bench {
    pub(super) async fn new(backend: Backend) -> Result<Self, Unproven> {
        let owner = machine::fresh_owner();
        let source = backend.source(owner).await?;
        Ok(Self { backend, owner, source, marker: machine::marker(owner) })
    }

    pub(super) fn job(&self, name: &str, script: &str) -> Result<Job, Unproven> {
        self.job_with(name, script, &[])
    }

    pub(super) fn job_with(&self, name: &str, script: &str, arguments: &[&str]) -> Result<Job, Unproven> {
        Ok(machine::job(self.backend.runtime(), &self.marker, name, script, arguments)?)
    }

    pub(super) async fn sandbox(&self) -> Result<Box<dyn Sandbox>, Unproven> {
        Ok(self.source.sandbox(self.job("exit 0", "")?.limits).await?)
    }

    async fn gone(&self, when: &str) -> Proof {
        let left = self.backend.leftovers(self.owner).await?;
        ensure!(left.is_empty(), "{when}: left over are {left:?}");
        let alive = self.backend.processes(&self.marker).await?;
        ensure!(alive.is_empty(), "{when}: alive are {alive:?}");
        Ok(())
    }

    /// Ends the case: with its source closed, nothing may be left of it.
    pub(super) async fn leave(self, proof: Proof) -> Proof {
        self.source.shutdown().await?;
        proof?;
        self.gone("after the case").await
    }
}

/// Puts a job's files and starts it.
pub(super) async fn start(sandbox: &mut dyn Sandbox, job: &Job) -> Result<(), Unproven> {
    sandbox.put(&job.files).await?;
    sandbox.start(job).await?;
    Ok(())
}

pub(super) async fn sb_01(backend: Backend) -> Proof {
    let bench = Bench::new(backend).await?;
    let mut sandbox = bench.sandbox().await?;
    let job = bench.job("exit 0", "exit 0")?;
    let check = async {
        sandbox.put(&job.files).await?;
        sandbox.put(&[file("sub/other", b"other")?]).await?;
        let again = JobFile { content: Bytes::from_static(b"# scenario: exit 9\nexit 9\n"), ..job.files[0].clone() };
        // A refusal may come with the next answer.
        if sandbox.put(&[again]).await.is_ok() && sandbox.start(&job).await.is_ok() {
            fail!("a file that is there already was put again, and that is no error");
        }
        Ok(())
    };
    let proof = check.await;
    sandbox.destroy().await?;
    bench.leave(proof).await
}

pub(super) async fn sb_02(backend: Backend) -> Proof {
    let bench = Bench::new(backend).await?;
    let mut proof = Ok(());
    for (name, script, argv) in [
        ("fails", "exit 0", vec!["/nowhere/program".to_owned()]),
        ("fails", "exit 0", vec!["/scripts/main.sh".to_owned()]),
        ("exit 7", "exit 7", Vec::new()),
    ] {
        let mut job = bench.job(name, script)?;
        let missing = !argv.is_empty();
        if missing {
            job.argv = argv;
        }
        let mut sandbox = bench.sandbox().await?;
        let mut seen = Seen::default();
        let started = start(&mut *sandbox, &job).await;
        let check = async {
            match (missing, started) {
                (true, Ok(())) => fail!("{:?} can't be executed, and its start was `Ok`", job.argv),
                (true, Err(_)) => Ok(()),
                (false, Err(error)) => Err(error),
                (false, Ok(())) => {
                    seen.watch(&mut *sandbox).await?;
                    ensure!(seen.exit.is_some_and(|it| it.exit == Exit::Code(7)), "ended as {}", seen.text());
                    Ok(())
                }
            }
        };
        let checked = check.await;
        sandbox.destroy().await?;
        proof = proof.and(checked);
    }
    bench.leave(proof).await
}

/// Leaves something of each kind wherever a script can write.
const SOILS: &str = r#"
    for folder in "$3" "$4" /dev/shm /dev/mqueue; do
        (echo left > "$folder/file") 2>/dev/null
        (echo left > "$folder/.hidden") 2>/dev/null
        mkdir -p "$folder/deep/er" 2>/dev/null && (echo left > "$folder/deep/er/file"; chmod 0 "$folder/deep") 2>/dev/null
        mkfifo "$folder/fifo" 2>/dev/null
        ln -s / "$folder/link" 2>/dev/null
    done
    command -v ipcmk >/dev/null && { ipcmk -M 4096; ipcmk -S 1; ipcmk -Q; } >/dev/null 2>&1
    (sh -c 'trap "" TERM HUP; while :; do sleep 1000; done' "$1" >/dev/null 2>&1 </dev/null &)
    echo ready"#;

/// Names whatever is there that a script could have left.
const LOOKS: &str = r#"
    for folder in "$3" "$4" /dev/shm /dev/mqueue; do
        [ -d "$folder" ] && find "$folder" 2>/dev/null | grep -vx "$folder" | sed 's/^/LEFT /'
    done
    for it in shm sem msg; do
        [ -r /proc/sysvipc/$it ] && tail -n +2 /proc/sysvipc/$it | sed "s/^/LEFT $it/"
    done
    echo looked"#;

pub(super) async fn sb_03(backend: Backend) -> Proof {
    backend.resets().map_err(Unproven::Skipped)?;
    let bench = Bench::new(backend).await?;
    let mut sandbox = bench.sandbox().await?;
    let check = async {
        for round in 0..2 {
            let soils = renamed(bench.job("soils", SOILS)?, &format!("soils{round}.sh"))?;
            let mut seen = Seen::default();
            start(&mut *sandbox, &soils).await?;
            seen.watch(&mut *sandbox).await?;
            ensure!(seen.says("ready"), "the set-up failed: {}", seen.text());
            soon("a reset", sandbox.reset()).await?;
            let alive = bench.backend.processes(&bench.marker).await?;
            ensure!(alive.is_empty(), "after a reset: alive are {alive:?}");
            let looks = renamed(bench.job("looks", LOOKS)?, &format!("looks{round}.sh"))?;
            let mut seen = Seen::default();
            start(&mut *sandbox, &looks).await?;
            seen.watch(&mut *sandbox).await?;
            ensure!(seen.says("looked"), "the look failed: {}", seen.text());
            ensure!(!seen.says("LEFT"), "after a reset the next script finds {}", seen.text());
            soon("a reset", sandbox.reset()).await?;
        }
        Ok(())
    };
    let proof = check.await;
    sandbox.destroy().await?;
    bench.leave(proof).await
}

/// The job with its script under another name: what was put stays.
pub(super) fn renamed(mut job: Job, name: &str) -> Result<Job, Unproven> {
    job.files = vec![file(name, &job.files[0].content)?];
    job.argv[1] = format!("/scripts/{name}");
    Ok(job)
}

pub(super) async fn sb_04(backend: Backend) -> Proof {
    let bench = Bench::new(backend).await?;
    bench.sandbox().await?.destroy().await?;
    let mut proof = bench.gone("after the destruction of a sandbox that was never used").await;
    let never = bench.job("never", "sh -c 'while :; do sleep 1000; done' \"$1\" & echo ready; wait")?;
    let mut sandbox = bench.sandbox().await?;
    sandbox.put(&never.files).await?;
    let control = sandbox.start(&never).await?;
    let watched = Seen::default().until(&mut *sandbox, |it| it.says("ready")).await;
    soon("a destruction", sandbox.destroy()).await?;
    proof = proof.and(watched).and(bench.gone("after the destruction of a sandbox with a script in it").await);
    soon("a stop of what is gone", control.stop(Stop::Kill)).await?;
    bench.leave(proof).await
}
