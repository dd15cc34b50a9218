//! What is read of Java sources, sound and broken ones.

use proptest::prelude::*;

use super::*;

#[track_caller]
fn check(source: &str, packages: &[(&str, &str)], toolchain: Option<&str>) {
    let declared = dependencies(source.as_bytes()).unwrap();
    let expect: Vec<_> = packages.iter().map(|it| ScriptDependency::runtime(it.0, it.1)).collect();
    assert_eq!(declared.packages, expect, "{source:?}");
    assert_eq!(declared.toolchain.as_deref(), toolchain, "{source:?}");
    assert_eq!(declared.problems(), vec![], "{source:?}");
}

#[test]
fn directives_at_line_starts_are_read() {
    check("//DEPS com.google.code.gson:gson:2.10.1\nclass A {}", &[("com.google.code.gson:gson", "2.10.1")], None);
    check("\u{feff}//JAVA 21+\r\n//DEPS a:b:1\r\n", &[("a:b", "1")], Some("21+"));
    check("//JAVA 21", &[], Some("21"));
    check(
        "//DEPS a:b:1 c:d:2,e:f:3;g:h:4 // and i:j:5\n",
        &[("a:b", "1"), ("c:d", "2"), ("e:f", "3"), ("g:h", "4")],
        None,
    );
    check("//DEPS a:b:1:linux-x86_64\n", &[("a:b:linux-x86_64", "1")], None);
    check("//DEPS a:b:1@jar a:bom:2@pom c:d\n", &[("a:b", "1"), ("a:bom@pom", "2"), ("c:d", "")], None);
    check("//DEPS a:b:[1.0,2.0) c:d:(,3]\n", &[("a:b", "[1.0,2.0)"), ("c:d", "(,3]")], None);
    check("//DEPS a:b:1\n//DEPS a:b:1\n", &[("a:b", "1")], None);
    check("//DEPS\n//DEPS   \n", &[], None);
    check("//DESCRIPTION what it does\n//GAV x:y:1\n//DEPSX a:b:1\n//deps a:b:1\n", &[], None);
}

#[test]
fn what_only_looks_like_a_directive_is_none() {
    check(" //DEPS a:b:1\n", &[], None);
    check("// DEPS a:b:1\n", &[], None);
    check("int x; //DEPS a:b:1\n", &[], None);
    check("/*\n//DEPS a:b:1\n*/\n", &[], None);
    check("/*\n//DEPS a:b:1\n", &[], None);
    check("String s = \"\"\"\n//DEPS a:b:1\n\\\"\"\"\n//DEPS c:d:1\n\"\"\";\n", &[], None);
    check("String s = \"\n//DEPS a:b:1\n", &[("a:b", "1")], None);
    check("char c = '\"';\n//DEPS a:b:1\nchar d = '\\'';\n//DEPS c:d:1\n", &[("a:b", "1"), ("c:d", "1")], None);
    check("String s = \"/*\";\n//DEPS a:b:1\n", &[("a:b", "1")], None);
    check("String s = \"\\", &[], None);
    assert_eq!(dependencies(b"//DEPS \xff").unwrap(), Declared::default());
}

#[test]
fn what_can_not_be_meant_is_named_with_its_place() {
    for (source, expect) in [
        (
            "\n//DEPS a:b:1 https://x/y.jar\n",
            "source: line 2, column 14: `https://x/y.jar` is an address; name a package",
        ),
        ("//DEPS a:b:${v}\n", "source: line 1, column 8: `a:b:${v}` has a property in it; write the version out"),
        ("//DEPS gson\n", "source: line 1, column 8: `gson` is not a package; write group:artifact:version"),
        ("//DEPS a:b:1:c:d\n", "source: line 1, column 8: `a:b:1:c:d` is not a package"),
        ("//DEPS a::1\n", "source: line 1, column 8: `a::1` is not a package"),
        ("//DEPS -a:b:1\n", "source: line 1, column 8: `-a:b:1` is not a package"),
        ("//DEPS ..:b:1\n", "source: line 1, column 8: `..:b:1` is not a package"),
        ("//DEPS a:b:1@zip\n", "source: line 1, column 8: `a:b:1@zip` is of the kind \"zip\"; only jar and pom"),
        ("//JAVA new\n", "source: line 1, column 1: the version after `//JAVA` can't be read; write `//JAVA 21`"),
        ("//JAVA 0\n", "source: line 1, column 1: the version after `//JAVA`"),
        ("//REPOS x=https://x\n", "source: line 1, column 1: `//REPOS`: packages come from the repository that this"),
        ("//SOURCES B.java\n", "source: line 1, column 1: `//SOURCES`: a script is one file; put the classes in it"),
        ("//JAVAC_OPTIONS -proc:full\n", "source: line 1, column 1: `//JAVAC_OPTIONS`: the compiler's options are"),
    ] {
        let error = dependencies(source.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with(expect), "{source:?}: {error}");
    }
    assert_eq!(dependencies("//DEPS x\n".repeat(1000).as_bytes()).unwrap_err().problems().len(), MOST_PROBLEMS);
}

proptest! {
    #[test]
    fn pieces_in_any_order_are_read(pieces in prop::collection::vec(prop::sample::select(vec![
        "//DEPS ", "//JAVA ", "21+", "a:b:1", "a:b:[1,2)", ",", ";", "@pom", "@", ":", "//REPOS", "/*", "*/", "\"", "\"\"\"",
        "'", "\\", "\n", "\r\n", "\r", " ", "\t", "é", "\u{feff}", "\u{2028}", "$", "//", " // ", "(", "]",
    ]), 0..40)) {
        let source = pieces.concat();
        if let Ok(declared) = dependencies(source.as_bytes()) {
            prop_assert_eq!(declared.problems(), vec![]);
        }
    }

    #[test]
    fn nothing_stops_it(source in ".{0,60}") {
        drop(dependencies(source.as_bytes()));
    }
}
