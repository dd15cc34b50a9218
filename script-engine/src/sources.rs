//! Where packages come from, with what the settings of the Docker backend say put before what else is known.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use script_engine_core::packages::PackageNetwork;
use script_engine_core::{Error, Result};
use script_engine_docker::Build;
use script_engine_languages::packages::{IndexSource, PackageSources};

/// Bytes of a file with certificates.
const MOST: u64 = 4 << 20;

/// `sources` as `build` changes them. Fails with `InvalidRequest` if its certificates can't be read.
pub(crate) fn built_from(build: &Build, mut sources: PackageSources) -> Result<PackageSources> {
    let PackageSources { pypi_source, npm_source, maven_source, nuget_source, go_proxy, apt, .. } = &mut sources;
    let all = [
        ("pypi", pypi_source),
        ("npm", npm_source),
        ("maven", maven_source),
        ("nuget", nuget_source),
        ("go", go_proxy),
        ("apt", apt),
    ];
    for (name, source) in all {
        if let Some(url) = build.mirrors.get(name) {
            // What belongs to another address is not sent to this one.
            *source = IndexSource { url: Some(url.clone()), ..IndexSource::default() };
        }
    }
    if let Some(proxy) = &build.proxy {
        sources.http_proxy = Some(proxy.clone());
    }
    if let Some(path) = &build.ca_certificates {
        let own = certificates(path)?;
        let known = sources.ca_certificates.as_deref().unwrap_or_default();
        sources.ca_certificates = Some(Bytes::from([known, b"\n", &own].concat()));
    }
    sources.hosts.extend(build.hosts()?);
    if build.network != PackageNetwork::default() {
        sources.network = build.network;
    }
    Ok(sources)
}

fn certificates(path: &Path) -> Result<Vec<u8>> {
    let problem = |text: &str| Error::invalid("docker.build.ca_certificates", format!("{} {text}", path.display()));
    let length = fs::metadata(path).map(|it| it.len()).map_err(|error| problem(&format!("can't be read: {error}")))?;
    if length > MOST {
        return Err(problem("is longer than any file of certificates; name another"));
    }
    let text = fs::read(path).map_err(|error| problem(&format!("can't be read: {error}")))?;
    let begin = b"-----BEGIN CERTIFICATE-----";
    let holds = text.windows(begin.len()).any(|it| it == begin);
    if holds { Ok(text) } else { Err(problem("holds no certificate in PEM; name a file that does")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn what_is_said_goes_before_what_is_known() {
        let index = |url: &str| IndexSource {
            url: Some(url.into()),
            credentials: Some(("a".into(), "b".into())),
            more: Vec::new(),
        };
        let known = PackageSources {
            pypi_source: index("https://known.example/pypi"),
            npm_source: index("https://known.example/npm"),
            http_proxy: Some("http://known.example".into()),
            ca_certificates: Some(Bytes::from_static(b"known")),
            ..PackageSources::default()
        };
        assert_eq!(built_from(&Build::default(), known.clone()).unwrap(), known);

        let folder = std::env::temp_dir().join(format!("script-engine-sources-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("ca.pem");
        let build = Build {
            network: PackageNetwork::Named,
            ca_certificates: Some(file.clone()),
            proxy: Some("http://proxy.example:1".into()),
            mirrors: BTreeMap::from([("pypi".into(), "https://mirror.example".into())]),
            hosts: vec!["files.example:443".into()],
        };
        let missing = built_from(&build, known.clone()).unwrap_err();
        assert_eq!(missing.problems()[0].field, "docker.build.ca_certificates");
        fs::write(&file, "nothing").unwrap();
        assert!(built_from(&build, known.clone()).unwrap_err().to_string().contains("holds no certificate"));
        fs::write(&file, "-----BEGIN CERTIFICATE-----\nown").unwrap();
        let sources = built_from(&build, known.clone()).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(sources.pypi_source.url.as_deref(), Some("https://mirror.example"));
        assert_eq!((&sources.pypi_source.credentials, &sources.npm_source), (&None, &known.npm_source));
        assert_eq!(sources.http_proxy.as_deref(), Some("http://proxy.example:1"));
        assert_eq!(sources.ca_certificates.as_deref(), Some(&b"known\n-----BEGIN CERTIFICATE-----\nown"[..]));
        assert_eq!(sources.network, PackageNetwork::Named);
        assert_eq!(sources.hosts.iter().map(ToString::to_string).collect::<Vec<_>>(), ["files.example:443"]);
    }
}
