//! Where packages come from: indexes, mirrors, proxies, credentials and certificates, as settings.

use std::fmt;

use bytes::Bytes;
use script_engine_core::packages::PackageNetwork;
use script_engine_core::{HostPort, NetworkPolicy};

/// One index. What is `None` is left to the ecosystem's own tool.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct IndexSource {
    /// The index's address.
    pub url: Option<String>,
    /// User and password for it. They reach build sandboxes by the environment or a file there, and
    /// nothing else: no cache key, no lock, no error.
    pub credentials: Option<(String, String)>,
    /// Further settings of the ecosystem's own tool, by the tool's names, such as `GONOSUMDB` or
    /// `find-links`.
    pub more: Vec<(String, String)>,
}

impl fmt::Debug for IndexSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.more.iter().map(|it| it.0.as_str()).collect();
        f.debug_struct("IndexSource")
            .field("url", &self.url)
            .field("has_credentials", &self.credentials.is_some())
            .field("more", &names)
            .finish()
    }
}

/// All sources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackageSources {
    /// For Python.
    pub pypi_source: IndexSource,
    /// For TypeScript and JavaScript.
    pub npm_source: IndexSource,
    /// For Java.
    pub maven_source: IndexSource,
    /// For C#.
    pub nuget_source: IndexSource,
    /// For Go: the value of `GOPROXY` as the index's address.
    pub go_proxy: IndexSource,
    /// For packages of the system.
    pub apt: IndexSource,
    /// A proxy through which all of them are reached.
    pub http_proxy: Option<String>,
    /// Certificates, in PEM, that are trusted besides those of the runtime.
    pub ca_certificates: Option<Bytes>,
    /// What build sandboxes may reach.
    pub network: PackageNetwork,
    /// Further places that they may reach, such as the host on which an index has its files.
    pub hosts: Vec<HostPort>,
}

impl PackageSources {
    /// All indexes, in the order of the fields.
    pub(super) fn all(&self) -> [&IndexSource; 6] {
        [&self.pypi_source, &self.npm_source, &self.maven_source, &self.nuget_source, &self.go_proxy, &self.apt]
    }

    /// What decides which packages these sources have, for keys: addresses and settings, no credentials.
    pub(super) fn identity(&self) -> String {
        let mut text = String::new();
        for source in self.all() {
            text.push_str(&format!("\0{}", without_users(source.url.as_deref().unwrap_or_default())));
            for (name, value) in source.more.iter().filter(|(name, _)| !is_secret(name)) {
                text.push_str(&format!("\0{name}={}", without_users(value)));
            }
        }
        text
    }

    /// What build sandboxes may reach.
    pub(super) fn network(&self) -> NetworkPolicy {
        let named = self.all().into_iter().filter_map(|it| it.url.as_deref()).chain(self.http_proxy.as_deref());
        // What is no address of a network (a word such as `direct`, a folder) needs no way out.
        let entries = named
            .flat_map(|it| it.split([',', '|', ' ']))
            .filter_map(place)
            .chain(self.hosts.iter().cloned())
            .collect();
        let policy = match self.network {
            PackageNetwork::Public => NetworkPolicy::Public { ports: vec![80, 443], entries },
            PackageNetwork::Named => NetworkPolicy::Allow(entries),
            PackageNetwork::Off => NetworkPolicy::Off,
        };
        policy.canonical()
    }
}

/// Whether a setting of this name holds a secret.
pub(super) fn is_secret(name: &str) -> bool {
    ["auth", "password", "token"].iter().any(|it| name.to_lowercase().contains(it))
}

/// The text with what stands before the host left out of each address in it.
pub(super) fn without_users(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        let end = after.find(|c: char| c.is_whitespace() || "/'\"<>".contains(c)).unwrap_or(after.len());
        rest = after[..end].rfind('@').map_or(after, |at| &after[at + 1..]);
    }
    out.push_str(rest);
    out
}

/// Host and port of an address such as `https://user@host:8443/path`.
fn place(url: &str) -> Option<HostPort> {
    let (scheme, rest) = url.trim().split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let place = authority.rsplit('@').next()?;
    let has_port = place.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
    let port = if scheme == "http" { 80 } else { 443 };
    HostPort::parse(&if has_port { place.to_owned() } else { format!("{place}:{port}") }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_decides_a_lock_is_in_its_key_and_no_secret_is() {
        let of = |url: &str, credentials: Option<(&str, &str)>, more: &[(&str, &str)]| {
            let pair = |it: &(&str, &str)| (it.0.to_owned(), it.1.to_owned());
            let npm_source = IndexSource {
                url: Some(url.to_owned()),
                credentials: credentials.as_ref().map(pair),
                more: more.iter().map(pair).collect(),
            };
            PackageSources { npm_source, ..PackageSources::default() }.identity()
        };
        let plain = of("https://host/npm", None, &[]);
        assert_eq!(of("https://me:word@host/npm", Some(("me", "word")), &[("_authToken", "t")]), plain);
        let scoped = of("https://host/npm", None, &[("@own:registry", "https://me:word@other/npm")]);
        assert_eq!(scoped, of("https://host/npm", None, &[("@own:registry", "https://other/npm")]));
        assert!(scoped != plain && of("https://other/npm", None, &[]) != plain);
        // A setting of one source is none of the next.
        let one = IndexSource { url: Some("x".into()), ..IndexSource::default() };
        let go = PackageSources { go_proxy: one.clone(), ..PackageSources::default() };
        let apt = PackageSources { apt: one, ..PackageSources::default() };
        assert_ne!(go.identity(), apt.identity());
    }

    #[test]
    fn what_the_settings_name_is_reachable_and_nothing_else_is_private() {
        let source = |url: &str| IndexSource { url: Some(url.into()), ..IndexSource::default() };
        let sources = PackageSources {
            pypi_source: source("https://user:word@index.example/simple"),
            go_proxy: source("http://10.0.0.7:3000,direct"),
            nuget_source: source("http://[::1]:5000/v3/index.json"),
            http_proxy: Some("http://proxy.example".into()),
            hosts: vec![HostPort::parse("files.example:444").unwrap()],
            ..PackageSources::default()
        };
        let entry = |it: &str| HostPort::parse(it).unwrap();
        let entries = ["index.example:443", "10.0.0.7:3000", "[::1]:5000", "proxy.example:80", "files.example:444"]
            .map(entry)
            .to_vec();
        let public = NetworkPolicy::Public { ports: vec![80, 443], entries: entries.clone() };
        assert_eq!(sources.network(), public.canonical());
        let named = PackageSources { network: PackageNetwork::Named, ..sources.clone() };
        assert_eq!(named.network(), NetworkPolicy::Allow(entries).canonical());
        assert!(PackageSources { network: PackageNetwork::Off, ..named }.network().is_off());
        let shown = format!("{:?}", sources.pypi_source);
        assert!(!shown.contains("has_credentials: true"), "{shown}");
    }
}
