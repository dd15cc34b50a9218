//! Secret values, and how a request names them.

use std::fmt;

use crate::{Error, Result, TenantId};

/// A secret's bytes. Not shown by `Debug`, not comparable, not serialisable; overwritten on drop
/// as far as safe code can.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// The shortest value that is accepted. A shorter one can't be masked without garbling every
    /// output, so a provider that hands one out is refused.
    pub const MIN_LEN: usize = 4;

    /// Wraps a value. Fails with `InvalidRequest` if it is shorter than [`Self::MIN_LEN`] bytes, white space around
    /// it not counted: it may be printed without.
    pub fn new(value: impl Into<Vec<u8>>) -> Result<Self> {
        let value = value.into();
        if value.trim_ascii().len() < Self::MIN_LEN {
            return Err(Error::invalid(
                "secret",
                format!("is shorter than {} bytes, too short to be masked in output", Self::MIN_LEN),
            ));
        }
        Ok(Self(value))
    }

    /// The value itself. Every use is a place to review.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.fill(0);
        std::hint::black_box(&self.0);
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// Asks for a secret to be put into the script's environment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SecretRef {
    /// The secret's name at the provider.
    pub name: String,
    /// The environment variable that gets the value.
    pub variable: String,
}

/// For whom secrets are resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretScope {
    /// The tenant whose secrets they are.
    pub tenant: TenantId,
}
