//! What kind of address an address is. Pure; see the table in the tests.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Kinds of addresses, as far as reaching them is decided by kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AddressClass {
    /// Everything that is nothing else, ranges for documentation and benchmarks among it.
    Public,
    /// The machine itself.
    Loopback,
    /// RFC 1918.
    Private,
    /// RFC 3927, and `fe80::/10`.
    LinkLocal,
    /// RFC 4193, and what IPv6 had before it.
    UniqueLocal,
    /// RFC 6598: between a provider and its customers.
    Shared,
    /// Where a cloud tells a machine its secrets.
    Metadata,
    /// Addresses of no one machine: unspecified, multicast, broadcast, reserved.
    Unusable,
}

/// Where clouds answer with credentials: the common address (AWS, Google, Azure, DigitalOcean, …), tasks and pods
/// of AWS, Azure's host, Alibaba, Oracle.
const METADATA_4: [Ipv4Addr; 6] = [
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(169, 254, 170, 2),
    Ipv4Addr::new(169, 254, 170, 23),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(192, 0, 0, 192),
];
/// The same of AWS (machines and pods) and of Google.
const METADATA_6: [Ipv6Addr; 3] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
];

impl AddressClass {
    /// The class of an address. An IPv6 address that stands for an IPv4 one is of that one's class.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => of_4(address),
            IpAddr::V6(address) => embedded(address).map_or_else(|| of_6(address), of_4),
        }
    }

    /// The class in words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::LinkLocal => "link-local",
            Self::UniqueLocal => "unique-local",
            Self::Shared => "shared",
            Self::Metadata => "metadata",
            Self::Unusable => "unusable",
        }
    }
}

fn of_4(address: Ipv4Addr) -> AddressClass {
    if METADATA_4.contains(&address) {
        return AddressClass::Metadata;
    }
    match address.octets() {
        [127, ..] => AddressClass::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => AddressClass::Private,
        [169, 254, ..] => AddressClass::LinkLocal,
        [100, 64..=127, ..] => AddressClass::Shared,
        // "This network", multicast, and what is reserved, the broadcast address among it.
        [0, ..] | [224..=255, ..] => AddressClass::Unusable,
        _ => AddressClass::Public,
    }
}

fn of_6(address: Ipv6Addr) -> AddressClass {
    if METADATA_6.contains(&address) {
        return AddressClass::Metadata;
    }
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => AddressClass::Loopback,
        [0, 0, 0, 0, 0, 0, 0, 0] | [0xff00..=0xffff, ..] => AddressClass::Unusable,
        [0xfe80..=0xfebf, ..] => AddressClass::LinkLocal,
        // Site-local (RFC 3879) is out of use and still routed in places.
        [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..] => AddressClass::UniqueLocal,
        // NAT64 of a network's own (RFC 8215): where it leads is that network's to say.
        [0x64, 0xff9b, 1, ..] => AddressClass::UniqueLocal,
        _ => AddressClass::Public,
    }
}

/// The IPv4 address that an IPv6 one stands for: mapped, compatible (RFC 4291), translated (RFC 2765),
/// NAT64 (RFC 6052), 6to4 (RFC 3056), Teredo (RFC 4380), ISATAP (RFC 5214).
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let from = |high: u16, low: u16| Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0, 0, 0, 0, 0, 0, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => from(high, low),
        [0x2001, 0, .., high, low] => from(!high, !low),
        [.., 0 | 0x200, 0x5efe, high, low] => from(high, low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(class: AddressClass, addresses: &[&str]) {
        for text in addresses {
            assert_eq!(AddressClass::of(text.parse().unwrap()), class, "{text}");
        }
    }

    #[test]
    fn addresses_have_a_class() {
        let public = ["1.1.1.1", "8.8.8.8", "172.15.255.255", "172.32.0.0", "100.63.255.255", "100.128.0.0"];
        check(AddressClass::Public, &public);
        // Nobody is there, so nothing is to be protected.
        check(AddressClass::Public, &["192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1", "2001:db8::1"]);
        check(AddressClass::Public, &["2606:4700::1111", "2a00:1450::1", "64:ff9b::101:101", "::ffff:1.1.1.1"]);
        check(AddressClass::Loopback, &["127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1", "::ffff:7f00:1"]);
        check(AddressClass::Loopback, &["64:ff9b::7f00:1", "2002:7f00:1::", "::127.0.0.1", "::ffff:0:127.0.0.1"]);
        check(AddressClass::Private, &["10.0.0.0", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.1.1"]);
        check(AddressClass::Private, &["::ffff:10.0.0.1", "2002:a00:1::1", "2001:0:0:0:0:0:f5ff:fffe"]);
        check(AddressClass::Private, &["2001:db8::5efe:10.0.0.1", "2001:db8::200:5efe:10.0.0.1"]);
        check(AddressClass::LinkLocal, &["169.254.0.1", "169.254.169.253", "fe80::1", "febf::1"]);
        check(AddressClass::UniqueLocal, &["fc00::1", "fd12:3456::1", "fec0::1", "64:ff9b:1::a00:1"]);
        check(AddressClass::Shared, &["100.64.0.1", "100.127.255.255"]);
        check(AddressClass::Metadata, &["169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16"]);
        check(AddressClass::Metadata, &["192.0.0.192", "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254"]);
        check(AddressClass::Metadata, &["::ffff:169.254.169.254", "::ffff:a9fe:a9fe", "64:ff9b::a9fe:a9fe"]);
        check(AddressClass::Metadata, &["2002:a9fe:a9fe::1", "::169.254.169.254", "::ffff:100.100.100.200"]);
        check(
            AddressClass::Unusable,
            &["0.0.0.0", "0.1.2.3", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255"],
        );
        check(AddressClass::Unusable, &["::", "ff02::1", "::ffff:0.0.0.0", "::ffff:255.255.255.255"]);
    }
}
