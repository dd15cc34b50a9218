//! Carries out a step with the interpreters of the machine that tests run on: for tests only. The
//! product starts them in a sandbox.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use script_engine_core::contract::{Compilation, Diagnostic, Prepared, Step, StepOutput, Work};
use script_engine_core::{Error, JobFile, Result};

/// Compiles; what is wrong with the source is an error.
pub(crate) fn compiled(work: Work<Compilation>) -> Result<Prepared> {
    carry_out(work)?.map_err(|found| Error::invalid_all(found.iter().map(Diagnostic::problem).collect()))
}

/// The answer of `work`, by the machine's own interpreters.
pub(crate) fn carry_out<T>(work: Work<T>) -> Result<T> {
    match work {
        Work::Done(answer) => Ok(answer),
        Work::InSandbox(step) => carry_out_step(step),
    }
}

/// The answer of a step, by the machine's own interpreters and tools.
pub(crate) fn carry_out_step<T>(step: Step<T>) -> Result<T> {
    let output = run_in(&step.files, &step.argv, &step.env, b"", &step.collect);
    (step.read)(output)
}

/// Runs `argv` with `files`; see [`run_in`].
pub(crate) fn run(files: &[JobFile], argv: &[String], env: &[(String, String)], stdin: &[u8]) -> StepOutput {
    run_in(files, argv, env, stdin, &[])
}

/// Runs `argv` with `files` in folders that stand in for `/scripts` and `/work`; their names in what comes back are those again.
fn run_in(
    files: &[JobFile],
    argv: &[String],
    env: &[(String, String)],
    stdin: &[u8],
    collect: &[String],
) -> StepOutput {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("script-engine-languages-{}-{number}", std::process::id()));
    let (scripts, work) = (folder.join("s"), folder.join("w"));
    std::fs::create_dir_all(&scripts).unwrap();
    std::fs::create_dir_all(&work).unwrap();
    for file in files {
        let path = scripts.join(file.path.as_str());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &file.content).unwrap();
        if file.executable {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
    let (scripts, work) = (scripts.to_str().unwrap(), work.to_str().unwrap());
    // Go's standard library takes long to compile: once for all tests.
    let beside = std::env::current_exe().unwrap().parent().unwrap().join("go-cache");
    let there = |it: &str| {
        let it = it.replace("/scripts", scripts).replace("/work", work);
        it.replace(&format!("{work}/cache"), beside.to_str().unwrap())
    };
    let mut child = Command::new(there(&argv[0]))
        .args(argv[1..].iter().map(|it| there(it)))
        .env_clear()
        // Not the whole PATH: a shim in it may be another interpreter, and slow.
        .env("PATH", "/usr/local/bin:/usr/local/go/bin:/usr/bin:/bin")
        .env("LANG", "C.UTF-8")
        .env("HOME", work)
        .envs(env.iter().map(|(name, value)| (name, there(value))))
        .current_dir(work)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that reads nothing may be gone already.
    drop(child.stdin.take().unwrap().write_all(stdin));
    let output = child.wait_with_output().unwrap();
    let left = Command::new("find").arg(scripts).args(["-type", "f"]).output().unwrap();
    assert_eq!(
        left.stdout.split(|it| *it == b'\n').count() - 1,
        files.len(),
        "something was written beside the script"
    );
    let collected = collect.iter().map(|it| std::fs::read(there(it)).ok().map(Bytes::from)).collect();
    // Go makes what it caches read-only.
    Command::new("chmod").args(["-R", "u+w"]).arg(&folder).status().unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    let named =
        |bytes: &[u8]| Bytes::from(String::from_utf8_lossy(bytes).replace(scripts, "/scripts").replace(work, "/work"));
    StepOutput {
        exit_code: output.status.code(),
        stdout: named(&output.stdout),
        stderr: named(&output.stderr),
        files: collected,
    }
}
