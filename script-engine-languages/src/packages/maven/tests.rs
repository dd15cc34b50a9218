//! Maven's steps with this machine's JDK and a real repository.

use std::process::Command;

use script_engine_core::{ErrorKind, Timestamp};

use super::*;
use crate::packages::on_this_machine::{Folder, carry_out, output_of};
use crate::packages::served::{Answers, Index};
use crate::packages::sources::IndexSource;

const PATH: &str = "/usr/bin:/bin";
const NEVER: Rules = Rules { published_before: None, install_scripts: false };
const GSON: &str = "com.google.code.gson:gson";

fn maven() -> MavenPackages {
    MavenPackages::new().unwrap()
}

fn lock_from(packages: &[ScriptDependency], sources: &PackageSources, rules: Rules) -> Result<DependencyLock> {
    carry_out(maven().lock(&Declared::default().with(packages), sources, rules)?, PATH)
}

fn lock(packages: &[(&str, &str)]) -> Result<DependencyLock> {
    let packages: Vec<_> = packages.iter().map(|it| ScriptDependency::runtime(it.0, it.1)).collect();
    lock_from(&packages, &PackageSources::default(), NEVER)
}

fn layer(lock: &DependencyLock, wanted: LayerUse) -> Result<Option<Bytes>> {
    let step = maven().install(lock, wanted, &PackageSources::default(), NEVER)?;
    step.map(|it| carry_out(it, PATH)).transpose()
}

fn names(lock: &DependencyLock) -> Vec<String> {
    lock.packages.iter().map(|it| format!("{} {} {}", it.name, it.version, it.scope.as_str())).collect()
}

#[test]
fn packages_are_locked_fetched_and_used_and_again_with_the_same_bytes() {
    let source = "//DEPS com.google.code.gson:gson:2.13.1\npublic class A { public static void main(String[] a) {\n\
                  System.out.println(new com.google.gson.Gson().toJson(new int[] {1, 2})); } }\n";
    let declared = MavenPackages::declared(source.as_bytes()).unwrap().with(&[ScriptDependency {
        scope: DependencyScope::Build,
        ..ScriptDependency::runtime("org.projectlombok:lombok", "1.18.30")
    }]);
    let first = lock_from(&declared.packages, &PackageSources::default(), NEVER).unwrap();
    assert_eq!(
        names(&first),
        [
            "com.google.code.gson:gson 2.13.1 runtime",
            "com.google.errorprone:error_prone_annotations 2.38.0 runtime",
            "org.projectlombok:lombok 1.18.30 build",
        ]
    );
    assert_eq!(first.packages[0].requires, ["com.google.errorprone:error_prone_annotations"]);
    let second = lock_from(&declared.packages, &PackageSources::default(), NEVER).unwrap();
    assert_eq!(first.to_json().unwrap(), second.to_json().unwrap());
    let run = layer(&first, LayerUse::Run).unwrap().unwrap();
    assert!(run == layer(&first, LayerUse::Run).unwrap().unwrap(), "two layers of one lock differ");
    let compile = layer(&first, LayerUse::Compile).unwrap().unwrap();
    let folder = Folder::new();
    let place = |name: &str| folder.0.join(name);
    for (name, archive) in [("run", &run), ("compile", &compile)] {
        std::fs::create_dir(place(name)).unwrap();
        std::fs::write(place("layer.tar"), archive).unwrap();
        let unpacked = Command::new("tar").arg("-xf").arg(place("layer.tar")).arg("-C").arg(place(name)).status();
        assert!(unpacked.unwrap().success());
    }
    assert!(place("compile/lib/org.projectlombok.lombok-1.18.30.jar").exists());
    assert!(!place("run/lib/org.projectlombok.lombok-1.18.30.jar").exists());
    std::fs::write(place("A.java"), source).unwrap();
    let jars = format!("{}/*", place("run/lib").display());
    let ran = Command::new("java").args(["-cp", &jars]).arg(place("A.java")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&ran.stdout), "[1,2]\n", "{}", String::from_utf8_lossy(&ran.stderr));
}

