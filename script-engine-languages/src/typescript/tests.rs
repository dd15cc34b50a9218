//! What TypeScript and JavaScript sources become, and what the host's own Node makes of that.

use super::*;
use crate::interpreter::{carry_out, compiled, run};

fn source(name: &str, text: &str) -> Source {
    Source { entry_point: EntryPoint::parse(name).unwrap(), bytes: Bytes::copy_from_slice(text.as_bytes()) }
}

fn problems(name: &str, text: &str) -> Vec<String> {
    let found = carry_out(TypeScript::new().unwrap().check(&source(name, text)).unwrap()).unwrap();
    found.iter().map(ToString::to_string).collect()
}

#[track_caller]
fn check(name: &str, text: &str, expect: &[&str]) {
    let found = problems(name, text);
    assert_eq!(found.len(), expect.len(), "{found:?}");
    for (found, expect) in found.iter().zip(expect) {
        assert!(found.starts_with(expect), "{found:?}, not {expect:?}");
    }
}

fn run_script(name: &str, text: &str) -> StepOutput {
    let prepared = compiled(TypeScript::new().unwrap().prepare(&source(name, text), None).unwrap()).unwrap();
    run(&prepared.files, &prepared.argv, &prepared.env, b"")
}

#[track_caller]
fn prints(name: &str, text: &str, expect: &str) {
    check(name, text, &[]);
    let output = run_script(name, text);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((String::from_utf8_lossy(&output.stdout).trim_end(), &*stderr), (expect, ""), "{name}");
}

#[test]
fn syntax_errors_have_line_and_column_in_characters() {
    check("main.ts", "const a: number = 1;\nconst s = 'ä'; const = 2;\n", &["line 2, column 22: "]);
    check("main.js", "let a: number = 1;\n", &["line 1, column 6: "]);
    check("main.ts", "let a = 1; let a = 2;\n", &["line 1, column 5: Identifier `a` has already been declared"]);
    check("main.ts", "function f() {\n", &["line 2, column 1: "]);
    check(
        "main.cts",
        "await 1;\nlet a = ;\n",
        &["line 1, column 1: ", "line 2, column 9: "][..problems("main.cts", "await 1;\nlet a = ;\n").len()],
    );
    check("main.ts", "class A { @log f() {} }\n", &["line 1, column 11: decorators are not run by Node"]);
    check("main.mts", "import f = require('fs'); f.x();\n", &["line 1, column "]);
    check("main.ts", "\u{feff}let a = ;\r\n", &["line 1, column 9: "]);
}

#[test]
fn types_go_and_what_they_mean_at_run_time_stays() {
    prints("main.ts", "enum E { A = 1, B = A << 2 }\nconsole.log(E.B, E[4]);\n", "4 B");
    prints(
        "main.ts",
        "const enum E { A = 'x' }\nnamespace N.M { export const x: string = E.A }\nconsole.log(N.M.x)\n",
        "x",
    );
    prints(
        "main.ts",
        "class P { constructor(private readonly n: number) {} f<T>(x: T) { return <T>x ?? this.n } }\nconsole.log(new P(3).f<number | null>(null)!)\n",
        "3",
    );
    prints(
        "main.ts",
        "\u{feff}type T = { a?: number };\r\nconst t = { a: 1 } satisfies T;\r\nconsole.log(t as unknown as T)\r\n",
        "{ a: 1 }",
    );
    prints(
        "main.ts",
        "abstract class A { declare x: number; abstract f(): void }\nlet v: A | undefined;\nconsole.log(v?.x)\n",
        "undefined",
    );
}

#[test]
fn modules_of_both_kinds_are_told_apart() {
    prints(
        "main.ts",
        "import { sep } from 'node:path';\nimport type { Stats } from 'node:fs';\nconst s: Stats | null = null;\nconsole.log(sep, s, typeof import.meta.url)\n",
        "/ null string",
    );
    prints("main.ts", "const v: number = await Promise.resolve(7);\nconsole.log(v, typeof require)\n", "7 undefined");
    prints("main.ts", "const p = require('node:path');\nconsole.log(p.sep, typeof __filename)\n", "/ string");
    prints("main.ts", "import p = require('node:path');\nconsole.log(p.sep);\nexport = {};\n", "/");
    prints("main.cts", "import p = require('node:path');\nconsole.log(p.sep)\n", "/");
    prints("main.mts", "console.log(typeof require)\nexport {}\n", "undefined");
    prints("main.js", "import { sep } from 'node:path';\nconsole.log(sep, await 1)\n", "/ 1");
    prints("src/main.js", "console.log(require('node:path').sep, module.id)\n", "/ .");
    prints("main.mjs", "console.log(await 1)\n", "1");
    prints("main.cjs", "#!/usr/bin/env node\nif (true) { console.log(typeof require); return }\n", "function");
    prints("script", "#!/usr/bin/env node\nlet x: number = 1; console.log(x)\n", "1");
    for text in
        ["import { sep } from 'node:path';\nconsole.log(sep)\n", "export const a = 1;\n", "export { a } from 'x';\n"]
    {
        check("main.cts", text, &["line 1, column 1: "]);
    }
}

