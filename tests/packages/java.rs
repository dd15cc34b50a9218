//! Maven packages.

use std::sync::Arc;

use script_engine_core::contract::{PackageTarget, Step};
use script_engine_core::memory::MemoryCache;
use script_engine_core::packages::{Declared, DependencyLock, LayerUse, PackageSummary};
use script_engine_core::{DependencyScope, LanguageId, Limits, Result, ScriptDependency};
use script_engine_languages::packages::{Ecosystem, LayerStep, MavenPackages, PackageSettings, PackageSources, Rules};

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
    twice("Main.java", SCRIPT, "[1,2]\n", 1).await;
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

/// Prints whether the archive of its packages' classes is in its memory.
const SHARED: &str = "//DEPS com.google.code.gson:gson:2.13.1

public class Main {
    public static void main(String[] args) throws Exception {
        Class.forName(\"com.google.gson.Gson\").getDeclaredConstructor().newInstance();
        System.out.println(java.nio.file.Files.readString(java.nio.file.Path.of(\"/proc/self/maps\")).contains(\"/packages/classes.jsa\"));
    }
}
";

#[tokio::test(flavor = "multi_thread")]
async fn the_classes_of_packages_are_mapped_where_their_layer_has_them_in_an_archive() {
    let (folder, compiled) = (Folder::new(), Arc::<MemoryCache>::default());
    // What was compiled for a layer without is not run with one that has it, nor the other way about.
    for finished_in_place in [false, true, false] {
        let settings = PackageSettings { finished_in_place, ..PackageSettings::new(folder.path().join("packages")) };
        let bench = Bench::with(&folder, settings, Arc::clone(&compiled)).await;
        let name = bench.save("Main.java", SHARED, &[]).await.expect("it is saved");
        assert_eq!(bench.run(&name).await, format!("{finished_in_place}\n"));
        bench.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_class_of_the_script_comes_before_one_of_a_package() {
    let folder = Folder::new();
    let bench = Bench::new(&folder, PackageSources::default()).await;
    let source = "//DEPS com.google.code.gson:gson:2.13.1
package com.google.gson;

class Gson {
    public static void main(String[] args) {
        System.out.println(new Gson() + \" and \" + JsonNull.INSTANCE);
    }

    public String toString() {
        return \"the script's\";
    }
}
";
    let name = bench.save("Gson.java", source, &[]).await.expect("it is saved");
    assert_eq!(bench.run(&name).await, "the script's and null\n");
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_for_the_compiler_works_in_it_and_is_not_there_later() {
    let folder = Folder::new();
    let bench = Bench::new(&folder, PackageSources::default()).await;
    let lombok = ScriptDependency {
        scope: DependencyScope::Build,
        ..ScriptDependency::runtime("org.projectlombok:lombok", "1.18.42")
    };
    let body = "@lombok.Value class Point { int x, y; }

public class Main {
    public static void main(String[] args) throws Exception {
        System.out.println(new Point(1, 2));
        try {
            Class.forName(\"lombok.Value\");
        } catch (ClassNotFoundException expected) {
            System.out.println(\"not there\");
        }
    }
}
";
    let gson = format!("//DEPS com.google.code.gson:gson:2.13.1\n{body}")
        .replace("new Point(1, 2)", "new com.google.gson.Gson().toJson(new Point(1, 2))");
    for (source, expect) in [(body, "Point(x=1, y=2)\nnot there\n"), (gson.as_str(), "{\"x\":1,\"y\":2}\nnot there\n")]
    {
        let name = bench.save("Main.java", source, std::slice::from_ref(&lombok)).await.expect("it is saved");
        assert_eq!(bench.run(&name).await, expect);
    }
    bench.finish().await;
}

/// Maven packages whose layers can't be finished.
#[derive(Debug)]
struct Unfinished(MavenPackages);

impl Ecosystem for Unfinished {
    fn language(&self) -> &LanguageId {
        self.0.language()
    }

    fn limits(&self) -> Limits {
        self.0.limits()
    }

    fn fingerprint(&self) -> String {
        self.0.fingerprint()
    }

    fn lock(&self, declared: &Declared, sources: &PackageSources, rules: Rules) -> Result<Step<DependencyLock>> {
        self.0.lock(declared, sources, rules)
    }

    fn install(
        &self,
        lock: &DependencyLock,
        wanted: LayerUse,
        sources: &PackageSources,
        rules: Rules,
    ) -> Result<Option<LayerStep>> {
        self.0.install(lock, wanted, sources, rules)
    }

    fn finish(&self, lock: &DependencyLock, wanted: LayerUse, target: &PackageTarget) -> Result<Option<LayerStep>> {
        let mut step = self.0.finish(lock, wanted, target)?.expect("a step");
        step.argv = vec!["false".to_owned()];
        Ok(Some(step))
    }

    fn search(&self, text: &str, limit: usize, sources: &PackageSources) -> Result<Step<Vec<PackageSummary>>> {
        self.0.search(text, limit, sources)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_that_can_t_be_finished_is_used_as_it_is() {
    // What another engine compiled for a layer that was finished is run with it too, and nothing is said of that.
    let compiled = Arc::<MemoryCache>::default();
    for (finished, printed) in [(true, "true\n"), (false, "false\n")] {
        let folder = Folder::new();
        let maven = MavenPackages::new().unwrap();
        let maven: Arc<dyn Ecosystem> = if finished { Arc::new(maven) } else { Arc::new(Unfinished(maven)) };
        let settings = PackageSettings::new(folder.path().join("packages"));
        let bench = Bench::of(&folder, settings, Arc::clone(&compiled), vec![maven]).await;
        let name = bench.save("Main.java", SHARED, &[]).await.expect("it is saved");
        assert_eq!(bench.run(&name).await, printed);
        bench.finish().await;
    }
}
