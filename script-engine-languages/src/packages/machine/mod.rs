//! What this machine's own package tools are set up with, read from the files and variables that they read. The only
//! place of this crate that looks at the host; nothing calls it but who wants that.

use std::collections::BTreeSet;
use std::path::Path;

use bytes::Bytes;
use script_engine_core::packages::PackageNetwork;

use super::sources::{IndexSource, PackageSources};

mod apt;
mod go;
mod maven;
mod npm;
mod nuget;
mod pip;
mod xml;

/// The longest file that is read.
const LONGEST: u64 = 4 << 20;

/// The machine as the readers see it.
trait Machine {
    fn variable(&self, name: &str) -> Option<String>;
    /// A file's content, if it is there and not too long.
    fn read(&self, path: &str) -> Option<Vec<u8>>;
    /// The names in a folder, sorted.
    fn list(&self, path: &str) -> Vec<String>;

    /// A file as text.
    fn text(&self, path: &str) -> Option<String> {
        self.read(path).map(|it| String::from_utf8_lossy(&it).into_owned())
    }

    /// A path below the user's home.
    fn at_home(&self, path: &str) -> Option<String> {
        self.variable("HOME").map(|home| format!("{home}/{path}"))
    }
}

struct ThisMachine;

impl Machine for ThisMachine {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok().filter(|it| !it.is_empty())
    }

    fn read(&self, path: &str) -> Option<Vec<u8>> {
        let known = std::fs::metadata(path).ok()?;
        (known.is_file() && known.len() <= LONGEST).then(|| std::fs::read(path).ok()).flatten()
    }

    fn list(&self, path: &str) -> Vec<String> {
        let names = std::fs::read_dir(Path::new(path)).into_iter().flatten().flatten();
        names.filter_map(|it| it.file_name().into_string().ok()).collect::<BTreeSet<_>>().into_iter().collect()
    }
}

impl PackageSources {
    /// The sources that this machine's own tools are set up with: addresses, credentials, proxy and certificates, as
    /// `pip.conf`, `.npmrc`, Go's and Maven's settings, `NuGet.Config`, apt's sources and the environment say. What none
    /// of them says is left to the tool in the sandbox. Reads files and variables, starts nothing.
    #[must_use]
    pub fn of_this_machine() -> Self {
        of(&ThisMachine)
    }
}

fn of(machine: &dyn Machine) -> PackageSources {
    let (pip, npm) = (pip::Settings::read(machine), npm::Settings::read(machine));
    let (maven, maven_proxy) = maven::read(machine);
    let environment = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"];
    let proxies = environment.iter().filter_map(|it| machine.variable(it));
    PackageSources {
        pypi_source: pip.source(),
        npm_source: npm.source(),
        maven_source: maven,
        nuget_source: nuget::read(machine),
        go_proxy: go::read(machine),
        apt: apt::read(machine),
        http_proxy: proxies.chain(pip.proxy()).chain(npm.proxy()).chain(maven_proxy).next(),
        ca_certificates: certificates(machine, pip.certificates().into_iter().chain(npm.certificates())),
        network: PackageNetwork::default(),
        hosts: Vec::new(),
    }
}

/// The certificates that the tools are told of, one after the other.
fn certificates(machine: &dyn Machine, told: impl Iterator<Item = String>) -> Option<Bytes> {
    let variables = ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"];
    let paths: Vec<String> = told.chain(variables.iter().filter_map(|it| machine.variable(it))).collect();
    let mut seen = BTreeSet::new();
    let mut all = String::new();
    for text in paths.iter().filter(|it| seen.insert((*it).clone())).filter_map(|it| machine.text(it)) {
        if text.contains("-----BEGIN CERTIFICATE-----") && !all.contains(text.trim()) {
            all.push_str(&text);
            all.push('\n');
        }
    }
    (!all.is_empty()).then(|| Bytes::from(all))
}

/// An address without its user and password, and those.
fn without_credentials(url: &str) -> (String, Option<(String, String)>) {
    let Some((scheme, rest)) = url.split_once("://") else { return (url.to_owned(), None) };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let Some((user_info, host)) = rest[..end].rsplit_once('@') else { return (url.to_owned(), None) };
    let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
    (format!("{scheme}://{host}{}", &rest[end..]), Some((decoded(user), decoded(password))))
}

/// Text without percent signs that stand for bytes.
fn decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digit = |at: usize| after.get(at).and_then(|it| char::from(*it).to_digit(16));
        match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
                rest = &after[2..];
            }
            _ => {
                out.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// A source of an address that may hold credentials.
fn source_of(url: Option<String>, more: Vec<(String, String)>) -> IndexSource {
    let (url, credentials) = match url.map(|it| without_credentials(it.trim())) {
        Some((url, credentials)) => (Some(url), credentials),
        None => (None, None),
    };
    IndexSource { url, credentials, more }
}

#[cfg(test)]
mod tests;