#[test]
fn ranges_models_and_the_newest_are_decided() {
    let lock =
        lock(&[(GSON, "[2.8,2.10)"), ("org.slf4j:slf4j-bom@pom", "2.0.9"), ("org.slf4j:slf4j-api", "")]).unwrap();
    assert_eq!(names(&lock), ["com.google.code.gson:gson 2.9.1 runtime", "org.slf4j:slf4j-api 2.0.9 runtime"]);
}

#[test]
fn what_the_resolver_complains_of_is_one_line() {
    for (packages, expect) in [
        (
            &[(GSON, "0.0.1")][..],
            "dependencies: com.google.code.gson:gson 0.0.1: no such version in the repository; the newest",
        ),
        (
            &[("com.google.code.gson:none", "1")],
            "dependencies: com.google.code.gson:none: no such artifact in the repository",
        ),
        (
            &[("com.google.code.gson:none", "")],
            "dependencies: com.google.code.gson:none: no such artifact in the repository",
        ),
        (
            &[(GSON, "[99,)")],
            "dependencies: com.google.code.gson:gson [99,): no such version in the repository; the newest",
        ),
        (&[(GSON, "1-SNAPSHOT")], "dependencies: com.google.code.gson:gson 1-SNAPSHOT: a snapshot changes"),
        (&[(GSON, ">=2")], "dependencies: com.google.code.gson:gson \">=2\": not a version or range of Maven"),
        (&[("gson", "2")], "dependencies: \"gson\" is no package of Maven; name it group:artifact"),
    ] {
        let error = lock(packages).unwrap_err().to_string();
        assert!(error.starts_with(expect), "{error}");
    }
    let sources = PackageSources {
        maven_source: IndexSource { url: Some("http://127.0.0.1:9/x".into()), ..IndexSource::default() },
        ..PackageSources::default()
    };
    let error = lock_from(&[ScriptDependency::runtime(GSON, "2.10")], &sources, NEVER).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.to_string(), "the Maven repository can't be reached: connection refused");
}

#[test]
fn versions_that_are_too_young_or_of_unknown_age_are_named() {
    // The first of January 2020.
    let rules = Rules { published_before: Some(Timestamp::from_micros(1_577_836_800_000_000)), ..NEVER };
    let packages = [ScriptDependency::runtime(GSON, "2.10.1")];
    let error = lock_from(&packages, &PackageSources::default(), rules).unwrap_err().to_string();
    // A repository need not tell the time.
    let told = error.strip_prefix("dependencies: com.google.code.gson:gson 2.10.1 ").unwrap_or_default();
    assert!(
        told.starts_with("was published on 2023-01-06") || told.starts_with("has no time of publication"),
        "{error}"
    );
    assert!(told.ends_with("is accepted; take an older version"), "{error}");
}

#[test]
fn a_jar_with_another_digest_is_refused() {
    let good = lock(&[(GSON, "2.10.1")]).unwrap();
    let mut packages = good.packages.clone();
    packages[0].hashes = vec![format!("sha256:{}", "0".repeat(64))];
    let bad = DependencyLock::new(good.language.clone(), good.platform.clone(), packages, good.files).unwrap();
    let error = layer(&bad, LayerUse::Run).unwrap_err().to_string();
    let expect =
        "dependencies: com.google.code.gson:gson 2.10.1: checksum mismatch: the repository serves something else";
    assert!(error.starts_with(expect), "{error}");
}

#[test]
fn a_package_is_looked_up_by_its_name() {
    let search = |text: &str| carry_out(maven().search(text, 10, &PackageSources::default())?, PATH);
    let found = search(GSON).unwrap();
    assert!(found[0].version.as_deref().is_some_and(|it| it.starts_with("2.")), "{found:?}");
    assert_eq!(search("com.google.code.gson:none").unwrap(), vec![]);
    assert!(search("json").unwrap_err().to_string().starts_with("text: \"json\" is no package name"));
}

