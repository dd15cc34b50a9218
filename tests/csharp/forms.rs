//! The forms that a C# script may have, and what it finds round it.

use crate::bench::{Bench, end, printed};

/// Runs one script: what it prints, and its exit code.
async fn check(bench: &Bench, file: &str, source: &str, stdout: &str, code: i32) {
    let record = bench.run(file, source, |request| request.with_parameter("name", "world")).await;
    let found = (printed(&record), end(&record));
    assert_eq!(found, ((stdout.to_owned(), String::new()), Ok(code)), "{file}:\n{source}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_form_runs() {
    let bench = Bench::new().await;
    let forms = [
        (
            "main.cs",
            "using System; class Program { static void Main(string[] args) { Console.WriteLine(args.Length); } }",
            "0\n",
            0,
        ),
        ("main.cs", "class P { static int Main() => 7; }", "", 7),
        (
            "main.cs",
            "using System.Threading.Tasks;\nnamespace A.B { class One { public int X = 1; }\nclass Two { static async Task<int> Main() { \
             await Task.Delay(1); Console.WriteLine(new One().X); return 3; } } }",
            "1\n",
            3,
        ),
        ("main.cs", "Console.WriteLine($\"hello {args.Length}\");", "hello 0\n", 0),
        ("main.cs", "if (args.Length > 0) return;\nawait Task.Yield();\nConsole.WriteLine(1);", "1\n", 0),
        ("main.cs", "int F(int x) => x * 2;\nreturn F(4);\nclass Later { }\n", "", 8),
        ("\u{e4} b/\u{e4}.cs", "Console.WriteLine(1);", "1\n", 0),
        (
            "main.csx",
            "#!/usr/bin/env dotnet-script\nusing System.Text;\npublic class A { public string Say() => \"a\"; }\n\
             public static int count = 2;\nprivate string Twice(string it) { return it + it; }\n\
             enum E { X }\nConsole.WriteLine(Twice(new A().Say()) + count + E.X + Args.Count)",
            "aa2X0\n",
            0,
        ),
        ("main.csx", "\u{feff}// \u{e4}\r\nvar x = @\"a\r\n#b\";\r\nConsole.Write(x);\r\n", "a\r\n#b", 0),
        (
            "main.cs",
            "#if DEBUG\nbroken {\n#elif NET\nConsole.WriteLine(\"net\");\n#endif\n#nullable enable\nstring? s = null;\nConsole.WriteLine(s ?? \"null\");",
            "net\nnull\n",
            0,
        ),
        ("main.cs", "unsafe { int x = 5; int* p = &x; Console.WriteLine(*p); }", "5\n", 0),
        (
            "main.cs",
            "using System.Text.Json;\nvar args2 = JsonDocument.Parse(File.ReadAllText(\"/scripts/args.json\"));\n\
             Console.WriteLine(args2.RootElement.GetProperty(\"name\").GetString() + Environment.GetEnvironmentVariable(\"PARAM_NAME\"));\n\
             Console.WriteLine(Environment.ProcessorCount + \" \" + 1.5 + \" \" + DateTime.UnixEpoch.ToString(\"D\"));",
            "worldworld\n1 1.5 Thursday, 01 January 1970\n",
            0,
        ),
        (
            "main.cs",
            "foreach (var chunk in Enumerable.Range(0, 5).Chunk(2)) Console.Write(string.Join(\",\", chunk) + \";\");\n\
             Console.WriteLine(Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(new byte[0])).Length);",
            "0,1;2,3;4;64\n",
            0,
        ),
    ];
    for (file, source, stdout, code) in forms {
        check(&bench, file, source, stdout, code).await;
    }
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_compiled_is_kept_and_the_toolchain_is_recorded() {
    let bench = Bench::new().await;
    let source = "Console.WriteLine(File.GetLastWriteTimeUtc(\"/scripts/script.dll\") > DateTime.UnixEpoch);";
    let name = bench.save("main.cs", source).await.unwrap();
    let mut prepared = Vec::new();
    for _ in 0..2 {
        let id = bench.engine.submit(script_engine_core::ExecutionRequest::new(name.clone())).await.unwrap();
        let record = bench.engine.wait(id).await.unwrap();
        let ending = record.ending.as_ref().unwrap();
        assert_eq!(record.started.as_ref().unwrap().toolchain, "dotnet 8.0.4");
        prepared.push(ending.timings.of(script_engine_core::Stage::Resolve));
    }
    assert!(prepared[1] * 4 < prepared[0], "{prepared:?}");
    bench.finish().await;
}
