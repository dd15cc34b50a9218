//! What an examination of a machine, a daemon or an installation tells.

use std::borrow::Cow;
use std::fmt;

/// Says how well something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// As it should be.
    Ok,
    /// It works, with something less than it could have.
    Warn,
    /// It does not work.
    Fail,
}

impl Grade {
    /// Gives the grade in lower case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Is one thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at, in a few words.
    pub name: Cow<'static, str>,
    /// How well it is.
    pub grade: Grade,
    /// What was found.
    pub what: String,
    /// What would mend it; empty where nothing needs to be.
    pub mend: String,
}

impl Finding {
    /// Puts a finding together.
    pub fn new(
        name: impl Into<Cow<'static, str>>,
        grade: Grade,
        what: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self { name: name.into(), grade, what: what.into(), mend: mend.into() }
    }
}
