//! What the host's own Python says of sound and broken sources, and how scripts find themselves.

use bytes::Bytes;
use script_engine_core::EntryPoint;

use super::*;
use crate::interpreter::{carry_out, compiled, run};

fn source(text: &[u8]) -> Source {
    Source { entry_point: EntryPoint::parse("main.py").unwrap(), bytes: Bytes::copy_from_slice(text) }
}

#[track_caller]
fn check(text: &[u8], expect: &[&str]) {
    let found = carry_out(Python::new().unwrap().check(&source(text)).unwrap()).unwrap();
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    let text = String::from_utf8_lossy(&text[..text.len().min(100)]).into_owned();
    assert_eq!(found.len(), expect.len(), "{text:?} {found:?}");
    for (found, expect) in found.iter().zip(expect) {
        assert!(found.starts_with(expect), "{text:?}: {found:?}, not {expect:?}");
    }
}

fn run_script(text: &str, stdin: &[u8]) -> StepOutput {
    let python = Python::new().unwrap();
    let prepared = compiled(python.prepare(&source(text.as_bytes()), None).unwrap()).unwrap();
    let env: Vec<_> = python.info().env.iter().chain(&prepared.env).cloned().collect();
    run(&prepared.files, &prepared.argv, &env, stdin)
}

#[test]
fn syntax_errors_have_line_and_column_in_characters() {
    check(b"print('ok')\n", &[]);
    check("x = 'ä' +* 2\n".as_bytes(), &["line 1, column 10: invalid syntax"]);
    check("s = 'äöü'; é = = 1\n".as_bytes(), &["line 1, column 16: invalid syntax"]);
    check(b"def f():\nreturn 1\n", &["line 2, column 1: expected an indented block"]);
    check(b"if True:\n\tx = 1\n        y = 2\n", &["line 3, column "]);
    check(b"print 1\n", &["line 1, column 1: Missing parentheses"]);
    check(b"return 1\n", &["line 1, column 1: 'return' outside function"]);
    check(b"import os\nos.mkdir('ran')\n1/0\n", &[]);
    check(b"# nothing but a remark", &[]);
}

#[test]
fn marks_of_editors_and_encodings_are_python_s_affair() {
    check("\u{feff}print('ok')\r\nif 1:\r\n    pass\r\n".as_bytes(), &[]);
    check(b"# coding: latin-1\nx = '\xe4'\n", &[]);
    check(b"a = 1\nx = '\xc3\xa4', '\xe4'\n", &["line 2, column 11: not utf-8: invalid continuation byte"]);
    check(b"# coding: ascii\nx = '\xe4'\n", &["line 2, column 6: not ascii: ordinal not in range(128)"]);
    check(b"# coding: nonsense\n", &["line 1, column 1: "]);
}

#[test]
fn bombs_are_named_and_not_set_off() {
    let text = format!("x = {}{}", "(".repeat(100_000), ")".repeat(100_000));
    check(text.as_bytes(), &["line 1, column 205: too many nested parentheses"]);
    check(format!("x = {}1", "-".repeat(100_000)).as_bytes(), &["line 1, column 1: too "]);
}

#[test]
fn a_script_finds_itself_and_utf_8() {
    let output = run_script("import sys\nprint(sys.path[0], sys.argv, sys.flags.utf8_mode)\n", b"");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "/scripts ['/scripts/main.py'] 1\n");
    let output = run_script("import sys\nsys.stdout.write(sys.stdin.read())\n", "ä\u{1F600}".as_bytes());
    assert_eq!(output.stdout, "ä\u{1F600}".as_bytes());
    let output = run_script("def f():\n    raise ValueError('no')\nf()\n", b"");
    let trace = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(trace.contains("File \"/scripts/main.py\", line 2, in f"), "{trace}");
    let output = run_script("#!/usr/bin/env -S uv run --script\nimport sys\nprint(sys.orig_argv[1:-1])\n", b"");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "[]\n");
    let output = run_script("#!/usr/bin/python3 -O\nprint(__debug__)\n", b"");
    assert_eq!(output.stdout, &b"False\n"[..]);
}

