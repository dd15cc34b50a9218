//! Carries out a step with the interpreters of the machine that tests run on: for tests only. The
//! product starts them in a sandbox.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use script_engine_core::contract::{StepOutput, Work};
use script_engine_core::{JobFile, Result};

/// The answer of `work`, by the machine's own interpreters.
pub(crate) fn carry_out<T>(work: Work<T>) -> Result<T> {
    match work {
        Work::Done(answer) => Ok(answer),
        Work::InSandbox(step) => {
            let output = run(&step.files, &step.argv, &step.env, b"");
            (step.read)(output)
        }
    }
}

/// Runs `argv` with `files` in a folder that stands in for `/scripts`; the folder's name in what comes back is `/scripts` again.
pub(crate) fn run(files: &[JobFile], argv: &[String], env: &[(String, String)], stdin: &[u8]) -> StepOutput {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("script-engine-languages-{}-{number}", std::process::id()));
    for file in files {
        let path = folder.join(file.path.as_str());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, &file.content).unwrap();
    }
    let scripts = folder.to_str().unwrap();
    let mut child = Command::new(&argv[0])
        .args(argv[1..].iter().map(|it| it.replace("/scripts", scripts)))
        .env_clear()
        // Not the whole PATH: a shim in it may be another interpreter, and slow.
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .envs(env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(stdin).unwrap();
    let output = child.wait_with_output().unwrap();
    let left = Command::new("find").arg(&folder).args(["-type", "f"]).output().unwrap();
    assert_eq!(
        left.stdout.split(|it| *it == b'\n').count() - 1,
        files.len(),
        "something was written beside the script"
    );
    std::fs::remove_dir_all(&folder).unwrap();
    let named = |bytes: &[u8]| Bytes::from(String::from_utf8_lossy(bytes).replace(scripts, "/scripts"));
    StepOutput {
        exit_code: output.status.code(),
        stdout: named(&output.stdout),
        stderr: named(&output.stderr),
        files: Vec::new(),
    }
}
