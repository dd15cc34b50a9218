//! Locks and layers by the machine's own pip and the index that it is set up for.

use script_engine_core::ErrorKind;

use super::*;
use crate::interpreter::carry_out_step;
use crate::packages::IndexSource;
use crate::packages::unwell_index::UnwellIndex;

fn declared(packages: &[(&str, &str)]) -> Declared {
    let packages = packages.iter().map(|(name, wanted)| ScriptDependency::runtime(*name, *wanted));
    Declared { packages: packages.collect(), ..Declared::default() }
}

fn try_lock(declared: &Declared, sources: &PackageSources, rules: Rules) -> Result<DependencyLock> {
    carry_out_step(PyPi::new().unwrap().lock(declared, sources, rules)?)
}

fn lock_of(packages: &[(&str, &str)]) -> DependencyLock {
    try_lock(&declared(packages), &PackageSources::default(), Rules::default()).unwrap()
}

/// The names in a layer.
fn layer(lock: &DependencyLock) -> Result<Vec<String>> {
    let pypi = PyPi::new().unwrap();
    let step = pypi.install(lock, LayerUse::Run, &PackageSources::default(), Rules::default())?.unwrap();
    let archive = carry_out_step(step)?;
    Ok(names(&archive))
}

/// The names in an archive of short names.
fn names(archive: &[u8]) -> Vec<String> {
    let text = |it: &[u8]| String::from_utf8_lossy(it).trim_end_matches('\0').to_owned();
    let mut names = Vec::new();
    let mut at = 0;
    while let Some(header) = archive.get(at..at + 512).filter(|it| it[0] != 0) {
        names.push(text(&header[..100]));
        let size = usize::from_str_radix(text(&header[124..136]).trim(), 8).unwrap();
        at += 512 + size.div_ceil(512) * 512;
    }
    names
}

#[test]
fn a_lock_is_the_closure_with_hashes_and_comes_out_the_same() {
    let lock = lock_of(&[("requests", "==2.31.0")]);
    let names: Vec<&str> = lock.packages.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["certifi", "charset-normalizer", "idna", "requests", "urllib3"]);
    assert_eq!(lock.packages[3].requires, ["certifi", "charset-normalizer", "idna", "urllib3"]);
    assert_eq!(lock.packages[3].hashes, ["sha256:58cd2187c01e70e6e26505bca751777aa9f2ee0b7f4300988b709f44e013003f"]);
    assert!(lock.platform.starts_with("cpython-3"), "{}", lock.platform);
    let text = String::from_utf8(lock.file("requirements.txt").unwrap().to_vec()).unwrap();
    assert!(text.contains("\nrequests==2.31.0 --hash=sha256:58cd"), "{text}");
    assert_eq!(lock_of(&[("requests", "2.31.0")]), lock);
}

#[test]
fn a_layer_has_the_packages_compiled_and_nothing_in_place_of_python_s_own() {
    // `argparse` is a module of Python's own, and a package.
    let lock = lock_of(&[("idna", "==3.6"), ("argparse", "==1.4.0")]);
    let names = layer(&lock).unwrap();
    assert!(names.iter().any(|it| it == "idna/core.py"), "{names:?}");
    assert!(names.iter().any(|it| it.starts_with("idna/__pycache__/core.cpython-3")), "{names:?}");
    assert!(!names.iter().any(|it| it == "argparse.py"), "{names:?}");
}

#[test]
fn a_file_that_is_not_the_locked_one_is_refused() {
    let mut lock = lock_of(&[("idna", "==3.6")]);
    lock.packages[0].hashes = vec![format!("sha256:{}", "0".repeat(64))];
    let error = layer(&lock).unwrap_err().to_string();
    assert!(error.starts_with("dependencies: idna==3.6 "), "{error}");
    assert!(error.contains("is not the file that was locked"), "{error}");
    lock.platform = "cpython-20-vax".into();
    assert!(layer(&lock).unwrap_err().to_string().contains("save the script again"));
}

#[test]
fn what_can_t_be_locked_is_named() {
    for (package, wanted, expect) in [
        ("no-such-package-of-the-script-engine", "", "no-such-package-of-the-script-engine: the index has no package"),
        ("requests", "==99.9", "requests: no version meets `requests==99.9`"),
        ("requests", "==2.32.0", "requests 2.32.0 was yanked from the index: "),
        ("docopt", "==0.6.2", "docopt: the index has it as source only"),
        ("requests[nope]", "==2.31.0", "requests has no extra `nope`"),
    ] {
        let error =
            try_lock(&declared(&[(package, wanted)]), &PackageSources::default(), Rules::default()).unwrap_err();
        let found = error.to_string();
        assert!(found.starts_with(&format!("dependencies: {expect}")), "{found}");
    }
    let both = declared(&[("requests", "==2.31.0"), ("urllib3", "<1.21")]);
    let error = try_lock(&both, &PackageSources::default(), Rules::default()).unwrap_err().to_string();
    assert!(error.contains("requests 2.31.0 depends on urllib3"), "{error}");
    let bad = declared(&[("a/b", ""), ("requests", ">=2 --index-url=x")]);
    let error = try_lock(&bad, &PackageSources::default(), Rules::default()).unwrap_err();
    assert_eq!(error.problems().len(), 2, "{error}");
    let python = Declared { toolchain: Some(">=3.99".into()), ..declared(&[("idna", "")]) };
    let error = try_lock(&python, &PackageSources::default(), Rules::default()).unwrap_err().to_string();
    assert!(
        error.starts_with("dependencies.requires-python: it needs Python >=3.99, and this runtime has 3."),
        "{error}"
    );
}

