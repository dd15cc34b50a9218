//! The records of owners. All that the daemon has of one carries its id in a label.
//!
//! The daemon may be shared by engines on several machines, and a lock proves nothing to another machine.
//! So containers carry the name of the state folder too: what is of another one counts as alive.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use script_engine_core::sandbox::{Owner, OwnerRecords};
use script_engine_core::{OwnerId, Result};

use crate::error::DockerError;

const NAME: &str = "name";
const GUESTS: &str = "guests";

/// The state folder.
#[derive(Clone, Debug)]
pub(crate) struct Owners {
    records: OwnerRecords,
    /// The folder's own name, which containers carry.
    name: String,
}

impl Owners {
    /// Takes `state_dir` as the state folder and makes it; `first` names it if it has no name yet. Others may pass
    /// through it, for packages lie in it too, but not into what is recorded here.
    pub(crate) fn open(state_dir: &Path, first: OwnerId) -> Result<Self> {
        let folder = state_dir.join("docker").join("owners");
        let folders = |mode, path: &Path| DirBuilder::new().recursive(true).mode(mode).create(path);
        let made = folders(0o711, state_dir).and_then(|()| folders(0o700, &folder));
        made.map_err(DockerError::file("can't create the state folder", &folder))?;
        let path = state_dir.join("docker").join(NAME);
        let name = name(&path, first).map_err(DockerError::file("can't name the state folder in", &path))?;
        Ok(Self { records: OwnerRecords::at(folder), name })
    }

    /// The name that containers carry.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Enters an owner.
    pub(crate) fn enter(&self, id: OwnerId) -> Result<Owner> {
        let make = |folder: &Path| DirBuilder::new().recursive(true).mode(0o700).create(folder);
        self.records.enter(id, make, |record| {
            // With guests, it stays for whoever reaps them.
            let guests = fs::read_dir(record.join(GUESTS)).is_ok_and(|mut it| it.next().is_some());
            if guests { Ok(()) } else { fs::remove_dir_all(record) }
        })
    }

    /// Where the records of an owner's guests are.
    pub(crate) fn guests(&self, owner: OwnerId) -> PathBuf {
        self.records.folder(owner).join(GUESTS)
    }

    /// The records themselves.
    pub(crate) fn records(&self) -> &OwnerRecords {
        &self.records
    }

    /// Removes the record of an owner of which nothing is left. Says whether there was one.
    pub(crate) fn forget(&self, owner: OwnerId) -> Result<bool> {
        let record = self.records.folder(owner);
        match fs::remove_dir_all(&record) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(DockerError::File { action: "can't remove the record", path: record, source }.into()),
        }
    }
}

/// What the container with this number is called.
pub(crate) fn container_name(owner: &Owner, number: u64) -> String {
    format!("script-engine-{}-{number}", owner.id())
}

/// Reads the name of a state folder, or gives it one.
fn name(path: &Path, first: OwnerId) -> io::Result<String> {
    let fresh = path.with_extension(first.to_string());
    File::create(&fresh)?.write_all(first.to_string().as_bytes())?;
    // A name that is there is never written over, and nobody ever reads half of one.
    let named = match fs::hard_link(&fresh, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => fs::read_to_string(path),
    };
    fs::remove_file(&fresh)?;
    named
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use script_engine_core::contract::OwnerStatus;

    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            Self(std::env::temp_dir().join(format!("script-engine-docker-{name}-{}", std::process::id())))
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    fn owner(bits: u128) -> OwnerId {
        OwnerId::from_bits(bits)
    }

    #[test]
    fn a_state_folder_keeps_its_first_name() {
        let folder = Folder::new("name");
        let first = Owners::open(&folder.0, owner(1)).unwrap();
        let second = Owners::open(&folder.0, owner(2)).unwrap();
        assert_eq!(first.name(), owner(1).to_string());
        assert_eq!(second.name(), first.name());
        assert_eq!(fs::read_dir(folder.0.join("docker")).unwrap().count(), 2);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder.0), mode(&folder.0.join("docker"))), (0o711, 0o700));
    }

    #[test]
    fn a_record_with_guests_stays() {
        let folder = Folder::new("guests");
        let owners = Owners::open(&folder.0, owner(1)).unwrap();
        for (bits, guests) in [(1, false), (2, true)] {
            let record = owners.enter(owner(bits)).unwrap();
            if guests {
                fs::create_dir_all(owners.guests(owner(bits)).join("guest")).unwrap();
            }
            record.retire();
        }
        let found = owners.records().list().unwrap();
        assert_eq!(found, [OwnerStatus { owner: owner(2), alive: false }]);
        assert!(owners.forget(owner(2)).unwrap());
        assert!(!owners.forget(owner(2)).unwrap());
    }
}
