//! What a script may reach.

use serde_json::{Value, json};

use super::{EgressSettings, Host, HostPort};
use crate::{Problem, Result};

/// The most entries of an allow-list, and ports of a policy for public addresses.
const MAX_ENTRIES: usize = 64;

/// What a script may reach. Off unless a host opens it.
#[non_exhaustive]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum NetworkPolicy {
    /// Nothing but the sandbox's own loopback.
    #[default]
    Off,
    /// Exactly these, by TCP.
    Allow(Vec<HostPort>),
    /// Every public address on these ports, by name and TCP: for the engine's own build steps. Scripts get it only
    /// where [`EgressSettings::any_public`] says so.
    Public {
        /// The ports.
        ports: Vec<u16>,
        /// Further hosts and ports, as in an allow-list.
        entries: Vec<HostPort>,
    },
    /// The network of the host that the sandbox is on: all that it reaches, and its own loopback. For requests only, and
    /// only where a backend's settings open it; the enforcement report says that nothing is kept from the script.
    Host,
}

impl NetworkPolicy {
    /// Makes an allow-list of texts such as `example.com:443`. Reports every entry that is none.
    pub fn allow<T: AsRef<str>>(entries: impl IntoIterator<Item = T>) -> Result<Self> {
        let mut found = Vec::new();
        let mut problems = Vec::new();
        for entry in entries {
            match HostPort::parse(entry.as_ref()) {
                Ok(entry) => found.push(entry),
                Err(error) => problems.extend(error.problems().iter().cloned()),
            }
        }
        if problems.is_empty() { Ok(Self::Allow(found).canonical()) } else { Err(crate::Error::invalid_all(problems)) }
    }

    /// The policy sorted, without anything twice; one that opens nothing is `Off`.
    #[must_use]
    pub fn canonical(&self) -> Self {
        fn sorted<T: Ord + Clone>(items: &[T]) -> Vec<T> {
            let mut items = items.to_vec();
            items.sort();
            items.dedup();
            items
        }
        match self {
            Self::Off => Self::Off,
            Self::Host => Self::Host,
            Self::Allow(entries) if entries.is_empty() => Self::Off,
            Self::Allow(entries) => Self::Allow(sorted(entries)),
            Self::Public { ports, entries } if ports.is_empty() => Self::Allow(entries.clone()).canonical(),
            Self::Public { ports, entries } => Self::Public { ports: sorted(ports), entries: sorted(entries) },
        }
    }

