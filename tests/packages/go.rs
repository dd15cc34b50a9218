//! Go modules.

use script_engine_core::ScriptDependency;
use script_engine_languages::packages::PackageSources;

use crate::bench::{Bench, Folder, twice};

const SCRIPT: &str = "package main

// go.mod
// require github.com/google/uuid v1.6.0

import (
\t\"fmt\"

\t\"github.com/google/uuid\"
)

func main() {
\tfmt.Println(uuid.NewSHA1(uuid.NameSpaceURL, []byte(\"x\")).Version())
}
";

#[tokio::test(flavor = "multi_thread")]
async fn a_script_runs_with_a_module_and_again_without_an_index() {
    twice("main.go", SCRIPT, "VERSION_5\n", 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_module_lacks_is_said_when_the_script_is_saved() {
    let folder = Folder::new();
    let bench = Bench::new(&folder, PackageSources::default()).await;
    let beside = [ScriptDependency::runtime("github.com/google/uuid", "v1.999.0")];
    let error = bench.save("main.go", &SCRIPT.replace(" v1.6.0", " v1.5.0"), &beside).await.unwrap_err();
    let expect = "dependencies: github.com/google/uuid v1.999.0: no such version in the index";
    assert_eq!(error.to_string(), expect);
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_standard_library_is_compiled_once_for_all_scripts() {
    let folder = Folder::new();
    let bench = Bench::new(&folder, PackageSources::default()).await;
    let plain = "package main\n\nfunc main() {}\n";
    let other = SCRIPT.replace("v1.6.0", "v1.5.0");
    for (source, built) in [(SCRIPT, 2), (plain, 2), (other.as_str(), 3)] {
        let name = bench.save("main.go", source, &[]).await.expect("it is saved");
        bench.run(&name).await;
        assert_eq!(bench.counts().built, built, "{source}");
    }
    bench.finish().await;
}