#[test]
fn only_versions_that_are_old_enough_are_taken() {
    // The beginning of 2024.
    let before = script_engine_core::Timestamp::from_micros(1_704_067_200_000_000);
    let rules = Rules { published_before: Some(before), ..Rules::default() };
    let sources = PackageSources::default();
    let lock = try_lock(&declared(&[("requests", ">=2.30")]), &sources, rules).unwrap();
    let versions: Vec<String> = lock.packages.iter().map(|it| format!("{} {}", it.name, it.version)).collect();
    let expect = ["certifi 2023.11.17", "charset-normalizer 3.3.2", "idna 3.6", "requests 2.31.0", "urllib3 2.1.0"];
    assert_eq!(versions, expect);
    let error = try_lock(&declared(&[("requests", "==2.32.3")]), &sources, rules).unwrap_err().to_string();
    assert_eq!(error, "dependencies: no version of requests==2.32.3 is old enough for the policy's minimum age");
}

#[test]
fn an_index_that_can_t_be_reached_is_not_the_script_s_fault_and_tells_no_password() {
    let pypi_source = IndexSource {
        url: Some("http://127.0.0.1:1/simple".into()),
        credentials: Some(("me".into(), "hush hush".into())),
        more: vec![("retries".into(), "0".into())],
    };
    let sources = PackageSources { pypi_source, ..PackageSources::default() };
    let error = try_lock(&declared(&[("idna", "")]), &sources, Rules::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let said = format!("{error} {error:?}");
    assert!(said.contains("the index can't be reached for idna: ") && !said.contains("hush"), "{said}");
}

#[test]
fn packages_are_found_by_name() {
    let search = |text: &str| {
        carry_out_step(PyPi::new().unwrap().search(text, 10, &PackageSources::default()).unwrap()).unwrap()
    };
    let found = search("Requests");
    assert_eq!((found.len(), found[0].name.as_str()), (1, "requests"));
    assert!(found[0].version.is_some() && found[0].description.is_some(), "{found:?}");
    assert_eq!(search("docopt")[0].version.as_deref(), Some("0.6.2"));
    assert_eq!(search("no-such-package-of-the-script-engine"), []);
    assert!(PyPi::new().unwrap().search("two words", 10, &PackageSources::default()).is_err());
}

#[test]
fn what_only_the_compiler_needs_is_told_apart() {
    let mut wanted = declared(&[("idna", "==3.6")]);
    wanted.packages.push(ScriptDependency {
        scope: DependencyScope::Build,
        ..ScriptDependency::runtime("certifi", "==2023.11.17")
    });
    wanted.packages.push(ScriptDependency { scope: DependencyScope::Test, ..ScriptDependency::runtime("no-such", "") });
    let lock = try_lock(&wanted, &PackageSources::default(), Rules::default()).unwrap();
    let of = |wanted| lock.packages_for(wanted).map(|it| it.name.as_str()).collect::<Vec<_>>();
    assert_eq!((of(LayerUse::Run), of(LayerUse::Compile)), (vec!["idna"], vec!["certifi", "idna"]));
    assert!(lock.file("requirements-build.txt").is_some());
}

#[test]
fn an_answer_may_be_hostile() {
    let found = |name: &str, version: &str, url: &str, hash: &str| Found {
        name: name.into(),
        version: version.into(),
        url: url.into(),
        hashes: vec![hash.into()],
        requires: vec!["a\nb".into(), "c".into()],
        summary: None,
    };
    let hash = format!("sha256:{}", "a".repeat(64));
    let url = "https://me:secret@index.test/a.whl";
    let good = locked(&found("a", "1.0", url, &hash)).unwrap();
    assert_eq!((good.url.as_str(), good.requires), ("https://index.test/a.whl", vec!["c".to_owned()]));
    for it in [
        found("a\n-r x", "1", url, &hash),
        found("a", "1 --hash=x", url, &hash),
        found("-a", "1", url, &hash),
        found("a", "1", "file:///etc/passwd", &hash),
        found("a", "1", url, "md5:00"),
        found("a", "1", url, "sha256:0\n"),
    ] {
        assert!(locked(&it).is_err(), "{it:?}");
    }
}

#[test]
fn an_index_that_is_unwell_is_named_by_what_it_says() {
    for (status, expect) in [
        (Some("503 Service Unavailable"), "the index fails to give idna (status 503); try again later"),
        (Some("429 Too Many Requests"), "the index has had too many requests (status 429) and gives no idna now"),
        (Some("401 Unauthorized"), "the index refuses to give idna (status 401); set its credentials in `pypi_source`"),
        (None, "the index can't be reached for idna: "),
    ] {
        let index = UnwellIndex::start(status);
        // Only the silent one is not waited for.
        let patience = if status.is_some() { "60" } else { "1" };
        let more = vec![("retries".into(), "0".into()), ("timeout".into(), patience.into())];
        let pypi_source = IndexSource { url: Some(index.url()), more, ..IndexSource::default() };
        let sources = PackageSources { pypi_source, ..PackageSources::default() };
        let error = try_lock(&declared(&[("idna", "")]), &sources, Rules::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.to_string().starts_with(expect), "{error}");
    }
}

/// Gets uv from the index, once for all tests, into the folder that stands in for `/work/cache`, and says where it is.
fn folder_of_uv() -> &'static str {
    static READY: std::sync::OnceLock<()> = std::sync::OnceLock::new();
    READY.get_or_init(|| {
        let beside = std::env::current_exe().unwrap().parent().unwrap().join("go-cache");
        let (whole, part) = (beside.join("uv-of-tests"), beside.join(format!("uv-of-tests-{}", std::process::id())));
        if !whole.join("bin/uv").exists() {
            let arguments = [
                "-m",
                "pip",
                "install",
                "--quiet",
                "--no-deps",
                "--only-binary",
                ":all:",
                "--root-user-action=ignore",
                "uv",
                "--target",
            ];
            let done = std::process::Command::new("/usr/bin/python3").args(arguments).arg(&part).status().unwrap();
            assert!(done.success(), "uv can't be had");
            // Whoever was first has it in place already.
            drop(std::fs::rename(&part, &whole));
            drop(std::fs::remove_dir_all(&part));
        }
    });
    "/work/cache/uv-of-tests/bin"
}

