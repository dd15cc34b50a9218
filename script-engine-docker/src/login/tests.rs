//! Logins as Docker writes them, and programs that keep them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use super::*;

const WITHIN: Duration = Duration::from_secs(20);

fn login(user: &str, password: &str) -> Login {
    Login { user: user.into(), password: password.into() }
}

/// A folder that goes away.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("script-engine-login-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// A program in a shell's words.
    fn program(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

#[test]
fn logins_are_read_as_docker_writes_them() {
    // The user is `me`, the password `s:cret`.
    let settings = br#"{"auths": {"r.example": {"auth": "bWU6czpjcmV0"}, "https://index.docker.io/v1/": {"auth": "bWU6czpjcmV0"},
        "token.example": {"auth": "bWU6", "identitytoken": "abc"}, "broken.example": {"auth": "???"}, "empty.example": {}},
        "credHelpers": {"kept.example": "own", "https://index.docker.io/v1/": "hub"}, "HttpHeaders": {"a": "b"}}"#;
    let mut settings: DockerSettings = serde_json::from_slice(settings).unwrap();
    for registry in ["r.example", HUB] {
        assert_eq!(settings.login(registry), Some(login("me", "s:cret")), "{registry}");
    }
    assert_eq!(settings.login("token.example"), Some(login(TOKEN, "abc")));
    for none in ["other.example", "broken.example", "empty.example"] {
        assert_eq!(settings.login(none), None);
    }
    let helpers = |it: &DockerSettings| ["kept.example", HUB, "r.example"].map(|at| it.helper(at).map(str::to_owned));
    assert_eq!(helpers(&settings), [Some("own".into()), Some("hub".into()), None]);
    settings.creds_store = Some("all".into());
    assert_eq!(helpers(&settings), [Some("own".into()), Some("hub".into()), Some("all".into())]);
    assert!(!format!("{:?}", login("me", "s:cret")).contains("cret"));
    assert_eq!(credentials(&login(TOKEN, "abc"), "r").identitytoken.as_deref(), Some("abc"));
}

#[tokio::test]
async fn settings_go_before_the_machines_configuration_and_a_missing_file_is_no_login() {
    let folder = Folder::new("order");
    let mut config = Config::new("/srv");
    config.docker_config = Some(folder.0.join("config.json"));
    assert_eq!(find(&config, "r.example", WITHIN).await.unwrap(), None);
    config.registry_logins.insert("r.example".into(), login("a", "b"));
    let user = |found: Option<DockerCredentials>| found.and_then(|it| it.username);
    assert_eq!(user(find(&config, "r.example", WITHIN).await.unwrap()).as_deref(), Some("a"));
    assert_eq!(find(&config, "docker.io", WITHIN).await.unwrap(), None);
    let write = |text: &str| fs::write(folder.0.join("config.json"), text).unwrap();
    write(r#"{"auths": {"s.example": {"auth": "bWU6czpjcmV0"}}}"#);
    assert_eq!(user(find(&config, "s.example", WITHIN).await.unwrap()).as_deref(), Some("me"));
    for (text, expected) in [
        ("nonsense", "can't read Docker's settings in"),
        (r#"{"credsStore": "no-such-program"}"#, "there is no program docker-credential-no-such-program"),
        (r#"{"credsStore": "../../bin/sh"}"#, "no plain name"),
    ] {
        write(text);
        let error = find(&config, "s.example", WITHIN).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(!expected.contains("program") || error.starts_with("can't log in to s.example: "), "{error}");
        assert_eq!(user(find(&config, "r.example", WITHIN).await.unwrap()).as_deref(), Some("a"));
    }
}

#[tokio::test]
async fn a_program_is_asked_for_the_login_and_told_the_registry() {
    let folder = Folder::new("answers");
    let given =
        folder.program("gives", r#"read server; printf '{"Username": "me@%s", "Secret": "%s"}' "$server" "$1""#);
    assert_eq!(ask(&given, "r.example", WITHIN).await, Ok(Some(login("me@r.example", "get"))));
    let none = folder.program("none", "echo credentials not found in native keychain; exit 1");
    assert_eq!(ask(&none, "r.example", WITHIN).await, Ok(None));
}

#[tokio::test]
async fn a_program_that_fails_is_told_of_without_a_secret_and_without_an_end() {
    let folder = Folder::new("faults");
    for (name, text, expected) in [
        ("locked", "echo the keychain is locked; exit 1", "fails: the keychain is locked"),
        ("silent", "echo only here >&2; exit 3", "fails: only here"),
        ("nonsense", "echo my-secret", "no answer that can be read"),
        ("endless", "exec cat /dev/zero", "says more than 65536 bytes"),
        ("hung", "exec sleep 600", "does not answer within 300ms"),
    ] {
        let within = if name == "hung" { Duration::from_millis(300) } else { WITHIN };
        let error = ask(&folder.program(name, text), "r.example", within).await.unwrap_err();
        assert!(error.contains(expected) && !error.contains("my-secret"), "{name}: {error}");
    }
}
