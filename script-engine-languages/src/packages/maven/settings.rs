//! The settings file of the driver: an operator's settings, and nothing of anybody else.

use bytes::Bytes;
use script_engine_core::{Error, JobFile, RelPath, Result};

use super::super::sources::PackageSources;

/// The files by which the driver knows the repository. Fails with `InvalidRequest` of the field `maven_source`.
pub(super) fn of(sources: &PackageSources) -> Result<Vec<JobFile>> {
    let source = &sources.maven_source;
    if let Some((name, _)) = source.more.first() {
        let message = format!("has the setting {name:?}; it takes an address, a user and a password only");
        return Err(Error::invalid("maven_source", message));
    }
    let mut lines = String::new();
    let mut set = |name: &str, value: Option<&String>| {
        if let Some(value) = value {
            lines.push_str(&format!("{name}={}\n", escaped(value)));
        }
    };
    set("url", source.url.as_ref());
    set("user", source.credentials.as_ref().map(|it| &it.0));
    set("password", source.credentials.as_ref().map(|it| &it.1));
    set("proxy", sources.http_proxy.as_ref());
    let file = |path: &str, content: Bytes| Ok(JobFile { path: RelPath::parse(path)?, content, executable: false });
    let mut files = vec![file("settings.properties", lines.into())?];
    if let Some(certificates) = &sources.ca_certificates {
        files.push(file("certificates.pem", certificates.clone())?);
    }
    Ok(files)
}

/// A value as a properties file takes it, which is Latin-1.
fn escaped(value: &str) -> String {
    value.encode_utf16().map(|it| format!("\\u{it:04x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packages::sources::IndexSource;

    #[test]
    fn what_an_operator_sets_is_passed_on() {
        let sources = PackageSources {
            maven_source: IndexSource {
                url: Some("a".into()),
                credentials: Some(("é".into(), "\n".into())),
                more: Vec::new(),
            },
            ca_certificates: Some(Bytes::from_static(b"pem")),
            ..PackageSources::default()
        };
        let files: Vec<_> =
            of(&sources).unwrap().into_iter().map(|it| (it.path.as_str().to_owned(), it.content)).collect();
        let expect = "url=\\u0061\nuser=\\u00e9\npassword=\\u000a\n";
        assert_eq!(files[0], ("settings.properties".to_owned(), Bytes::from_static(expect.as_bytes())));
        assert_eq!(files[1], ("certificates.pem".to_owned(), Bytes::from_static(b"pem")));
        let more = PackageSources {
            maven_source: IndexSource { more: vec![("x".into(), "y".into())], ..IndexSource::default() },
            ..PackageSources::default()
        };
        assert!(of(&more).unwrap_err().to_string().starts_with("maven_source: has the setting \"x\""));
    }
}