/// A repository of our own with what a lock of gson takes, gathered from the real one.
fn own_repository() -> (Index, PackageSources) {
    let mut step = maven()
        .lock(
            &Declared::default().with(&[ScriptDependency::runtime(GSON, "2.10.1")]),
            &PackageSources::default(),
            NEVER,
        )
        .unwrap();
    let mut paths: Vec<(String, String)> = RESOLVER
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .map(|it| (it[1].to_owned(), format!("/work/resolver/{}", it[3])))
        .collect();
    for file in [
        "com/google/code/gson/gson/2.10.1/gson-2.10.1",
        "com/google/code/gson/gson-parent/2.10.1/gson-parent-2.10.1",
        "org/sonatype/oss/oss-parent/7/oss-parent-7",
    ] {
        for end in ["pom", "pom.sha1", "jar", "jar.sha1"] {
            paths.push((format!("{file}.{end}"), format!("/work/local/{file}.{end}")));
        }
    }
    step.collect = paths.iter().map(|it| it.1.clone()).collect();
    let output = output_of(&step, PATH);
    let files = paths.into_iter().zip(output.files).filter_map(|((path, _), content)| Some((path, content?)));
    let index = Index::start(Answers { files: files.collect(), ..Answers::default() });
    let maven_source = IndexSource { url: Some(index.url.clone()), ..IndexSource::default() };
    (index, PackageSources { maven_source, ..PackageSources::default() })
}

#[test]
fn an_index_that_is_slow_to_please_or_hostile_is_told_of() {
    const DAYS: i64 = 86_400_000_000;
    let (index, mut sources) = own_repository();
    let packages = [ScriptDependency::runtime(GSON, "2.10.1")];
    let lock_with = |sources: &PackageSources, rules: Rules| lock_from(&packages, sources, rules);
    let lock = lock_with(&sources, NEVER).unwrap();
    assert_eq!(lock.packages[0].url, format!("{}/com/google/code/gson/gson/2.10.1/gson-2.10.1.jar", index.url));

    // It was there on the sixth of January 2023.
    index.set(|it| it.headers = vec!["last-modified: Fri, 06 Jan 2023 16:15:00 GMT".into()]);
    let before = |day: i64| Rules { published_before: Some(Timestamp::from_micros(day * DAYS)), ..NEVER };
    let error = lock_with(&sources, before(19_363)).unwrap_err().to_string();
    let expect = "dependencies: com.google.code.gson:gson 2.10.1 was published on 2023-01-06T16:15:00Z, and only what was \
                  before 2023-01-06T00:00:00.000000Z is accepted; take an older version";
    assert_eq!(error, expect);
    assert_eq!(lock_with(&sources, before(19_364)).unwrap(), lock);

    index.set(|it| it.authorization = Some("Basic dXNlcjp3w7ZyZA==".into()));
    let error = lock_with(&sources, NEVER).unwrap_err().to_string();
    assert_eq!(error, "the Maven repository can't be reached: it asks for another user or password");
    sources.maven_source.credentials = Some(("user".into(), "wörd".into()));
    assert_eq!(lock_with(&sources, NEVER).unwrap(), lock);

    index.set(|it| it.status = Some(503));
    let error = lock_with(&sources, NEVER).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.to_string(), "the Maven repository can't be reached: it answers 503");

    index.set(|it| {
        it.status = None;
        it.files.insert("com/google/code/gson/gson/2.10.1/gson-2.10.1.jar".into(), Bytes::from_static(b"another"));
    });
    let error = lock_with(&sources, NEVER).unwrap_err().to_string();
    assert!(error.starts_with("dependencies: com.google.code.gson:gson 2.10.1: checksum mismatch"), "{error}");
    index.set(|it| {
        let name = RESOLVER.split(' ').nth(1).unwrap();
        it.files.insert(name.to_owned(), Bytes::from_static(b"another"));
    });
    let error = lock_with(&sources, NEVER).unwrap_err().to_string();
    assert!(error.contains("checksum mismatch"), "{error}");
}
