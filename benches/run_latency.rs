//! How long a script takes from submit to its record, against starting its interpreter by hand.

use std::process::{Command, Stdio};

use script_engine_benches::{Way, compare, engine, run, save};

const PYTHON: &str = "print('hello')\n";
const BASH: &str = "echo hello\n";

/// Starts a program with the environment that scripts get, and waits for it.
fn bare(program: &str, arguments: &[&str]) {
    let status = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LANG", "C.UTF-8")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status();
    assert!(status.is_ok_and(|it| it.success()), "{program}");
}

#[tokio::main]
async fn main() {
    let engine = engine().await;
    let (bash, python) = (save(&engine, "hello.sh", BASH).await, save(&engine, "hello.py", PYTHON).await);
    let engine = &engine;
    let (bash, python) = (&bash, &python);
    compare(
        "bash: echo",
        100,
        vec![
            Way::new("bash, bare", || async { bare("/bin/bash", &["-c", BASH]) }),
            Way::new("engine, fresh sandbox", || async move { drop(run(engine, bash).await) }),
        ],
    )
    .await;
    compare(
        "python: print",
        100,
        vec![
            Way::new("python3, bare", || async { bare("/usr/bin/python3", &["-c", PYTHON]) }),
            Way::new("engine, fresh sandbox", || async move { drop(run(engine, python).await) }),
        ],
    )
    .await;
    engine.shutdown(script_engine::Shutdown::Drain).await;
}
