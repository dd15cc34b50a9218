//! What the host's own JDKs say of sound and broken sources, and what becomes of them.

use script_engine_core::EntryPoint;

use super::*;
use crate::interpreter::{carry_out, compiled, run};

fn source(name: &str, text: &str) -> Source {
    Source { entry_point: EntryPoint::parse(name).unwrap(), bytes: Bytes::copy_from_slice(text.as_bytes()) }
}

fn problems(name: &str, text: &str) -> Vec<String> {
    let found = carry_out(Java::new().unwrap().check(&source(name, text)).unwrap()).unwrap();
    found.iter().map(ToString::to_string).collect()
}

#[track_caller]
fn check(text: &str, expect: &[&str]) {
    let found = problems("Main.java", text);
    assert_eq!(found.len(), expect.len(), "{text:?} {found:?}");
    for (found, expect) in found.iter().zip(expect) {
        assert!(found.starts_with(expect), "{text:?}: {found:?}, not {expect:?}");
    }
}

fn compile(name: &str, text: &str) -> Result<Prepared> {
    Java::new()?.prepare(&source(name, text), None).and_then(compiled)
}

fn output(name: &str, text: &str) -> StepOutput {
    let prepared = compile(name, text).unwrap();
    let prepared = Java::new().unwrap().fit(prepared, &Limits::default());
    run(&prepared.files, &prepared.argv, &prepared.env, b"")
}

#[track_caller]
fn prints(name: &str, text: &str, expect: &str) {
    let output = output(name, text);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((String::from_utf8_lossy(&output.stdout).trim_end(), &*stderr), (expect, ""), "{name}");
}

const HELLO: &str = "public static void main(String[] args) { System.out.println(\"ä\"); }";

#[test]
fn syntax_errors_have_line_and_column_in_characters() {
    check(&format!("public class A {{ {HELLO} }}"), &[]);
    check(&format!("\u{feff}#!/usr/bin/java\r\npublic class A {{\r\n{HELLO}\r\n}}\r\n"), &[]);
    check(
        "class A {\n\tString s = \"\u{1F600}\" + ;\n  int x = 1 int y;\n}\n",
        &["line 2, column 19: illegal start of expression", "line 3, column 12: ';' expected"],
    );
    check("class A {\n", &["line 1, column 10: reached end of file while parsing"]);
    check("class A { int x = y; }", &["line 1, column 7: no class has a `public static void main"]);
    check("//JAVA new\nclass A { }", &["line 1, column 1: the version after `//JAVA`"]);
    let bytes = Source { bytes: Bytes::from_static(b"class A { // \xc3\xa4\xff\n}"), ..source("A.java", "") };
    let found = carry_out(Java::new().unwrap().check(&bytes).unwrap()).unwrap();
    assert_eq!(found[0].to_string(), "line 1, column 15: not UTF-8; save the script as UTF-8");
    assert!(Java::new().unwrap().check(&source("a", "#!/usr/bin/java --source 21\nclass A { }")).is_err());
    let deep = format!("class A {{ int x = {}1{}; }}", "(".repeat(50_000), ")".repeat(50_000));
    let error = carry_out(Java::new().unwrap().check(&source("A.java", &deep)).unwrap()).unwrap_err().to_string();
    assert_eq!(error, "source: is too deeply nested for javac; make it simpler");
}

#[test]
fn files_get_the_name_their_class_needs() {
    prints("script.java", &format!("public class Right {{ {HELLO} }}"), "ä");
    prints(
        "a/b/Main.java",
        &format!("package com.acme;\npublic final class Größe {{ {HELLO} }}\nclass Other {{ }}"),
        "ä",
    );
    prints(
        "my-script",
        &format!("// public class X\n/* public class Y */ class A {{ String s = \"public class Z\"; {HELLO} }}"),
        "ä",
    );
    prints(
        "A.java",
        &format!(
            "import java.util.*;\nrecord P(int x) {{ }}\ninterface I {{ }}\nenum E {{ A {{ }} }}\npublic abstract sealed class \\u0042 permits C {{ {HELLO} }}\nfinal class C extends B {{ }}"
        ),
        "ä",
    );
}

#[test]
fn traces_name_the_line_the_user_wrote_and_arguments_hold() {
    let text = "package a;\n\npublic class Trace {\n    public static void main(String[] args) {\n        System.out.println(Runtime.getRuntime().maxMemory() >> 20);\n        throw new IllegalStateException(\"no\");\n    }\n}\n";
    let output = output("main.java", text);
    let trace = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.exit_code, Some(1));
    assert!(trace.contains("at a.Trace.main(Trace.java:6)"), "{trace}");
    let heap: u64 = String::from_utf8_lossy(&output.stdout).trim().parse().unwrap();
    assert!((240..=256).contains(&heap), "{heap}");
}

#[test]
fn the_heap_leaves_room_for_the_rest() {
    for (memory, heap_mib) in [(64, 32), (256, 128), (512, 256), (768, 512), (1024, 768), (4096, 3072)] {
        assert_eq!(heap(memory << 20) >> 20, heap_mib, "{memory}");
    }
}

