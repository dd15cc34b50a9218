//! What the steps are; that they do what they are for is seen in a sandbox with .NET.

use script_engine_core::DependencyScope;

use super::*;
use crate::packages::sources::IndexSource;

fn lock(packages: &[ScriptDependency], sources: &PackageSources) -> Result<Step<DependencyLock>> {
    NuGetPackages::new().unwrap().lock(&Declared::default().with(packages), sources, Rules::default())
}

fn content(step: &Step<DependencyLock>, path: &str) -> String {
    let file = step.files.iter().find(|it| it.path.as_str() == path).unwrap();
    String::from_utf8(file.content.to_vec()).unwrap()
}

#[test]
fn what_is_wanted_and_what_an_operator_sets_is_passed_on() {
    let sources = PackageSources {
        nuget_source: IndexSource {
            url: Some("http://x/é".into()),
            credentials: Some(("a".into(), "=\n".into())),
            more: Vec::new(),
        },
        ca_certificates: Some(Bytes::from_static(b"pem")),
        ..PackageSources::default()
    };
    let test = ScriptDependency { scope: DependencyScope::Test, ..ScriptDependency::runtime("T", "1") };
    let build = ScriptDependency { scope: DependencyScope::Build, ..ScriptDependency::runtime("B", "[1,2)") };
    let step = lock(&[test, build, ScriptDependency::runtime("A", "")], &sources).unwrap();
    assert_eq!(content(&step, "wanted"), "runtime A \nbuild B [1,2)\n");
    let settings = "url=%68%74%74%70%3A%2F%2F%78%2F%C3%A9\nuser=%61\npassword=%3D%0A\n";
    assert_eq!(content(&step, "settings"), settings);
    assert_eq!(content(&step, "certificates.pem"), "pem");
    assert!(step.env.contains(&("SSL_CERT_FILE".to_owned(), "/scripts/certificates.pem".to_owned())));
    assert_eq!(step.argv, ["sh", "/scripts/nuget.sh", "/scripts", "lock"]);
}

#[test]
fn what_is_no_package_or_setting_is_refused() {
    let error = lock(&[ScriptDependency::runtime("a/b", "1")], &PackageSources::default()).unwrap_err();
    assert_eq!(error.to_string(), "dependencies: \"a/b\" is no package id of NuGet; correct it");
    let sources = PackageSources {
        nuget_source: IndexSource { more: vec![("x".into(), "y".into())], ..IndexSource::default() },
        ..PackageSources::default()
    };
    assert!(lock(&[], &sources).unwrap_err().to_string().starts_with("nuget_source: has the setting \"x\""));
}
