//! Machines as they may be set up.

use std::collections::BTreeMap;

use super::*;

#[derive(Default)]
struct Fake {
    variables: BTreeMap<&'static str, &'static str>,
    files: BTreeMap<&'static str, &'static [u8]>,
}

impl Machine for Fake {
    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).map(|it| (*it).to_owned())
    }

    fn read(&self, path: &str) -> Option<Vec<u8>> {
        self.files.get(path).map(|it| it.to_vec())
    }

    fn list(&self, path: &str) -> Vec<String> {
        let names = self.files.keys().filter_map(|it| it.strip_prefix(path));
        names.map(|it| it.trim_start_matches('/').to_owned()).collect()
    }
}

fn machine(variables: &[(&'static str, &'static str)], files: &[(&'static str, &'static str)]) -> PackageSources {
    of(&Fake {
        variables: variables.iter().copied().chain([("HOME", "/home/me")]).collect(),
        files: files.iter().map(|(path, text)| (*path, text.as_bytes())).collect(),
    })
}

fn pair(one: &str, other: &str) -> (String, String) {
    (one.to_owned(), other.to_owned())
}

#[test]
fn a_machine_without_settings_leaves_all_to_the_tools() {
    assert_eq!(machine(&[], &[]), PackageSources::default());
}

#[test]
fn pip_s_files_and_variables_are_read() {
    let conf = "[global]\nindex-url = https://me:p%40ss@pypi.test/simple\nextra_index_url = https://a.test\n    https://b.test\n# cert = /no\n[freeze]\ntimeout = 1\n";
    let found = machine(&[], &[("/etc/pip.conf", conf)]).pypi_source;
    assert_eq!(found.url.as_deref(), Some("https://pypi.test/simple"));
    assert_eq!(found.credentials, Some(pair("me", "p@ss")));
    assert_eq!(found.more, [pair("extra-index-url", "https://a.test\nhttps://b.test")]);
    let variables = [
        ("PIP_INDEX_URL", "https://other.test/simple"),
        ("PIP_DEFAULT_TIMEOUT", "180"),
        ("PIP_FIND_LINKS", "/srv/wheels https://w.test"),
        ("PIP_CERT", "/ca.pem"),
        ("PIP_PROXY", "http://proxy.test:3128"),
    ];
    let pem = "-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----\n";
    let found = machine(&variables, &[("/home/me/.config/pip/pip.conf", conf), ("/ca.pem", pem)]);
    assert_eq!(found.pypi_source.url.as_deref(), Some("https://other.test/simple"));
    assert_eq!(found.pypi_source.credentials, None);
    assert!(found.pypi_source.more.contains(&pair("timeout", "180")));
    assert!(found.pypi_source.more.contains(&pair("find-links", "https://w.test")));
    assert_eq!(found.http_proxy.as_deref(), Some("http://proxy.test:3128"));
    assert!(found.ca_certificates.is_some_and(|it| it.starts_with(b"-----BEGIN")));
}

#[test]
fn npm_s_files_and_variables_are_read() {
    let rc = "; mine\nregistry=https://npm.test/\n@corp:registry = https://corp.test/\n//corp.test/:_authToken=${TOKEN}\nomit-lockfile-registry-resolved = true\nhttps-proxy=http://proxy.test\n";
    let found = machine(&[("TOKEN", "t0ken")], &[("/home/me/.npmrc", rc)]);
    assert_eq!(found.npm_source.url.as_deref(), Some("https://npm.test/"));
    let more = [pair("//corp.test/:_authToken", "t0ken"), pair("@corp:registry", "https://corp.test/")];
    assert_eq!(found.npm_source.more, more);
    assert_eq!(found.http_proxy.as_deref(), Some("http://proxy.test"));
    let found = machine(&[("NPM_CONFIG_REGISTRY", "https://other.test/")], &[("/usr/etc/npmrc", rc)]).npm_source;
    assert_eq!(found.url.as_deref(), Some("https://other.test/"));
}

