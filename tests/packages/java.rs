//! Maven packages.

use script_engine_languages::packages::PackageSources;

use crate::bench::{Bench, Folder, twice};

const SCRIPT: &str = "//DEPS com.google.code.gson:gson:2.13.1

import com.google.gson.Gson;

public class Main {
    public static void main(String[] args) {
        System.out.println(new Gson().toJson(new int[] {1, 2}));
    }
}
";

#[tokio::test(flavor = "multi_thread")]
async fn a_script_runs_with_a_package_and_again_without_a_repository() {
    twice("Main.java", SCRIPT, "[1,2]\n", PackageSources::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_package_lacks_is_said_when_the_script_is_saved() {
    let folder = Folder::new();
    let bench = Bench::new(&folder, PackageSources::default()).await;
    let error = bench.save("Main.java", &SCRIPT.replace("2.13.1", "0.0.1"), &[]).await.unwrap_err().to_string();
    let expect = "dependencies: com.google.code.gson:gson 0.0.1: no such version in the repository; the newest is";
    assert!(error.starts_with(expect), "{error}");
    bench.finish().await;
}
