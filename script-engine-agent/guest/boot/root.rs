//! The root file system: a small read-only tree in memory with the plan's entries in it.
//!
//! Nothing is ever created inside what is bound from the host: mount points are made in our own tree,
//! which is sealed when it is complete. Host paths are opened beneath the old root with every link on
//! the way resolved in there, and a bind is read-only before it can be seen.

use std::fs::{self, DirBuilder, Permissions};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use super::fault::{At as _, Fault};
use crate::plan::{Entry, Plan};
use crate::sys::file::{self, Kind};
use crate::sys::mount::{self, MS_NODEV, MS_NOEXEC, MS_NOSUID};
use crate::sys::namespace::{self, ATTR_NODEV, ATTR_NOSUID, ATTR_RDONLY};
use crate::sys::{Errno, Result as SysResult};

/// Where the new root is mounted before it becomes the root; the first that is there is taken. What
/// lies below it on the host is covered only until then.
const STAGES: [&str; 4] = ["/tmp", "/mnt", "/var", "/proc"];
/// Where the host's root is while the new one is built.
const OLD: &str = "/.old";
/// Where a folder of the host is while its entries are listed.
const LISTED: &str = "/.listed";

/// Builds the root and leaves the host's behind.
pub(super) fn build(plan: &Plan) -> Result<(), Fault> {
    mount::mount(b"", b"/", b"", mount::MS_REC | mount::MS_PRIVATE, b"").at("make the mounts private")?;
    let old = enter(plan)?;
    for entry in &plan.entries {
        place(plan, entry, old.as_fd())?;
    }
    drop(old);
    mount::unmount(OLD.as_bytes(), mount::MNT_DETACH).at("leave the host's root")?;
    fs::remove_dir(OLD).at("leave the host's root")?;
    namespace::seal(b"/").at("seal the root")
}

/// Mounts the new root and moves into it. Gives the host's.
fn enter(plan: &Plan) -> Result<OwnedFd, Fault> {
    let old = file::open(b"/", file::O_PATH, 0).at("open the host's root")?;
    let stage = STAGES.into_iter().find(|it| Path::new(it).is_dir()).unwrap_or(STAGES[0]);
    let options = format!("mode=0755,size={},nr_inodes={}", plan.root_bytes, plan.root_inodes);
    mount_new("tmpfs", stage, MS_NOSUID | MS_NODEV, &options).at_path("mount the new root at", stage)?;
    file::change_folder(stage.as_bytes()).at("enter the new root")?;
    let old_name = OLD.trim_start_matches('/');
    fs::create_dir(old_name).at("enter the new root")?;
    namespace::pivot_root(old_name.as_bytes()).at("change the root")?;
    file::change_folder(b"/").at("enter the new root")?;
    Ok(old)
}

fn place(plan: &Plan, entry: &Entry, old: BorrowedFd<'_>) -> Result<(), Fault> {
    match entry {
        Entry::Folder { path, mode } => {
            make_folders(Path::new(path)).at_path("create the folder", path)?;
            fs::set_permissions(path, Permissions::from_mode(*mode)).at_path("set the mode of", path)
        }
        Entry::Bind { source, path, optional } => match bind(old, source, path) {
            Err(Errno::ENOENT) if *optional => Ok(()),
            bound => bound.at_path("bind", source),
        },
        Entry::Children { source, path, except } => {
            bind_children(old, source, path, except).at_path("bind what is in", source)
        }
        Entry::File { path, contents } => write_file(path, contents).at_path("write", path),
        Entry::Link { path, target } => make_link(path, Path::new(target)).at_path("link", path),
        Entry::Seal { path } => namespace::seal(path.as_bytes()).at_path("seal", path),
        Entry::Memory { path, bytes, inodes, mode, script } => {
            let id = if *script { plan.script_id } else { plan.agent_id };
            let options = format!("mode={mode:o},uid={id},gid={id},size={bytes},nr_inodes={inodes}");
            mount_new("tmpfs", path, MS_NOSUID | MS_NODEV, &options).at_path("mount memory at", path)
        }
        Entry::Device { name } => bind_device(old, name).at_path("bind the device", name),
        Entry::Queues { path } => {
            mount_new("mqueue", path, MS_NOSUID | MS_NODEV | MS_NOEXEC, "").at_path("mount message queues at", path)
        }
        Entry::Processes { path } => {
            mount_new("proc", path, MS_NOSUID | MS_NODEV | MS_NOEXEC, "").at_path("mount the process table at", path)
        }
    }
}

