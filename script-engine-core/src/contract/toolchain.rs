//! What a language's scripts are compiled and run by: its name, its version, and the oldest one that will do.

use std::fmt;

/// The oldest toolchain that a language's scripts are promised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// The version, such as `3.12`.
    pub least: String,
    /// How to get it, as a lower-case fragment.
    pub mend: String,
}

/// A compiler or an interpreter, as it was found in a sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toolchain {
    /// Its name: `go`.
    pub name: String,
    /// Its version: `1.26.8`.
    pub version: String,
    /// Where it is, for a language that looks for it; else empty.
    pub place: String,
}

impl Toolchain {
    /// Whether the version is `least` or newer, number by number; what is no number ends it.
    #[must_use]
    pub fn is_at_least(&self, least: &str) -> bool {
        fn numbers(text: &str) -> impl Iterator<Item = u64> {
            text.split('.').map_while(|part| {
                let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
                part[..digits].parse().ok()
            })
        }
        let (mut found, least) = (numbers(&self.version), numbers(least));
        for least in least {
            match found.next().unwrap_or(0).cmp(&least) {
                std::cmp::Ordering::Less => return false,
                std::cmp::Ordering::Greater => return true,
                std::cmp::Ordering::Equal => {}
            }
        }
        true
    }
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        for (version, least, expect) in [
            ("3.12.1", "3.12", true),
            ("3.9", "3.12", false),
            ("21", "21.0.1", false),
            ("25.0.3", "21", true),
            ("1.26rc1", "1.22", true),
            ("8.0.4", "10", false),
            ("5.2.15(1)-release", "5", true),
            ("", "1", false),
            ("what", "0", true),
        ] {
            let toolchain = Toolchain { name: "x".into(), version: version.into(), place: String::new() };
            assert_eq!(toolchain.is_at_least(least), expect, "{version} {least}");
        }
    }
}
