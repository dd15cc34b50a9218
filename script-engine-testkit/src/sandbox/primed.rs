//! Primed programs, with one of the suite's own: a `bash` that waits, and then becomes what the job would have started.

use bytes::Bytes;
use script_engine_core::contract::Sandbox;
use script_engine_core::{Error, ErrorKind, Exit, Job, JobFile, Prime, RelPath};

use super::one::{Backend, Bench, renamed, start};
use crate::seen::{Seen, soon};
use crate::verdict::{Proof, Unproven, ensure, fail};

/// What a primed program may do before it waits, and after it.
const FAITHFUL: &str = "";
const SAYS_FIRST: &str = "echo TOO EARLY\n";
const ENDS_FIRST: &str = "exit 3\n";
const STARTS_MORE: &str = "sleep 1000 &\n";
const SAYS_LATER: &str = "printf R >&5; echo TOO EARLY >&2\n";
const ENDS_LATER: &str = "printf R >&5; exit 3\n";

/// A program that does something, waits, and becomes the job's with a variable more by which one knows it.
fn prime(name: &str, does: &str, like: &Job) -> Result<Prime, Unproven> {
    let ready = if does.contains("printf R") { "" } else { "printf R >&5\n" };
    let hook = format!(
        "# prime: {name}\n{does}{ready}mapfile -d '' -n 1 -u 4 total\n[ ${{#total[@]}} -gt 0 ] || exit 0\n\
         mapfile -d '' -n \"${{total[0]}}\" -u 4 job\nprintf T >&5\nmapfile -d '' -u 4 go\n[ \"${{go[0]}}\" = G ] || exit 0\n\
         exec 4<&- 5>&-\nn=${{job[0]}}\nexec env -i PRIMED=yes \"${{job[@]:1:n}}\" \"${{@:2}}\" \"${{job[@]:n+1}}\"\n"
    );
    let mut argv = ["bash", "/scripts/.prime/hook.sh", &like.argv[2]].map(str::to_owned).to_vec();
    argv.extend_from_slice(&like.argv[..2]);
    Ok(Prime {
        files: vec![JobFile { path: RelPath::parse("hook.sh")?, content: Bytes::from(hook), executable: false }],
        argv,
        env: Vec::new(),
        serves: like.argv[..2].to_vec(),
        fixed: vec!["PATH".into(), "LC_ALL".into()],
    })
}

/// What a job's script finds: its files, what it was given, what it reads; and by which program it was started.
const TELLS: &str = r#"
    left=$(find "$3" "$4" -mindepth 1); cd "$2"; echo "files $(find . | sort | tr '\n' ' ')"
    shift 4; echo "arguments $*"; echo "stdin $(cat)"
    echo "environment $(env | grep -v '^\(PWD\|OLDPWD\|SHLVL\|_\)=' | sort | tr '\n' ' ')"
    echo "open $(ls /proc/self/fd 2>/dev/null | tr '\n' ' ')"; echo "left $left"
    echo "${PRIMED-cold}" >&2
    exit 7"#;

/// Carries a job out and gives what was seen of it.
async fn see(sandbox: &mut dyn Sandbox, job: &Job) -> Result<Seen, Unproven> {
    let mut seen = Seen::default();
    soon("a start", async { start(sandbox, job).await.map_err(|it| Error::internal(format!("{it:?}"))) }).await?;
    seen.watch(sandbox).await?;
    Ok(seen)
}

fn tells(bench: &Bench, name: &str, argument: &str) -> Result<Job, Unproven> {
    let mut job = renamed(bench.job("tells", TELLS)?, name)?;
    job.argv.push(argument.to_owned());
    job.env.push(("TOLD".into(), b"two words".to_vec()));
    job.env.push(("EMPTY".into(), Vec::new()));
    Ok(job)
}

/// Whether a script was started by the primed program.
fn is_primed(seen: &Seen) -> bool {
    seen.stderr == b"yes\n"
}

/// What was seen but for the sign by which one knows a primed program.
fn but_for_the_sign(seen: &Seen) -> (String, Option<Exit>) {
    let text = String::from_utf8_lossy(&seen.stdout).replace("PRIMED=yes ", "");
    (text, seen.exit.map(|it| it.exit))
}

