//! What the driver prints, and the lock it makes.

use script_engine_core::ErrorKind;

use super::*;

fn output(stdout: &str) -> StepOutput {
    let stdout = Bytes::from(stdout.to_owned());
    StepOutput { exit_code: Some(0), stdout, stderr: Bytes::new(), files: Vec::new() }
}

fn lock(stdout: &str) -> Result<DependencyLock> {
    let wanted = [
        ScriptDependency::runtime("acme.json", ""),
        ScriptDependency::runtime("acme.json", "2.0"),
        ScriptDependency { scope: DependencyScope::Build, ..ScriptDependency::runtime("Acme.Gen", "1") },
    ];
    read(LanguageId::parse("csharp").unwrap(), &wanted, &output(stdout))
}

#[test]
fn a_lock_is_read() {
    let digest = format!("{}==", "A".repeat(86));
    let lock = lock(&format!(
        "{{\"framework\":\"net8.0\",\"packages\":[\
         [\"Acme.Core\",\"1.0.0\",\"http://u:secret@feed.test/acme.core\",\"{digest}\",\"runtime\",[]],\
         [\"Acme.Gen\",\"1.0.0\",\"http://feed.test/acme.gen\",\"{digest}\",\"build\",[]],\
         [\"Acme.Json\",\"2.0.0-beta.1\",\"http://feed.test/acme.json\",\"{digest}\",\"runtime\",[\"Acme.Core\"]]]}}"
    ))
    .unwrap();
    assert!(lock.platform.ends_with(" net8.0"), "{}", lock.platform);
    let told: Vec<String> = lock
        .packages
        .iter()
        .map(|it| format!("{} {} {} {} {:?}", it.name, it.version, it.url, it.scope.as_str(), it.requires))
        .collect();
    assert_eq!(
        told,
        [
            "Acme.Core 1.0.0 http://feed.test/acme.core runtime []",
            "Acme.Gen 1.0.0 http://feed.test/acme.gen build []",
            "Acme.Json 2.0.0-beta.1 http://feed.test/acme.json runtime [\"Acme.Core\"]",
        ]
    );
    assert_eq!(lock.packages[0].hashes, [format!("sha512-{digest}")]);
    let project = String::from_utf8(lock.file("script.csproj").unwrap().to_vec()).unwrap();
    let references: Vec<&str> = project.lines().filter(|it| it.contains("PackageReference")).map(str::trim).collect();
    assert_eq!(
        references,
        [
            "<PackageReference Include=\"Acme.Json\" Version=\"[2.0.0-beta.1]\" />",
            "<PackageReference Include=\"Acme.Gen\" Version=\"[1.0.0]\" PrivateAssets=\"all\" />",
        ]
    );
}

#[test]
fn what_no_feed_has_is_refused() {
    let digest = format!("{}==", "A".repeat(86));
    for hostile in [
        "[]".to_owned(),
        "{\"framework\":\"net8.0\",\"packages\":[1]}".to_owned(),
        format!("{{\"framework\":\"net8.0\",\"packages\":[[\"../a\",\"1\",\"x\",\"{digest}\",\"runtime\",[]]]}}"),
        format!("{{\"framework\":\"net8.0\",\"packages\":[[\"a\",\"1/2\",\"x\",\"{digest}\",\"runtime\",[]]]}}"),
        "{\"framework\":\"net8.0\",\"packages\":[[\"a\",\"1\",\"x\",\"short\",\"runtime\",[]]]}".to_owned(),
        format!("{{\"framework\":\"net8.0\",\"packages\":[[\"a\",\"1\",\"x\",\"{digest}\",\"runtime\",[\"b c\"]]]}}"),
        "{\"framework\":\"\\\"/><x\",\"packages\":[]}".to_owned(),
    ] {
        let error = lock(&hostile).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
        assert_eq!(
            error.to_string(),
            "dependencies: the resolver of NuGet packages named one that no index has",
            "{hostile}"
        );
    }
}

#[test]
fn what_a_search_found_is_read() {
    let text = "{\"found\":[[\"Acme.Json\",\"1.0.0\",\"a\\nb\"],[\"../x\",\"1\",\"\"],[\"Acme.Core\",null,null],[\"Y\",\"1\",\"\"]]}";
    let summary = |name: &str, version: Option<&str>, description: Option<&str>| PackageSummary {
        name: name.into(),
        version: version.map(str::to_owned),
        description: description.map(str::to_owned),
    };
    let expect = [summary("Acme.Json", Some("1.0.0"), Some("a b")), summary("Acme.Core", None, None)];
    assert_eq!(found(&output(text), 2).unwrap(), expect);
    assert!(found(&output("{}"), 2).is_err());
}
