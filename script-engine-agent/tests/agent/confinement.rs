//! What is taken from a script before it starts, as the script itself and the posture tell it.

use std::collections::HashMap;

use script_engine_agent::profile;
use script_engine_core::wire::{FromAgent, Landlock, Start, ToAgent};

use crate::driver::{Agent, shell};

#[track_caller]
fn posture(agent: &mut Agent) -> HashMap<String, String> {
    agent.send(5, &ToAgent::Posture);
    match agent.receive() {
        (5, FromAgent::PostureReport { facts }) => facts.into_iter().collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_script_has_nothing_that_it_should_not_have() {
    for (name, mut agent) in Agent::private() {
        agent.send(0, &profile::sandbox().unwrap().message());
        let limits = Start { open_files: 100, processes: 50, file_bytes: 1 << 20, ..shell("exit 0") };
        assert_eq!(agent.run(limits).code(), 0, "{name}");
        let facts = posture(&mut agent);
        let uid = agent.uid.to_string();
        let check = |fact: &str, expected: &str| {
            assert_eq!(facts.get(fact).map(String::as_str), Some(expected), "{name}: {fact} of {facts:#?}");
        };
        check("uid", &uid);
        check("gid", &uid);
        for set in ["cap_inh", "cap_prm", "cap_eff", "cap_bnd", "cap_amb"] {
            check(set, "0000000000000000");
        }
        check("no_new_privs", "1");
        check("seccomp", "2");
        check("seccomp_filters", "1");
        check("landlock", "enforced");
        check("descriptors", "0 1 2");
        check("nofile", "100");
        check("nproc", "50");
        check("fsize", "1048576");
        check("core", "0");
        check("interfaces", "lo");
        check("routes", "");
        check("writable", "/dev/mqueue /dev/shm /tmp /work");
        check("agent_memory", "closed");
        if name == "init" {
            check("groups", "");
            check("proc_pids", &format!("1 {}", facts["pid"]));
        } else {
            check("hostname", "sandbox");
            check("pid", "2");
            check("proc_pids", "1 2");
            let proc = facts["mounts"].lines().rfind(|it| it.starts_with("/proc ")).unwrap();
            assert!(proc.starts_with("/proc proc ro,nosuid,nodev,noexec"), "{name}: {proc}");
            let scripts = facts["mounts"].lines().rfind(|it| it.starts_with("/scripts ")).unwrap();
            assert!(scripts.starts_with("/scripts tmpfs ro,"), "{name}: {scripts}");
        }
        // Asking left no trace.
        let outcome = agent.run(shell("ls -A /work /tmp /dev/shm /dev/mqueue | grep posture; exit 0"));
        assert_eq!(outcome.stdout(), "", "{name}");
    }
}

#[test]
fn scripts_go_before_the_agent_when_memory_runs_out() {
    for (name, mut agent) in Agent::all() {
        assert_eq!(agent.run(shell("cat /proc/self/oom_score_adj")).stdout(), "500\n", "{name}");
    }
}

#[test]
fn ordinary_programs_run_under_the_profile() {
    for (name, mut agent) in Agent::private() {
        agent.send(0, &profile::sandbox().unwrap().message());
        let script = "set -e; echo x >/dev/null; echo err >/dev/stderr; head -c 10 /dev/urandom >/work/a; mkdir /tmp/d; \
                      mv /work/a /tmp/d/b; ls / >/dev/null; ls -l /tmp/d >/dev/null; echo a | cat >/dev/shm/x; \
                      ipcmk -M 100 >/dev/null; mkfifo /work/p; (echo y >/work/p &); cat /work/p; \
                      /usr/bin/python3 -c 'import threading, subprocess, socket, multiprocessing, tempfile; \
                      t = threading.Thread(target=print, args=(\"thread\",)); t.start(); t.join(); \
                      print(subprocess.run([\"echo\", \"child\"], capture_output=True).stdout); \
                      s = socket.socket(); s.bind((\"127.0.0.1\", 0)); s.listen(); \
                      c = socket.create_connection(s.getsockname()); print(\"tcp\"); \
                      print(multiprocessing.Queue().empty()); print(tempfile.mkdtemp()[:5]); \
                      print(socket.getaddrinfo(\"127.0.0.1\", 80)[0][4])'";
        let outcome = agent.run(shell(script));
        let expected = "y\nthread\nb'child\\n'\ntcp\nTrue\n/tmp/\n('127.0.0.1', 80)\n";
        assert_eq!((outcome.stdout().as_str(), outcome.stderr().as_str()), (expected, "err\n"), "{name}");
    }
}

#[test]
fn hostile_calls_are_refused() {
    for (name, mut agent) in Agent::private() {
        agent.send(0, &profile::sandbox().unwrap().message());
        let python = r#"
import ctypes, os, socket, signal
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *arguments):
    ctypes.set_errno(0)
    value = libc.syscall(*arguments)
    print(name, value if value >= 0 else os.strerror(ctypes.get_errno()))
def attempt(name, action):
    try:
        action(); print(name, "done")
    except OSError as error:
        print(name, error.strerror)
call("io_uring", 425, 1, 0)
call("keyctl", 250, 0, -3, 0)
call("bpf", 321, 0, 0, 0)
call("unshare", 272, 0x10000000)
call("clone3", 435, 0, 0)
call("ptrace", 101, 16, os.getppid(), 0, 0)
call("prlimit of the parent", 302, os.getppid(), 7, 0, 0)
attempt("mount", lambda: os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY))
attempt("netlink", lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW))
attempt("vsock", lambda: socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM))
attempt("raw", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
attempt("memory of process 1", lambda: open("/proc/1/mem", "rb"))
attempt("environment of process 1", lambda: open("/proc/1/environ", "rb"))
attempt("descriptors of process 1", lambda: os.listdir("/proc/1/fd"))
attempt("kill 1", lambda: os.kill(1, signal.SIGKILL))
attempt("etc", lambda: open("/etc/x", "w"))
attempt("usr", lambda: open("/usr/x", "w"))
attempt("root", lambda: open("/x", "w"))
attempt("reach", lambda: socket.create_connection(("1.1.1.1", 80), 1))
for gone in ("kcore", "keys", "timer_list", "sysrq-trigger"):
    try:
        print(gone, len(open("/proc/" + gone, "rb").read(10)))
    except OSError as error:
        print(gone, error.strerror)
"#;
        let start =
            Start { argv: vec![b"/usr/bin/python3".to_vec(), b"-c".to_vec(), python.as_bytes().to_vec()], ..shell("") };
        let outcome = agent.run(start);
        assert_eq!(outcome.stderr(), "", "{name}");
        let refused = [
            "Operation not permitted",
            "Permission denied",
            "Read-only file system",
            "Network is unreachable",
            "Function not implemented",
            "Address family not supported by protocol",
            "No such file or directory",
        ];
        for line in outcome.stdout().lines() {
            let hidden = line.ends_with(" 0") && (name != "init" || line.starts_with("keys"));
            assert!(hidden || refused.iter().any(|it| line.ends_with(it)), "{name}: {line}");
        }
        assert_eq!(outcome.stdout().lines().count(), 23, "{name}: {}", outcome.stdout());
    }
}

