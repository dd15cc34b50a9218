//! Images with packages: made once, shared through a registry, removed when nobody uses them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use script_engine_core::contract::{BootSpec, RuntimeManager as _, ScriptExecutor as _, Unit};
use script_engine_core::{Digest, Exit, LayerMount, Limits, OwnerId, RuntimeSpec};
use script_engine_docker::{Config, Delivery, ImageCache, Manager};

use crate::bench::{BASH, Ended, Folder, Heard, config, executor, fresh_owner, job, run};
use crate::private::{Private, Registry, docker};
use crate::proxy::Proxy;

/// A tree as packages have: deep, with programs and links.
fn tree(folder: &Path, text: &str) -> LayerMount {
    let source = folder.join(text);
    let deep = source.join("a/deep").join("folder/".repeat(30));
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("file"), text).unwrap();
    fs::write(source.join("top"), text).unwrap();
    symlink("a/deep", source.join("link")).unwrap();
    symlink("/etc/shadow", source.join("astray")).unwrap();
    LayerMount { digest: Digest::of(text.as_bytes()), source, at: "/opt/packages".into() }
}

fn spec(layer: LayerMount) -> RuntimeSpec {
    RuntimeSpec { language: "bash".into(), image: String::new(), layer: Some(layer) }
}

/// Reads the packages in a container of them, and fails to write to them.
async fn reads(config: Config, spec: &RuntimeSpec, text: &str) {
    let script = "cat /opt/packages/top; find -L /opt/packages/link -name file -exec cat {} \\;; readlink \
        /opt/packages/astray; (echo x > /opt/packages/top) 2>/dev/null || echo ' read-only'; \
        stat -c %u /opt/packages/top; test -e /opt/packages/astray && cat /opt/packages/astray 2>&1 | head -c 20";
    let executor = executor(config, fresh_owner()).await;
    let mut job = job(script, "reader");
    job.runtime = spec.clone();
    let ended = run(&executor, job).await.unwrap();
    let Ended::Exited(report, printed) = ended else { panic!("{ended:?}") };
    assert!(printed.starts_with(&format!("{text}{text}/etc/shadow\n read-only\n0\n")), "{printed}");
    assert!(matches!(report.exit, Exit::Code(_)), "{report:?}");
    executor.shutdown().await.unwrap();
}

pub(crate) async fn an_empty_daemon_pulls_what_another_built(endpoint: &str) {
    let (registry, folder) = (Registry::start(), Folder::new());
    let base = format!("{}/base/bash:1", registry.name);
    docker(endpoint, &["tag", BASH, &base]);
    docker(endpoint, &["push", "--quiet", &base]);
    let layer = spec(tree(&folder.0, "shared"));
    let with = |endpoint: &str, name: &str| {
        let mut config = config(endpoint, &folder.0.join(name));
        config.images.insert("bash".into(), base.clone());
        // Names that nobody else has: what is collected is what this test made.
        config.image_prefix = format!("shared-{}", std::process::id());
        config.image_cache = ImageCache { registry: Some(registry.name.clone()), ..ImageCache::default() };
        config
    };

    let first = Manager::open(with(endpoint, "first"), fresh_owner()).unwrap();
    let (one, two) = (Heard::default(), Heard::default());
    let leases = tokio::join!(first.provide(&layer, &one), first.provide(&layer, &two));
    let (lease, other) = (leases.0.unwrap(), leases.1.unwrap());
    assert_eq!(lease.digest, other.digest);
    assert!(one.has("build ") != two.has("build "), "it was built once: {one:?} {two:?}");
    assert!(one.has("push ") || two.has("push "), "{one:?} {two:?}");
    let made = if one.has("build ") { &one } else { &two };
    let told = |step: &str| made.most(step);
    assert!(matches!(told("send "), Some((_, Some(1..), Unit::Bytes))), "{made:?}");
    assert_eq!(told("build "), Some((3, Some(3), Unit::Items)), "{made:?}");
    assert!(matches!(told("push "), Some((1.., Some(1..), Unit::Bytes))), "{made:?}");
    reads(with(endpoint, "first"), &layer, "shared").await;

    let image = docker(endpoint, &["images", "--quiet", "--filter", "label=script-engine.runtime", "--no-trunc"]);
    let image = image.lines().next().unwrap();
    let history = docker(endpoint, &["history", "--no-trunc", "--format", "{{.CreatedBy}}", image]);
    assert!(!history.to_lowercase().contains("cert") && !history.contains("http"), "{history}");

    let empty = Private::start(false);
    let second = Manager::open(with(&empty.endpoint(), "second"), fresh_owner()).unwrap();
    let heard = Heard::default();
    let pulled = second.provide(&layer, &heard).await.unwrap();
    assert_eq!(pulled.digest, lease.digest);
    assert!(heard.has("pull ") && !heard.has("build "), "{heard:?}");
    assert!(matches!(heard.most("pull "), Some((1.., Some(1..), Unit::Bytes))), "{heard:?}");
    reads(with(&empty.endpoint(), "second"), &layer, "shared").await;

    drop((lease, other, pulled));
    let removed = first.collect_garbage(0).await.unwrap();
    assert_eq!(removed.removed, 1, "{removed:?}");
    docker(endpoint, &["rmi", &base, &format!("shared-{}-runtime/empty:1", std::process::id())]);
    for manager in [first, second] {
        manager.shutdown().await.unwrap();
    }
}

