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
    let many: String = (0..3000).map(|it| format!("\tundefined{it}()\n")).collect();
    let many_of_java = many.replace("()", "();");
    for (file, source, expect) in [
        (
            "A.java",
            "class A { public static void main(String[] a) {\n  int x = \"a\";\n} }\n".to_owned(),
            &["line 2, column 11: incompatible types: String cannot be converted to int"][..],
        ),
        (
            "A.java",
            "package p.q;\n\nclass A { public static void main(String[] a) {\n\tString \u{e4} = b; c();\n} }\n"
                .to_owned(),
            &["line 4, column 13: cannot find symbol", "line 4, column 16: cannot find symbol"],
        ),
        (
            "A.java",
            format!("class A {{ public static void main(String[] a) {{\n{many_of_java}}} }}\n"),
            &["line 2, column 2: cannot find symbol", "2900 more problems are not shown"],
        ),
        ("a.go", "package main\n\nfunc main() { y() }\n".to_owned(), &["line 3, column 15: undefined: y"]),
        (
            "a.go",
            "package main\n\n// go.mod\n// go 1.20\n\nfunc main() {\n\tvar \u{e4} int = \"a\"; x := 1\n}\n".to_owned(),
            &["line 7, column 14: cannot use \"a\"", "line 7, column 19: declared and not used: x"],
        ),
        (
            "a.go",
            format!("package main\n\nfunc main() {{\n{many}}}\n"),
            &["line 4, column 2: undefined: undefined0", "2900 more problems are not shown"],
        ),
    ] {
        let record = bench.run(file, &source, |request| request).await;
        let Some(Outcome::NotCompiled(found)) = record.outcome() else { panic!("{}", story(&record)) };
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert!(found.len() <= 101, "{}", found.len());
        for expect in expect {
            assert!(found.iter().any(|it| it.contains(expect)), "{expect}: {found:?}");
        }
    }
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
