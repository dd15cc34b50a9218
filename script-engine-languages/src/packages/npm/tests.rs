//! Locks and layers by the machine's own npm and the registry that it is set up for.

use script_engine_core::{ErrorKind, Timestamp};

use super::*;
use crate::interpreter::carry_out_step;
use crate::packages::IndexSource;
use crate::packages::unwell_index::UnwellIndex;

fn declared(packages: &[(&str, &str)]) -> Declared {
    let packages = packages.iter().map(|(name, wanted)| ScriptDependency::runtime(*name, *wanted));
    Declared { packages: packages.collect(), ..Declared::default() }
}

fn try_lock(declared: &Declared, sources: &PackageSources, rules: Rules) -> Result<DependencyLock> {
    carry_out_step(Npm::new().unwrap().lock(declared, sources, rules)?)
}

fn lock_of(declared: &Declared) -> DependencyLock {
    try_lock(declared, &PackageSources::default(), Rules::default()).unwrap()
}

/// The archive of a layer.
fn layer(lock: &DependencyLock, wanted: LayerUse) -> Result<Bytes> {
    let npm = Npm::new().unwrap();
    carry_out_step(npm.install(lock, wanted, &PackageSources::default(), Rules::default())?.unwrap())
}

fn holds(archive: &[u8], name: &str) -> bool {
    archive.chunks(512).any(|it| it.starts_with(name.as_bytes()) && it[name.len()] == 0)
}

fn build(name: &str, requirement: &str) -> ScriptDependency {
    ScriptDependency { scope: DependencyScope::Build, ..ScriptDependency::runtime(name, requirement) }
}

#[test]
fn a_lock_is_the_closure_with_hashes_and_comes_out_the_same() {
    let mut wanted = declared(&[("@types/ws", "8.5.10"), ("zod", "3.22.0")]);
    wanted.packages.push(build("ms", "2.1.3"));
    let lock = lock_of(&wanted);
    let found: Vec<_> = lock.packages.iter().map(|it| (it.name.as_str(), it.scope.as_str())).collect();
    assert_eq!(found[0], ("@types/node", "runtime"));
    assert!(found.contains(&("zod", "runtime")) && found.contains(&("ms", "build")), "{found:?}");
    assert_eq!(lock.packages[1].requires, ["@types/node"]);
    let zod = lock.packages.iter().find(|it| it.name == "zod").unwrap();
    let hash = "sha512-y5KZY/ssf5n7hCGDGGtcJO/EBJEm5Pa+QQvFBeyMOtnFYOSflalxIFFvdaYevPhePcmcKC4aTbFkCcXN7D0O8Q==";
    assert_eq!(zod.hashes, [hash]);
    assert!(zod.url.ends_with("/zod/-/zod-3.22.0.tgz"), "{}", zod.url);
    assert!(lock.platform.starts_with("linux-"), "{}", lock.platform);
    let turned = Declared { packages: wanted.packages.iter().rev().cloned().collect(), ..Declared::default() };
    assert_eq!(lock_of(&turned), lock);
}

#[test]
fn a_layer_has_what_its_use_needs() {
    let mut wanted = declared(&[("zod", "3.22.0")]);
    wanted.packages.push(build("ms", "2.1.3"));
    let lock = lock_of(&wanted);
    let run = layer(&lock, LayerUse::Run).unwrap();
    assert!(holds(&run, "./zod/package.json") && !holds(&run, "./ms/package.json"));
    let compile = layer(&lock, LayerUse::Compile).unwrap();
    assert!(holds(&compile, "./zod/package.json") && holds(&compile, "./ms/package.json"));
    let only_build = lock_of(&Declared { packages: vec![build("ms", "2.1.3")], ..Declared::default() });
    let npm = Npm::new().unwrap();
    let none = npm.install(&only_build, LayerUse::Run, &PackageSources::default(), Rules::default()).unwrap();
    assert!(none.is_none());
}

#[test]
fn install_scripts_are_not_run() {
    // What `esbuild` installs by its script is a program in its own folder; without it there is the small JavaScript.
    let lock = lock_of(&declared(&[("esbuild", "0.20.0")]));
    let archive = layer(&lock, LayerUse::Run).unwrap();
    let header = archive.chunks(512).find(|it| it.starts_with(b"./esbuild/bin/esbuild\0")).unwrap();
    let size = usize::from_str_radix(std::str::from_utf8(&header[124..135]).unwrap(), 8).unwrap();
    assert!(size < 100_000, "{size}");
}

