//! Bad input: exit code 125, one clear message on stderr that names the field and what to do, nothing on stdout and
//! nothing run.

use crate::stage::Stage;

/// Runs with `args` and holds each of `expect` against the message.
#[track_caller]
fn refused(stage: &Stage, args: &[&str], expect: &[&str]) {
    let args: Vec<&str> = ["run"].iter().chain(args).copied().collect();
    let ended = stage.run(&args);
    assert_eq!((ended.code, ended.stdout.as_slice()), (Some(125), &b""[..]), "{args:?}: {}", ended.stderr);
    for part in expect {
        assert!(ended.stderr.contains(part), "{args:?} said, without {part:?}:\n{}", ended.stderr);
    }
    assert_eq!(stage.left(), 0, "{args:?} left something behind");
    // A hostile name may not write to the terminal.
    assert!(!ended.stderr.contains('\u{1b}'), "{:?}", ended.stderr);
}

#[test]
fn files_and_languages_that_are_not_there() {
    let stage = Stage::new(&[("a.sh", "echo ran\n"), ("a.py", "#!/bin/bash\necho ran\n"), ("a.txt", "echo ran\n")]);
    refused(&stage, &["missing.sh"], &["missing.sh", "No such file"]);
    refused(&stage, &["."], &["."]);
    refused(&stage, &["a.sh", "--language", "cobol"], &["language", "`cobol`", "bash", "python", "typescript"]);
    refused(&stage, &["a.sh", "--language", "python"], &["says `python`", "`.sh` means bash"]);
    refused(&stage, &["a.py"], &["`.py` means python", "names bash"]);
    refused(&stage, &["a.txt"], &["language", "say which"]);
    refused(&stage, &["a.sh", "--backend", "none-such"], &["backend", "none-such"]);
}

#[test]
fn limits_that_are_none() {
    let stage = Stage::new(&[("a.sh", "echo ran\n")]);
    for (option, value) in [
        ("--timeout", "0"),
        ("--timeout", "0s"),
        ("--timeout", "-5s"),
        ("--timeout", "soon"),
        ("--timeout", "99999999d"),
        ("--timeout", "9999999999999999999999s"),
        ("--memory", "0"),
        ("--memory", "-1"),
        ("--memory", "12q"),
        ("--memory", "99999999999999g"),
        ("--cpus", "0"),
        ("--cpus", "-1"),
        ("--cpus", "NaN"),
        ("--cpus", "inf"),
        ("--pids", "0"),
        ("--output-limit", "1"),
    ] {
        let given = format!("{option}={value}");
        refused(&stage, &["a.sh", &given], &[&option[2..option.find("-limit").unwrap_or(option.len())]]);
    }
}

#[test]
fn parameters_that_break_the_schema_are_all_named() {
    let schema =
        r#"{"properties": {"n": {"type": "integer", "minimum": 1}, "on": {"type": "boolean"}}, "required": ["who"]}"#;
    let stage = Stage::new(&[("a.sh", "echo ran\n"), ("schema.json", schema), ("list.json", "[1]"), ("bad.json", "{")]);
    refused(
        &stage,
        &["a.sh", "--schema", "schema.json", "--param", "n=0", "--param", "on=perhaps", "--param", "x=1"],
        &["n", "on", "who", "x"],
    );
    refused(&stage, &["a.sh", "--param", "novalue"], &["param", "novalue"]);
    refused(&stage, &["a.sh", "--param", "=1"], &["param"]);
    refused(&stage, &["a.sh", "--params", "list.json"], &["list.json", "object"]);
    refused(&stage, &["a.sh", "--params", "bad.json"], &["bad.json"]);
    refused(&stage, &["a.sh", "--params", "missing.json"], &["missing.json"]);
    stage.write("schema.json", br#"{"type": "nonsense"}"#);
    refused(&stage, &["a.sh", "--schema", "schema.json"], &["parameter_schema"]);
    refused(&stage, &["a.sh", "--schema", "missing.json"], &["--schema", "missing.json"]);
}

#[test]
fn environment_that_the_engine_does_not_take() {
    let stage = Stage::new(&[("a.sh", "echo ran\n")]);
    refused(&stage, &["a.sh", "--env", "LD_PRELOAD=x"], &["LD_PRELOAD"]);
    refused(&stage, &["a.sh", "--env", "novalue"], &["env", "novalue"]);
    refused(&stage, &["a.sh", "--env", "A B=1", "--env", "2=1"], &["A B", "env.2"]);
}

#[test]
fn sources_that_are_none() {
    let stage =
        Stage::new(&[("empty.sh", " \n"), ("a.sh", "if true; then\n"), ("a.py", "x =\n"), ("a.ts", "let a = ;\n")]);
    stage.write("long.sh", &vec![b'#'; 20 << 20]);
    stage.write("nul.py", b"x = 1\n\0");
    refused(&stage, &["empty.sh"], &["source", "empty"]);
    refused(&stage, &["long.sh"], &["source", "10 MiB"]);
    refused(&stage, &["nul.py"], &["line 2, column 1", "NUL"]);
    refused(&stage, &["a.sh"], &["line 2, column 1: syntax error: unexpected end of file"]);
    refused(&stage, &["a.py"], &["line 1, column 4: invalid syntax"]);
    refused(&stage, &["a.ts"], &["line 1, column 9"]);
    stage.write("-n.sh", b"echo ran\n");
    refused(&stage, &["./-n.sh"], &["entry_point", "dash"]);
    stage.write("bad\n\u{1b}[1mname.sh", b"echo ran\n");
    refused(&stage, &["bad\n\u{1b}[1mname.sh"], &["entry_point"]);
}

#[test]
fn options_that_do_not_exist() {
    let stage = Stage::new(&[("a.sh", "echo ran\n")]);
    refused(&stage, &["a.sh", "--no-such-option"], &["--no-such-option"]);
    refused(&stage, &[], &["FILE"]);
}
