//! Sources that attack their compiler: each is compiled or refused in time, and the engine lives.

use std::time::Duration;

use script_engine_core::{ErrorKind, ExecutionRequest, LanguageSettings, Outcome, Settings};

use crate::bench::{Bench, story};

/// What came of a source: the words of its refusal, or how its execution ended.
async fn end(bench: &Bench, file: &str, source: &str) -> String {
    let name = match bench.save(file, source).await {
        Ok(name) => name,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
            return error.to_string();
        }
    };
    let id = bench.engine.submit(ExecutionRequest::new(name)).await.unwrap();
    let record = bench.engine.wait(id).await.unwrap();
    match record.outcome() {
        Some(Outcome::Succeeded) => "it ran".to_owned(),
        Some(Outcome::NotCompiled(found)) => found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        Some(Outcome::Failed(_)) => "it failed".to_owned(),
        _ => panic!("{}", story(&record)),
    }
}

/// An engine whose compilers have this much time.
async fn hurried(timeout: Duration) -> Bench {
    let changed = LanguageSettings { step_timeout: Some(timeout), ..LanguageSettings::default() };
    let languages = ["go", "java"].map(|it| (it.to_owned(), changed.clone())).into();
    Bench::with(|builder| builder.with_settings(Settings { languages, ..Settings::default() })).await
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_that_attack_the_compiler_end() {
    let bench = hurried(Duration::from_secs(10)).await;
    let main = |rest: &str| format!("package main\n\n{rest}\n");
    let class = |rest: &str| format!("class A {{ {rest} }}\n");
    let run = "public static void main(String[] a) { }";
    let nested = |open: &str, close: &str, count: usize| format!("{}1{}", open.repeat(count), close.repeat(count));
    let doubled = |first: &str, count: usize, one: fn(usize) -> String| {
        (1..count).fold(first.to_owned(), |text, number| text + &one(number))
    };
    let strings = doubled("const s0 = \"0123456789abcdef\"\n", 60, |it| format!("const s{it} = s{0} + s{0}\n", it - 1));
    let types = doubled("type T0 [2]int\n", 45, |it| format!("type T{it} struct {{ a, b [2]T{} }}\n", it - 1));
    let generics =
        doubled("class B0<T> { }\n", 60, |it| format!("class B{it}<T> extends B{0}<B{0}<T>> {{ }}\n", it - 1));
    let lambdas = "interface F { <T> T f(java.util.function.Supplier<T> s); }\n";
    let ended = "took longer than the 10s|broke the limit of memory";
    for (file, source, expect) in [
        // Recursive types, and one that grows at each step.
        ("a.go", main("type T struct { t T }\nfunc main() { var t T; _ = t }"), "invalid recursive type"),
        (
            "a.go",
            main("type L[T any] struct { next *L[L[T]] }\nfunc main() { var l L[int]; _ = l }"),
            "instantiation cycle|infinite type|it ran",
        ),
        (
            "a.go",
            main("func f[T any](n int) { if n > 0 { f[*T](n - 1) } }\nfunc main() { f[int](3) }"),
            "instantiation cycle",
        ),
        // Giant constants, arrays and frames.
        ("a.go", main("const x = 1 << 100000000\nfunc main() { println(x) }"), "shift count|overflow|too large"),
        ("a.go", main(&format!("{strings}func main() {{ println(len(s59)) }}")), "too long|too large|overflows|memory"),
        ("a.go", main("var a [1 << 60]byte\nfunc main() { println(a[0]) }"), "larger than address space"),
        ("a.go", main(&format!("{types}func main() {{ var t T44; println(&t) }}")), "too large|memory"),
        // Nesting and length.
        ("a.go", main(&format!("var x = {}\nfunc main() {{ println(x) }}", nested("(", ")", 100_000))), ""),
        ("a.go", main(&format!("var x = 1{}\nfunc main() {{ println(x) }}", " + 1".repeat(100_000))), ""),
        ("a.go", main(&format!("func main() {{ {}{} }}", "{".repeat(50_000), "}".repeat(50_000))), ""),
        ("a.go", main(&format!("func main() {{\n{}}}", "\tu()\n".repeat(100_000))), "more problems are not shown"),
        ("A.java", class(&format!("{run} int x = {};", nested("(", ")", 20_000))), "too deeply nested"),
        ("A.java", class(&format!("{run} int x = 1{};", " + 1".repeat(50_000))), "too deeply nested|it ran"),
        ("A.java", class(&format!("{run} {} ", "x; ".repeat(50_000))), "more problems are not shown"),
        ("A.java", class(&format!("{run} static int[] x = {{ {} }};", "1,".repeat(100_000))), "code too large"),
        // A string of many gigabytes, made of constants; types that double at each step.
        (
            "A.java",
            class(&format!(
                "{run} static final String s0 = \"0123456789abcdef\"; {}",
                doubled("", 60, |it| format!("static final String s{it} = s{0} + s{0}; ", it - 1))
            )),
            "takes more memory|constant string too long|took longer|broke the limit",
        ),
        (
            "A.java",
            format!("{generics}{}", class(&format!("{run} B59<String> b; Object o = b;"))),
            "it ran|took longer|broke the limit|takes more memory|too deeply nested",
        ),
        (
            "A.java",
            format!(
                "{lambdas}{}",
                class(&format!("{run} static Object o(F f) {{ return {}; }}", nested("f.f(() -> ", ")", 40)))
            ),
            "it ran|took longer|broke the limit",
        ),
        // A processor of annotations would be code of the script's that runs in the compiler.
        (
            "A.java",
            "import javax.annotation.processing.*;\n@SupportedAnnotationTypes(\"*\")\nclass A extends AbstractProcessor {\n public boolean process(java.util.Set s, RoundEnvironment e) { while (true); }\n public static void main(String[] a) { }\n}\n".to_owned(),
            "it ran",
        ),
    ] {
        let start: String = source.chars().take(60).collect();
        let found = end(&bench, file, &source).await;
        let whole = format!("{expect}|{ended}");
        assert!(whole.split('|').any(|it| found.contains(it)), "{start}: {found}");
        assert!(found.len() < 64 << 10, "{start}: {}", found.len());
        println!("{start:?}: {:?}", found.chars().take(100).collect::<String>());
    }
    for (file, source) in [("a.go", main("func main() { }")), ("A.java", class(run))] {
        assert_eq!(end(&bench, file, &source).await, "it ran");
    }
    bench.finish().await;
}
