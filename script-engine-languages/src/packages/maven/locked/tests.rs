//! What the driver prints, and the lock it makes.

use script_engine_core::ErrorKind;

use super::*;

fn output(code: Option<i32>, stdout: &str) -> StepOutput {
    StepOutput {
        exit_code: code,
        stdout: Bytes::from(stdout.to_owned()),
        stderr: Bytes::from_static(b"SLF4J: no logger\nException in thread \"main\" oh\n"),
        files: Vec::new(),
    }
}

fn lock(stdout: &str) -> Result<DependencyLock> {
    let wanted = [
        ScriptDependency::runtime("a.b:c", "[1,2)"),
        ScriptDependency::runtime("a.b:bom@pom", "3"),
        ScriptDependency { scope: DependencyScope::Build, ..ScriptDependency::runtime("p:q", "1") },
    ];
    read(LanguageId::parse("java").unwrap(), &wanted, &output(Some(0), stdout))
}

#[test]
fn a_lock_is_read() {
    let digest = "0".repeat(64);
    let lock = lock(&format!(
        "{{\"repository\":\"https://user:secret@maven.test/x@y\",\"packages\":[\
         [\"z:z:k\",\"2-rc1\",\"z/z/2-rc1/z-2-rc1-k.jar\",\"{digest}\",\"runtime\",[]],\
         [\"a.b:c\",\"1.5\",\"a/b/c/1.5/c-1.5.jar\",\"{digest}\",\"compile\",[\"z:z:k\"]],\
         [\"p:q\",\"1\",\"p/q/1/q-1.jar\",\"{digest}\",\"provided\",[]]]}}"
    ))
    .unwrap();
    let told: Vec<String> = lock
        .packages
        .iter()
        .map(|it| format!("{} {} {} {} {:?}", it.name, it.version, it.url, it.scope.as_str(), it.requires))
        .collect();
    assert_eq!(
        told,
        [
            "a.b:c 1.5 https://maven.test/x@y/a/b/c/1.5/c-1.5.jar runtime [\"z:z:k\"]",
            "p:q 1 https://maven.test/x@y/p/q/1/q-1.jar build []",
            "z:z:k 2-rc1 https://maven.test/x@y/z/z/2-rc1/z-2-rc1-k.jar runtime []",
        ]
    );
    let text = |name: &str| String::from_utf8(lock.file(name).unwrap().to_vec()).unwrap();
    assert_eq!(text("classpath.run"), "z.z-2-rc1-k.jar\na.b.c-1.5.jar\n");
    assert_eq!(text("classpath.compile"), "z.z-2-rc1-k.jar\na.b.c-1.5.jar\np.q-1.jar\n");
    assert!(text("pom.xml").contains("<artifactId>c</artifactId><version>1.5</version><scope>compile</scope>"));
    assert!(text("pom.xml").contains("<artifactId>bom</artifactId><version>3</version><type>pom</type><scope>import"));
    assert!(!lock.to_json().unwrap().contains("secret"));
}

// What the driver printed for the repository as it is.
#[test]
fn each_complaint_is_one_line_of_the_right_kind() {
    for (stdout, kind, expect) in [
        (
            "{\"problem\":\"com.google.code.gson:gson 9.9.9: no such version in the repository; the newest is 2.15.0\"}",
            ErrorKind::InvalidRequest,
            "dependencies: com.google.code.gson:gson 9.9.9: no such version in the repository; the newest is 2.15.0",
        ),
        (
            "{\"problem\":\"com.google.code.gson:no-such: no such artifact in the repository\"}",
            ErrorKind::InvalidRequest,
            "dependencies: com.google.code.gson:no-such: no such artifact in the repository",
        ),
        (
            "{\"unreachable\":\"connection refused\"}",
            ErrorKind::Unavailable,
            "the Maven repository can't be reached: connection refused",
        ),
        ("{\"setting\":\"names no repository\"}", ErrorKind::InvalidRequest, "maven_source: names no repository"),
        (
            "no json",
            ErrorKind::Internal,
            "the driver of Maven packages gave no answer stderr=`Exception in thread \"main\" oh`",
        ),
    ] {
        let error = lock(stdout).unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (kind, expect));
    }
    assert_eq!(SOURCE.answer(&output(None, "")).unwrap_err().kind(), ErrorKind::InvalidRequest);
    assert_eq!(SOURCE.answer(&output(Some(1), "{}")).unwrap_err().kind(), ErrorKind::Internal);
    assert_eq!(newest(&output(Some(0), "{\"newest\":\"1.0\"}")).unwrap().as_deref(), Some("1.0"));
    assert_eq!(newest(&output(Some(0), "{\"newest\":null}")).unwrap(), None);
    assert!(newest(&output(Some(0), "{\"newest\":\"../x\"}")).is_err());
}

#[test]
fn what_no_repository_has_is_refused() {
    let digest = "0".repeat(64);
    for hostile in [
        "[]".to_owned(),
        "{\"repository\":\"x\",\"packages\":[1]}".to_owned(),
        format!(
            "{{\"repository\":\"x\",\"packages\":[[\"a:../b\",\"1\",\"a/../b/1/b-1.jar\",\"{digest}\",\"compile\",[]]]}}"
        ),
        format!(
            "{{\"repository\":\"x\",\"packages\":[[\"a:b\",\"1/2\",\"a/b/1/2/b-1/2.jar\",\"{digest}\",\"compile\",[]]]}}"
        ),
        format!("{{\"repository\":\"x\",\"packages\":[[\"a:b\",\"1\",\"etc/passwd\",\"{digest}\",\"compile\",[]]]}}"),
        "{\"repository\":\"x\",\"packages\":[[\"a:b\",\"1\",\"a/b/1/b-1.jar\",\"12\",\"compile\",[]]]}".to_owned(),
        format!(
            "{{\"repository\":\"x\",\"packages\":[[\"a:b\",\"1\",\"a/b/1/b-1.jar\",\"{digest}\",\"compile\",[\"/\"]]]}}"
        ),
    ] {
        let error = lock(&hostile).unwrap_err().to_string();
        assert_eq!(error, "dependencies: the resolver of Maven packages named one that no index has", "{hostile}");
    }
}
