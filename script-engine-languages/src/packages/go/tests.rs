//! Go's steps with this machine's Go and a real index.

use std::process::Command;

use script_engine_core::{ScriptDependency, Timestamp};

use super::*;
use crate::packages::on_this_machine::{Folder, carry_out};
use crate::packages::sources::IndexSource;

const PATH: &str = "/usr/local/go/bin:/usr/bin:/bin";
const NEVER: Rules = Rules { published_before: None, install_scripts: false };

fn go() -> GoModules {
    GoModules::new().unwrap()
}

fn declared(source: &str, beside: &[ScriptDependency]) -> Declared {
    GoModules::declared(source.as_bytes()).unwrap().with(beside)
}

fn lock(declared: &Declared, rules: Rules) -> Result<DependencyLock> {
    carry_out(go().lock(declared, &PackageSources::default(), rules).unwrap(), PATH)
}

/// Unpacks a layer and builds `source` with it and nothing else. The layer can't be written to.
fn build_with(layer: &Bytes, lock: &DependencyLock, source: &str) -> String {
    let folder = Folder::new();
    let place = |name: &str| folder.0.join(name);
    std::fs::write(place("layer.tar"), layer).unwrap();
    for name in ["packages", "module", "tmp"] {
        std::fs::create_dir(place(name)).unwrap();
    }
    let unpacked = Command::new("tar").arg("-xf").arg(place("layer.tar")).arg("-C").arg(place("packages")).status();
    assert!(unpacked.unwrap().success());
    for (name, content) in lock.files.iter().filter(|it| it.0 != "imports.go") {
        std::fs::write(place("module").join(name), content).unwrap();
    }
    std::fs::write(place("module/main.go"), source).unwrap();
    let copied = Command::new("cp").arg("-rs").arg(place("packages/gocache")).arg(place("cache")).status();
    assert!(copied.unwrap().success());
    let built = Command::new("go")
        .args(["build", "-trimpath", "-x", "-o", "../program", "."])
        .current_dir(place("module"))
        .env_clear()
        .env("PATH", PATH)
        .env("HOME", &folder.0)
        .env("GOCACHE", place("cache"))
        .env("GOMODCACHE", place("packages/gomod"))
        .env("GOTMPDIR", place("tmp"))
        .envs([
            ("GOPROXY", "off"),
            ("GOSUMDB", "off"),
            ("GOENV", "off"),
            ("CGO_ENABLED", "0"),
            ("GOFLAGS", "-mod=readonly"),
        ])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{told}");
    // Of all packages only the script itself was compiled.
    assert_eq!(told.matches("/compile -o").count(), 1, "{told}");
    let printed = Command::new(place("program")).output().unwrap();
    String::from_utf8(printed.stdout).unwrap()
}

fn layer(lock: &DependencyLock) -> Bytes {
    let step = go().install(lock, LayerUse::Compile, &PackageSources::default(), NEVER).unwrap().unwrap();
    carry_out(step, PATH).unwrap()
}

#[test]
fn a_module_is_locked_fetched_and_compiled_with_and_again_with_the_same_bytes() {
    let source = "package main\n\nimport (\n\t\"fmt\"\n\n\t\"github.com/google/uuid\"\n)\n\nfunc main() {\n\tfmt.Println(uuid.Nil)\n}\n";
    let first =
        lock(&declared(source, &[ScriptDependency::runtime("github.com/google/uuid", "v1.5.0")]), NEVER).unwrap();
    let names: Vec<_> =
        first.packages.iter().map(|it| (it.name.as_str(), it.version.as_str(), it.hashes.len())).collect();
    assert_eq!(names, [("github.com/google/uuid", "v1.5.0", 1)]);
    assert!(first.packages[0].url.ends_with("/github.com/google/uuid/@v/v1.5.0.zip"), "{}", first.packages[0].url);
    let second =
        lock(&declared(source, &[ScriptDependency::runtime("github.com/google/uuid", "v1.5.0")]), NEVER).unwrap();
    assert_eq!(first.to_json().unwrap(), second.to_json().unwrap());
    let archive = layer(&first);
    assert!(archive == layer(&second), "two layers of one lock differ");
    assert_eq!(build_with(&archive, &first, source), "00000000-0000-0000-0000-000000000000\n");
}

