//! Which class of a source is found to be the one that counts.

use super::*;

/// Package, public type, started type.
#[track_caller]
fn check(text: &str, package: Option<&str>, public: Option<&str>, started: Option<&str>) {
    let found = Outline::read(text);
    let seen = (
        found.package.as_deref(),
        found.public().map(|it| it.name.as_str()),
        found.started().map(|it| it.name.as_str()),
    );
    assert_eq!(seen, (package, public, started), "{text}");
}

const MAIN: &str = "public static void main(String[] args) { }";

#[test]
fn the_public_type_is_found_whatever_stands_before_it() {
    for before in [
        "public",
        "public final",
        "public abstract",
        "abstract public strictfp",
        "public sealed",
        "public non-sealed",
        "@Deprecated public",
        "@SuppressWarnings({\"public class X {\", \"y\"}) public",
        "@a.b.C(value = @D(x = {1, 2}), y = E.class) @F public",
        "/* public class X {} */ // public class X {}\n public",
    ] {
        check(&format!("{before} class Right {{ {MAIN} }}"), None, Some("Right"), Some("Right"));
    }
    check(&format!("public interface I {{ {MAIN} }}"), None, Some("I"), Some("I"));
    check(&format!("public enum E {{ A(1) {{ }}, B; {MAIN} }}"), None, Some("E"), Some("E"));
    check(
        &format!("public record R(int a, @X(\"){{\") String b) implements I {{ {MAIN} }}"),
        None,
        Some("R"),
        Some("R"),
    );
    check(&format!("public record R<T extends Comparable<T>>(T a) {{ {MAIN} }}"), None, Some("R"), Some("R"));
    check("public @interface A { String value() default \"}\"; }", None, Some("A"), None);
    check(
        &format!("public class C<T extends Map<K, V> & X> extends D permits E {{ {MAIN} }}"),
        None,
        Some("C"),
        Some("C"),
    );
    check(&format!("public class Größe {{ {MAIN} }}"), None, Some("Größe"), Some("Größe"));
}

#[test]
fn several_types_and_packages() {
    check(
        &format!(
            "package com.acme . tools;\nimport java.util.*;\nimport static a.B.c;\nimport module java.base;\nclass A {{}}\nrecord P(int x) {{}}\nclass B {{ {MAIN} }}\ninterface C {{}}\n"
        ),
        Some("com.acme.tools"),
        None,
        Some("B"),
    );
    check(&format!("class A {{ {MAIN} }} public class B {{ }}"), None, Some("B"), Some("A"));
    check(&format!("class A {{ {MAIN} }} public class B {{ {MAIN} }}"), None, Some("B"), Some("B"));
    check("@Nice package a; class X { }", Some("a"), None, None);
    check("class A { class Inner { public static void main(String[] a) {} } }", None, None, None);
    check("class A { void f() { class B { static void main(String[] a) {} } } }", None, None, None);
    check("public class A extends Base { }", None, Some("A"), Some("A"));
    check(
        "class A { int record; record f() { return null; } } class B { static void main(String... a) {} }",
        None,
        None,
        Some("B"),
    );
}

#[test]
fn main_methods_are_told_from_what_looks_like_them() {
    for (member, expect) in [
        (MAIN, Main::Classic),
        ("static public void main(final String args[]) throws Exception { }", Main::Classic),
        ("@X(\"a\") public static <T> void main(java.lang.String... args) { }", Main::Classic),
        ("void main() { }", Main::Lenient),
        ("static void main() { }", Main::Lenient),
        ("void main(String[] args) { }", Main::Lenient),
        ("static int main(String[] args) { return 1; }", Main::None),
        ("static void main(int x) { }", Main::None),
        ("static void main(String[] a, int x) { }", Main::None),
        ("static void mainly(String[] a) { }", Main::None),
        ("String s = \"static void main(String[] a) { }\"; // static void main(String[] a)\n", Main::None),
        ("String s = \"\"\"\n static void main(String[] a) { \"\"\"; char c = '{', d = '\"';", Main::None),
        ("int x = f(main(String)); { void = main(1); }", Main::None),
        ("static { main(null); } static int y; void main() { }", Main::Lenient),
    ] {
        let found = Outline::read(&format!("class A {{ int before; {member} }} class B {{ }}"));
        assert_eq!((found.types[0].main, found.types.len()), (expect, 2), "{member}");
    }
}

#[test]
fn sources_without_a_type() {
    let found = Outline::read(
        "import java.util.List;\nint x = 1;\nString f(int a) { return \"}\"; }\nvoid main() { IO.println(x); }\nrecord P(int a) { }\n",
    );
    assert!(found.loose_main && found.types.len() == 1, "{found:?}");
    let found = Outline::read("int f(int main) { return 1; }");
    assert!(!found.loose_main && found.types.is_empty(), "{found:?}");
    assert_eq!(Outline::read("module a { requires b; }"), Outline::default());
}

#[test]
fn the_version_is_read_from_comments_alone() {
    for (text, expect) in [
        ("//JAVA 21+\nclass A { }", Some("21+")),
        ("class A { }\n//JAVA 17\n//JAVA 21", Some("17")),
        ("// JAVA 21\nclass A { String s = \"//JAVA 11\"; }", None),
        ("//JAVASCRIPT 1\nclass A { }", None),
    ] {
        assert_eq!(Outline::read(text).wanted.map(|it| it.0).as_deref(), expect, "{text}");
    }
}

#[test]
fn nothing_that_is_broken_stops_it() {
    for text in [
        "class",
        "public class",
        "class A",
        "class A {",
        "class A (",
        "@",
        "@interface",
        "record",
        "record A",
        "package",
        "import",
        "}}}}",
        "class A { void main(",
        "((((",
        "class A extends",
    ] {
        Outline::read(text);
    }
    Outline::read(&"{".repeat(1 << 20));
    Outline::read(&"@a(".repeat(1 << 18));
}
