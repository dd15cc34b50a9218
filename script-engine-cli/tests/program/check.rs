//! `check`: faults with their places, of every kind of language, and no run.

use serde_json::json;

use crate::stage::Stage;

#[test]
fn faults_are_told_by_file_line_and_column_and_nothing_runs() {
    let stage = Stage::new(&[
        ("sound.sh", "echo it ran\n"),
        ("sound.go", "package main\n\nfunc main() { println(\"it ran\") }\n"),
        ("syntax.py", "x = 1\nif x\n"),
        ("types.go", "package main\n\nfunc main() {\n\tvar x int = \"a\"\n\ty()\n}\n"),
        ("Types.java", "class Types { public static void main(String[] a) {\n  int x = \"a\";\n} }\n"),
        ("syntax.ts", "const x: = 1;\n"),
    ]);
    for (file, expect) in [
        ("sound.sh", &[][..]),
        ("sound.go", &[]),
        ("syntax.py", &["syntax.py:2:5: "]),
        ("types.go", &["types.go:4:14: cannot use \"a\"", "types.go:5:2: undefined: y"]),
        ("Types.java", &["Types.java:2:11: incompatible types"]),
        ("syntax.ts", &["syntax.ts:1:10: "]),
    ] {
        let ended = stage.run(&["check", file]);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(i32::from(!expect.is_empty())), ""), "{file}");
        let stdout = String::from_utf8(ended.stdout).unwrap();
        let lines: Vec<&str> = stdout.lines().collect();
        assert!(lines.iter().all(|it| it.starts_with(file)), "{stdout}");
        for expect in expect {
            assert!(lines.iter().any(|it| it.starts_with(expect)), "{expect} in {stdout}");
        }
        assert_eq!(lines.is_empty(), expect.is_empty(), "{stdout}");
    }
    let ended = stage.run(&["check", "Types.java", "--json"]);
    let found: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!((&found[0]["line"], &found[0]["column"]), (&json!(2), &json!(11)), "{found}");
    assert_eq!(stage.run(&["check", "missing.go"]).code, Some(125));
    assert_eq!(stage.left(), 0);
}

#[test]
fn a_run_of_what_does_not_compile_says_why() {
    let stage = Stage::new(&[("types.go", "package main\n\nfunc main() {\n\ty()\n\tz()\n}\n")]);
    let ended = stage.run(&["run", "types.go"]);
    assert_eq!((ended.code, ended.stdout.as_slice()), (Some(1), &b""[..]));
    assert!(ended.stderr.contains("\nline 4, column 2: undefined: y\nline 5, column 2: undefined: z"), "{ended:?}");
    let (record, ended) = stage.record(&["types.go"]);
    assert_eq!(ended.code, Some(1));
    assert_eq!((&record["state"], &record["outcome"]), (&json!("FAILED"), &json!("failed")));
    assert_eq!(record["error"]["kind"], "not_compiled");
    assert_eq!(record["error"]["diagnostics"][1], json!({"line": 5, "column": 2, "message": "undefined: z"}));
}
