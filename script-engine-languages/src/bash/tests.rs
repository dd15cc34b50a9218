//! What Bash sources become, and what the host's own `bash -n` says of broken ones.

use script_engine_core::EntryPoint;

use super::*;
use crate::interpreter::{carry_out, compiled, run};

fn source(text: &[u8]) -> Source {
    Source { entry_point: EntryPoint::parse("main.sh").unwrap(), bytes: Bytes::copy_from_slice(text) }
}

#[track_caller]
fn check(text: &str, expect: &[&str]) {
    let found = carry_out(Bash::new().unwrap().check(&source(text.as_bytes())).unwrap()).unwrap();
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(found, expect, "{text:?}");
}

#[test]
fn syntax_errors_have_line_and_column() {
    check("echo ok\n", &[]);
    check("for i in 1 2; do\n  echo ä; done done\n", &["line 2, column 16: syntax error near unexpected token `done'"]);
    check("if true; then\n echo\n", &["line 3, column 1: syntax error: unexpected end of file"]);
    check("echo 'a\nb\n", &["line 1, column 6: unexpected EOF while looking for matching `''"]);
    check("echo )\n", &["line 1, column 6: syntax error near unexpected token `)'"]);
}

#[test]
fn marks_of_editors_do_no_harm() {
    check("\u{feff}if true\r\nthen\r\n  echo ok\r\nfi\r\n", &[]);
    check(
        "echo a\necho b\r\n",
        &["line 2, column 7: this line ends in CRLF and others do not; save the script with LF line ends"],
    );
    let prepared =
        compiled(Bash::new().unwrap().prepare(&source(b"\xef\xbb\xbfa\r\nb\rc\r\nd\r"), None).unwrap()).unwrap();
    assert_eq!(prepared.files[0].content, &b"a\nb\rc\nd\r"[..]);
}

#[test]
fn the_line_on_top_is_heeded() {
    let bash = Bash::new().unwrap();
    let prepared = compiled(
        bash.prepare(&source(b"#!/usr/bin/env -S bash -euo pipefail\nfalse | true\necho no\n"), None).unwrap(),
    );
    let prepared = prepared.unwrap();
    assert_eq!(prepared.argv, ["bash", "-euo", "pipefail", "/scripts/main.sh"]);
    let output = run(&prepared.files, &prepared.argv, &prepared.env, b"");
    assert_eq!((output.exit_code, &output.stdout[..]), (Some(1), &b""[..]));
    let error = bash.check(&source(b"#!/bin/bash -i\n:\n")).unwrap_err();
    assert!(error.to_string().contains("the option `-i`"), "{error}");
}

#[test]
fn a_verdict_may_be_hostile() {
    let output = |code, stderr: &str| StepOutput {
        exit_code: code,
        stdout: Bytes::new(),
        stderr: Bytes::copy_from_slice(stderr.as_bytes()),
        files: Vec::new(),
    };
    let read = |code, stderr: &str| read_verdict(&output(code, stderr), "/scripts/main.sh", b"x");
    assert!(read(None, "").unwrap_err().to_string().contains("within the script's limits"));
    assert_eq!(
        read(Some(2), "bad\u{1b}]0;x\u{7}y").unwrap()[0].to_string(),
        "line 1, column 1: bash refuses it: bad ]0;x y"
    );
    let many = "/scripts/main.sh: line 4294967295: `'`'\n/scripts/main.sh: line 7: bad `y'\n".repeat(1000);
    let found = read(Some(2), &many).unwrap();
    assert_eq!((found.len(), found[0].to_string().as_str()), (50, "line 7, column 1: bad `y'"));
}