fn by_uv<T>(mut step: Step<T>) -> Result<T> {
    step.env.push(("PATH".into(), format!("{}:/usr/bin:/bin", folder_of_uv())));
    carry_out_step(step)
}

#[test]
fn uv_makes_the_same_lock_and_the_same_tree_as_pip() {
    let pypi = PyPi::new().unwrap();
    let sources = PackageSources::default();
    let wanted = declared(&[("requests", "==2.31.0"), ("charset-normalizer", "==3.3.2")]);
    let by_pip = try_lock(&wanted, &sources, Rules::default()).unwrap();
    let lock = by_uv(pypi.lock(&wanted, &sources, Rules::default()).unwrap()).unwrap();
    assert_eq!(lock, by_pip);
    let small = lock_of(&[("idna", "==3.6"), ("argparse", "==1.4.0")]);
    let archive = by_uv(pypi.install(&small, LayerUse::Run, &sources, Rules::default()).unwrap().unwrap()).unwrap();
    let names = names(&archive);
    assert!(names.iter().any(|it| it.starts_with("idna/__pycache__/core.cpython-3")), "{names:?}");
    assert!(!names.iter().any(|it| it == "argparse.py"), "{names:?}");
}

#[test]
fn what_uv_can_t_lock_is_named() {
    let pypi = PyPi::new().unwrap();
    let sources = PackageSources::default();
    for (package, wanted, expect) in [
        ("no-such-package-of-the-script-engine", "", "no-such-package-of-the-script-engine: the index has no package"),
        ("requests", "==99.9", "no version meets `requests==99.9`"),
        ("requests", "==2.32.0", "requests 2.32.0 was yanked from the index: "),
        ("docopt", "==0.6.2", "docopt==0.6.2: the index has no wheel of it"),
        ("requests[nope]", "==2.31.0", "requests has no extra `nope`"),
    ] {
        let step = pypi.lock(&declared(&[(package, wanted)]), &sources, Rules::default()).unwrap();
        let found = by_uv(step).unwrap_err().to_string();
        assert!(found.starts_with(&format!("dependencies: {expect}")), "{found}");
    }
    let before = script_engine_core::Timestamp::from_micros(1_704_067_200_000_000);
    let rules = Rules { published_before: Some(before), ..Rules::default() };
    let lock = by_uv(pypi.lock(&declared(&[("requests", ">=2.30")]), &sources, rules).unwrap()).unwrap();
    assert!(lock.packages.iter().any(|it| it.name == "requests" && it.version == "2.31.0"), "{lock:?}");
    let mut lock = lock_of(&[("idna", "==3.6")]);
    lock.packages[0].hashes = vec![format!("sha256:{}", "0".repeat(64))];
    let step = pypi.install(&lock, LayerUse::Run, &sources, Rules::default()).unwrap().unwrap();
    let error = by_uv(step).unwrap_err().to_string();
    assert!(error.contains("is not the file that was locked"), "{error}");
    let pypi_source = IndexSource {
        url: Some("http://127.0.0.1:1/simple".into()),
        credentials: Some(("me".into(), "hush hush".into())),
        more: vec![("retries".into(), "0".into())],
    };
    let sources = PackageSources { pypi_source, ..PackageSources::default() };
    let error = by_uv(pypi.lock(&declared(&[("idna", "")]), &sources, Rules::default()).unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(!format!("{error} {error:?}").contains("hush"), "{error}");
}