#[test]
fn go_s_settings_are_read() {
    let found =
        machine(&[("GOSUMDB", "off")], &[("/home/me/.config/go/env", "GOPROXY=https://go.test,direct\nGOFLAGS=-x\n")])
            .go_proxy;
    assert_eq!(found.url.as_deref(), Some("https://go.test,direct"));
    assert_eq!(found.more, [pair("GOSUMDB", "off")]);
}

#[test]
fn maven_s_settings_are_read() {
    let settings = "<settings><!-- <mirror><mirrorOf>*</mirrorOf><url>https://no.test</url></mirror> --><servers><server><id>m</id><username>u</username><password>p&amp;w</password></server></servers><mirrors><mirror><id>block</id><mirrorOf>external:*</mirrorOf><url>http://0.0.0.0/</url></mirror><mirror><id>m</id><mirrorOf>central</mirrorOf><url>https://maven.test/m2</url></mirror></mirrors><proxies><proxy><active>false</active><host>no.test</host></proxy><proxy><host>proxy.test</host><port>1</port></proxy></proxies></settings>";
    let found = machine(&[], &[("/home/me/.m2/settings.xml", settings)]);
    assert_eq!(found.maven_source.url.as_deref(), Some("https://maven.test/m2"));
    assert_eq!(found.maven_source.credentials, Some(pair("u", "p&w")));
    assert_eq!(found.http_proxy.as_deref(), Some("http://proxy.test:1"));
}

#[test]
fn nuget_s_settings_are_read() {
    let config = "<configuration><packageSources><clear /><add key=\"my feed\" value=\"https://nuget.test/v3/index.json\" protocolVersion=\"3\" /></packageSources><packageSourceCredentials><my_x0020_feed><add key=\"Username\" value=\"u\" /><add key=\"ClearTextPassword\" value=\"p\" /></my_x0020_feed></packageSourceCredentials></configuration>";
    let found = machine(&[], &[("/home/me/.nuget/NuGet/NuGet.Config", config)]).nuget_source;
    assert_eq!(found.url.as_deref(), Some("https://nuget.test/v3/index.json"));
    assert_eq!(found.credentials, Some(pair("u", "p")));
}

#[test]
fn apt_s_sources_and_keys_are_read() {
    let files = [
        ("/etc/apt/sources.list.d/debian.sources", "Types: deb\n"),
        ("/etc/apt/sources.list.d/old.save", "no"),
        ("/etc/apt/keyrings/a.gpg", "\u{1}z"),
        ("/etc/apt/trusted.gpg.d/b.asc", "-----BEGIN PGP"),
    ];
    let found = machine(&[], &files).apt.more;
    let expect = [
        pair("sources.list.d/debian.sources", "Types: deb\n"),
        pair("trusted.gpg.d/b.asc", "-----BEGIN PGP"),
        pair("keyrings/a.gpg", "017a"),
    ];
    assert_eq!(found, expect);
    assert_eq!(machine(&[], &files[2..]).apt.more, []);
}

#[test]
fn broken_settings_are_no_settings() {
    for text in
        ["", "[", "=\n==", "<mirror><url>", "<add key=\"", "[global]\n  x\nindex-url", "\u{0}\u{ff}", "${", "%zz"]
    {
        let files = [
            ("/etc/pip.conf", text),
            ("/home/me/.npmrc", text),
            ("/home/me/.m2/settings.xml", text),
            ("/home/me/.nuget/NuGet/NuGet.Config", text),
            ("/home/me/.config/go/env", text),
        ];
        let files: Vec<(&'static str, &'static str)> = files.to_vec();
        assert_eq!(machine(&[], &files).pypi_source.url, None, "{text:?}");
    }
    assert_eq!(without_credentials("https://a%zz:%41@host/x@y"), ("https://host/x@y".into(), Some(pair("a%zz", "A"))));
}

#[test]
fn this_machine_can_be_asked() {
    let said = format!("{:?}", PackageSources::of_this_machine());
    assert!(said.starts_with("PackageSources"), "{said}");
}