#[test]
fn stack_traces_name_the_line_the_user_wrote() {
    let text = "interface A {\n  x: number;\n}\n\nenum E { A }\n\nfunction f(a: A): never {\n  throw new Error('no ' + a.x);\n}\nf({ x: E.A });\n";
    for name in ["main.ts", "src/main.mts", "main.cts"] {
        let trace = String::from_utf8_lossy(&run_script(name, text).stderr).into_owned();
        assert!(trace.contains(&format!("/scripts/{name}:8:")), "{trace}");
        assert!(trace.contains(&format!("/scripts/{name}:10:1")), "{trace}");
        assert!(trace.contains("throw new Error('no ' + a.x);"), "{trace}");
    }
    let trace = String::from_utf8_lossy(&run_script("main.js", "\n\nnull.x\n").stderr).into_owned();
    assert!(trace.contains("/scripts/main.js:3"), "{trace}");
}

#[test]
fn bombs_get_a_diagnostic_and_not_an_overflow() {
    const N: usize = 100_000;
    for (open, close) in
        [("(", ")"), ("[", "]"), ("{a:", "}"), ("(a=", ")"), ("f(", ")"), ("`${", "}`"), ("()=>{", "}")]
    {
        let text = format!("x={}1{}", open.repeat(N), close.repeat(N));
        let found = problems("main.ts", &text[..text.len().min(LONGEST)]);
        assert!(found[0].ends_with("brackets nested too deeply; at most 256 levels are read"), "{found:?}");
    }
    // No brackets, but as deep a tree: what matters is that they end.
    const LENGTH: usize = LONGEST - 8;
    for chain in [
        "!",
        "-",
        "new ",
        "typeof ",
        "a?b:",
        "x=",
        "a=>",
        "1+",
        "1**",
        "if(1)",
        "if(1){}else ",
        "a.",
        "async a=>",
        "A<",
        "x as ",
        "for(;;)",
        "()=>",
        "a,",
        "l:",
    ] {
        let text = chain.repeat(LENGTH / chain.len());
        let begin = if ["if", "for", "l:"].iter().any(|it| chain.starts_with(it)) { "" } else { "x=" };
        problems("main.ts", &format!("{begin}{text}1"));
    }
    for (open, close) in [("A<", ">"), ("", "[]"), ("", "|A"), ("A extends B?C:", "")] {
        let levels = LENGTH / (open.len() + close.len());
        problems("main.ts", &format!("type x={}A{}", open.repeat(levels), close.repeat(levels)));
    }
}

#[test]
fn sources_too_long_to_parse_here_go_to_node() {
    let filler = "x(1);\n".repeat(LONGEST / 6 + 1);
    check("main.ts", &filler, &["line 1, column 1: more than 128 KiB of TypeScript; bundle it"]);
    prints(
        "main.js",
        &format!("import 'node:fs';\nfunction x() {{}}\n{filler}console.log(typeof require)\n"),
        "undefined",
    );
    check(
        "main.cjs",
        &format!("{filler}let a = ;\n"),
        &[&format!("line {}, column 9: Unexpected token ';'", LONGEST / 6 + 2)],
    );
}

#[test]
fn what_is_no_text_is_refused() {
    let bytes = |text: &'static [u8]| Source {
        entry_point: EntryPoint::parse("main.ts").unwrap(),
        bytes: Bytes::from_static(text),
    };
    let typescript = TypeScript::new().unwrap();
    let found = carry_out(typescript.check(&bytes(b"let a = '\xc3\xa4\xff';")).unwrap()).unwrap();
    assert_eq!(found[0].to_string(), "line 1, column 11: not UTF-8; save the script as UTF-8");
    assert!(
        typescript.prepare(&bytes(b"let a = ;"), None).unwrap_err().to_string().starts_with("source: line 1, column 9")
    );
    assert!(typescript.check(&bytes(b"#!/usr/bin/env -S node --inspect\n1")).is_err());
}

#[test]
fn packages_are_declared_by_imports_and_node_gets_bare_names() {
    let typescript = TypeScript::new().unwrap();
    let text = "// npm: @types/node@20\nimport { z } from 'npm:zod@^3.22';\nimport { sep } from 'node:path';\nconst n: number = z;\n";
    let declared = typescript.dependencies(&source("main.ts", text)).unwrap();
    let found: Vec<_> = declared.packages.iter().map(|it| format!("{}@{}", it.name, it.requirement)).collect();
    assert_eq!(found, ["@types/node@20", "zod@^3.22"]);
    let prepared = compiled(typescript.prepare(&source("main.ts", text), None).unwrap()).unwrap();
    assert_eq!(prepared.files[0].content, text.as_bytes(), "the user's own lines are shown in stack traces");
    let made = String::from_utf8_lossy(&prepared.files[1].content).into_owned();
    assert!(made.contains("from \"zod\"") && !made.contains("'npm:") && !made.contains("\"npm:"), "{made}");
    let prepared = compiled(typescript.prepare(&source("main.cjs", "require('npm:a@1')"), None).unwrap()).unwrap();
    assert_eq!(prepared.files[0].content, &b"require('a'      )"[..]);
    assert_eq!(typescript.dependencies(&source("main.js", "let a")).unwrap(), Declared::default());
    check("main.ts", "import 'npm:../x'", &["line 1, column 8: `..` is no package of npm"]);
    let error = typescript.dependencies(&source("main.ts", "import 'npm:../x'")).unwrap_err().to_string();
    assert!(error.starts_with("source: line 1, column 8: "), "{error}");
    let long = format!("// npm: zod@3\n{}", "x(1);\n".repeat(LONGEST / 6 + 1));
    assert_eq!(typescript.dependencies(&source("main.js", &long)).unwrap().packages[0].name, "zod");
}
