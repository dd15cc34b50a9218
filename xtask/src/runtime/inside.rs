//! Runs a program inside a root that is being made, with processes and devices in place.

use std::path::Path;
use std::process::Command;

use crate::Outcome;
use crate::command::capture;

/// Mounts what programs need in namespaces of their own, so that nothing is left whatever happens, and starts the program.
const ENTER: &str = r#"
root=$1; shift
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
exec chroot "$root" /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 "$@"
"#;

/// Runs `argv` in `root` as its root user. Packages' own programs are run here, as they would be by installing them.
pub(super) fn run(root: &Path, argv: &[&str]) -> Outcome {
    let mut unshare = Command::new("unshare");
    if capture(Command::new("id").arg("-u"))?.trim_ascii() != b"0" {
        unshare.arg("--map-root-user");
    }
    unshare.args(["--mount", "--pid", "--fork", "--kill-child", "sh", "-ec", ENTER, "sh"]).arg(root).args(argv);
    capture(&mut unshare).map(drop)
}
