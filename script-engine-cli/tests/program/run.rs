//! `run`: streams, exit codes, stdin, parameters, environment, and the ends that are not the script's own.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::Command;

use crate::stage::{Ended, Stage};

#[test]
fn streams_are_passed_on_byte_for_byte_and_so_is_the_exit_code() {
    let stage = Stage::new(&[("a.sh", "printf 'out\\xff\\x00\\x1b[1m'; printf 'err\\n' >&2; exit 7\n")]);
    let ended = stage.run(&["run", "a.sh"]);
    assert_eq!((ended.code, &ended.stdout[..], ended.stderr.as_str()), (Some(7), &b"out\xff\0\x1b[1m"[..], "err\n"));
}

#[test]
fn each_language_runs() {
    let stage = Stage::new(&[
        ("a.py", "import sys\nprint('python', sys.argv[0])\n"),
        ("a.ts", "enum E { A = 'typescript' }\nconst e: E = E.A;\nconsole.log(await Promise.resolve(e))\n"),
        ("a.js", "console.log('javascript', typeof require)\n"),
        ("plain", "#!/usr/bin/env bash\necho \"bash $0\"\n"),
    ]);
    stage.run(&["run", "a.py"]).check(0, "python /scripts/a.py\n", "");
    stage.run(&["run", "a.ts"]).check(0, "typescript\n", "");
    stage.run(&["run", "a.js"]).check(0, "javascript function\n", "");
    stage.run(&["run", "plain"]).check(0, "bash /scripts/plain\n", "");
    stage.write("named.txt", b"print(1 + 1)\n");
    stage.run(&["run", "named.txt", "--language", "python"]).check(0, "2\n", "");
}

#[test]
fn output_comes_while_the_script_runs_and_stdin_goes_in() {
    let stage = Stage::new(&[("a.py", "print('ready')\nprint('got', input())\n")]);
    let mut child = stage.start(&["run", "a.py", "--stdin", "-"]);
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    // Only now, so what was read cannot have waited for the end.
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"this\n").unwrap();
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "got this\n");
    let ended: Ended = child.wait_with_output().unwrap().into();
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn stdin_is_empty_unless_a_file_is_named() {
    let stage = Stage::new(&[("a.sh", "cat; echo end\n"), ("in.txt", "from a file\n")]);
    stage.run(&["run", "a.sh"]).check(0, "end\n", "");
    stage.run(&["run", "a.sh", "--stdin", "in.txt"]).check(0, "from a file\nend\n", "");
}

#[test]
fn parameters_and_environment_arrive() {
    let script =
        "import json, os\nprint(json.load(open('/scripts/args.json')), os.environ['PARAM_N'], os.environ['A'])\n";
    let schema = r#"{"properties": {"n": {"type": "integer"}, "on": {"type": "boolean", "default": true}}}"#;
    let stage = Stage::new(&[("a.py", script), ("schema.json", schema), ("params.json", r#"{"n": 1}"#)]);
    let env = ["--env", "A=b=c", "--schema", "schema.json"];
    stage.run(&[&["run", "a.py", "--param", "n=3"], &env[..]].concat()).check(0, "{'n': 3, 'on': True} 3 b=c\n", "");
    stage.run(&[&["run", "a.py", "--params", "params.json"], &env[..]].concat()).check(
        0,
        "{'n': 1, 'on': True} 1 b=c\n",
        "",
    );
    // What is named on the line wins over the file.
    let both = ["run", "a.py", "--params", "params.json", "--param", "n=2"];
    stage.run(&[&both[..], &env[..]].concat()).check(0, "{'n': 2, 'on': True} 2 b=c\n", "");
}

#[test]
fn a_timeout_is_124_and_says_so() {
    let stage = Stage::new(&[("a.sh", "echo begun; sleep 600\n")]);
    let ended = stage.run(&["run", "a.sh", "--timeout", "300ms"]);
    assert_eq!((ended.code, &ended.stdout[..]), (Some(124), &b"begun\n"[..]));
    assert!(ended.stderr.contains("timeout"), "{}", ended.stderr);
}

#[test]
fn a_script_ended_by_a_signal_is_128_and_the_signal() {
    let stage = Stage::new(&[("a.sh", "kill -SEGV $$\n")]);
    assert_eq!(stage.run(&["run", "a.sh"]).code, Some(128 + 11));
}

#[test]
fn limits_hold() {
    // The bound leaves the script's scratch space on top, which lies in memory too: a gigabyte is beyond both.
    let stage = Stage::new(&[("a.py", "x = b'x' * (1 << 30)\nprint(len(x))\n")]);
    let ended = stage.run(&["run", "a.py", "--memory", "64m"]);
    assert_eq!((ended.code, &ended.stdout[..]), (Some(137), &b""[..]), "{ended:?}");
    assert!(ended.stderr.contains("out of memory"), "{ended:?}");
    stage.run(&["run", "a.py", "--memory", "2g", "--cpus", "1.5", "--pids", "50"]).check(0, "1073741824\n", "");
}

#[test]
fn an_interrupt_cancels_and_is_130() {
    let stage = Stage::new(&[("a.sh", "trap 'echo bye; exit 1' TERM\necho begun\nsleep 600 & wait\n")]);
    let mut child = stage.start(&["run", "a.sh"]);
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    assert_eq!(line, "begun\n");
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    let ended: Ended = child.wait_with_output().unwrap().into();
    assert_eq!((ended.code, rest.as_str()), (Some(130), "bye\n"), "{ended:?}");
}

#[test]
fn a_reader_that_leaves_is_no_panic() {
    let stage = Stage::new(&[("a.sh", "echo one; yes | head -c 1000000\n")]);
    let mut child = stage.start(&["run", "a.sh", "--timeout", "60s"]);
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    assert_eq!(line, "one\n");
    drop(stdout);
    // `From` looks for a panic and for a death by signal.
    let ended: Ended = child.wait_with_output().unwrap().into();
    assert_ne!(ended.code, Some(124), "{ended:?}");
}