fn mount_new(kind: &str, path: &str, flags: u64, options: &str) -> SysResult<()> {
    mount::mount(kind.as_bytes(), path.as_bytes(), kind.as_bytes(), flags, options.as_bytes())
}

/// Binds a thing of the host, read-only. What is neither folder, file nor link is left out.
fn bind(old: BorrowedFd<'_>, source: &str, path: &str) -> SysResult<()> {
    let place = namespace::open_in(old, source.as_bytes())?;
    match file::kind_of(place.as_fd())?.0 {
        Kind::Link => {
            let target = std::ffi::OsString::from_vec(namespace::read_link(place.as_fd())?);
            return make_link(path, Path::new(&target));
        }
        Kind::Folder => make_folders(Path::new(path))?,
        Kind::File => write_file(path, &[])?,
        Kind::Socket | Kind::Other => return Ok(()),
    }
    let copy = namespace::copy_mounts(place.as_fd(), ATTR_RDONLY | ATTR_NOSUID | ATTR_NODEV)?;
    namespace::attach(copy.as_fd(), path.as_bytes())
}

fn bind_children(old: BorrowedFd<'_>, source: &str, path: &str, except: &[String]) -> SysResult<()> {
    let place = namespace::open_in(old, source.as_bytes())?;
    make_folders(Path::new(path))?;
    fs::create_dir(LISTED)?;
    let copy = namespace::copy_mounts(place.as_fd(), ATTR_RDONLY | ATTR_NOSUID | ATTR_NODEV)?;
    namespace::attach(copy.as_fd(), LISTED.as_bytes())?;
    for entry in fs::read_dir(LISTED)? {
        let name = entry?.file_name();
        // A name that is not text could not be said in a plan either.
        let Some(name) = name.to_str() else { continue };
        if !except.iter().any(|it| it == name) {
            bind(old, &format!("{source}/{name}"), &format!("{path}/{name}"))?;
        }
    }
    mount::unmount(LISTED.as_bytes(), mount::MNT_DETACH)?;
    fs::remove_dir(LISTED)?;
    Ok(())
}

fn bind_device(old: BorrowedFd<'_>, name: &str) -> SysResult<()> {
    let path = format!("/dev/{name}");
    let place = namespace::open_in(old, path.as_bytes())?;
    // Neither a folder nor a file with a device's name may take its place.
    if file::kind_of(place.as_fd())?.0 != Kind::Other {
        return Err(Errno::EINVAL);
    }
    write_file(&path, &[])?;
    let copy = namespace::copy_mounts(place.as_fd(), ATTR_NOSUID)?;
    namespace::attach(copy.as_fd(), path.as_bytes())
}

fn make_link(path: &str, target: &Path) -> SysResult<()> {
    make_folders_above(path)?;
    Ok(symlink(target, path)?)
}

fn write_file(path: &str, contents: &[u8]) -> SysResult<()> {
    make_folders_above(path)?;
    Ok(fs::write(path, contents)?)
}

fn make_folders_above(path: &str) -> SysResult<()> {
    Path::new(path).parent().map_or(Ok(()), make_folders)
}

fn make_folders(path: &Path) -> SysResult<()> {
    Ok(DirBuilder::new().recursive(true).mode(0o755).create(path)?)
}
