//! The way out of a sandbox: for one job, and for no other.

use script_engine_core::ErrorKind;
use script_engine_core::contract::Sandbox;
use script_engine_core::gateway::Gateway;

use super::one::{Backend, Bench, renamed, start};
use crate::network::{GREETING, Host, TRIES, opened};
use crate::seen::{Seen, soon};
use crate::verdict::{Proof, Unproven, ensure};

/// What the script with this number in the sandbox hears of the host.
async fn tried(bench: &Bench, sandbox: &mut dyn Sandbox, host: &Host, number: u32) -> Result<String, Unproven> {
    let arguments = ["localhost", &host.port.to_string()];
    let job = renamed(bench.job_with("connects", TRIES, &arguments)?, &format!("connects{number}.sh"))?;
    let mut seen = Seen::default();
    start(sandbox, &job).await?;
    seen.watch(sandbox).await?;
    Ok(String::from_utf8_lossy(&seen.stdout).into_owned())
}

pub(super) async fn sb_05(backend: Backend) -> Proof {
    backend.resets().map_err(Unproven::Skipped)?;
    let bench = Bench::new(backend).await?;
    let host = Host::new().await?;
    let (policy, settings, gateway) = (host.policy()?, opened(), Gateway::default());
    let mut sandbox = bench.sandbox().await?;
    let check = async {
        match sandbox.listen(&policy, &settings, &gateway).await {
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                return Err(Unproven::Skipped("its sandboxes can't listen for connections".to_owned()));
            }
            listening => drop(listening?),
        }
        let heard = tried(&bench, &mut *sandbox, &host, 1).await?;
        ensure!(heard == GREETING, "the job it was opened for heard {heard:?}");
        soon("a reset", sandbox.reset()).await?;
        let heard = tried(&bench, &mut *sandbox, &host, 2).await?;
        ensure!(heard == "no\n", "the job after a reset heard {heard:?}");
        soon("a reset", sandbox.reset()).await?;
        // What was opened and never used is not left for later either.
        drop(sandbox.listen(&policy, &settings, &gateway).await?);
        soon("a reset", sandbox.reset()).await?;
        let heard = tried(&bench, &mut *sandbox, &host, 3).await?;
        ensure!(heard == "no\n", "the job after a reset of what was opened heard {heard:?}");
        Ok(())
    };
    let proof = check.await;
    sandbox.destroy().await?;
    bench.leave(proof).await
}
