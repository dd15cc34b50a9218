//! What goes wrong in C#: where the user finds it, and that it ends.

use std::time::Duration;

use script_engine_core::{ErrorKind, ExecutionRequest, LimitOverrides};

use crate::bench::{Bench, end, printed};

#[tokio::test(flavor = "multi_thread")]
async fn syntax_errors_are_found_when_a_script_is_saved() {
    let bench = Bench::new().await;
    for (file, source, expect) in [
        (
            "main.cs",
            "using System;\r\nConsole.WriteLine(\"\u{e4}\u{1F600}\" + );\r\n",
            &["line 2, column 26: Invalid expression term ')' (CS1525)"][..],
        ),
        ("main.cs", "class A {\n", &["line 1, column 10: } expected (CS1513)"]),
        ("main.csx", "class A { }\n  F(;\nclass B { int }\n", &["line 2, column 5: ", "line 2, column 6: "]),
        ("main.cs", "int x = 1\n", &["line 1, column 10: ; expected (CS1002)"]),
        ("main.cs", "string s = @\"never ends\n", &["line 1, column 12: a string begins here"]),
        (
            "main.csx",
            "#load \"x.csx\"\n#r \"a.dll\"\n",
            &["line 1, column 1: `#load`", "line 2, column 1: `#r` of an assembly file"],
        ),
        ("main.cs", "x = '\u{0}'", &["line 1, column 6: a NUL byte"]),
        ("main.cs", &"$\"{".repeat(100), &["line 1, column 1: strings in strings"]),
    ] {
        let error = bench.save(file, source).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{source}: {error}");
        let problems: Vec<String> = error.problems().iter().map(|it| it.message.clone()).collect();
        for (problem, expect) in problems.iter().zip(expect) {
            assert!(problem.starts_with(expect), "{source}: {problems:?}");
        }
        assert!(problems.len() >= expect.len(), "{source}: {problems:?}");
    }
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_errors_of_the_compiler_are_found_in_the_user_s_lines() {
    let bench = Bench::new().await;
    let many: String = (0..300).map(|it| format!("Undefined{it}();\n")).collect();
    for (file, source, expect) in [
        (
            "main.cs",
            "using System.Nothing;\nConsole.WriteLine(1);",
            "line 1, column 14: The type or namespace name 'Nothing'",
        ),
        ("main.cs", "class A { }\n", "line 1, column 1: Program does not contain a static 'Main' method"),
        ("main.csx", "class A { }\n\n\tstring \u{e4} = 1 + b;", "line 3, column 17: The name 'b' does not exist"),
        ("main.cs", "int F() { }\nF();", "line 1, column 5: '"),
        ("main.cs", &many, "200 more problems are not shown"),
        (
            "main.cs",
            "#:property LangVersion=latest\nConsole.WriteLine(1);",
            "`#:property` needs the .NET SDK 10 or newer",
        ),
    ] {
        let record = bench.run(file, source, |request| request).await;
        let why = end(&record).unwrap_err();
        assert!(why.contains(expect), "{source}: {why}");
        assert!(why.len() < 32 << 10, "{}", why.len());
    }
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exception_tells_the_user_s_line() {
    let bench = Bench::new().await;
    let source = "class A { }\n\nint Deep(int n) {\n    if (n == 0) throw new InvalidOperationException(\"bottom\");\n\
                  \x20   return Deep(n - 1);\n}\nDeep(1);\n";
    let record = bench.run("deep.csx", source, |request| request).await;
    let (_, stderr) = printed(&record);
    for line in [4, 5, 7] {
        assert!(stderr.contains(&format!("in /scripts/deep.csx:line {line}\n")), "{stderr}");
    }
    assert!(end(&record) != Ok(0));
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_bounded_and_garbage_is_collected_in_time() {
    let bench = Bench::new().await;
    let small = |request: ExecutionRequest| {
        let mib = |it: u64| Some(it << 20);
        request.with_limits(LimitOverrides {
            memory_bytes: mib(96),
            work_bytes: mib(16),
            tmp_bytes: mib(16),
            ..LimitOverrides::default()
        })
    };
    let fill = "var b = new byte[1 << 20]; for (int i = 0; i < b.Length; i += 4096) b[i] = 1;";
    let kept = format!("var all = new List<byte[]>(); while (true) {{ {fill} all.Add(b); }}");
    let record = bench.run("main.cs", &kept, small).await;
    assert!(end(&record).unwrap_err().contains("ran out of memory"), "{:?} {:?}", end(&record), printed(&record));
    let dropped = format!("for (int n = 0; n < 600; n++) {{ {fill} }} Console.WriteLine(1);");
    let record = bench.run("main.cs", &dropped, small).await;
    assert_eq!((end(&record), printed(&record).0.as_str()), (Ok(0), "1\n"), "{:?}", printed(&record));
    bench.finish().await;
}

/// Each is compiled or refused, in time, and the engine lives.
#[tokio::test(flavor = "multi_thread")]
async fn sources_that_attack_the_compiler_end() {
    let bench = Bench::hurried(Duration::from_secs(40)).await;
    let nested = |open: &str, close: &str, count: usize| format!("{}1{}", open.repeat(count), close.repeat(count));
    let doubling: String = (1..60).map(|it| format!("const string s{it} = s{} + s{};\n", it - 1, it - 1)).collect();
    let overloads = format!(
        "class P {{ static int C(Func<int, int> f) => 1; static int C(Func<string, int> f) => 1; static int C(Func<long, int> f) => 1; \
         static void Main() {{ {}; }} }}",
        nested("C(a => ", ")", 25).replace("C(a", "C(x").replace("x =>", "_ =>")
    );
    for (source, expect) in [
        (format!("var x = {};", nested("(", ")", 3000)), ""),
        (format!("var x = 1{};", " + 1".repeat(50_000)), ""),
        ("{".repeat(50_000) + &"}".repeat(50_000), "An expression is too long or complex to compile"),
        (
            format!("const string s0 = \"0123456789abcdef\";\n{doubling}Console.WriteLine(s59);"),
            "Length of String constant",
        ),
        (format!("Func<int, object> f = {};", nested("x => (", ")", 3000)), ""),
        // Whichever comes first: a quick machine has filled its memory before its time is up.
        (overloads, "took longer than the 40s|broke the limit of memory"),
    ] {
        let start: String = source.chars().take(30).collect();
        let found = match bench.save("main.cs", &source).await {
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{start}: {error}");
                error.to_string()
            }
            Ok(name) => {
                let id = bench.engine.submit(ExecutionRequest::new(name)).await.unwrap();
                let record = bench.engine.wait(id).await.unwrap();
                end(&record).map_or_else(|why| why, |code| format!("exit code {code}"))
            }
        };
        assert!(expect.split('|').any(|it| found.contains(it)), "{start}: {found}");
        println!("{start}: {found}");
    }
    let record = bench.run("main.cs", "Console.WriteLine(1);", |request| request).await;
    assert_eq!(end(&record), Ok(0));
    bench.finish().await;
}
