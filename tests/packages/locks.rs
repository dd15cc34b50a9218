//! Locks that are decided again.

use script_engine_core::ScriptDependency;

use crate::bench::{Bench, Folder};

const GO: &str = "package main

import (
\t_ \"github.com/google/uuid\"
\t_ \"github.com/pkg/errors\"
)

func main() {}
";

/// A script and two packages.
type Script = (&'static str, &'static str, [(&'static str, &'static str); 2]);

/// One of each language; most of the packages need more.
const SCRIPTS: [Script; 5] = [
    ("main.py", "print(1)\n", [("rich", ">=13"), ("requests", "")]),
    ("main.ts", "console.log(1)\n", [("zod", "^3"), ("semver", "^7")]),
    ("main.go", GO, [("github.com/google/uuid", "v1.6.0"), ("github.com/pkg/errors", "v0.9.1")]),
    (
        "Main.java",
        "class Main { public static void main(String[] a) {} }\n",
        [("com.google.code.gson:gson", "2.13.1"), ("org.slf4j:slf4j-simple", "2.0.9")],
    ),
    ("main.sh", "true\n", [("jq", ""), ("bc", "")]),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_is_the_same_whenever_it_is_decided_and_in_whatever_order() {
    let folder = Folder::new();
    let bench = Bench::deciding(&folder).await;
    for (file, source, declared) in SCRIPTS {
        let mut beside = declared.map(|it| ScriptDependency::runtime(it.0, it.1));
        let first = bench.lock(file, source, &beside).await;
        assert!(first.packages.len() >= beside.len(), "{file}: {first:?}");
        for _ in 0..2 {
            beside.reverse();
            let again = bench.lock(file, source, &beside).await;
            assert_eq!(again, first, "{file}");
        }
    }
    assert_eq!(bench.counts().locked, 3 * SCRIPTS.len() as u64);
    bench.finish().await;
}
