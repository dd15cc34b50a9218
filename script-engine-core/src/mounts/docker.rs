//! Mounts as Docker takes them: on the command line and in the body of a request.

use std::path::Path;

use super::Mounts;
use crate::{Error, Result};

/// What Docker is told to run a version in a container.
#[derive(Clone, PartialEq, Eq)]
pub struct DockerMounts {
    /// Folder, place and mode, as `HostConfig.Binds` and `-v` take them.
    pub binds: Vec<String>,
    /// Variables as `Config.Env` and `-e` take them: `NAME=VALUE`.
    pub env: Vec<String>,
    /// Variables with secrets, which `docker run -e NAME` takes from its own environment.
    pub secret_variables: Vec<String>,
    /// The image.
    pub image: String,
    /// Program and arguments.
    pub command: Vec<String>,
}

impl DockerMounts {
    /// The arguments of `docker run`, options first: mounts, variables, image, program.
    #[must_use]
    pub fn run_arguments(&self) -> Vec<String> {
        let option = |name: &'static str, values: &[String]| {
            values.iter().flat_map(|it| [name.to_owned(), it.clone()]).collect::<Vec<_>>()
        };
        // The program takes the place of what the image would start; its arguments follow the image.
        let (program, rest) = match self.command.split_first() {
            Some((program, rest)) => (option("--entrypoint", std::slice::from_ref(program)), rest),
            None => (Vec::new(), &[][..]),
        };
        [
            option("-v", &self.binds),
            option("-e", &self.env),
            option("-e", &self.secret_variables),
            program,
            vec![self.image.clone()],
            rest.to_vec(),
        ]
        .concat()
    }
}

// Values are a user's.
impl std::fmt::Debug for DockerMounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DockerMounts").field("binds", &self.binds).field("image", &self.image).finish_non_exhaustive()
    }
}

pub(super) fn mounts(of: &Mounts, into: &Path) -> Result<DockerMounts> {
    let places = of.places(into)?;
    if places.iter().any(|(source, at)| source.contains(':') || at.contains(':')) {
        return Err(Error::invalid("into", "holds a colon, which parts the paths of a bind; name another folder"));
    }
    Ok(DockerMounts {
        binds: places.iter().map(|(source, at)| format!("{source}:{at}:ro")).collect(),
        env: of.env.iter().map(|(name, value)| format!("{name}={value}")).collect(),
        secret_variables: of.secret_variables.clone(),
        image: of.image.clone(),
        command: of.command.clone(),
    })
}