#[test]
fn what_the_compiler_finds_has_its_place_and_is_cut_and_counted() {
    let text = "public class A {\n  static void f(int a, String b) { }\n  public static void main(String[] args) {\n\tint x = \"a\";\n\tf(1);\n  }\n}\n";
    let error = compile("A.java", text).unwrap_err();
    let found: Vec<String> = error.problems().iter().map(|it| it.message.clone()).collect();
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(found[0], "line 4, column 10: incompatible types: String cannot be converted to int");
    assert!(
        found[1].starts_with(
            "line 5, column 2: method f in class A cannot be applied to given types; required: int,String; found: int"
        ),
        "{found:?}"
    );
    let many: String = (0..3000).map(|it| format!("x{it}();\n")).collect();
    let error =
        compile("A.java", &format!("class A {{ public static void main(String[] a) {{\n{many}}}}}")).unwrap_err();
    assert_eq!(error.problems().len(), 101);
    assert_eq!(error.problems()[100].message, "line 101, column 1: 2900 more problems are not shown; mend these first");
}

/// The versions of the JDKs on this machine, as the language finds them.
fn found(wanted: &str) -> Result<Toolchain> {
    let text = format!("{wanted}\nclass A {{ }}");
    Java::new()?.toolchain(Some(&source("A.java", &text))).and_then(carry_out)
}

#[test]
fn the_jdk_is_chosen_by_what_the_source_asks_for() {
    let usual = Java::new().unwrap().toolchain(None).and_then(carry_out).unwrap();
    assert_eq!(found("").unwrap(), usual);
    let major: u32 = usual.version.split('.').next().unwrap().parse().unwrap();
    assert_eq!(found(&format!("//JAVA {major}")).unwrap(), usual);
    assert_eq!(found("//JAVA 11+").unwrap().name, "java");
    let error = found("//JAVA 998").unwrap_err().to_string();
    assert!(error.starts_with("source: asks for Java 998, and there is ") && error.contains(&usual.version), "{error}");
    let text = format!(
        "//JAVA {major}\npublic class A {{ public static void main(String[] a) {{ System.out.println(Runtime.version().feature()); }} }}"
    );
    prints("A.java", &text, &major.to_string());
}

/// Runs the search for a JDK over a machine that is made up.
#[track_caller]
fn search(default: &str, there: &[&str], arguments: [&str; 3], expect: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let root = std::env::temp_dir().join(format!("script-engine-jdks-{}-{number}", std::process::id()));
    let mut path = "/usr/bin:/bin".to_owned();
    for version in there {
        let home = root.join("usr/lib/jvm").join(version);
        std::fs::create_dir_all(home.join("bin")).unwrap();
        std::fs::write(home.join("bin/javac"), "").unwrap();
        std::fs::set_permissions(home.join("bin/javac"), std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::write(home.join("release"), format!("A=\"b\"\nJAVA_VERSION=\"{version}\"\n")).unwrap();
        if *version == default {
            path = format!("{}:{path}", home.join("bin").display());
        }
    }
    let folder = root.to_str().unwrap();
    let script = format!("{}echo \"$version\"\n", include_str!("find.sh"));
    let script = script.replace(" /opt/", &format!(" {folder}/opt/")).replace(" /usr/", &format!(" {folder}/usr/"));
    // Without one in PATH, what the machine that runs this has in `/usr/bin` must not be seen either.
    let script = if default.is_empty() { script.replace("command -v javac", "false") } else { script };
    let output =
        std::process::Command::new("sh").arg("-c").arg(script).arg("sh").args(arguments).env("PATH", path).output();
    std::fs::remove_dir_all(&root).ok();
    let output = output.unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), expect, "{there:?} {arguments:?} {output:?}");
}

#[test]
fn of_several_jdks_the_nearest_is_taken() {
    let all = ["17.0.1", "21.0.2", "25"];
    search("17.0.1", &all, ["21", "", "may"], "21.0.2");
    search("25", &all, ["21", "", "may"], "25");
    search("", &all, ["21", "", "must"], "21.0.2");
    search("25", &all, ["17", "17", "must"], "17.0.1");
    search("17.0.1", &["17.0.1"], ["21", "", "may"], "17.0.1");
    search("", &["11.0.1", "17.0.1"], ["21", "", "may"], "17.0.1");
    search("17.0.1", &["17.0.1"], ["21", "", "must"], "no JDK: 17.0.1");
    search("17.0.1", &all, ["22", "24", "must"], "no JDK: 17.0.1 21.0.2 25");
    search("", &[], ["21", "", "may"], "no JDK:");
}

#[test]
fn newer_java_needs_no_class() {
    // Where the machine's newest JDK does not know this yet, it says so with the place.
    let text = "//JAVA 21+\nvoid main() {\n    System.out.println(\"hi\");\n}\n";
    match compile("greet.java", text) {
        Ok(prepared) => assert_eq!(prepared.argv.last().unwrap(), "greet"),
        Err(error) => {
            let text = error.to_string();
            assert!(
                text.starts_with("source: line 2, column 1: ") || text.starts_with("source: asks for Java 21"),
                "{text}"
            );
        }
    }
}
