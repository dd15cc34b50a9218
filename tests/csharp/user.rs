//! The same as an ordinary user, by a copy of this program.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Command, id};

use crate::bench::{Bench, ROOT, end, printed, root};

#[tokio::test(flavor = "multi_thread")]
async fn a_root_serves_whoever_runs_the_engine() {
    let bench = Bench::new().await;
    let record = bench.run("main.cs", "Console.WriteLine(Environment.Version.Major);", |request| request).await;
    assert_eq!((end(&record), printed(&record).0.as_str()), (Ok(0), "8\n"), "{:?}", printed(&record));
    // As another user sees it: links in `/etc` and what only root may read are no hindrance.
    let record =
        bench.run("main.sh", "ls /etc/ssl/certs/ca-certificates.crt && cat /etc/passwd | wc -l", |it| it).await;
    assert_eq!(end(&record), Ok(0), "{:?}", printed(&record));
    bench.finish().await;
}

#[test]
fn a_root_serves_an_ordinary_user() {
    if Path::new("/proc/self").metadata().unwrap().uid() != 0 {
        // Then the test above was one.
        return;
    }
    let folder = std::env::temp_dir().join(format!("script-engine-csharp-user-{}", id()));
    fs::create_dir_all(&folder).unwrap();
    let copy = folder.join("csharp");
    fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    fs::set_permissions(&copy, Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&folder, Permissions::from_mode(0o1777)).unwrap();
    let user = (30_000 + id() % 10_000).to_string();
    let output = Command::new("setpriv")
        .args(["--reuid", &user, "--regid", &user, "--clear-groups", "--inh-caps=-all"])
        .arg(&copy)
        .args(["--exact", "user::a_root_serves_whoever_runs_the_engine"])
        .current_dir("/")
        .env("TMPDIR", &folder)
        .env(ROOT, root())
        .output()
        .unwrap();
    fs::remove_dir_all(&folder).unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