pub(super) async fn sb_06(backend: Backend) -> Proof {
    backend.primes().map_err(Unproven::Skipped)?;
    let bench = Bench::new(backend).await?;
    let (mut first, mut second) = (bench.sandbox().await?, bench.sandbox().await?);
    let check = async {
        let job = tells(&bench, "main.sh", "an argument")?;
        let cold = see(&mut *first, &job).await?;
        soon("a priming", second.prime(&prime("faithful", FAITHFUL, &job)?, &job)).await?;
        let primed = see(&mut *second, &job).await?;
        ensure!(!is_primed(&cold) && is_primed(&primed), "not handed to the primed program: {}", primed.text());
        let (cold, primed) = (but_for_the_sign(&cold), but_for_the_sign(&primed));
        ensure!(cold.1 == Some(Exit::Code(7)), "the set-up failed: {cold:?}");
        ensure!(cold == primed, "started afresh it shows {cold:?}, handed to a primed program {primed:?}");
        Ok(())
    };
    let proof = check.await;
    first.destroy().await?;
    second.destroy().await?;
    bench.leave(proof).await
}

pub(super) async fn sb_07(backend: Backend) -> Proof {
    backend.primes().map_err(Unproven::Skipped)?;
    let resets = backend.resets().is_ok();
    let bench = Bench::new(backend).await?;
    let like = tells(&bench, "main.sh", "x")?;
    let faithful = prime("faithful", FAITHFUL, &like)?;
    let mut proof = Ok(());
    let other_script = tells(&bench, "other.sh", "x")?;
    let mut other_limits = like.clone();
    other_limits.limits.open_files += 1;
    let mut other_path = like.clone();
    other_path.env.iter_mut().filter(|(name, _)| name == "LC_ALL").for_each(|it| it.1 = b"POSIX".to_vec());
    for other in [other_script, other_limits, other_path] {
        let mut sandbox = bench.sandbox().await?;
        let check = async {
            soon("a priming", sandbox.prime(&faithful, &like)).await?;
            let seen = see(&mut *sandbox, &other).await?;
            ensure!(!is_primed(&seen), "a job that it can't serve was handed to the primed program: {}", seen.text());
            ensure!(seen.exit.is_some_and(|it| it.exit == Exit::Code(7)), "it ended as {}", seen.text());
            Ok(())
        };
        let checked = check.await;
        sandbox.destroy().await?;
        proof = proof.and(checked);
    }
    let mut sandbox = bench.sandbox().await?;
    let check = async {
        soon("a priming", sandbox.prime(&faithful, &like)).await?;
        if sandbox.prime(&faithful, &like).await.is_ok() {
            fail!("a second program was primed while one waits");
        }
        if !resets {
            return Ok(());
        }
        // Not even the program that waited is there after a reset.
        soon("a reset", sandbox.reset()).await?;
        let alive = bench.backend.processes(&bench.marker).await?;
        ensure!(alive.is_empty(), "after a reset: alive are {alive:?}");
        let seen = see(&mut *sandbox, &like).await?;
        ensure!(!is_primed(&seen), "a start after a reset was handed to a primed program: {}", seen.text());
        Ok(())
    };
    let checked = check.await;
    sandbox.destroy().await?;
    bench.leave(proof.and(checked)).await
}

pub(super) async fn sb_08(backend: Backend) -> Proof {
    backend.primes().map_err(Unproven::Skipped)?;
    let bench = Bench::new(backend).await?;
    let job = tells(&bench, "main.sh", "x")?;
    let mut proof = Ok(());
    for (name, does) in [
        ("says first", SAYS_FIRST),
        ("ends first", ENDS_FIRST),
        ("starts more", STARTS_MORE),
        ("says later", SAYS_LATER),
        ("ends later", ENDS_LATER),
    ] {
        let mut sandbox = bench.sandbox().await?;
        let check = async {
            let waits = does.contains("printf R");
            let wanted = prime(name, does, &job)?;
            match soon("a priming", async { Ok(sandbox.prime(&wanted, &job).await) }).await? {
                Ok(()) if !waits => fail!("a program that {name} is taken for one that waits"),
                Err(error) if error.kind() == ErrorKind::Unsupported => return Err(error.into()),
                Ok(()) | Err(_) => {}
            }
            let seen = see(&mut *sandbox, &job).await?;
            let (stdout, stderr) = (String::from_utf8_lossy(&seen.stdout), String::from_utf8_lossy(&seen.stderr));
            ensure!(
                !stdout.contains("TOO EARLY") && !stderr.contains("TOO EARLY"),
                "{name}: heard was {}",
                seen.text()
            );
            ensure!(stderr == "cold\n", "{name}: the job was handed to it: {}", seen.text());
            ensure!(seen.exit.is_some_and(|it| it.exit == Exit::Code(7)), "{name}: ended as {}", seen.text());
            Ok(())
        };
        let checked = check.await;
        sandbox.destroy().await?;
        proof = proof.and(checked);
    }
    bench.leave(proof).await
}
