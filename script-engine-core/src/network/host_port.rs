//! One entry of an allow-list, and its one way of being written.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU16;
use std::str::FromStr;

use crate::{Error, Result};

/// The longest name of a host (RFC 1035).
const MAX_NAME: usize = 253;
/// The longest part of a name between dots.
const MAX_LABEL: usize = 63;

/// A host, as an entry names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Host {
    /// A name in lower case, without a dot at its end.
    Name(Box<str>),
    /// An address. One that maps IPv4 is kept as the IPv4 address.
    Address(IpAddr),
}

/// One host and port of an allow-list: `example.com:443`, `192.0.2.7:80`, `[2001:db8::7]:80`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostPort {
    host: Host,
    port: u16,
}

impl HostPort {
    /// Reads `host:port`. Names become lower case and lose a dot at their end; everything that clients read in
    /// several ways (addresses in octal or of less than four numbers, user names, wildcards, URLs) is refused.
    pub fn parse(text: &str) -> Result<Self> {
        parse(text).map_err(|problem| Error::invalid("network", format!("{text:?} {problem}")))
    }

    /// Puts an entry together.
    #[must_use]
    pub fn new(host: Host, port: NonZeroU16) -> Self {
        Self { host, port: port.get() }
    }

    /// The host.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port, never 0.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for HostPort {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Address(IpAddr::V6(address)) => write!(f, "[{address}]:{}", self.port),
            host => write!(f, "{host}:{}", self.port),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(address) => address.fmt(f),
        }
    }
}

impl Host {
    /// Reads a name or an address without a port, by the rules of [`HostPort::parse`].
    pub fn parse(text: &str) -> Result<Self> {
        match text.parse::<IpAddr>() {
            Ok(address) => Ok(Self::Address(address.to_canonical())),
            Err(_) => plain(text).map_err(|problem| Error::invalid("network", format!("{text:?} {problem}"))),
        }
    }

    /// Whether it is the name that every machine gives itself.
    #[must_use]
    pub fn is_localhost(&self) -> bool {
        matches!(self, Self::Name(name) if &**name == "localhost" || name.ends_with(".localhost"))
    }
}

fn parse(text: &str) -> Result<HostPort, &'static str> {
    let strange = |c: char| c.is_control() || c.is_whitespace();
    if text.is_empty() {
        return Err("is empty; give a host and a port such as `example.com:443`");
    }
    if text.contains("://") {
        return Err("is a URL; give only its host and port, such as `example.com:443`");
    }
    if text.contains('@') {
        return Err("holds a user name, which an allow-list has no use for; give only host and port");
    }
    if text.contains('*') {
        return Err("holds a wildcard; name each host");
    }
    if text.contains(['/', '?', '#', '\\', '%']) || text.contains(strange) {
        return Err("holds a character that no host has; give only host and port, such as `example.com:443`");
    }
    let (host, port) = split(text)?;
    Ok(HostPort { host, port: number(port)? })
}

fn split(text: &str) -> Result<(Host, &str), &'static str> {
    const NO_PORT: &str = "has no port; add it, such as `example.com:443`";
    if let Some(rest) = text.strip_prefix('[') {
        let (inside, after) = rest.split_once(']').ok_or("has no `]` after its IPv6 address")?;
        let address: Ipv6Addr = inside.parse().map_err(|_| "has no IPv6 address between its brackets")?;
        let port = after.strip_prefix(':').ok_or(NO_PORT)?;
        return Ok((Host::Address(IpAddr::V6(address).to_canonical()), port));
    }
    let (host, port) = text.rsplit_once(':').ok_or(NO_PORT)?;
    if host.contains(':') {
        return Err("is an IPv6 address without brackets; write it as `[2001:db8::7]:443`");
    }
    Ok((plain(host)?, port))
}

fn number(port: &str) -> Result<u16, &'static str> {
    let plain = !port.is_empty() && port.bytes().all(|it| it.is_ascii_digit()) && !port.starts_with('0');
    let number = if plain { port.parse::<u16>().ok() } else { None };
    number.ok_or("has a port that is not a number from 1 to 65535")
}

