//! Blocks as they are written, and as they must not be.

use proptest::prelude::*;
use script_engine_core::ScriptDependency;

use super::*;

#[track_caller]
fn check(source: &str, packages: &[(&str, &str)], toolchain: Option<&str>) {
    let found = read(source.as_bytes()).unwrap_or_else(|it| panic!("{source:?}: {it}")).declared;
    let packages: Vec<_> = packages.iter().map(|(name, wanted)| ScriptDependency::runtime(*name, *wanted)).collect();
    assert_eq!((found.packages, found.toolchain.as_deref()), (packages, toolchain), "{source:?}");
}

#[track_caller]
fn fails(source: &str, expect: &str) {
    let found = read(source.as_bytes()).unwrap_err().to_string();
    assert!(found.starts_with(expect), "{source:?}: {found}");
}

#[test]
fn a_block_says_packages_and_python() {
    let block = "# /// script\n# requires-python = \">=3.11\"\n# dependencies = [\n#   \"requests<3\", # why\n#   \"rich\",\n# ]\n# ///\nimport requests\n";
    let packages = [("requests", "<3"), ("rich", "")];
    check(block, &packages, Some(">=3.11"));
    check(&block.replace('\n', "\r\n"), &packages, Some(">=3.11"));
    check(&format!("\u{feff}#!/usr/bin/python3\n\"\"\"A doc.\"\"\"\n{block}"), &packages, Some(">=3.11"));
    check("print(1)\n", &[], None);
    check("# /// script\n# ///\n", &[], None);
    check("# /// script\n#\n# dependencies = []\n# ///", &[], None);
    // Other types are others' affair, closed or not.
    check("# /// test\n# a = 1\n# ///\n\n# /// x\n", &[], None);
    check("#/// script\n# ////\n## /// script\n", &[], None);
    // The grammar's end is the last such line of the run of comments.
    check("# /// script\n# dependencies = ['a']\n# ///\n#\n#x\n# ///\n", &[("a", "")], None);
    check("# /// script\n# [tool.black]\n# line-length = 1\n# [tool.uv]\n# ///\n", &[], None);
}

#[test]
fn a_block_in_a_string_is_none() {
    check("x = '''\n# /// script\n# dependencies = [\"a\"]\n# ///\n'''\n", &[], None);
    check("if 1:\n    # /// script\n    # dependencies = [\"a\"]\n    # ///\n    pass\n", &[], None);
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let block = "# /// script\n# dependencies = []\n# ///\n";
    fails(&format!("{block}\n{block}"), "line 5, column 1: a second `# /// script` block; put all into one");
    fails(&format!("{block}{block}"), "line 4, column 1: a block begins before the one above is closed; ");
    fails("\n# /// script\n# dependencies = []\n#///\n", "line 2, column 1: this `# /// script` block is not closed; ");
    fails(
        "# /// script\n# dependencies = []\n\n# ///\n",
        "line 1, column 1: this `# /// script` block is not closed; ",
    );
    fails("# /// script\n# dependencies = [\n# ///\n", "line 2, column 19: this block is not TOML: unclosed array");
    fails("# /// script\n# a = 1\n# a = 2\n# ///\n", "line 3, column 3: this block is not TOML: duplicate key");
    fails("# /// script\n# dependencies = 'a'\n# ///\n", "line 2, column 18: `dependencies` is a list of strings");
    fails("# /// script\n# dependencies = ['a', 1]\n# ///\n", "line 2, column 24: `dependencies` is a list of strings");
    fails(
        "# /// script\n# dependencies = [\n#  'ä', 'b @ https://x/b.whl']\n# ///\n",
        "line 3, column 4: `ä` is no requirement",
    );
    fails(
        "# /// script\n# dependencies = [\n#  'a', 'b @ https://x/b.whl']\n# ///\n",
        "line 3, column 9: `b @ https://x/b.whl` asks for an address",
    );
    fails("# /// script\n# requires-python = 3\n# ///\n", "line 2, column 21: `requires-python` is a string");
    fails("# /// script\n# dependancies = ['a']\n# ///\n", "line 2, column 3: `dependancies` is not read; ");
    fails("# /// script\n# [tool.uv]\n# sources = {}\n# ///\n", "line 3, column 3: `tool.uv.sources` is not read; ");
    let long = "# x\n".repeat(40_000);
    fails(&format!("# /// script\n{long}# ///\n"), "line 1, column 1: this block is longer than 64 KiB");
    let deep = "[".repeat(20_000);
    fails(&format!("# /// script\n# dependencies = {deep}\n# ///\n"), "line 2, column ");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        drop(read(&bytes));
    }

    #[test]
    fn any_lines_are_read_or_refused_at_a_line_that_is_there(
        lines in prop::collection::vec(prop::sample::select(vec![
            "# /// script", "# ///", "#", "# dependencies = [", "# 'a',", "# ]", "'''", "# requires-python = '>=3'", "x = 1", "# /// t", "# ä = 1\r",
        ]), 0..14)
    ) {
        let text = lines.join("\n");
        if let Err(found) = read(text.as_bytes()) {
            prop_assert!((1..=lines.len().max(1)).contains(&usize::try_from(found.line).unwrap()), "{}", found);
        }
    }
}
