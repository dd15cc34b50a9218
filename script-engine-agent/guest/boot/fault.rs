//! A step of the launch that failed, and how the host gets to know.

use std::fmt::Display;

use crate::sys::{Errno, file};
use crate::wire::FromAgent;

/// A step that failed.
#[derive(Debug)]
pub(super) struct Fault(Option<Told>);

#[derive(Debug)]
struct Told {
    step: String,
    message: String,
    errno: Errno,
}

impl Fault {
    pub(super) fn new(step: impl Into<String>, message: String, errno: Errno) -> Self {
        Self(Some(Told { step: step.into(), message, errno }))
    }

    /// An end that is somebody else's to explain: the launcher has told of it, or is gone.
    pub(super) fn elsewhere() -> Self {
        Self(None)
    }

    /// Tells the host, as far as it still listens. Gives the exit code.
    pub(super) fn report(self, link: i32) -> i32 {
        if let Some(Told { step, message, errno }) = self.0 {
            let message = FromAgent::Fault { operation: step, message, errno: errno.0, fatal: true };
            if let Ok(frame) = message.encode(0) {
                // A host that is gone needs no explanation.
                let _ = file::write_all(link, &frame);
            }
        }
        1
    }
}

/// Names the step that an error stopped.
pub(super) trait At<T> {
    fn at(self, step: &str) -> Result<T, Fault>;
    /// The same with what the step was about.
    fn at_path(self, step: &str, path: &str) -> Result<T, Fault>;
}

impl<T, E: Display + Into<Errno>> At<T> for Result<T, E> {
    fn at(self, step: &str) -> Result<T, Fault> {
        self.map_err(|error| Fault::new(step, error.to_string(), error.into()))
    }

    fn at_path(self, step: &str, path: &str) -> Result<T, Fault> {
        self.map_err(|error| Fault::new(format!("{step} {path}"), error.to_string(), error.into()))
    }
}
