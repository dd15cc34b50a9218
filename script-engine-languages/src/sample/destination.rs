//! Where a sample connects to, read from its parameters. Pure.

use serde_json::Value;

/// How parameters name hosts and ports.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reach {
    /// One is a URL, maybe with `jdbc:` before it. What is none (a path, an empty text) names no host.
    Url(&'static str),
    /// One is a host and one a port; the port 0 is none.
    HostAndPort(&'static str, &'static str),
    /// One is a list of `host:port` with commas between them.
    List(&'static str),
}

impl Reach {
    /// The names of the parameters.
    pub(super) fn parameters(&self) -> Vec<&'static str> {
        match self {
            Self::Url(name) | Self::List(name) => vec![name],
            Self::HostAndPort(host, port) => vec![host, port],
        }
    }

    /// What they name, as `host:port`.
    pub(super) fn destinations<'a>(&self, value: impl Fn(&str) -> Option<&'a Value>) -> Vec<String> {
        let text = |name| value(name).and_then(Value::as_str).unwrap_or_default();
        match self {
            Self::Url(name) => of_url(text(name)).into_iter().collect(),
            Self::List(name) => {
                text(name).split(',').map(str::trim).filter(|it| !it.is_empty()).map(str::to_owned).collect()
            }
            Self::HostAndPort(host, port) => {
                let port = value(port).and_then(Value::as_u64).filter(|it| *it != 0);
                port.map(|port| joined(text(host), port)).into_iter().collect()
            }
        }
    }
}

/// The host and port of a URL, the port by its scheme if it has none.
fn of_url(url: &str) -> Option<String> {
    let url = url.strip_prefix("jdbc:").unwrap_or(url);
    let (scheme, rest) = url.split_once("://")?;
    let usual = match scheme.to_ascii_lowercase().as_str() {
        "http" => 80,
        "https" => 443,
        "tcp" => 2375,
        "postgresql" => 5432,
        "mysql" | "mariadb" => 3306,
        "sqlserver" => 1433,
        _ => return None,
    };
    let authority = rest.split(['/', '?', '#', ';', '\\']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    // Not the colons inside the brackets of an IPv6 address.
    let end = host.find(']').map_or(0, |it| it + 1);
    match host[end..].split_once(':') {
        _ if host.is_empty() => None,
        Some((_, port)) if port.parse::<u16>().is_ok() => Some(host.to_owned()),
        Some(_) => None,
        None => Some(format!("{host}:{usual}")),
    }
}

fn joined(host: &str, port: u64) -> String {
    if host.contains(':') && !host.starts_with('[') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(reach: Reach, parameters: &Value, expected: &[&str]) {
        assert_eq!(reach.destinations(|name| parameters.get(name)), expected, "{parameters}");
    }

    #[test]
    fn urls_name_a_host_and_a_port() {
        for (url, expected) in [
            ("http://localhost:8080/health", Some("localhost:8080")),
            ("https://hooks.slack.com/services/x", Some("hooks.slack.com:443")),
            ("HTTP://example.com", Some("example.com:80")),
            ("http://user:pw@example.com:81?x=a@b:1", Some("example.com:81")),
            ("http://[::1]:90/x", Some("[::1]:90")),
            ("http://[::1]/x", Some("[::1]:80")),
            ("jdbc:postgresql://db/orders", Some("db:5432")),
            ("jdbc:postgresql://db:5433/orders?password=a:1", Some("db:5433")),
            ("tcp://localhost:2375", Some("localhost:2375")),
            ("unix:///var/run/docker.sock", None),
            ("jdbc:sqlite:/x", None),
            ("/var/log/app.log", None),
            ("http://", None),
            ("http://h:x", None),
            ("-", None),
            ("", None),
        ] {
            check(Reach::Url("url"), &json!({ "url": url }), expected.as_slice());
        }
    }

    #[test]
    fn pairs_and_lists_do_too() {
        let pair = Reach::HostAndPort("host", "port");
        check(pair, &json!({"host": "db", "port": 5432}), &["db:5432"]);
        check(pair, &json!({"host": "::1", "port": 1}), &["[::1]:1"]);
        check(pair, &json!({"host": "db", "port": 0}), &[]);
        check(pair, &json!({"host": "db"}), &[]);
        check(Reach::List("all"), &json!({"all": "a:1, b:2"}), &["a:1", "b:2"]);
        check(Reach::List("all"), &json!({"all": ""}), &[]);
        assert_eq!(pair.parameters(), ["host", "port"]);
    }
}