    /// Whether nothing is reachable.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.canonical() == Self::Off
    }

    /// Whether it has an entry by an address that is not the sandbox's own loopback anyway.
    #[must_use]
    pub fn names_addresses(&self) -> bool {
        self.entries().iter().any(|it| match it.host() {
            Host::Name(_) => false,
            Host::Address(address) => !address.is_loopback(),
        })
    }

    /// What it lists by host and port.
    #[must_use]
    pub fn entries(&self) -> &[HostPort] {
        match self {
            Self::Off | Self::Host => &[],
            Self::Allow(entries) | Self::Public { entries, .. } => entries,
        }
    }

    /// Whether it lists this host and port.
    #[must_use]
    pub fn lists(&self, host: &Host, port: u16) -> bool {
        self.entries().iter().any(|it| it.host() == host && it.port() == port)
    }

    /// Whether a connection to this host and port is allowed, and by which entry; addresses are judged apart.
    #[must_use]
    pub fn allows(&self, host: &Host, port: u16) -> bool {
        match self {
            Self::Public { ports, .. } if matches!(host, Host::Name(_)) && ports.contains(&port) => true,
            Self::Host => true,
            Self::Off | Self::Allow(_) | Self::Public { .. } => self.lists(host, port),
        }
    }

    /// Names what no connection could ever be made of under these settings.
    #[must_use]
    pub fn problems(&self, settings: &EgressSettings) -> Vec<Problem> {
        let problem = |message: String| Problem { field: "network".into(), message };
        let too_many = |count: usize| {
            (count > MAX_ENTRIES).then(|| problem(format!("has {count} entries, at most {MAX_ENTRIES} are allowed")))
        };
        let refused = self.entries().iter().filter_map(|it| {
            settings.certain_refusal(it.host()).map(|why| problem(format!("`{it}` can't be opened: {why}")))
        });
        let listed = too_many(self.entries().len()).into_iter().chain(refused);
        match self {
            Self::Off | Self::Host | Self::Allow(_) => listed.collect(),
            Self::Public { ports, .. } => {
                let closed = (!settings.any_public).then(|| {
                    problem("every public address is more than a script may reach; name each host and port".into())
                });
                let zero = ports.contains(&0).then(|| problem("0 is not a port".into()));
                too_many(ports.len()).into_iter().chain(closed).chain(zero).chain(listed).collect()
            }
        }
    }

    /// The part of a version's canonical manifest.
    pub(crate) fn manifest(&self) -> Value {
        match self.canonical() {
            Self::Off => "off".into(),
            Self::Host => "host".into(),
            Self::Allow(entries) => entries.iter().map(ToString::to_string).collect::<Vec<_>>().into(),
            Self::Public { ports, entries } => {
                json!({ "public": ports, "entries": entries.iter().map(ToString::to_string).collect::<Vec<_>>() })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Open;

    fn allow(entries: &[&str]) -> NetworkPolicy {
        NetworkPolicy::allow(entries).unwrap()
    }

    #[test]
    fn order_and_repetition_do_not_count() {
        let policy = allow(&["b.example:80", "A.example:443", "a.example.:443", "b.example:443"]);
        assert_eq!(policy, allow(&["a.example:443", "b.example:443", "b.example:80"]));
        assert_eq!(policy.manifest(), json!(["a.example:443", "b.example:80", "b.example:443"]));
        assert_eq!(NetworkPolicy::Allow(Vec::new()).manifest(), json!("off"));
        assert_eq!(
            NetworkPolicy::Public { ports: vec![443, 80, 443], entries: Vec::new() }.manifest(),
            json!({"public": [80, 443], "entries": []})
        );
        assert!(NetworkPolicy::Allow(Vec::new()).is_off());
    }

    #[test]
    fn every_bad_entry_is_named() {
        let error = NetworkPolicy::allow(["a.example:80", "b", "*.c:80"]).unwrap_err();
        assert_eq!(error.problems().len(), 2, "{error}");
    }

    #[test]
    fn only_what_is_listed_is_allowed() {
        let host = |text: &str| HostPort::parse(&format!("{text}:1")).unwrap().host().clone();
        let policy = allow(&["example.com:443", "192.0.2.1:80"]);
        assert!(policy.allows(&host("EXAMPLE.com."), 443));
        assert!(policy.allows(&host("192.0.2.1"), 80));
        for (name, port) in [
            ("example.com", 80),
            ("www.example.com", 443),
            ("evil-example.com", 443),
            ("example.com.evil", 443),
            ("com", 443),
            ("192.0.2.1", 443),
            ("192.0.2.2", 80),
        ] {
            assert!(!policy.allows(&host(name), port), "{name}:{port}");
        }
        let public =
            NetworkPolicy::Public { ports: vec![443], entries: vec![HostPort::parse("192.0.2.9:22").unwrap()] };
        assert!(public.allows(&host("192.0.2.9"), 22) && public.lists(&host("192.0.2.9"), 22));
        assert!(public.allows(&host("any.example"), 443));
        assert!(!public.allows(&host("any.example"), 22));
        assert!(!public.allows(&host("192.0.2.1"), 443));
        assert!(!NetworkPolicy::Off.allows(&host("any.example"), 443));
    }

    #[test]
    fn what_can_never_work_is_said_beforehand() {
        #[track_caller]
        fn check(policy: &NetworkPolicy, settings: &EgressSettings, expect: &[&str]) {
            let found: Vec<String> = policy.problems(settings).into_iter().map(|it| it.message).collect();
            assert_eq!(found.len(), expect.len(), "{found:?}");
            for (found, part) in found.iter().zip(expect) {
                assert!(found.contains(part), "{found}");
            }
        }
        let closed = EgressSettings::default();
        let open = EgressSettings { loopback: Open::Named, any_public: true, ..EgressSettings::default() };
        let policy = allow(&["localhost:80", "169.254.169.254:80", "a.example:80"]);
        check(&policy, &closed, &["egress.loopback", "metadata"]);
        check(&policy, &open, &["metadata"]);
        let public = NetworkPolicy::Public { ports: vec![443], entries: Vec::new() };
        check(&public, &closed, &["name each host"]);
        check(&public, &open, &[]);
        let many: Vec<String> = (1..=65).map(|it| format!("a.example:{it}")).collect();
        check(&NetworkPolicy::allow(many).unwrap(), &closed, &["has 65 entries"]);
    }
}
