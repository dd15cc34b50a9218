//! Where packages come from: indexes, mirrors, proxies, credentials and certificates, as settings.

use std::fmt;

use bytes::Bytes;

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
}
