//! What a package is called, and where a repository and a layer have it.

use script_engine_core::{Digest, Error, Result};

use crate::source_text;

/// The longest name of a file in an archive.
const LONGEST: usize = 90;

/// A package's name, taken apart: `group:artifact`, `group:artifact:classifier`, or `group:artifact@pom` for a model whose
/// versions count for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Coordinates<'a> {
    pub(super) group: &'a str,
    pub(super) artifact: &'a str,
    pub(super) classifier: &'a str,
    pub(super) model: bool,
}

impl<'a> Coordinates<'a> {
    /// Reads a name. Fails with `InvalidRequest` of the field `dependencies`.
    pub(super) fn read(name: &'a str) -> Result<Self> {
        let (plain, model) = name.strip_suffix("@pom").map_or((name, false), |it| (it, true));
        let parts: Vec<&str> = plain.split(':').collect();
        match parts.as_slice() {
            [group, artifact] if is_word(group) && is_word(artifact) => {
                Ok(Self { group, artifact, classifier: "", model })
            }
            [group, artifact, classifier] if !model && [group, artifact, classifier].iter().all(|it| is_word(it)) => {
                Ok(Self { group, artifact, classifier, model })
            }
            _ => {
                let message =
                    format!("{:?} is no package of Maven; name it group:artifact", source_text::message(name));
                Err(Error::invalid("dependencies", message))
            }
        }
    }

    /// Where a repository has the jar: <https://maven.apache.org/repository/layout.html>.
    pub(super) fn path(self, version: &str) -> String {
        let Self { group, artifact, classifier, .. } = self;
        let classifier = if classifier.is_empty() { String::new() } else { format!("-{classifier}") };
        format!("{}/{artifact}/{version}/{artifact}-{version}{classifier}.jar", group.replace('.', "/"))
    }

    /// What a layer calls the jar: no other package is called so.
    pub(super) fn file(self, version: &str) -> String {
        let Self { group, artifact, classifier, .. } = self;
        let classifier = if classifier.is_empty() { String::new() } else { format!("-{classifier}") };
        let name = format!("{group}.{artifact}-{version}{classifier}.jar");
        if name.len() <= LONGEST { name } else { format!("{}.jar", Digest::of(name.as_bytes())) }
    }
}

/// Whether it is a group, an artifact, a version or a classifier, which go into addresses and file names.
pub(super) fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 200
        && !text.starts_with(['.', '-'])
        && !text.contains("..")
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-+~".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        let gson = Coordinates::read("com.google.code.gson:gson").unwrap();
        assert_eq!(gson.path("2.10"), "com/google/code/gson/gson/2.10/gson-2.10.jar");
        assert_eq!(gson.file("2.10"), "com.google.code.gson.gson-2.10.jar");
        let native = Coordinates::read("io.netty:netty:linux-x86_64").unwrap();
        assert_eq!(native.path("4.1"), "io/netty/netty/4.1/netty-4.1-linux-x86_64.jar");
        assert!(Coordinates::read("a:b@pom").unwrap().model);
        let long = "x".repeat(150);
        assert!(Coordinates::read(&format!("{long}:{long}")).unwrap().file("1").len() <= LONGEST);
        for name in ["a", "a:b:c:d", "a:", ":b", "a:b c", "a:../b", "a/b:c", "a:b:c@pom", "-a:b", "a..b:c", ""] {
            assert!(Coordinates::read(name).is_err(), "{name}");
        }
    }
}
