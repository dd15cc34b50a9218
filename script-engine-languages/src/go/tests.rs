//! What the host's own Go says of sound and broken sources, and what becomes of them.

use script_engine_core::EntryPoint;

use super::*;
use crate::interpreter::{carry_out, compiled, run};

fn source(name: &str, text: &[u8]) -> Source {
    Source { entry_point: EntryPoint::parse(name).unwrap(), bytes: Bytes::copy_from_slice(text) }
}

fn problems_of(text: &[u8]) -> Vec<String> {
    let found = carry_out(Go::new().unwrap().check(&source("main.go", text)).unwrap()).unwrap();
    found.iter().map(ToString::to_string).collect()
}

#[track_caller]
fn check(text: &str, expect: &[&str]) {
    let found = problems_of(text.as_bytes());
    assert_eq!(found.len(), expect.len(), "{text:?} {found:?}");
    for (found, expect) in found.iter().zip(expect) {
        assert!(found.starts_with(expect), "{text:?}: {found:?}, not {expect:?}");
    }
}

fn compile(name: &str, text: &str) -> Result<Prepared> {
    Go::new()?.prepare(&source(name, text.as_bytes()), None).and_then(compiled)
}

#[test]
fn syntax_errors_have_line_and_column_in_characters() {
    check("package main\nfunc main() {}\n", &[]);
    check("\u{feff}package main\r\n\r\nfunc main() {\r\n}\r\n", &[]);
    check(
        "package main\nfunc main() { s := \"ä\" + ) }\n",
        &["line 2, column 26: expected operand", "line 2, column 29: "],
    );
    check("package main\nfunc main() {\n\tx := \n}\n", &["line 4, column 1: ", "line 4, column 2: "]);
    check("pakage main\n", &["line 1, column 1: expected 'package'"]);
    check("#!/usr/bin/env gorun\npackage main\n", &["line 1, column 1: Go has no `#!` line"]);
    let found = problems_of(b"package main\n// \xc3\xa4\xff\n");
    assert_eq!(found, ["line 2, column 5: not UTF-8; save the script as UTF-8"]);
}

#[test]
fn what_a_program_lacks_is_said() {
    check(
        "package tools\nfunc main() {}\n",
        &["line 1, column 9: a script is `package main`, and this is `package tools`"],
    );
    check("// x\npackage main\n", &["line 2, column 9: no `func main()`"]);
    let error = compile("main.go", "package main").unwrap_err().to_string();
    assert!(error.starts_with("source: line 1, column 9: no `func main()`"), "{error}");
}

#[test]
fn a_program_is_made_and_runs_and_its_trace_names_the_line() {
    let text = "package main\n\nimport (\n\t\"fmt\"\n\t\"os\"\n)\n\nfunc main() {\n\tfmt.Println(len(os.Args), os.Args[0])\n\tpanic(\"no\")\n}\n";
    let prepared = compile("src/tool.go", text).unwrap();
    assert_eq!(prepared.argv, ["/scripts/src/tool"]);
    let output = run(&prepared.files, &prepared.argv, &prepared.env, b"");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "1 /scripts/src/tool\n");
    let trace = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(trace.starts_with("panic: no") && trace.contains("tool.go:10 "), "{trace}");
    let limits = Limits { memory_bytes: 100 << 20, milli_cpus: 1500, ..Limits::default() };
    let fitted = Go::new().unwrap().fit(prepared, &limits);
    assert_eq!(fitted.env, [("GOMEMLIMIT".into(), "94371840".into()), ("GOMAXPROCS".into(), "2".into())]);
}

#[test]
fn what_the_compiler_finds_has_its_place_and_is_cut_and_counted() {
    let text = "package main\n\nfunc main() {\n\ts := \"ä\"; var n int = s\n\tn.f()\n}\n";
    let error = compile("main.go", text).unwrap_err();
    let found: Vec<String> = error.problems().iter().map(|it| it.message.clone()).collect();
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("line 4, column 24: cannot use s (variable of type string) as int"), "{found:?}");
    assert!(found[1].starts_with("line 5, column 4: n.f undefined"), "{found:?}");
    let many: String = (0..3000).map(|it| format!("\tx{it}()\n")).collect();
    let error = compile("main.go", &format!("package main\n\nfunc main() {{\n{many}}}\n")).unwrap_err();
    assert_eq!(error.problems().len(), 101);
    assert_eq!(error.problems()[100].message, "line 103, column 2: 2900 more problems are not shown; mend these first");
    let error = compile("main.go", "package main\n\nimport \"example.com/x\"\n\nfunc main() { x.F() }\n").unwrap_err();
    assert!(error.to_string().starts_with("source: line 3, column 8: "), "{error}");
}

#[test]
fn a_go_mod_in_a_comment_holds() {
    let text = |go: &str| {
        format!(
            "// go.mod\n// module example.com/x\n//\n// go {go}\n\npackage main\n\nfunc f[T any](x T) T {{ return x }}\n\nfunc main() {{ println(f(3)) }}\n"
        )
    };
    let prepared = compile("main.go", &text("1.18")).unwrap();
    assert_eq!(run(&prepared.files, &prepared.argv, &prepared.env, b"").stderr, &b"3\n"[..]);
    let error = compile("main.go", &text("1.17")).unwrap_err().to_string();
    assert!(error.starts_with("source: line 8, column 8: type parameter"), "{error}");
    let error = compile("main.go", &text("nonsense")).unwrap_err().to_string();
    assert!(error.contains("go build failed") && error.contains("go.mod"), "{error}");
}

#[test]
fn names_are_made_that_go_reads_nothing_out_of() {
    for (path, build, program) in [
        ("main.go", "main.go", "main"),
        ("a/b-c.go", "b-c.go", "a/b-c"),
        ("x_test.go", "main.go", "x_test"),
        ("x_windows.go", "main.go", "x_windows"),
        ("größe.go", "main.go", "größe"),
        ("tool", "main.go", "tool.program"),
        (".go", "main.go", ".go.program"),
    ] {
        let source = source(path, b"x");
        assert_eq!((build_name(&source).as_str(), program_name(&source).as_str()), (build, program), "{path}");
    }
}

#[test]
fn a_verdict_may_be_hostile() {
    let output = |code, stderr: &'static [u8]| StepOutput {
        exit_code: code,
        stdout: Bytes::new(),
        stderr: Bytes::from_static(stderr),
        files: vec![None],
    };
    let path = "/scripts/main.go";
    assert!(read_verdict(&output(None, b""), path, "").unwrap_err().to_string().contains("too deeply nested"));
    let found =
        read_verdict(&output(Some(2), b"/scripts/main.go:0:99999999: \x1b[31m\n/scripts/main.go:x\n"), path, "a");
    assert_eq!(found.unwrap()[0].to_string(), "line 1, column 1:  [31m");
    let error = read_verdict(&output(Some(1), b"gofmt: not found\n"), path, "").unwrap_err().to_string();
    assert_eq!(error, "source: gofmt failed: gofmt: not found");
    let error = read_program(output(Some(0), b""), &source("main.go", b"x"), "main.go").unwrap_err().to_string();
    assert_eq!(error, "source: go build failed: it says nothing");
}
