//! Becoming an ordinary user: a copy of this program in a folder that everybody can reach, started by `setpriv`
//! with a user id that nobody else has.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, id};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use libtest_mimic::Failed;

use crate::bench::{ROOTS, roots};
use crate::leftovers;

/// Tells the copy that its user id is its alone, so that whatever else has it is a left-over.
pub(crate) const ALONE: &str = "SCRIPT_ENGINE_HOSTILE_ALONE";
/// User ids that the copies get: above those of people, below what a container maps.
const FIRST: u32 = 40_000;
const COUNT: u32 = 20_000;

pub(crate) fn uid() -> u32 {
    Path::new("/proc/self").metadata().unwrap().uid()
}

pub(crate) fn is_root() -> bool {
    uid() == 0
}

/// The folder with the copy, made when it is first needed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Folder(Arc<OnceLock<PathBuf>>);

impl Folder {
    fn path(&self) -> &Path {
        self.0.get_or_init(|| {
            let folder = std::env::temp_dir().join(format!("script-engine-hostile-{}", id()));
            fs::create_dir_all(&folder).unwrap();
            let copy = folder.join("hostile");
            fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
            fs::set_permissions(&copy, Permissions::from_mode(0o755)).unwrap();
            fs::set_permissions(&folder, Permissions::from_mode(0o1777)).unwrap();
            folder
        })
    }

    /// Removes what was made.
    pub(crate) fn remove(&self) {
        if let Some(path) = self.0.get() {
            fs::remove_dir_all(path).unwrap();
        }
    }

    /// Has the copy run the one test of this name as a user of its own.
    pub(crate) fn run_as_user(&self, name: &str) -> Result<(), Failed> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let uid = FIRST + (id().wrapping_mul(257) + NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
        let user = uid.to_string();
        let output = Command::new("setpriv")
            .args(["--reuid", &user, "--regid", &user, "--clear-groups", "--inh-caps=-all"])
            .arg(self.path().join("hostile"))
            .args(["--exact", name, "--test-threads", "1"])
            .current_dir("/")
            .env("TMPDIR", self.path())
            .env(ALONE, "1")
            .env(ROOTS, roots())
            .output()
            .map_err(|error| format!("setpriv (of util-linux) can't be started: {error}"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() || !text.contains("1 passed") {
            return Err(format!("{text}\n{}", String::from_utf8_lossy(&output.stderr)).into());
        }
        match leftovers::of_users(&(uid..uid + 1)) {
            left if left.is_empty() => Ok(()),
            left => Err(format!("seen by root: {left:?}").into()),
        }
    }
}
