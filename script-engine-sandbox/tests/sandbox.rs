//! Real sandboxes on this machine, as root and as an ordinary user.

#[cfg(test)]
#[path = "sandbox/harness.rs"]
#[allow(dead_code, reason = "each test program uses a part of it")]
mod harness;

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use harness::Harness;
use script_engine_core::gateway::{Gateway, Resolver};
use script_engine_core::memory::SystemClock;
use script_engine_core::{BrokenLimit, ConnectionEnd, Egress, Grade, NetworkPolicy};
use script_engine_sandbox::{Cgroups, Isolation, Root};

/// Every name means this machine.
#[derive(Debug)]
struct Names;

#[async_trait]
impl Resolver for Names {
    async fn resolve(&self, _name: &str) -> std::io::Result<Vec<IpAddr>> {
        Ok(vec![[127, 0, 0, 1].into()])
    }
}

/// Cases that hold for every user. An ordinary user runs them from a copy of this program.
mod anyone {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_script_runs_and_nothing_is_left() {
        let harness = Harness::new("runs").await;
        let run = harness.sh("echo out; echo err >&2; exit 3").await;
        assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (Some(3), "out\n", "err\n"));
        harness.assert_nothing_left().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn files_of_the_host_are_not_there() {
        let harness = Harness::new("files").await;
        let run = harness
            .sh("for it in /etc/shadow /root /home /var /boot /.old /sys/kernel; do [ -e $it ] && echo $it; done; \
                 for it in / /etc /usr /dev /scripts /proc; do touch $it/x 2>/dev/null && echo wrote $it; done; \
                 touch /tmp/x /work/x /dev/shm/x || echo scratch; cat /etc/hostname; ls -A /")
            .await;
        assert_eq!(run.stdout, "sandbox\nbin\ndev\netc\nlib\nlib64\nproc\nrun\nsbin\nscripts\ntmp\nusr\nwork\n");
        harness.assert_nothing_left().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_interface_but_loopback() {
        let harness = Harness::new("network").await;
        let run = harness.sh("tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '; cat /proc/net/route | wc -l").await;
        assert_eq!(run.stdout, "lo\n1\n");
        harness.assert_nothing_left().await;
    }

    /// As the engine's own build steps have it: names that nobody listed, and each leads where it is judged to.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn any_name_is_answered_where_every_public_address_is_allowed() {
        let harness = Harness::new("public").await;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let gateway = Gateway::new(Arc::new(Names), Arc::new(SystemClock));
        let script = format!(
            "for it in one.example two.example ONE.example; do getent ahostsv4 $it | head -n1 | cut -d' ' -f1; done; \
             for it in one.example two.example three.example; do \
             bash -c \"exec 3<>/dev/tcp/$it/{port} && head -c1 <&3\" 2>/dev/null; done; \
             bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port} && head -c1 <&3' 2>/dev/null; \
             bash -c 'exec 3<>/dev/tcp/one.example/1' 2>/dev/null || echo no; getent hosts localhost | head -n1"
        );
        let (run, found) = harness
            .sh_with_network(&script, &NetworkPolicy::Public { ports: vec![port], entries: Vec::new() }, &gateway)
            .await;
        assert_eq!(run.stdout, "127.64.0.1\n127.64.0.2\n127.64.0.1\nno\n::1             localhost\n", "{run:?}");
        let refused: Vec<(&str, bool)> = found
            .list
            .iter()
            .map(|it| (it.host.as_str(), matches!(&it.end, ConnectionEnd::Refused(why) if why.contains("public"))))
            .collect();
        assert_eq!(refused, [("one.example", true), ("two.example", true), ("three.example", true)]);
        harness.assert_nothing_left().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn entries_beside_every_public_address_may_have_its_ports() {
        let harness = Harness::new("beside").await;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            std::io::Write::write_all(&mut stream, b"hello\n").unwrap();
        });
        let gateway = Gateway::new(Arc::new(Names), Arc::new(SystemClock));
        let entries = [format!("localhost:{port}"), format!("10.1.2.3:{port}")];
        let entries = entries.map(|it| it.parse().unwrap()).to_vec();
        let policy = NetworkPolicy::Public { ports: vec![port], entries };
        let script = format!(
            "for it in 127.0.0.1 10.1.2.3 one.example; do bash -c \"exec 3<>/dev/tcp/$it/{port} && cat <&3\" 2>/dev/null; done; exit 0"
        );
        let (run, found) = harness.sh_with_network(&script, &policy, &gateway).await;
        assert_eq!(run.stdout, "hello\n", "{run:?}");
        let mut ends: Vec<(&str, bool)> =
            found.list.iter().map(|it| (it.host.as_str(), matches!(it.end, ConnectionEnd::Refused(_)))).collect();
        ends.sort_unstable();
        assert_eq!(ends, [("10.1.2.3", true), ("localhost", false), ("one.example", true)]);
        harness.assert_nothing_left().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn an_entry_by_address_is_reached_at_that_address() {
        let harness = Harness::new("address").await;
        assert_eq!(harness.capability.egress(), Egress::Addresses);
        let policy = NetworkPolicy::allow(["10.1.2.3:80", "[fd00::7]:80"]).unwrap();
        // Nothing of this machine is reached: the settings do not open these.
        let (run, found) = harness
            .sh_with_network(
                "for it in 10.1.2.3 fd00::7 10.1.2.4; do \
                 bash -c \"exec 3<>/dev/tcp/$it/80\" 2>/dev/null && echo $it; done; exit 0",
                &policy,
                &Gateway::default(),
            )
            .await;
        assert_eq!(run.stdout, "10.1.2.3\nfd00::7\n", "{run:?}");
        let mut ends: Vec<(&str, &str)> = found.list.iter().map(|it| (it.host.as_str(), it.end.as_str())).collect();
        // Each is listed when it is over, which may be in either order.
        ends.sort_unstable();
        assert_eq!(ends, [("10.1.2.3", "refused"), ("fd00::7", "refused")]);
        harness.assert_nothing_left().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_process_without_namespaces_opens_nothing() {
        let harness = Harness::with("closed", |config| config.isolation = Isolation::Process).await;
        assert_eq!(harness.capability.egress(), Egress::Nothing);
        harness.assert_nothing_left().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn scratch_space_is_bounded() {
        let mut harness = Harness::new("scratch").await;
        harness.limits.work_bytes = 4 << 20;
        harness.limits.tmp_bytes = 2 << 20;
        harness.limits.files = 64;
        let run = harness
            .sh("for it in /work /tmp /dev/shm; do head -c 8m /dev/zero > $it/f 2>/dev/null; \
                 stat -c %s $it/f; rm $it/f; done; \
                 i=0; while touch /work/n$i; do i=$((i+1)); [ $i -gt 100 ] && break; done 2>/dev/null; echo $i")
            .await;
        let lines: Vec<u64> = run.stdout.lines().filter_map(|it| it.parse().ok()).collect();
        assert_eq!(lines[..3], [4 << 20, 2 << 20, 2 << 20]);
        assert!(lines[3] < 64, "{lines:?}");
        harness.assert_nothing_left().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_script_without_namespaces_is_held_by_filters() {
        let harness = Harness::with("process", |config| config.isolation = Isolation::Process).await;
        let run = harness
            .sh("pwd | grep -c script-engine-test; echo x > f && cat f; cat /etc/shadow; ls /root /home; \
                 echo x > /tmp/stray; echo x > $SCRIPT_ENGINE_TEST; ls /proc/1/fd; kill -0 1 && echo killed; exit 7")
            .await;
        assert_eq!((run.code, run.stdout.as_str()), (Some(7), "1\nx\n"), "{run:?}");
        assert!(!std::path::Path::new("/tmp/stray").exists());
        harness.assert_nothing_left().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn processes_are_bounded() {
        let mut harness = Harness::new("pids").await;
        harness.limits.pids = 20;
        let run = harness.sh("i=0; while [ $i -lt 60 ]; do sleep 5 & i=$((i+1)); done; echo survived").await;
        assert!(!run.stdout.contains("survived"), "{run:?}");
        harness.assert_nothing_left().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_memory_hog_ends_as_out_of_memory() {
        let mut harness = Harness::new("hog").await;
        harness.limits.memory_bytes = 48 << 20;
        harness.limits.work_bytes = 1 << 20;
        harness.limits.tmp_bytes = 1 << 20;
        let run = harness.sh("head -c 800m /dev/zero | tail | wc -c").await;
        assert_eq!(run.broke, Some(BrokenLimit::Memory), "{run:?}");
        harness.assert_nothing_left().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_root_folder_is_the_root() {
        let root = harness::root_folder_with_a_shell("folder");
        std::fs::write(root.join("etc/motd"), "welcome\n").expect("written");
        std::fs::write(root.join("etc/shadow"), "secret\n").expect("written");
        let harness = Harness::with("folder", |config| {
            config.roots.insert("bash".into(), Root::Folder(root.clone()));
        })
        .await;
        let run = harness
            .sh("read it < /etc/motd; echo $it; read it < /etc/hostname; echo $it; [ -e /etc/shadow ] && echo shadow; \
                 for it in /*; do echo $it; done; : > /bin/x || echo sealed")
            .await;
        let expected = "welcome\nsandbox\n/bin\n/dev\n/etc\n/lib\n/lib64\n/proc\n/run\n/scripts\n/tmp\n/work\n";
        assert_eq!(run.stdout, expected, "{run:?}");
        assert!(run.stderr.contains("Read-only file system"), "{run:?}");
        std::fs::remove_dir_all(root).expect("removed");
        harness.assert_nothing_left().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_root_of_another_libc_serves() {
        let root = harness::musl_root();
        let harness = Harness::with("musl", |config| {
            config.roots.insert("bash".into(), Root::Folder(root.clone()));
        })
        .await;
        let run = harness.sh("is not looked at by this shell").await;
        assert_eq!((run.code, run.stdout.as_str()), (Some(5), "musl\n"), "{run:?}");
        std::fs::remove_dir_all(root).expect("removed");
        harness.assert_nothing_left().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn nothing_fails_when_this_machine_is_examined() {
        let harness = Harness::new("doctor").await;
        let findings = harness.examine().await;
        assert!(findings.len() >= 8);
        assert!(findings.iter().all(|it| it.grade != Grade::Fail), "{findings:#?}");
        harness.assert_nothing_left().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_missing_root_folder_is_named() {
        let harness = Harness::with("root", |config| {
            config.roots.insert("bash".into(), Root::Folder("/srv/not/there".into()));
        })
        .await;
        let error = harness.boot().await.expect_err("there is no such folder");
        assert_eq!(error.kind(), script_engine_core::ErrorKind::NotFound);
        assert!(error.to_string().contains("/srv/not/there of language bash is not there"), "{error}");
        harness.assert_nothing_left().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_killed_launcher_takes_the_sandbox_along() {
        let harness = Harness::new("launcher").await;
        let mut running = harness.start("setsid sleep 1000 & echo ready; sleep 1000").await;
        running.has_printed().await;
        for pid in harness.launchers() {
            harness::kill(pid);
        }
        assert!(running.next_is_lost().await);
        running.destroy().await;
        harness.assert_nothing_left().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_dropped_machine_is_removed() {
        let harness = Harness::with("dropped", |config| config.spare_launchers = 0).await;
        let mut running = harness.start("echo ready; sleep 1000").await;
        running.has_printed().await;
        assert!(!harness.is_gone());
        drop(running);
        let gone = async {
            while !harness.is_gone() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(harness::PATIENCE, gone).await.expect("it is removed");
        harness.assert_nothing_left().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_a_killed_engine_left_is_reaped() {
        let harness = Harness::new("reap").await;
        let test = "anyone::engine_that_will_be_killed";
        let dead = harness.another_engine_killed_while_it_runs(test, "sleep 1000").await;
        harness.manager_reaps(dead).await;
        assert_eq!(harness::left_of(dead), Vec::<String>::new());
        harness.assert_nothing_left().await;
    }

    /// What [`what_a_killed_engine_left_is_reaped`] starts and kills; no case by itself.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn engine_that_will_be_killed() {
        harness::be_the_engine_that_will_be_killed().await;
    }
}

/// Cases that need root: cgroups of this machine, and ids.
mod as_root {
    use super::*;
    use script_engine_core::contract::Verdict;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn an_ordinary_user_can_do_the_same() {
        harness::repeat_as_ordinary_user("anyone::");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn memory_runs_out_in_the_sandbox_and_is_told() {
        let mut harness = Harness::new("memory").await;
        harness.limits.memory_bytes = 32 << 20;
        harness.limits.work_bytes = 1 << 20;
        harness.limits.tmp_bytes = 1 << 20;
        let (booted, mut running) = harness.start_keeping("head -c 500m /dev/zero | tail | wc -c").await;
        running.end().await;
        assert_eq!(booted.verdict().await, Verdict::OutOfMemory);
        booted.resize(&harness.limits).await.expect("resized");
        assert_eq!(booted.verdict().await, Verdict::Alive);
        running.destroy().await;
        harness.assert_nothing_left().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_cpu_share_is_bounded() {
        let mut harness = Harness::new("cpu").await;
        harness.limits.milli_cpus = 250;
        let started = std::time::Instant::now();
        let run = harness.sh("timeout 1 sh -c 'while :; do :; done'; cat /proc/1/stat >/dev/null; times").await;
        assert!(started.elapsed().as_millis() >= 900);
        assert!(run.usage.cpu.as_millis() < 600, "{run:?}");
        harness.assert_nothing_left().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_killed_launcher_takes_the_sandbox_along_without_a_cgroup() {
        let harness = Harness::with("uncontrolled", |config| {
            config.cgroups = Cgroups::Off;
            config.spare_launchers = 0;
        })
        .await;
        let mut running = harness.start("setsid sleep 1000 & echo ready; sleep 1000").await;
        running.has_printed().await;
        let processes = harness.processes();
        assert!(processes.len() >= 4, "{processes:?}");
        for pid in harness.launchers() {
            harness::kill(pid);
        }
        assert!(running.next_is_lost().await);
        harness::await_end_of(&processes[1..]).await;
        running.destroy().await;
        harness.assert_nothing_left().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn two_sandboxes_have_different_users() {
        let harness = Harness::new("ids").await;
        let mut first = harness.start("id -u; sleep 1000").await;
        let mut second = harness.start("id -u; sleep 1000").await;
        first.has_printed().await;
        second.has_printed().await;
        let mut users = harness::users_of(&harness.processes());
        users.sort_unstable();
        users.dedup();
        // The launchers are root's; each sandbox has an agent and a script.
        assert_eq!(users.iter().filter(|it| **it >= 0x7000_0000).count(), 4, "{users:?}");
        first.destroy().await;
        second.destroy().await;
        harness.assert_nothing_left().await;
    }
}
