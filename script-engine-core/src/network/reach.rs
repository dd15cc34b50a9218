//! Which addresses connections may lead to: the operator's settings, and the one decision.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{AddressClass, Host};

/// For which entries a range of addresses is open that would be closed otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Open {
    /// For none.
    #[default]
    Never,
    /// For entries that are such an address themselves, or `localhost`. A name that resolves to one stays closed,
    /// so whoever owns the name does not decide.
    Named,
    /// For any entry, names that resolve to such an address among them.
    Resolved,
}

/// What an operator opens beyond public addresses, and how long connecting may take. Metadata addresses are not
/// among it: they are never reachable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EgressSettings {
    /// The machine that the engine is on.
    pub loopback: Open,
    /// `10.0.0.0/8`, `172.16.0.0/12` and `192.168.0.0/16`.
    pub private: Open,
    /// `169.254.0.0/16` and `fe80::/10`, without the metadata addresses in it.
    pub link_local: Open,
    /// `fc00::/7` and `fec0::/10`.
    pub unique_local: Open,
    /// `100.64.0.0/10`.
    pub shared: Open,
    /// Whether scripts may ask for every public address on some ports, as the engine's own build steps do.
    pub any_public: bool,
    /// How long resolving a name and connecting may take in all.
    pub connect_timeout: Duration,
}

impl Default for EgressSettings {
    fn default() -> Self {
        Self {
            loopback: Open::Never,
            private: Open::Never,
            link_local: Open::Never,
            unique_local: Open::Never,
            shared: Open::Never,
            any_public: false,
            connect_timeout: Duration::from_secs(10),
        }
    }
}

impl EgressSettings {
    /// Decides whether a connection that was allowed by `entry` (`None`: by a policy that allows every public
    /// address) may lead to `address`. The error says why not.
    pub fn judge(&self, entry: Option<&Host>, address: IpAddr) -> Result<(), String> {
        let class = AddressClass::of(address);
        let (open, setting) = match class {
            AddressClass::Public => return Ok(()),
            AddressClass::Metadata => {
                return Err(format!("{address} is a metadata address, which is never reachable"));
            }
            AddressClass::Unusable => return Err(format!("{address} is not an address of one machine")),
            AddressClass::Loopback => (self.loopback, "loopback"),
            AddressClass::Private => (self.private, "private"),
            AddressClass::LinkLocal => (self.link_local, "link_local"),
            AddressClass::UniqueLocal => (self.unique_local, "unique_local"),
            AddressClass::Shared => (self.shared, "shared"),
        };
        let named = entry.is_some_and(|it| match it {
            Host::Address(_) => true,
            Host::Name(_) => it.is_localhost() && class == AddressClass::Loopback,
        });
        match (entry, open) {
            (Some(_), Open::Resolved) => Ok(()),
            (Some(_), Open::Named) if named => Ok(()),
            (Some(_), Open::Named) => Err(format!(
                "{address} is a {} address, which the setting egress.{setting} opens only for entries that name it",
                class.as_str()
            )),
            (Some(_), Open::Never) => Err(format!(
                "{address} is a {} address, which the setting egress.{setting} does not open",
                class.as_str()
            )),
            (None, _) => Err(format!("{address} is a {} address, and only public ones are allowed", class.as_str())),
        }
    }

    /// The refusal that is certain before anything is resolved, if there is one.
    pub(super) fn certain_refusal(&self, entry: &Host) -> Option<String> {
        let address = match entry {
            Host::Address(address) => *address,
            name if name.is_localhost() => Ipv4Addr::LOCALHOST.into(),
            Host::Name(_) => return None,
        };
        self.judge(Some(entry), address).err()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HostPort;

    fn opened(open: Open) -> EgressSettings {
        EgressSettings {
            loopback: open,
            private: open,
            link_local: open,
            unique_local: open,
            shared: open,
            ..EgressSettings::default()
        }
    }

    #[track_caller]
    fn check(open: Open, entry: Option<&str>, address: &str, expect: Result<(), &str>) {
        let entry = entry.map(|it| HostPort::parse(&format!("{it}:80")).unwrap().host().clone());
        match (opened(open).judge(entry.as_ref(), address.parse().unwrap()), expect) {
            (Ok(()), Ok(())) => {}
            (Err(why), Err(part)) => assert!(why.contains(part), "{why}"),
            (found, expect) => panic!("{open:?} {entry:?} {address}: {found:?}, expected {expect:?}"),
        }
    }

    #[test]
    fn who_decides_where_a_connection_leads() {
        let closed =
            ["127.0.0.1", "::1", "10.1.2.3", "169.254.1.1", "fe80::1", "fd00::1", "100.64.0.1", "::ffff:192.168.0.1"];
        for address in closed {
            check(Open::Never, Some("name.example"), address, Err("does not open"));
            check(Open::Named, Some("name.example"), address, Err("only for entries that name it"));
            check(Open::Resolved, Some("name.example"), address, Ok(()));
            check(Open::Resolved, None, address, Err("only public ones"));
        }
        for address in ["127.0.0.1", "10.1.2.3", "169.254.1.1", "100.64.0.1"] {
            check(Open::Never, Some(address), address, Err("does not open"));
            check(Open::Named, Some(address), address, Ok(()));
        }
        check(Open::Named, Some("[fd00::1]"), "fd00::1", Ok(()));
        check(Open::Named, Some("localhost"), "127.0.0.1", Ok(()));
        check(Open::Named, Some("localhost"), "::1", Ok(()));
        check(Open::Named, Some("localhost"), "10.0.0.1", Err("only for entries that name it"));
        check(Open::Named, Some("localhost.example"), "127.0.0.1", Err("only for entries that name it"));
        check(Open::Never, Some("name.example"), "192.0.2.1", Ok(()));
        check(Open::Never, None, "2001:db8::1", Ok(()));
    }

    #[test]
    fn metadata_is_never_reachable_whatever_is_open() {
        for address in
            ["169.254.169.254", "fd00:ec2::254", "100.100.100.200", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe"]
        {
            let entry = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
            for open in [Open::Never, Open::Named, Open::Resolved] {
                check(open, Some(&entry), address, Err("metadata"));
                check(open, Some("name.example"), address, Err("metadata"));
            }
            check(Open::Resolved, None, address, Err("metadata"));
        }
        check(Open::Resolved, Some("0.0.0.0"), "0.0.0.0", Err("not an address of one machine"));
    }

    #[test]
    fn some_refusals_need_no_resolver() {
        let host = |text: &str| HostPort::parse(text).unwrap().host().clone();
        let settings = EgressSettings::default();
        assert!(settings.certain_refusal(&host("localhost:1")).is_some());
        assert!(settings.certain_refusal(&host("10.0.0.1:1")).is_some());
        assert!(settings.certain_refusal(&host("name.example:1")).is_none());
        assert!(settings.certain_refusal(&host("192.0.2.1:1")).is_none());
        assert!(opened(Open::Named).certain_refusal(&host("localhost:1")).is_none());
    }
}
