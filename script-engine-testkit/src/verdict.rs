//! What came of a case.

use script_engine_core::Error;

/// What came of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The rule holds, as far as the case can tell.
    Passed,
    /// The case can't be carried out on this backend, for a reason that its ledger must name.
    Skipped(String),
    /// The rule is broken, or the set-up is not there: what was seen.
    Failed(String),
}

/// What a case's body gives: `Ok` if the rule holds, so that `?` ends it where it does not.
pub type Proof = Result<(), Unproven>;

/// Why a rule was not proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unproven {
    /// See [`Verdict::Skipped`].
    Skipped(String),
    /// See [`Verdict::Failed`].
    Failed(String),
}

impl From<Proof> for Verdict {
    fn from(proof: Proof) -> Self {
        match proof {
            Ok(()) => Self::Passed,
            Err(Unproven::Skipped(reason)) => Self::Skipped(reason),
            Err(Unproven::Failed(report)) => Self::Failed(report),
        }
    }
}

/// An error where none was expected fails the case.
impl From<Error> for Unproven {
    #[track_caller]
    fn from(error: Error) -> Self {
        let at = std::panic::Location::caller();
        Self::Failed(format!(
            "{}: {error} ({}, at {}:{})",
            "unexpected error",
            error.kind().as_str(),
            at.file(),
            at.line()
        ))
    }
}

/// Fails the case with a report.
macro_rules! fail {
    ($($report:tt)+) => {
        return Err($crate::verdict::Unproven::Failed(format!($($report)+)))
    };
}

/// Fails the case unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($report:tt)+) => {
        if !$condition {
            $crate::verdict::fail!($($report)+);
        }
    };
}

/// Fails the case unless the result is an error of this kind.
macro_rules! ensure_error {
    ($result:expr, $kind:ident, $what:expr) => {
        match $result {
            Err(error) if error.kind() == script_engine_core::ErrorKind::$kind => {}
            other => $crate::verdict::fail!("{}: {other:?}, expected an error `{}`", $what, stringify!($kind)),
        }
    };
}

pub(crate) use {ensure, ensure_error, fail};