#[test]
fn a_script_without_modules_has_a_lock_for_the_standard_library() {
    let lock_of = |import: &str| {
        let source = format!("package main\n\nimport \"{import}\"\n\nfunc main() {{}}\n");
        lock(&declared(&source, &[]), NEVER).unwrap()
    };
    let plain = lock_of("fmt");
    assert_eq!(plain.packages, vec![]);
    go().install(&plain, LayerUse::Compile, &PackageSources::default(), NEVER).unwrap();
    // One layer for all of them.
    assert_eq!(plain.digest, lock_of("os/exec").digest);
    assert_ne!(plain.digest, lock_of("net/http").digest);
}

#[test]
fn what_the_go_command_complains_of_is_one_line() {
    let source = |import: &str| format!("package main\nimport _ \"{import}\"\nfunc main() {{}}\n");
    for (import, version, expect) in [
        (
            "github.com/google/uuid",
            "v1.999.0",
            "dependencies: github.com/google/uuid v1.999.0: no such version in the index",
        ),
        (
            "github.com/google/uuid/none",
            "",
            "dependencies: github.com/google/uuid/none: its module (v1.6.0) has no such package",
        ),
        (
            "github.com/mattn/go-sqlite3",
            "v2.0.3+incompatible",
            "dependencies: github.com/mattn/go-sqlite3 v2.0.3+incompatible is retracted by its author: Accidental; no \
             major changes or features.; take another version",
        ),
    ] {
        let more: Vec<_> =
            (!version.is_empty()).then(|| ScriptDependency::runtime(import, version)).into_iter().collect();
        let error = lock(&declared(&source(import), &more), NEVER).unwrap_err();
        assert_eq!(error.to_string(), expect);
    }
    let sources = PackageSources {
        go_proxy: IndexSource { url: Some("http://127.0.0.1:9".into()), ..IndexSource::default() },
        ..PackageSources::default()
    };
    let step = go().lock(&declared(&source("github.com/google/uuid"), &[]), &sources, NEVER).unwrap();
    let error = carry_out(step, PATH).unwrap_err();
    assert_eq!(error.kind(), script_engine_core::ErrorKind::Unavailable);
    assert_eq!(error.to_string(), "the index of Go modules can't be reached: connection refused");
}

#[test]
fn a_changed_checksum_is_refused() {
    let source = "package main\nimport _ \"github.com/google/uuid\"\nfunc main() {}\n";
    let good = lock(&declared(source, &[]), NEVER).unwrap();
    let files = good.files.iter().map(|(name, content)| {
        let text = String::from_utf8(content.to_vec()).unwrap();
        (name.clone(), Bytes::from(text.replace(" h1:N", " h1:M")))
    });
    let bad = DependencyLock::new(good.language.clone(), good.platform.clone(), good.packages.clone(), files.collect());
    let bad = bad.unwrap();
    assert_ne!(bad.digest, good.digest);
    let step = go().install(&bad, LayerUse::Compile, &PackageSources::default(), NEVER).unwrap().unwrap();
    let error = carry_out(step, PATH).unwrap_err().to_string();
    assert!(error.contains("github.com/google/uuid v1.6.0: checksum mismatch"), "{error}");
}

#[test]
fn only_versions_that_are_old_enough_are_taken() {
    // The first of January 2024.
    let before = Rules { published_before: Some(Timestamp::from_micros(1_704_067_200_000_000)), ..NEVER };
    let source = "package main\nimport _ \"github.com/google/uuid\"\nfunc main() {}\n";
    let lock_of = |more: &[ScriptDependency]| lock(&declared(source, more), before);
    assert_eq!(lock_of(&[]).unwrap().packages[0].version, "v1.5.0");
    let error = lock_of(&[ScriptDependency::runtime("github.com/google/uuid", "v1.6.0")]).unwrap_err().to_string();
    assert!(error.starts_with("dependencies: github.com/google/uuid v1.6.0 was published on 2024-01-23"), "{error}");
}

#[test]
fn a_module_is_looked_up_by_its_path() {
    let search = |text: &str| {
        let step = go().search(text, 10, &PackageSources::default())?;
        carry_out(step, PATH)
    };
    let found = search("github.com/google/uuid").unwrap();
    assert_eq!(found.len(), 1);
    assert!(found[0].version.as_deref().is_some_and(|it| it.starts_with("v1.")), "{found:?}");
    assert_eq!(search("github.com/google/no-such-module-here").unwrap(), vec![]);
    assert!(search("json parser").unwrap_err().to_string().starts_with("text: \"json parser\" is no module path"));
}