/// A name or an IPv4 address.
fn plain(host: &str) -> Result<Host, &'static str> {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    if host.is_empty() {
        return Err("has no host; give a name or an address before the port");
    }
    if !host.is_ascii() {
        return Err("has letters beyond ASCII; write the host in its `xn--` form");
    }
    if let Ok(address) = host.parse::<Ipv4Addr>() {
        return Ok(Host::Address(address.into()));
    }
    // A name that ends in a number is read as an address by half of all clients, each in a way of its own.
    if host.rsplit('.').next().is_some_and(is_numeric) {
        return Err("is neither a name nor a plain IPv4 address of four decimal numbers");
    }
    let sound = |label: &str| {
        let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        (1..=MAX_LABEL).contains(&label.len())
            && label.chars().all(letters)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if host.len() > MAX_NAME || !host.split('.').all(sound) {
        return Err("is not the name of a host; use letters, digits, `-` and dots");
    }
    Ok(Host::Name(host.into()))
}

fn is_numeric(label: &str) -> bool {
    let digits = |it: &str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit());
    let hexadecimal = |it: &str| it.bytes().all(|it| it.is_ascii_hexdigit());
    digits(label) || label.strip_prefix("0x").is_some_and(hexadecimal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Result<&str, &str>) {
        match (HostPort::parse(text), expect) {
            (Ok(found), Ok(expect)) => {
                assert_eq!(found.to_string(), expect);
                assert_eq!(HostPort::parse(expect).unwrap(), found, "its own form is read as the same");
            }
            (Err(error), Err(part)) => {
                assert_eq!(error.problems()[0].field, "network");
                assert!(error.to_string().contains(part), "{error}");
            }
            (found, expect) => panic!("{text}: {found:?}, expected {expect:?}"),
        }
    }

    #[test]
    fn entries_have_one_form() {
        check("example.com:443", Ok("example.com:443"));
        check("EXAMPLE.Com.:443", Ok("example.com:443"));
        check("xn--bcher-kva.example:80", Ok("xn--bcher-kva.example:80"));
        check("my_db:5432", Ok("my_db:5432"));
        check("LOCALHOST:1", Ok("localhost:1"));
        check("192.0.2.7:65535", Ok("192.0.2.7:65535"));
        check("192.0.2.7.:80", Ok("192.0.2.7:80"));
        check("[2001:DB8:0::7]:80", Ok("[2001:db8::7]:80"));
        check("[::ffff:169.254.169.254]:80", Ok("169.254.169.254:80"));
        check("[::ffff:a9fe:a9fe]:80", Ok("169.254.169.254:80"));
    }

    #[test]
    fn what_clients_read_in_several_ways_is_refused() {
        check("", Err("is empty"));
        check("example.com", Err("has no port"));
        check("example.com:", Err("from 1 to 65535"));
        check("example.com:0", Err("from 1 to 65535"));
        check("example.com:080", Err("from 1 to 65535"));
        check("example.com:+80", Err("from 1 to 65535"));
        check("example.com:65536", Err("from 1 to 65535"));
        check("example.com:80,443", Err("from 1 to 65535"));
        check(":80", Err("has no host"));
        check(".:80", Err("has no host"));
        check("https://example.com:443", Err("is a URL"));
        check("example.com:443/path", Err("a character that no host has"));
        check("user:pass@example.com:443", Err("user name"));
        check("*.example.com:443", Err("wildcard"));
        check("exam ple.com:443", Err("a character"));
        check("example.com\r\n:443", Err("a character"));
        check("example%2ecom:443", Err("a character"));
        check("bücher.example:443", Err("`xn--` form"));
        check("2001:db8::7:443", Err("without brackets"));
        check("[2001:db8::7]", Err("has no port"));
        check("[2001:db8::7:443", Err("has no `]`"));
        check("[fe80::1%eth0]:443", Err("a character"));
        check("[192.0.2.7]:443", Err("no IPv6 address"));
        for address in
            ["2130706433", "0x7f000001", "0x7f.1", "127.1", "0177.0.0.1", "127.0.0.01", "1.2.3.4.5", "256.1.1.1"]
        {
            check(&format!("{address}:80"), Err("neither a name nor a plain IPv4 address"));
        }
        check("-a.example:80", Err("is not the name of a host"));
        check("a..example:80", Err("is not the name of a host"));
        check("a.example..:80", Err("is not the name of a host"));
        check(&format!("{}.example:80", "a".repeat(64)), Err("is not the name of a host"));
        check(&format!("{}example:80", "a.".repeat(124)), Err("is not the name of a host"));
    }
}
