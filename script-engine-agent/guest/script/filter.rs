//! The filters that the engine sends: a landlock domain and seccomp programs. What they allow is
//! the engine's decision; here they are only fitted to the running kernel and applied.

use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

use super::child::Failure;
use crate::sys::landlock::{self, Attributes};
use crate::sys::{Errno, file, process};
use crate::wire::Landlock;

/// What every script gets, as it was sent.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub seccomp: Vec<Vec<u8>>,
    pub landlock: Landlock,
}

impl Filter {
    /// Makes the landlock domain, while paths can still be opened. `None` if none is wanted.
    pub fn domain(&self) -> Result<Option<OwnedFd>, Failure> {
        let wanted = &self.landlock;
        if wanted.min_abi == 0 {
            return Ok(None);
        }
        let abi = landlock::abi();
        if abi < wanted.min_abi {
            let text = format!("this kernel has landlock {abi}, the domain needs at least {}", wanted.min_abi);
            return Err(Failure::new("landlock", text, Errno::ENOSYS));
        }
        let known = Attributes::of_abi(abi);
        let domain = landlock::create(Attributes {
            fs: wanted.handled_fs & known.fs,
            net: wanted.handled_net & known.net,
            scoped: wanted.scoped & known.scoped,
        })
        .map_err(|error| Failure::new("landlock", "cannot make a domain".to_owned(), error))?;
        for rule in &wanted.rules {
            let fail =
                |error| Failure::new("landlock", format!("cannot add {}", String::from_utf8_lossy(&rule.path)), error);
            let path = match file::open(&rule.path, file::O_PATH, 0) {
                Ok(path) => path,
                Err(Errno::ENOENT | Errno::ENOTDIR) => continue,
                Err(error) => return Err(fail(error)),
            };
            let (kind, _, _) = file::kind_of(path.as_fd()).map_err(fail)?;
            let mut access = rule.access & wanted.handled_fs & known.fs;
            if kind != file::Kind::Folder {
                access &= landlock::FILE_ACCESS;
            }
            if access != 0 {
                landlock::allow(domain.as_raw_fd(), path.as_raw_fd(), access).map_err(fail)?;
            }
        }
        Ok(Some(domain))
    }

    /// Installs the seccomp programs in the order in which they were sent.
    pub fn install(&self) -> Result<(), Failure> {
        for program in &self.seccomp {
            process::install_filter(program)
                .map_err(|error| Failure::new("seccomp", "cannot install a filter".to_owned(), error))?;
        }
        Ok(())
    }
}