#[test]
fn siblings_can_be_imported() {
    let file = |path: &str, text: &'static str| JobFile {
        path: RelPath::parse(path).unwrap(),
        content: Bytes::from_static(text.as_bytes()),
        executable: false,
    };
    let python = Python::new().unwrap();
    let prepared = compiled(python.prepare(&source(b"import helper\nprint(helper.X)\n"), None).unwrap()).unwrap();
    let files = [prepared.files[0].clone(), file("helper.py", "X = 7\n")];
    let output = run(&files, &prepared.argv, &python.info().env, b"");
    assert_eq!(output.stdout, &b"7\n"[..], "{:?}", output.stderr);
}

#[test]
fn a_verdict_may_be_hostile() {
    let output = |code, stdout: &'static [u8]| StepOutput {
        exit_code: code,
        stdout: Bytes::from_static(stdout),
        stderr: Bytes::from_static(b"python3: \x1b no"),
        files: Vec::new(),
    };
    assert!(read_verdict(&output(None, b""), None).unwrap_err().to_string().contains("too deeply nested"));
    assert!(read_verdict(&output(Some(1), b"{}"), None).unwrap_err().to_string().contains("stderr=`python3:   no`"));
    let found = read_verdict(&output(Some(0), b"[\"3\",[[0,0,\"a\\u001bb\"]]]"), None).unwrap();
    assert_eq!(found[0].to_string(), "line 1, column 1: a b");
    assert!(read_verdict(&output(Some(0), b"[\"3\",[[-1,0,\"\"]]]"), None).is_err());
}

#[test]
fn the_python_that_a_script_wants_is_compared_with_the_one_there_is() {
    let block = |wanted: &str| format!("# /// script\n# requires-python = \"{wanted}\"\n# ///\n");
    check(block(">=3.8").as_bytes(), &[]);
    check(block(">=3.99").as_bytes(), &["line 2, column 21: it needs Python >=3.99, and this runtime has 3."]);
    check(block("three").as_bytes(), &["line 2, column 21: `three` is no version requirement"]);
    let python = Python::new().unwrap();
    let error = python.dependencies(&source(b"# /// script\n# dependencies = 1\n# ///\n")).unwrap_err().to_string();
    assert!(error.starts_with("source: line 2, column 18: `dependencies` is a list"), "{error}");
}

#[test]
fn a_script_named_like_a_module_is_not_taken_for_it() {
    let python = Python::new().unwrap();
    let named = Source {
        entry_point: EntryPoint::parse("random.py").unwrap(),
        ..source(b"import tempfile, random\nprint(random.__file__)\n")
    };
    let prepared = compiled(python.prepare(&named, None).unwrap()).unwrap();
    assert_eq!(prepared.env, [("PYTHONSAFEPATH".to_owned(), "1".to_owned())]);
    let output = run(&prepared.files, &prepared.argv, &prepared.env, b"");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(printed.starts_with("/usr/"), "{printed} {:?}", output.stderr);
}

#[test]
fn packages_are_found_unless_an_option_forbids_it() {
    let lock =
        DependencyLock::new(Python::new().unwrap().info().id.clone(), "x".into(), Vec::new(), Vec::new()).unwrap();
    let prepare = |text: &[u8]| compiled(Python::new().unwrap().prepare(&source(text), Some(&lock))?);
    let env = prepare(b"#!/usr/bin/python3 -O\nprint(1)\n").unwrap().env;
    assert!(env.contains(&("PYTHONPATH".to_owned(), "/packages".to_owned())), "{env:?}");
    let error = prepare(b"#!/usr/bin/python3 -uI\nprint(1)\n").unwrap_err().to_string();
    assert!(error.contains("the option `-uI` of the `#!` line keeps Python from its packages"), "{error}");
}
