//! Locks and layers by the machine's own apt and its sources.

use script_engine_core::ErrorKind;

use super::*;
use crate::interpreter::carry_out_step;

/// The sources of the machine that tests run on.
fn sources() -> PackageSources {
    let mut more = Vec::new();
    for folder in ["sources.list.d", "trusted.gpg.d"] {
        for file in std::fs::read_dir(format!("/etc/apt/{folder}")).unwrap() {
            let file = file.unwrap();
            let name = file.file_name().into_string().unwrap();
            // Other vendors' sources have nothing that is asked for here.
            if name.starts_with("debian") && !name.ends_with(".gpg") {
                more.push((format!("{folder}/{name}"), std::fs::read_to_string(file.path()).unwrap()));
            }
        }
    }
    if let Ok(list) = std::fs::read_to_string("/etc/apt/sources.list") {
        more.push(("sources.list".into(), list));
    }
    PackageSources { apt: IndexSource { more, ..IndexSource::default() }, ..PackageSources::default() }
}

fn try_lock(packages: &[(&str, &str)], sources: &PackageSources) -> Result<DependencyLock> {
    let packages = packages.iter().map(|(name, wanted)| ScriptDependency::runtime(*name, *wanted)).collect();
    let declared = Declared { packages, ..Declared::default() };
    carry_out_step(Apt::new().unwrap().lock(&declared, sources, Rules::default())?)
}

/// The names in a layer.
fn layer(lock: &DependencyLock) -> Result<Vec<String>> {
    let step = Apt::new().unwrap().install(lock, LayerUse::Run, &sources(), Rules::default())?.unwrap();
    let archive = carry_out_step(step)?;
    let names = archive.chunks(512).filter(|it| it.starts_with(b"./")).map(|it| {
        let name = it[..100].split(|it| *it == 0).next().unwrap_or_default();
        String::from_utf8_lossy(name).into_owned()
    });
    Ok(names.collect())
}

#[test]
fn a_lock_has_what_the_system_has_not_and_a_layer_its_files() {
    let lock = try_lock(&[("jq", "=1.*"), ("sed", "")], &sources()).unwrap();
    let names: Vec<&str> = lock.packages.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["jq", "libjq1", "libonig5"]);
    assert_eq!(lock.packages[0].requires, ["libjq1"]);
    assert!(lock.packages.iter().all(|it| it.hashes[0].starts_with("sha256:") && it.url.ends_with(".deb")));
    assert!(lock.platform.starts_with("debian-"), "{}", lock.platform);
    let found = layer(&lock).unwrap();
    assert!(found.iter().any(|it| it == "./usr/bin/jq"), "{found:?}");
    assert!(found.iter().any(|it| it.contains("/libjq.so.1")), "{found:?}");
}

#[test]
fn a_file_that_is_not_the_locked_one_is_refused() {
    let mut lock = try_lock(&[("jq", "")], &sources()).unwrap();
    lock.packages[0].hashes = vec![format!("sha256:{}", "0".repeat(64))];
    let error = layer(&lock).unwrap_err().to_string();
    assert!(error.contains("is not the file that was locked"), "{error}");
    lock.platform = "debian-1-vax".into();
    let error = layer(&lock).unwrap_err().to_string();
    assert!(error.contains("the lock is for another system than this runtime's debian-"), "{error}");
}

#[test]
fn what_can_t_be_locked_is_named() {
    for (package, wanted, expect) in [
        (
            "no-such-package-of-the-script-engine",
            "",
            "no-such-package-of-the-script-engine: the system's index has no package",
        ),
        ("jq", "=99", "jq: the system's index has no version 99"),
        ("mail-transport-agent", "", "mail-transport-agent: this is no package of its own"),
        // apt would take it for a pattern.
        ("lib.q1", "", "lib.q1: the system's index has no package"),
    ] {
        let error = try_lock(&[(package, wanted)], &sources()).unwrap_err().to_string();
        assert!(error.starts_with(&format!("dependencies: {expect}")), "{error}");
    }
    assert_eq!(try_lock(&[("../x", ""), ("jq", ">=1")], &sources()).unwrap_err().problems().len(), 2);
    let apt = IndexSource { url: Some("http://127.0.0.1:1/debian".into()), ..IndexSource::default() };
    let error = try_lock(&[("jq", "")], &PackageSources { apt, ..PackageSources::default() }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let young = Rules { published_before: Some(script_engine_core::Timestamp::from_micros(0)), ..Rules::default() };
    let declared = Declared { packages: vec![ScriptDependency::runtime("jq", "")], ..Declared::default() };
    let error = Apt::new().unwrap().lock(&declared, &sources(), young).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[test]
fn packages_are_found_by_words() {
    let step = Apt::new().unwrap().search("jq", 5, &sources()).unwrap();
    let found = carry_out_step(step).unwrap();
    assert_eq!((found.len(), found[0].name.as_str()), (5, "jq"));
    assert!(found[0].description.as_deref().is_some_and(|it| it.contains("JSON")), "{found:?}");
    assert!(Apt::new().unwrap().search("-o x", 5, &sources()).is_err());
}

#[test]
fn settings_become_files_and_no_path_leads_out() {
    let apt = |more: &[(&str, &str)]| {
        let more = more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let apt = IndexSource { more, ..IndexSource::default() };
        input(&PackageSources { apt, ..PackageSources::default() })
    };
    assert!(apt(&[("sources.list", "deb http://mirror.test x main\n"), ("keyrings/a.gpg", "00fF")]).is_ok());
    for name in ["../x", "/etc/passwd", "a/../../b"] {
        assert!(apt(&[(name, "")]).is_err(), "{name}");
    }
    assert!(apt(&[("keyrings/a.gpg", "0g")]).is_err());
    assert_eq!(bytes_of("00ff").unwrap(), &[0, 255][..]);
}
