//! What the Go command leaves, and the lock it makes.

use super::*;

const STUB: &str = "// standard library: plain\npackage script\n";

fn output(packages: &str, sums: Option<&str>) -> StepOutput {
    let env = "https://user:secret@index.test/go,direct\nlinux\namd64\ngo1.26.8\n";
    let text = |it: &str| Some(Bytes::from(it.to_owned()));
    StepOutput {
        exit_code: Some(0),
        stdout: Bytes::new(),
        stderr: Bytes::new(),
        files: vec![text(packages), text(env), text("module script\n"), sums.and_then(text)],
    }
}

fn lock(packages: &str, sums: Option<&str>, before: &str) -> Result<DependencyLock> {
    read(LanguageId::parse("go").unwrap(), STUB, before, output(packages, sums))
}

const PACKAGES: &str = "\
a.test/B|a.test/B|v1.2.0|2020-01-02T03:04:05Z|||fmt
a.test/c/d|a.test/c|v0.1.0-rc.1|2021-01-02T03:04:05Z|||a.test/B a.test/c/e
a.test/c/e|a.test/c|v0.1.0-rc.1|2021-01-02T03:04:05Z|||a.test/x
a.test/x|a.test/x|v1.0.0|2019-01-02T03:04:05Z|b.test/x|v1.0.1|
script|script|||||a.test/c/d fmt
";
const SUMS: &str = "\
a.test/B v1.2.0 h1:b=
a.test/B v1.2.0/go.mod h1:other=
a.test/c v0.1.0-rc.1 h1:c=
b.test/x v1.0.1 h1:x=
";

#[test]
fn a_lock_is_read() {
    let lock = lock(PACKAGES, Some(SUMS), "-").unwrap();
    assert_eq!(lock.platform, "linux/amd64 go1.26.8");
    let told: Vec<String> = lock
        .packages
        .iter()
        .map(|it| format!("{} {} {} {:?} {:?}", it.name, it.version, it.url, it.hashes, it.requires))
        .collect();
    assert_eq!(
        told,
        [
            r#"a.test/B v1.2.0 https://index.test/go/a.test/!b/@v/v1.2.0.zip ["h1:b="] []"#,
            r#"a.test/c v0.1.0-rc.1 https://index.test/go/a.test/c/@v/v0.1.0-rc.1.zip ["h1:c="] ["a.test/B", "a.test/x"]"#,
            r#"a.test/x v1.0.1 https://index.test/go/b.test/x/@v/v1.0.1.zip ["h1:x="] []"#,
        ]
    );
    assert_eq!(lock.file("imports.go").unwrap(), STUB.as_bytes());
    assert!(!lock.to_json().unwrap().contains("secret"));
}

#[test]
fn a_lock_without_modules_is_one() {
    let lock = lock("script|script|||||fmt\n", None, "2000-01-01T00:00:00Z").unwrap();
    assert_eq!(lock.packages, vec![]);
    assert_eq!(lock.file("go.sum").unwrap(), &Bytes::new());
}

#[test]
fn what_can_not_be_locked_is_named() {
    let error = |it: Result<DependencyLock>| it.unwrap_err().to_string();
    let missing = error(lock(PACKAGES, None, "-"));
    assert_eq!(missing, "dependencies: a.test/B v1.2.0: the Go command has no checksum of it");
    let young = error(lock(PACKAGES, Some(SUMS), "2020-06-01T00:00:00Z"));
    let expect = "dependencies: a.test/c v0.1.0-rc.1 was published on 2021-01-02T03:04:05Z, and only what was before \
                  2020-06-01T00:00:00Z is accepted; take an older version";
    assert_eq!(young, expect);
    for hostile in
        ["x\n", "a|../../x|v1||||\n", "a|a.test/x|v1/../..||||\n", "a|a.test/x|v1||/etc|v1|\n", "a|-x.y|v1||||\n"]
    {
        let told = error(lock(hostile, Some(SUMS), "-"));
        assert_eq!(told, "dependencies: the Go command named a module that no index has", "{hostile:?}");
    }
}
