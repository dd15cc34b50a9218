//! The samples in Bash.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::case::{Case, cases};
use crate::site::{Mute, closed_port};
use crate::stage::{Stage, write};

pub(crate) fn cases() -> Vec<Case> {
    cases![
        "backup-verify": backup_verify,
        "disk-space-check": disk_space_check,
        "service-restart": service_restart,
    ]
}

async fn disk_space_check(stage: &Stage) {
    let place = stage.shown();
    let result = stage.run("disk-space-check", json!({"mount_point": place, "threshold_percent": 100})).await;
    let result = result.passes("disk space is fine: ");
    assert!(result["available_bytes"].as_u64().unwrap() > 0, "{result:?}");
    // Nothing is less than nothing.
    let result = stage.run("disk-space-check", json!({"mount_point": place, "threshold_percent": 0})).await;
    assert_eq!(result.fails("disk space is short: ")["threshold_percent"], 0);
    let missing = json!({"mount_point": "/missing \"x\""});
    stage.run("disk-space-check", missing).await.fails("/missing \"x\" can't be looked at: ");
    stage.run("disk-space-check", json!({"mount_point": "/proc"})).await.fails("/proc has no blocks");
}

async fn backup_verify(stage: &Stage) {
    let folder = stage.shown();
    let with = |more: Value| {
        let mut all = json!({"directory": folder, "pattern": "*.tar.gz"});
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    stage.run("backup-verify", with(json!({}))).await.fails("has 0 backups that match *.tar.gz, less than 1");

    let old = folder.join("old.tar.gz");
    let new = folder.join("new \"quoted\" one.tar.gz");
    archive(&old);
    archive(&new);
    age(&old, 30);
    let result =
        stage.run("backup-verify", with(json!({}))).await.passes("the newest, new \"quoted\" one.tar.gz, has ");
    assert_eq!((&result["count"], &result["newest"]), (&json!(2), &json!(new)));
    let few = with(json!({"min_count": 3}));
    stage.run("backup-verify", few).await.fails("has 2 backups that match *.tar.gz, less than 3");
    let small = with(json!({"min_size_bytes": 1_000_000}));
    stage.run("backup-verify", small).await.fails("bytes, less than 1000000");

    age(&new, 27);
    stage.run("backup-verify", with(json!({}))).await.fails("is 27 h old, older than 26 h");
    stage.run("backup-verify", with(json!({"max_age_hours": 28}))).await.passes("backups in ");

    // A copy that was cut off.
    let whole = fs::read(&old).unwrap();
    let cut = folder.join("cut.tar.gz");
    write(&cut, &whole[..whole.len() / 2]);
    let result = stage.run("backup-verify", with(json!({}))).await.fails("the newest backup, cut.tar.gz, is damaged: ");
    assert_eq!(result["newest"], json!(cut));
    stage.run("backup-verify", with(json!({"read_archives": false}))).await.passes("the newest, cut.tar.gz, has ");
    stage.run("backup-verify", json!({"directory": "/missing"})).await.fails("there is no folder /missing");
}

/// Makes an archive with something in it.
fn archive(path: &Path) {
    let content = path.with_extension("content");
    let bytes: Vec<u8> = (0..20_000u32).flat_map(|it| it.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    fs::write(&content, bytes).unwrap();
    let (folder, name) = (content.parent().unwrap(), content.file_name().unwrap());
    let tar = Command::new("tar").arg("-czf").arg(path).arg("-C").arg(folder).arg(name).output().unwrap();
    assert!(tar.status.success(), "{tar:?}");
    fs::remove_file(&content).unwrap();
    write(path, &fs::read(path).unwrap());
}

/// Makes a file that was just written so old.
fn age(path: &Path, hours: u64) {
    let file = File::options().write(true).open(path).unwrap();
    // A minute more, so that the time that the test takes does not count.
    let then = file.metadata().unwrap().modified().unwrap() - Duration::from_secs(hours * 3600 + 60);
    file.set_modified(then).unwrap();
}

async fn service_restart(stage: &Stage) {
    let with = |commands: &str| {
        // What stands in for the service manager: it keeps the service's state in a file of the sandbox.
        let program = format!("state=/work/state; case $1 in {commands} esac");
        json!({"service": "web.service", "manager": format!("bash -c '{program}' manager"), "stable_seconds": 0.1, "timeout_seconds": 2})
    };
    let sound = with("restart) echo active >$state ;; is-active) cat $state || echo inactive ;; show) echo 0 ;;");
    let result =
        stage.run("service-restart", sound.clone()).await.passes("web.service is active, and still is 0.1 s after");
    assert_eq!((&result["state_before"], &result["state_after"]), (&json!("inactive"), &json!("active")));

    let unknown = with("restart) echo \"Unit $2 not found.\" >&2; exit 5 ;; is-active) echo inactive; exit 3 ;;");
    let result = stage.run("service-restart", unknown).await.fails("did not restart: Unit web.service not found.");
    assert_eq!(result["state_after"], "inactive");
    let broken = with("restart) ;; is-active) echo failed; exit 3 ;;");
    stage.run("service-restart", broken).await.fails("web.service failed after its restart");
    let slow = with("restart) ;; is-active) echo activating; exit 3 ;;");
    stage.run("service-restart", slow).await.fails("is not healthy 2 s after its restart: it is activating");
    let hung = with("restart) sleep 600 ;; is-active) echo active ;;");
    stage.run("service-restart", hung).await.fails("did not restart: ");
    let crashing = with("restart) ;; is-active) echo active ;; show) echo x >>$state; wc -l <$state ;;");
    stage.run("service-restart", crashing).await.fails("was started again within 0.1 s: it crashes");

    let (silent, closed) = (Mute::new(), closed_port());
    let port = |number: u16| {
        let mut all = sound.clone();
        all["health_port"] = json!(number);
        all
    };
    stage.run("service-restart", port(silent.port())).await.passes("web.service is active, and still is");
    let message = format!("localhost:{closed} takes no connections");
    stage.run("service-restart", port(closed)).await.fails(&message);
    let mut missing = sound;
    missing["manager"] = json!("no-such-manager --user");
    stage.run("service-restart", missing).await.fails("service manager not found: no-such-manager --user");
}
