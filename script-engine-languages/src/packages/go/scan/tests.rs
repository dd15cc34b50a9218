//! What is read of Go sources, sound and broken ones.

use proptest::prelude::*;
use script_engine_core::ScriptDependency;

use super::*;

#[track_caller]
fn check(source: &str, packages: &[&str], manifest: &str) {
    let declared = dependencies(source.as_bytes()).unwrap();
    let expect: Vec<ScriptDependency> = packages.iter().map(|it| ScriptDependency::runtime(*it, "")).collect();
    assert_eq!(declared.packages, expect, "{source:?}");
    assert_eq!(declared.manifest.as_deref(), Some(manifest), "{source:?}");
    assert_eq!(declared.problems(), vec![], "{source:?}");
}

const PLAIN: &str = "// standard library: plain\nmodule script\n\n";
const NET: &str = "// standard library: net\nmodule script\n\n";

#[test]
fn imports_are_read_and_what_looks_like_them_is_not() {
    let uuid = "github.com/google/uuid";
    check("package main\nimport \"fmt\"\nfunc main() {}\n", &[], PLAIN);
    check("package main\nimport \"net/http\"\n", &[], NET);
    check("package main\nimport \"net/url\"\n", &[], PLAIN);
    check("package main\nimport \"github.com/google/uuid\"", &[uuid], PLAIN);
    check(
        "\u{feff}// a\r\npackage main\r\nimport (\r\n\t\"fmt\"\r\n\tid \"github.com/google/uuid\" // why\r\n)\r\n",
        &[uuid],
        PLAIN,
    );
    check(
        "package main; import (. \"github.com/google/uuid\"; _ `gopkg.in/yaml.v3`)",
        &[uuid, "gopkg.in/yaml.v3"],
        PLAIN,
    );
    check("package main\nimport \"a.b/c\"\nimport \"a.b/c\"\n", &["a.b/c"], PLAIN);
    check("package main\n/* import \"a.b/c\" */\nvar s = `\nimport \"a.b/c\"\n`\n", &[], PLAIN);
    check("package main\nfunc main() {}\nimport \"a.b/c\"\n", &[], PLAIN);
    check("import \"a.b/c\"\npackage main\n", &[], PLAIN);
    check("package main\nimport \"a.b/c", &["a.b/c"], PLAIN);
    check("package main\nimport ()\nimport \"a.b/~c_-+1/v2\"", &["a.b/~c_-+1/v2"], PLAIN);
    check("", &[], PLAIN);
    assert_eq!(dependencies(b"\xff\xfe").unwrap(), Declared::default());
}

#[test]
fn a_go_mod_in_a_comment_becomes_the_manifest() {
    let lines = "require gopkg.in/yaml.v3 v3.0.1\n\ngo 1.22\n";
    let expect = format!("{PLAIN}{lines}");
    check("// go.mod\n// require gopkg.in/yaml.v3 v3.0.1\n//\n// go 1.22\n\npackage main", &[], &expect);
    check("// go.mod:\r\n// require gopkg.in/yaml.v3 v3.0.1\r\n//\r\n// go 1.22\r\npackage main", &[], &expect);
    check("package main\nfunc main() {}\n/*\ngo.mod\nrequire gopkg.in/yaml.v3 v3.0.1\n\ngo 1.22\n*/", &[], &expect);
    check(
        "// go.mod\n// module x\n// require (\n//\ta.b/c v1.0.0 // indirect\n// )\n// replace a.b/c => d.e/f v1.2.3\npackage main",
        &[],
        "// standard library: plain\nmodule x\nrequire (\n\ta.b/c v1.0.0 // indirect\n)\nreplace a.b/c => d.e/f v1.2.3\n",
    );
    check("// see go.mod\n// require nothing\npackage main", &[], PLAIN);
    check("package main\nvar s = \"// go.mod\"\n", &[], PLAIN);
}

#[test]
fn what_a_script_can_not_have_is_named_with_its_place() {
    for (source, expect) in [
        ("package main\nimport \"C\"", "source: line 2, column 8: `import \"C\"` needs a C compiler"),
        ("package main\nimport \"./x\"", "source: line 2, column 8: the import \"./x\" is a path"),
        ("package main\nimport (\n\t\"fmt\"\n\t\"/etc\"\n)", "source: line 4, column 2: the import \"/etc\" is a path"),
        ("package main\nimport \"a.b/../c\"", "source: line 2, column 8: \"a.b/../c\" is no import path"),
        ("package main\nimport \"-a.b/c\"", "source: line 2, column 8: \"-a.b/c\" is no import path"),
        ("package main\nimport \"a.b/c d\"", "source: line 2, column 8: \"a.b/c d\" is no import path"),
        ("package main\nimport \"a.b/c@v1\"", "source: line 2, column 8: \"a.b/c@v1\" is no import path"),
        ("// go.mod\n// go 1.22\npackage main\n// go.mod\n// go 1.22\n", "source: line 4, column 1: a second `go.mod`"),
        ("// go.mod\n// replace a.b/c => ../c\n", "source: line 1, column 1: `replace a.b/c => ../c` in the `go.mod`"),
        ("// go.mod\n// replace a.b/c => \"/c\"\n", "source: line 1, column 1: `replace a.b/c => \"/c\"` in the"),
        ("// go.mod\n// replace (\n// a.b/c => ./c\n// )\n", "source: line 1, column 1: `a.b/c => ./c` in the"),
        ("// go.mod\n// tool a.b/c\n", "source: line 1, column 1: `tool a.b/c` in the `go.mod` block: tools are not"),
        ("// go.mod\n// what is this\n", "source: line 1, column 1: `what is this` in the `go.mod` block has no"),
    ] {
        let error = dependencies(source.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with(expect), "{source:?}: {error}");
    }
    let many = format!("package main\nimport (\n{})", "\"./x\"\n".repeat(1000));
    assert_eq!(dependencies(many.as_bytes()).unwrap_err().problems().len(), MOST_PROBLEMS);
}

proptest! {
    #[test]
    fn nothing_stops_it(source in "[ \t\n\"`'/*()\\\\.;a-zé]*(package main|import|go.mod|replace|=>|// |\u{feff})*[^\u{0}]{0,40}") {
        if let Ok(declared) = dependencies(source.as_bytes()) {
            prop_assert_eq!(declared.problems(), vec![]);
        }
    }

    #[test]
    fn pieces_in_any_order_are_read(pieces in prop::collection::vec(prop::sample::select(vec![
        "package main", "import", "\"a.b/c\"", "\"fmt\"", "(", ")", "\n", ";", "// go.mod\n", "// require a.b/c v1\n",
        "/*", "*/", "`", "\"", "'", "\\", "//", ".", "_", "x", "func main() {}", "\r\n", "\u{feff}", "é",
    ]), 0..40)) {
        let source = pieces.concat();
        let first = dependencies(source.as_bytes());
        prop_assert_eq!(format!("{first:?}"), format!("{:?}", dependencies(source.as_bytes())));
    }
}