#[test]
fn a_domain_that_the_kernel_does_not_have_starts_nothing() {
    let mut agent = Agent::child();
    let landlock = Landlock { min_abi: 1000, ..Landlock::default() };
    agent.send(0, &ToAgent::Filter { seccomp: vec![], landlock });
    let outcome = agent.run(shell("exit 0"));
    let Some(FromAgent::Fault { operation, message, .. }) = outcome.fault else { panic!("{outcome:?}") };
    assert_eq!(operation, "landlock", "{message}");
    // Neither does a filter that is none.
    for program in [vec![], vec![1], vec![0xff; 8]] {
        agent.send(0, &ToAgent::Filter { seccomp: vec![program], landlock: Landlock::default() });
        let outcome = agent.run(shell("exit 0"));
        let Some(FromAgent::Fault { operation, .. }) = outcome.fault else { panic!("{outcome:?}") };
        assert_eq!(operation, "seccomp");
    }
}

#[test]
fn the_profile_without_namespaces_keeps_the_host_away() {
    let mut agent = Agent::child();
    let readable = ["/usr", "/bin", "/lib", "/lib64", "/etc/ld.so.cache"].map(Into::into);
    agent.send(0, &profile::process(&readable, &[]).unwrap().message());
    let mut victim = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
    // Without `site`: its first start on a machine reads `/etc/python3`, which is one denial more.
    let script = format!(
        "cat /etc/passwd; ls /root /home; echo x >/tmp/x; kill {}; kill -0 {}; \
         /usr/bin/python3 -S -c 'import socket; socket.socket()'; exit 0",
        victim.id(),
        victim.id()
    );
    let outcome = agent.run(shell(&script));
    victim.kill().unwrap();
    victim.wait().unwrap();
    assert_eq!((outcome.stdout().as_str(), outcome.code()), ("", 0));
    let errors = outcome.stderr();
    assert_eq!(errors.matches("Permission denied").count(), 4, "{errors}");
    assert_eq!(errors.matches("Operation not permitted").count(), 2, "{errors}");
    assert!(errors.contains("Address family not supported"), "{errors}");
}
