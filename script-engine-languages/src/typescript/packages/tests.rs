//! Declarations as they are written, and what Node gets of them.

use proptest::prelude::*;
use script_engine_core::EntryPoint;

use super::super::form::Form;
use super::super::transpile::{Transpiled, transpile};
use super::*;

fn read_all(name: &str, text: &str) -> std::result::Result<Transpiled, Check> {
    transpile(text, form(name), name).unwrap()
}

fn form(name: &str) -> Form {
    Form::of(&EntryPoint::parse(name).unwrap())
}

#[track_caller]
fn check(name: &str, text: &str, packages: &[(&str, &str)], rewritten: &str) {
    let found = read_all(name, text).unwrap_or_else(|it| panic!("{text}: {it:?}"));
    let expect: Vec<_> = packages.iter().map(|(name, wanted)| ScriptDependency::runtime(*name, *wanted)).collect();
    assert_eq!(found.declared, expect, "{text}");
    let made = found.rewritten.unwrap_or_else(|| text.to_owned());
    assert_eq!(made, rewritten, "{text}");
    assert_eq!(made.len(), text.len());
}

#[track_caller]
fn fails(text: &str, expect: &str) {
    let found = read_all("main.ts", text).unwrap_err();
    assert!(found[0].to_string().starts_with(expect), "{text}: {found:?}");
}

#[test]
fn imports_are_read_and_get_bare_names_in_place() {
    check(
        "main.ts",
        "import { z } from \"npm:zod@^3.22\"; z();",
        &[("zod", "^3.22")],
        "import { z } from \"zod\"          ; z();",
    );
    check("main.js", "import 'npm:a'\n", &[("a", "")], "import 'a'    \n");
    check("main.mjs", "export * from 'npm:@s/a@1/sub/x.js';", &[("@s/a", "1")], "export * from '@s/a/sub/x.js'      ;");
    check("main.ts", "export { x } from 'npm:/a@~1.2'", &[("a", "~1.2")], "export { x } from 'a'          ");
    check("main.ts", "import type { T } from 'npm:a@1';", &[("a", "1")], "import type { T } from 'a'      ;");
    check("main.ts", "type T = import('npm:a@1').T;", &[("a", "1")], "type T = import('a'      ).T;");
    check("main.cts", "import a = require('npm:a@1');", &[("a", "1")], "import a = require('a'      );");
    check(
        "main.cjs",
        "require('npm:a@1'); require.resolve(`npm:b@>=1 <2`)",
        &[("a", "1"), ("b", ">=1 <2")],
        "require('a'      ); require.resolve(`b`           )",
    );
    check("main.mjs", "await import('npm:a@1/b')", &[("a", "1")], "await import('a/b'      )");
    check("main.mjs", "import.meta.resolve('npm:a')", &[("a", "")], "import.meta.resolve('a'    )");
    check("main.mjs", "import 'npm:events@3/events.js'", &[("events", "3")], "import 'events/events.js'      ");
    // Only what names a module does.
    let text = "const ä = 'npm:a'; f('npm:b'); import(`npm:${ä}`); import('zod'); import 'node:fs';";
    check("main.mjs", text, &[], text);
}

#[test]
fn comment_lines_are_read() {
    let text = "#!/usr/bin/env node\n// npm: zod@^3, @s/b@>=1 <2 , c\r\n  //npm:d@latest\nconst s = `\n// npm: e\n`; /* npm: f */\n";
    check("main.ts", text, &[("zod", "^3"), ("@s/b", ">=1 <2"), ("c", ""), ("d", "latest")], text);
    let long = "// npm: a@1\nx = '// npm: b'\n // npm: c\r\n";
    let expect = [ScriptDependency::runtime("a", "1"), ScriptDependency::runtime("c", "")];
    assert_eq!(read_lines(long).unwrap(), expect);
    let found = read_lines("// npm: a, ä\nimport 'npm:a'").unwrap_err();
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert!(found[0].starts_with("line 1, column 12: `ä` is no package of npm"), "{found:?}");
    assert!(found[1].starts_with("line 2, column 8: an import of `npm:` in a source too long"), "{found:?}");
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    fails("let ä;\nimport x from 'npm:';", "line 2, column 15: `` is no package of npm; write it such as");
    fails("import 'npm:../a'", "line 1, column 8: `..` is no package of npm");
    fails("import 'npm:a@https:'", "line 1, column 8: `https:` is no version requirement");
    fails("import 'npm:a@file:x.tgz'", "line 1, column 8: `file:x.tgz` is no version requirement");
    fails("import 'npm:a@1/../../x'", "line 1, column 8: `/../../x` is no file of a package");
    fails("import 'npm:a\\x40'", "line 1, column 8: `a\\\\x40` is no package of npm");
    fails("import 'npm:events@3'", "line 1, column 8: Node takes its own module `events` in place of the package");
    fails("// npm: a, git+ssh://x\n1", "line 1, column 12: `git+ssh://x` is no package of npm");
    fails("import 'npm:a' +", "line 1, column ");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_refused_and_keeps_its_length(
        parts in prop::collection::vec(prop::sample::select(vec![
            "import ", "'npm:", "\"npm:a@1/b\"", "a", "@", "/", "'", "`", "from ", ";", "\n", "// npm: ", ",", "require(", ")", "ä", " ", "export * ",
        ]), 0..16)
    ) {
        let text = parts.concat();
        for name in ["main.ts", "main.cjs"] {
            if let Ok(Transpiled { rewritten: Some(made), .. }) = read_all(name, &text) {
                prop_assert_eq!(made.len(), text.len());
            }
        }
        drop(read_lines(&text));
    }

    #[test]
    fn no_import_leads_out_of_its_package(wanted in "[a-z@/.:~^ %\\\\]{0,24}") {
        if let Ok((package, bare)) = import(&wanted) {
            prop_assert!(name::problem(&package).is_none());
            prop_assert!(bare.starts_with(&package.name) && bare.split('/').all(|it| it != "..") && bare.len() <= wanted.len());
        }
    }
}
