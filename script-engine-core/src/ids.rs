//! Identifiers: newtypes that cannot be mixed up, and the names people choose.

use std::fmt;
use std::str::FromStr;

use crate::{Digest, Error, Result};

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident, $tag:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(u128);

        impl $name {
            /// Wraps 128 bits that an [`IdSource`](crate::contract::IdSource) made.
            #[must_use]
            pub const fn from_bits(bits: u128) -> Self {
                Self(bits)
            }

            /// The id's 128 bits.
            #[must_use]
            pub const fn bits(self) -> u128 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($tag, "_{:032x}"), self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                text.strip_prefix(concat!($tag, "_"))
                    .filter(|hex| hex.len() == 32)
                    .and_then(|hex| u128::from_str_radix(hex, 16).ok())
                    .map(Self)
                    .ok_or_else(|| Error::invalid("id", concat!("is not `", $tag, "_` and 32 hex digits")))
            }
        }
    };
}

id_type!(
    /// One durable run of one version.
    ExecutionId, "exec"
);
id_type!(
    /// One script: a named, owned thing with a history.
    ScriptId, "scr"
);
id_type!(
    /// One life of one engine process; everything a backend creates carries it.
    OwnerId, "own"
);

/// One version of a script: the SHA-256 of its canonical manifest.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VersionId(pub Digest);

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "version:{}", self.0)
    }
}

/// Counts the writes to one record; used for compare-and-set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

/// Counts the engines that have held an execution; a later one fences off an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $field:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Box<str>);

        impl $name {
            /// Checks and wraps a name: 1 to 128 of `a-z 0-9 . _ -`, beginning with a letter or a digit,
            /// without `..`. Fails with `InvalidRequest` that names the field and the way out.
            pub fn parse(text: &str) -> Result<Self> {
                match name_problem(text) {
                    None => Ok(Self(text.into())),
                    Some(problem) => Err(Error::invalid($field, problem)),
                }
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

name_type!(
    /// A script's name.
    ScriptName, "script_name"
);
name_type!(
    /// A tenant's name. Tenants share nothing.
    TenantId, "tenant"
);
name_type!(
    /// A language's name, such as `python`.
    LanguageId, "language"
);
name_type!(
    /// A branch's or tag's name.
    RefName, "ref"
);

impl Default for TenantId {
    fn default() -> Self {
        Self("default".into())
    }
}

fn name_problem(text: &str) -> Option<String> {
    const MAX: usize = 128;
    if text.is_empty() {
        return Some("is empty; give 1 to 128 characters of `a-z 0-9 . _ -`".into());
    }
    if text.len() > MAX {
        return Some(format!("is {} bytes long; at most {MAX} are allowed", text.len()));
    }
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-');
    if let Some(bad) = text.chars().find(|c| !allowed(*c)) {
        return Some(format!("contains {bad:?}; only `a-z 0-9 . _ -` are allowed"));
    }
    if text.starts_with(['.', '_', '-']) {
        return Some("begins with a sign; begin with a letter or a digit".into());
    }
    text.contains("..").then(|| "contains `..`; use single dots".into())
}

/// On whose behalf something happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The tenant: the unit of visibility, fairness and reuse.
    pub tenant: TenantId,
    /// The person or system that asks, as audit shows it.
    pub invoker: String,
}

impl Default for Identity {
    fn default() -> Self {
        Self { tenant: TenantId::default(), invoker: "anonymous".into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for good in ["a", "a.b-c_d", "0", &"x".repeat(128)] {
            assert_eq!(ScriptName::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "..", "a..b", "/etc", "-rf", "A", "a b", "a\nb", "a\0b", "ä", ".a", "a/b", &"x".repeat(129)] {
            let error = ScriptName::parse(bad).unwrap_err();
            assert_eq!(error.problems()[0].field, "script_name", "{bad:?}");
        }
    }

    #[test]
    fn ids_round_trip_and_do_not_mix() {
        let id = ExecutionId::from_bits(0xab);
        assert_eq!(id.to_string(), "exec_000000000000000000000000000000ab");
        assert_eq!(id.to_string().parse::<ExecutionId>().unwrap(), id);
        assert!("scr_000000000000000000000000000000ab".parse::<ExecutionId>().is_err());
        assert!("exec_ab".parse::<ExecutionId>().is_err());
    }
}
