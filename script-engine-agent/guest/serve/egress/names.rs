//! The names that a script may ask for, and the loopback address of its own that each has, by which a connection is
//! known to be for it.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use super::dns::Found;

/// Names that are answered where any name is.
const MAX_NAMES: usize = 4096;
/// The first address that is given out. All of 127.0.0.0/8 is on the loopback interface.
const FIRST: u32 = 0x7f40_0001;

/// See the module.
#[derive(Debug, Default)]
pub struct Names {
    addresses: BTreeMap<String, Ipv4Addr>,
    names: BTreeMap<Ipv4Addr, String>,
    /// Addresses that are listened on for themselves.
    taken: Vec<Ipv4Addr>,
    given: u32,
    /// Whether a name that is asked for is given an address.
    any: bool,
}

impl Names {
    pub fn new(taken: Vec<Ipv4Addr>, any: bool) -> Self {
        Self { taken, any, ..Self::default() }
    }

    /// The address of a name, which is given one if it has none yet.
    pub fn add(&mut self, name: &str) -> Ipv4Addr {
        if let Some(address) = self.addresses.get(name) {
            return *address;
        }
        let address = loop {
            let address = Ipv4Addr::from_bits(FIRST + self.given);
            self.given += 1;
            if !self.taken.contains(&address) {
                break address;
            }
        };
        self.addresses.insert(name.to_owned(), address);
        self.names.insert(address, name.to_owned());
        address
    }

    /// Says who has an address that nobody was given.
    pub fn know(&mut self, address: Ipv4Addr, host: &str) {
        self.names.entry(address).or_insert_with(|| host.to_owned());
    }

    /// What a script is told of a name.
    pub fn find(&mut self, name: &str) -> Found {
        match self.addresses.get(name) {
            Some(address) => Found::Address(*address),
            None if !self.any || !is_host(name) => Found::Nothing,
            None if self.addresses.len() >= MAX_NAMES => Found::Full,
            None => Found::Address(self.add(name)),
        }
    }

    /// The name that has an address.
    pub fn of(&self, address: Ipv4Addr) -> Option<&str> {
        self.names.get(&address).map(String::as_str)
    }
}

/// Whether anybody could have this name; the engine looks more closely.
fn is_host(name: &str) -> bool {
    let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !name.is_empty() && name.len() <= 253 && name.chars().all(letters)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> Ipv4Addr {
        Ipv4Addr::new(127, 64, 0, last)
    }

    #[test]
    fn each_name_has_an_address_of_its_own() {
        let mut names = Names::new(vec![address(2)], false);
        assert_eq!(names.add("a.example"), address(1));
        assert_eq!(names.add("b.example"), address(3), "one is taken");
        assert_eq!(names.add("a.example"), address(1));
        assert_eq!(names.find("b.example"), Found::Address(address(3)));
        assert_eq!(names.find("c.example"), Found::Nothing);
        assert_eq!(names.of(address(3)), Some("b.example"));
        assert_eq!(names.of(address(2)), None);
        names.know(address(2), "127.64.0.2");
        names.know(address(1), "127.64.0.1");
        assert_eq!((names.of(address(2)), names.of(address(1))), (Some("127.64.0.2"), Some("a.example")));
    }

    #[test]
    fn any_name_is_answered_up_to_a_bound() {
        let mut names = Names::new(Vec::new(), true);
        for bad in ["", "a b", "a/b", "ü", &"a".repeat(254)] {
            assert_eq!(names.find(bad), Found::Nothing, "{bad:?}");
        }
        for number in 0..MAX_NAMES {
            assert!(matches!(names.find(&format!("n{number}.example")), Found::Address(_)));
        }
        assert_eq!(names.find("more.example"), Found::Full);
        assert!(matches!(names.find("n0.example"), Found::Address(_)));
    }
}
