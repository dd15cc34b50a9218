//! What the compilers say reaches the user, and which they were is on record.

use script_engine_core::{ErrorKind, Outcome};

use crate::bench::{Bench, language, story};

#[tokio::test(flavor = "multi_thread")]
async fn syntax_errors_are_refused_at_save_with_their_place() {
    let bench = Bench::new().await;
    for (file, source, expect) in [
        ("a.go", "package main\nfunc main() { x := }\n", "line 2, column 20: "),
        ("a.go", "package tools\n", "line 1, column 9: a script is `package main`"),
        ("A.java", "class A {\n  int x = ;\n}\n", "line 2, column 11: "),
        ("A.java", "class A { }\n", "line 1, column 7: no class has a `public static void main"),
        ("A.java", "//JAVA 998\nclass A { }\n", "asks for Java 998, and there is "),
    ] {
        let error = bench.save(file, source).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
        assert!(error.problems()[0].field == "source" && error.problems()[0].message.starts_with(expect), "{error}");
    }
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_a_compiler_finds_ends_the_execution_with_its_place() {
    let bench = Bench::new().await;
    let source = "class A { public static void main(String[] a) {\n  int x = \"a\";\n} }\n";
    let record = bench.run("A.java", source, |request| request).await;
    let Some(Outcome::EngineFault(fault)) = record.outcome() else { panic!("{}", story(&record)) };
    assert_eq!(fault.kind, ErrorKind::InvalidRequest);
    assert_eq!(fault.message, "source: line 2, column 11: incompatible types: String cannot be converted to int");
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_toolchains_are_found() {
    let bench = Bench::new().await;
    for (name, least) in
        [("bash", "4"), ("python", "3.9"), ("typescript", "18"), ("go", "1.18"), ("java", "11"), ("csharp", "8")]
    {
        let found = bench.engine.toolchain(&language(name)).await.unwrap();
        assert!(found.is_at_least(least), "{found}");
    }
    bench.finish().await;
}
