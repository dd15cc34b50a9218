//! The environment of the Go command in a build sandbox: an operator's settings, and nothing of anybody else.

use bytes::Bytes;
use script_engine_core::{Error, JobFile, RelPath, Result};

use super::super::sources::PackageSources;

/// Variables of the Go command that an operator may set.
const FREE: [&str; 6] = ["GOSUMDB", "GONOSUMDB", "GONOSUMCHECK", "GOPRIVATE", "GONOPROXY", "GOINSECURE"];

/// Environment and files of a step.
pub(super) struct Settings {
    pub(super) env: Vec<(String, String)>,
    pub(super) files: Vec<JobFile>,
}

impl Settings {
    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.env.retain(|it| it.0 != name);
        self.env.push((name.to_owned(), value.to_owned()));
    }
}

/// The settings of a step with its caches in these folders. Fails with `InvalidRequest` of the field `go_proxy`.
pub(super) fn of(sources: &PackageSources, modules: &str, compiled: &str) -> Result<Settings> {
    let source = &sources.go_proxy;
    let mut settings = Settings { env: Vec::new(), files: Vec::new() };
    for (name, value) in [
        ("HOME", "/work"),
        ("GOPATH", "/work/go"),
        ("GOMODCACHE", modules),
        ("GOCACHE", compiled),
        ("GOTMPDIR", "/work/tmp"),
        ("GO111MODULE", "on"),
        ("GOENV", "off"),
        ("GOFLAGS", "-mod=mod -modcacherw -buildvcs=false"),
        ("GOTOOLCHAIN", "local"),
        ("GOTELEMETRY", "off"),
        ("GOWORK", "off"),
        // Modules come from an index, and from no version control.
        ("GOVCS", "*:off"),
        ("CGO_ENABLED", "0"),
        // Empty is what the Go command itself takes.
        ("GOPROXY", source.url.as_deref().unwrap_or_default()),
        ("GOSUMDB", ""),
    ] {
        settings.set(name, value);
    }
    for (name, value) in &source.more {
        if !FREE.contains(&name.as_str()) {
            let message =
                format!("has the setting {name:?}, which is not for packages; give some of {}", FREE.join(", "));
            return Err(Error::invalid("go_proxy", message));
        }
        settings.set(name, value);
    }
    if let Some(proxy) = &sources.http_proxy {
        for name in ["HTTP_PROXY", "HTTPS_PROXY"] {
            settings.set(name, proxy);
        }
    }
    let mut file = |path: &str, content: Bytes| -> Result<()> {
        settings.files.push(JobFile { path: RelPath::parse(path)?, content, executable: false });
        Ok(())
    };
    if let Some((user, password)) = &source.credentials {
        let line = netrc(source.url.as_deref().unwrap_or_default(), user, password)?;
        file("netrc", line.into())?;
        settings.set("NETRC", "/scripts/netrc");
        settings.set("GOAUTH", "netrc");
    }
    let mut file = |path: &str, content: Bytes| -> Result<()> {
        settings.files.push(JobFile { path: RelPath::parse(path)?, content, executable: false });
        Ok(())
    };
    if let Some(certificates) = &sources.ca_certificates {
        file("certificates/more.pem", certificates.clone())?;
        settings.set("SSL_CERT_DIR", "/scripts/certificates:/etc/ssl/certs:/etc/pki/tls/certs");
    }
    Ok(settings)
}

/// The line by which the Go command finds user and password of the index.
fn netrc(url: &str, user: &str, password: &str) -> Result<String> {
    let first = url.split([',', '|']).next().unwrap_or_default();
    let host = first.split_once("://").map(|(_, rest)| rest.split(['/', ':']).next().unwrap_or_default());
    let Some(host) = host.filter(|it| !it.is_empty()) else {
        return Err(Error::invalid("go_proxy", "has a user and no address that they are for; set its url"));
    };
    if [user, password].iter().any(|it| it.is_empty() || it.contains(char::is_whitespace)) {
        return Err(Error::invalid(
            "go_proxy",
            "has a user or password that is empty or holds a space; a netrc has none",
        ));
    }
    Ok(format!("machine {host} login {user} password {password}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packages::sources::IndexSource;

    fn env(sources: &PackageSources) -> Vec<(String, String)> {
        of(sources, "/m", "/c").unwrap().env
    }

    #[test]
    fn what_an_operator_sets_is_passed_on_and_nothing_else_is() {
        let value = |env: &[(String, String)], name: &str| env.iter().find(|it| it.0 == name).map(|it| it.1.clone());
        let found = env(&PackageSources::default());
        assert_eq!(value(&found, "GOPROXY").as_deref(), Some(""));
        assert_eq!(value(&found, "SSL_CERT_DIR"), None);
        let sources = PackageSources {
            go_proxy: IndexSource {
                url: Some("https://go.test:8443/x,off".into()),
                credentials: Some(("user".into(), "secret".into())),
                more: vec![("GONOSUMDB".into(), "corp.test/*".into()), ("GOSUMDB".into(), "off".into())],
            },
            http_proxy: Some("http://proxy.test:3128".into()),
            ca_certificates: Some(Bytes::from_static(b"pem")),
            ..PackageSources::default()
        };
        let settings = of(&sources, "/m", "/c").unwrap();
        let found = &settings.env;
        assert_eq!(value(found, "GOPROXY").as_deref(), Some("https://go.test:8443/x,off"));
        assert_eq!(value(found, "GONOSUMDB").as_deref(), Some("corp.test/*"));
        assert_eq!(value(found, "GOSUMDB").as_deref(), Some("off"));
        assert_eq!(value(found, "HTTPS_PROXY").as_deref(), Some("http://proxy.test:3128"));
        assert!(found.iter().all(|it| !it.1.contains("secret")));
        let files: Vec<(&str, &[u8])> = settings.files.iter().map(|it| (it.path.as_str(), &it.content[..])).collect();
        assert_eq!(
            files,
            [("netrc", &b"machine go.test login user password secret\n"[..]), ("certificates/more.pem", b"pem")]
        );
    }

    #[test]
    fn settings_that_are_none_are_refused() {
        let source = |url: Option<&str>, user: &str, more: &str| PackageSources {
            go_proxy: IndexSource {
                url: url.map(str::to_owned),
                credentials: (!user.is_empty()).then(|| (user.to_owned(), "p".to_owned())),
                more: (!more.is_empty()).then(|| (more.to_owned(), "x".to_owned())).into_iter().collect(),
            },
            ..PackageSources::default()
        };
        for (sources, expect) in [
            (source(None, "", "GOFLAGS"), "go_proxy: has the setting \"GOFLAGS\", which is not for packages"),
            (source(None, "", "LD_PRELOAD"), "go_proxy: has the setting \"LD_PRELOAD\""),
            (source(None, "u", ""), "go_proxy: has a user and no address"),
            (source(Some("https://x.test"), "a b", ""), "go_proxy: has a user or password that is empty or holds"),
        ] {
            let error = of(&sources, "/m", "/c").err().unwrap().to_string();
            assert!(error.starts_with(expect), "{error}");
        }
    }
}
