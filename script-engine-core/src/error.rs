//! The one public error of the workspace: what went wrong and what the caller should do.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Says what the host should do about a failure. A kind is added only when a host would act
/// differently on it.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request can never succeed as written. Fix the request.
    InvalidRequest,
    /// The named script, version, execution, runtime or secret does not exist.
    NotFound,
    /// The thing to create exists already.
    AlreadyExists,
    /// Somebody else changed the record first. Read again, then decide.
    Conflict,
    /// The caller or the engine lacks a right.
    PermissionDenied,
    /// Nothing configured can enforce or do what was asked. Change the policy or the backend.
    Unsupported,
    /// The queue is full. Slow down.
    Overloaded,
    /// A daemon, database, index or machine resource cannot be had now.
    Unavailable,
    /// Stored data cannot be read. An operator must look.
    Corrupted,
    /// The engine is shutting down. Build a new one.
    Closed,
    /// The caller called it off. Nothing to do.
    Cancelled,
    /// A bug in the engine or a backend.
    Internal,
}

impl ErrorKind {
    /// The kind in snake case, as records and wire formats carry it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::NotFound => "not_found",
            Self::AlreadyExists => "already_exists",
            Self::Conflict => "conflict",
            Self::PermissionDenied => "permission_denied",
            Self::Unsupported => "unsupported",
            Self::Overloaded => "overloaded",
            Self::Unavailable => "unavailable",
            Self::Corrupted => "corrupted",
            Self::Closed => "closed",
            Self::Cancelled => "cancelled",
            Self::Internal => "internal",
        }
    }
}

/// Whether trying again can help. Decided where the error is made, never guessed later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The same call fails again.
    Never,
    /// The same call may succeed, after the given time if there is one.
    Maybe {
        /// How long to wait first.
        after: Option<Duration>,
    },
    /// It was retried already; do not retry on top.
    Exhausted,
}

/// One problem with one field of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The field: a path such as `limits.timeout`, or a JSON pointer below `parameters`.
    pub field: String,
    /// What is wrong with the value and what to do, as a lower-case fragment.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

/// The only public error type of the workspace. One pointer wide.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    retry: Retry,
    message: String,
    context: Vec<(&'static str, String)>,
    problems: Vec<Problem>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// Makes an error that is not worth retrying. `message` is a lower-case fragment.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            retry: Retry::Never,
            message: message.into(),
            context: Vec::new(),
            problems: Vec::new(),
            source: None,
        }))
    }

    /// Makes an `InvalidRequest` about one field.
    #[must_use]
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::invalid_all(vec![Problem { field: field.into(), message: message.into() }])
    }

    /// Makes an `InvalidRequest` that reports several problems at once.
    #[must_use]
    pub fn invalid_all(problems: Vec<Problem>) -> Self {
        let message = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        let mut error = Self::new(ErrorKind::InvalidRequest, message);
        error.0.problems = problems;
        error
    }

    /// Makes an `Internal` error: a bug of ours.
    #[must_use]
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// Sets the retry advice.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.0.retry = retry;
        self
    }

    /// Adds a named value. Never a secret.
    #[must_use]
    pub fn with_context(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        self.0.context.push((key, value.to_string()));
        self
    }

    /// Keeps the error that led to this one.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What the host should do.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether trying again can help.
    #[must_use]
    pub fn retry(&self) -> Retry {
        self.0.retry
    }

    /// The message without the named values.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The problems of an `InvalidRequest`, one per field.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.0.problems
    }
}

// The source is not printed here: whoever prints a chain walks `source()`.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        for (key, value) in &self.0.context {
            write!(f, " {key}=`{value}`")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("retry", &self.0.retry)
            .field("message", &self.0.message)
            .field("context", &self.0.context)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|it| it as &(dyn StdError + 'static))
    }
}