#[test]
fn a_file_that_is_not_the_locked_one_is_refused() {
    let mut lock = lock_of(&declared(&[("zod", "3.22.0")]));
    for (_, content) in &mut lock.files {
        *content = Bytes::from(String::from_utf8_lossy(content).replace("sha512-y5KZY", "sha512-AAAAA"));
    }
    let error = layer(&lock, LayerUse::Run).unwrap_err().to_string();
    assert!(error.contains("is not the file that was locked"), "{error}");
    lock.platform = "linux-vax-gnu".into();
    assert!(layer(&lock, LayerUse::Run).unwrap_err().to_string().contains("another platform"));
}

#[test]
fn what_can_t_be_locked_is_named() {
    let none = PackageSources::default();
    for (package, wanted, expect) in [
        (
            "no-such-package-of-the-script-engine",
            "1",
            "no-such-package-of-the-script-engine@1: the index has no package",
        ),
        ("zod", "^99", "zod@^99: the index has no such version"),
        ("zod", "no-such-tag", "zod@no-such-tag: the index has no such version"),
    ] {
        let error = try_lock(&declared(&[(package, wanted)]), &none, Rules::default()).unwrap_err().to_string();
        assert!(error.starts_with(&format!("dependencies: {expect}")), "{error}");
    }
    let both = declared(&[("react", "17.0.2"), ("react-dom", "18.2.0")]);
    let error = try_lock(&both, &none, Rules::default()).unwrap_err().to_string();
    let expect = "are in conflict: react@17.0.2 was found, and there is peer react@^18.2.0 from react-dom@18.2.0";
    assert_eq!(error, format!("dependencies: {expect}"));
    let bad = declared(&[("../a", ""), ("zod", "user/repo"), ("zod", "x.tgz")]);
    assert_eq!(try_lock(&bad, &none, Rules::default()).unwrap_err().problems().len(), 3);
    let tags = declared(&[("zod", "latest"), ("zod", "^3")]);
    let error = try_lock(&tags, &none, Rules::default()).unwrap_err().to_string();
    assert_eq!(error, "dependencies.zod: is asked for as `latest` and as `^3`; settle on one");
}

#[test]
fn only_versions_that_are_old_enough_are_taken() {
    // The beginning of 2000, when there was no npm.
    let rules = Rules { published_before: Some(Timestamp::from_micros(946_684_800_000_000)), ..Rules::default() };
    for wanted in ["^3", "3.22.0"] {
        let error = try_lock(&declared(&[("zod", wanted)]), &PackageSources::default(), rules).unwrap_err().to_string();
        assert!(error.ends_with("is old enough for the policy's minimum age"), "{error}");
    }
}

#[test]
fn an_index_that_can_t_be_reached_is_not_the_script_s_fault_and_tells_no_password() {
    let npm_source = IndexSource {
        url: Some("http://127.0.0.1:1/".into()),
        credentials: Some(("me".into(), "hush hush".into())),
        more: vec![("fetch-retries".into(), "0".into())],
    };
    let sources = PackageSources { npm_source, ..PackageSources::default() };
    let error = try_lock(&declared(&[("zod", "")]), &sources, Rules::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let said = format!("{error} {error:?}");
    assert!(said.contains("the index can't be reached: connect ECONNREFUSED") && !said.contains("hush"), "{said}");
}

#[test]
fn packages_are_found_by_name_at_least() {
    let npm = Npm::new().unwrap();
    let search = |text: &str| carry_out_step(npm.search(text, 10, &PackageSources::default()).unwrap()).unwrap();
    let found = search("zod");
    assert!(found.iter().any(|it| it.name == "zod" && it.version.is_some() && it.description.is_some()), "{found:?}");
    assert!(!search("no-such-package-of-the-script-engine").iter().any(|it| it.name.starts_with("no-such-package-of")));
    assert!(npm.search("--registry=x", 10, &PackageSources::default()).is_err());
    assert!(npm.search("", 10, &PackageSources::default()).is_err());
}

#[test]
fn an_index_that_is_unwell_is_named_by_what_it_says() {
    for (status, expect) in [
        (Some("503 Service Unavailable"), "the index fails to give zod (status 503); try again later"),
        (Some("429 Too Many Requests"), "the index has had too many requests (status 429); try again later"),
        (Some("401 Unauthorized"), "the index refuses to give zod; set its credentials in `npm_source`"),
        (None, "the index can't be reached: "),
    ] {
        let index = UnwellIndex::start(status);
        // Only the silent one is not waited for.
        let patience = if status.is_some() { "60000" } else { "1000" };
        let more = vec![("fetch-retries".into(), "0".into()), ("fetch-timeout".into(), patience.into())];
        let npm_source = IndexSource { url: Some(index.url()), more, ..IndexSource::default() };
        let sources = PackageSources { npm_source, ..PackageSources::default() };
        let error = try_lock(&declared(&[("zod", "")]), &sources, Rules::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.to_string().starts_with(expect), "{error}");
    }
}