pub(crate) async fn what_nobody_uses_is_removed_and_made_again(endpoint: &str) {
    let folder = Folder::new();
    // Names that nobody else has: what is collected is what this test made.
    let config = |endpoint: &str, state: &Path| {
        let mut config = config(endpoint, state);
        config.image_prefix = format!("test-{}", std::process::id());
        config.images.insert("bash".into(), BASH.to_owned());
        config
    };
    let names = format!("test-{}-runtime/", std::process::id());
    let manager = Manager::open(config(endpoint, &folder.0), fresh_owner()).unwrap();
    let mark = OwnerId::to_string(&fresh_owner());
    let (old, new) = (spec(tree(&folder.0, &format!("old-{mark}"))), spec(tree(&folder.0, &format!("new-{mark}"))));
    let heard = Heard::default();
    let held = manager.provide(&old, &heard).await.unwrap();
    drop(manager.provide(&new, &heard).await.unwrap());
    let count = || docker(endpoint, &["images", "--quiet", &format!("{names}bash")]).lines().count();
    assert_eq!(count(), 2);
    // What is held stays, and so does what a container has.
    let booted = manager.boot(&held, &BootSpec::new(Limits::default())).await.unwrap();
    assert_eq!(manager.collect_garbage(0).await.unwrap().removed, 1);
    drop(held);
    assert_eq!(manager.collect_garbage(0).await.unwrap().removed, 0);
    booted.machine.destroy().await.unwrap();
    let report = manager.collect_garbage(0).await.unwrap();
    assert_eq!((report.removed, count()), (1, 0));
    assert!(report.freed_bytes > 0);
    // What was removed is made again, and what is mounted needs no image.
    reads(config(endpoint, &folder.0), &old, &format!("old-{mark}")).await;
    assert_eq!(manager.collect_garbage(0).await.unwrap().removed, 1);
    let mounted = Config { delivery: Delivery::Mounted, ..config(endpoint, &folder.0) };
    reads(mounted, &new, &format!("new-{mark}")).await;
    assert_eq!(count(), 0);
    docker(endpoint, &["rmi", &format!("{names}empty:1")]);
    manager.shutdown().await.unwrap();
}

pub(crate) async fn a_cache_that_is_off_keeps_its_own_no_longer_than_it_is_used(endpoint: &str) {
    let folder = Folder::new();
    let prefix = format!("off-{}", std::process::id());
    let config = |name: &str, enabled: bool| {
        let mut config = config(endpoint, &folder.0.join(name));
        config.image_prefix.clone_from(&prefix);
        config.images.insert("bash".into(), BASH.to_owned());
        config.image_cache.enabled = enabled;
        config
    };
    let count = || docker(endpoint, &["images", "--quiet", &format!("{prefix}-runtime/bash")]).lines().count();
    let keeps = Manager::open(config("keeps", true), fresh_owner()).unwrap();
    let heard = Heard::default();
    drop(keeps.provide(&spec(tree(&folder.0, "kept")), &heard).await.unwrap());
    let drops = Manager::open(config("drops", false), fresh_owner()).unwrap();
    let held = drops.provide(&spec(tree(&folder.0, "dropped")), &heard).await.unwrap();
    assert_eq!(count(), 2);
    drop(held);
    drops.shutdown().await.unwrap();
    assert_eq!(count(), 1, "its own is gone, and the neighbour's is not");
    assert_eq!(keeps.collect_garbage(0).await.unwrap().removed, 1);
    keeps.shutdown().await.unwrap();
}

pub(crate) async fn the_agent_is_in_images_where_volumes_are_refused(endpoint: &str) {
    let (folder, proxy) = (Folder::new(), Proxy::start(endpoint));
    let packages = spec(tree(&folder.0, "packages"));
    let prefix = format!("agent-{}", std::process::id());
    for (delivery, refused) in [(Delivery::Copied, 1), (Delivery::Layered, 2)] {
        let mut config = config(&proxy.endpoint(), &folder.0.join(format!("{delivery:?}")));
        config.delivery = delivery;
        config.images.insert("bash".into(), BASH.to_owned());
        config.image_prefix.clone_from(&prefix);
        let executor = executor(config.clone(), fresh_owner()).await;
        let ended = run(&executor, job("echo >/.script-engine/agent", "plain")).await.unwrap();
        assert!(matches!(&ended, Ended::Exited(_, text) if text.ends_with("Read-only file system\n")), "{ended:?}");
        executor.shutdown().await.unwrap();
        assert_eq!(proxy.refused(), refused, "{delivery:?}");
        reads(config, &packages, "packages").await;
    }
    // With the agent, with packages, with both, made once; and the one in which is looked what holds.
    let images = docker(endpoint, &["images", "--quiet", &format!("{prefix}-runtime/bash")]);
    assert_eq!(images.lines().count(), 3, "{images}");
    let manager = Manager::open(Config { image_prefix: prefix.clone(), ..config(endpoint, &folder.0) }, fresh_owner());
    let manager = manager.unwrap();
    assert_eq!(manager.collect_garbage(0).await.unwrap().removed, 4);
    docker(endpoint, &["rmi", &format!("{prefix}-runtime/empty:1")]);
    manager.shutdown().await.unwrap();
}
