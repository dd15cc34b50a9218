//! What a script sees and shows, started afresh and handed to an interpreter that waited.

use script_engine_core::{Exit, Job};

use crate::bench::{Bench, Seen};

/// Both ways show the same; gives it.
async fn check(bench: &Bench, source: &str, arguments: &[&str], change: impl Fn(&mut Job)) -> Seen {
    let mut job = bench.job(source, arguments);
    change(&mut job);
    let cold = bench.run(&job, false).await.seen;
    let primed = bench.run(&job, true).await.seen;
    assert_eq!(cold, primed, "{source}");
    cold
}

fn told(job: &mut Job) {
    job.env.push(("TOLD".into(), "two words\nand ü".into()));
    job.env.push(("EMPTY".into(), Vec::new()));
    // More than a pipe holds at once.
    job.env.extend((0..4).map(|it| (format!("LONG_{it}"), vec![b'x'; 40_000])));
}

#[tokio::test]
async fn python() {
    let bench = Bench::new("python");
    let finds = r#"
import os, sys
print(sys.argv, sys.orig_argv, sys.path, sys.flags, __name__, __file__)
print(sorted(os.environ.items()))
print(sorted(os.listdir("/scripts")), os.getcwd(), sys.stdin.read() == "", sys.stdout.encoding, sys.executable)
print(sorted(it for it in sys.modules), sorted(sys.path_importer_cache))
sys.exit(5)
"#;
    let seen = check(&bench, finds, &["one", "two words", ""], told).await;
    assert_eq!((seen.exit, seen.stderr.as_str()), (Exit::Code(5), ""));
    assert!(seen.stdout.contains("'two words'") && seen.stdout.contains("('EMPTY', '')"), "{}", seen.stdout);

    let confined = r#"
import os
keep = ("Uid", "Gid", "Groups", "NoNewPrivs", "Seccomp", "Cap", "Sig", "Umask", "Shd", "NSpid")
print([it for it in open("/proc/self/status").read().splitlines() if it.startswith(keep)])
print(open("/proc/self/limits").read(), open("/proc/self/cgroup").read().count("\n"))
print(open("/proc/self/oom_score_adj").read(), os.getsid(0) == os.getpid(), os.getpgid(0) == os.getpid())
print(sorted(os.listdir("/proc/self/fd")), [os.readlink(f"/proc/self/fd/{it}").split(":")[0] for it in range(3)])
def tries(what, *given):
    try:
        what(*given)
        print("did", given)
    except OSError as error:
        print(error.errno, given)
tries(open, "/scripts/new", "w"); tries(open, "/etc/shadow"); tries(open, "/work/new", "w"); tries(os.setuid, 0)
tries(os.mkdir, "/scripts/.prime"); tries(os.unshare, 0x10000000) if hasattr(os, "unshare") else None
import socket
tries(socket.socket, socket.AF_NETLINK); tries(socket.socket, socket.AF_INET6)
"#;
    let seen = check(&bench, confined, &[], |_| {}).await;
    assert!(seen.stdout.contains("Seccomp:\\t2") && seen.stdout.contains("['0', '1', '2', '3']"), "{}", seen.stdout);

    for (source, says) in [
        ("def f():\n    raise ValueError('no')\nf()\n", "File \"/scripts/main.py\", line 2, in f\n"),
        ("print(1)\nx = = 2\n", "SyntaxError"),
        ("import nowhere\n", "ModuleNotFoundError: No module named 'nowhere'"),
        ("import sitecustomize\n", "sitecustomize"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGTERM)\n", ""),
        (
            "import threading\nt = threading.Thread(target=lambda: 1 / 0, name='t')\nt.start()\nt.join()\n",
            "ZeroDivisionError",
        ),
    ] {
        let seen = check(&bench, source, &[], |_| {}).await;
        assert!(seen.stderr.contains(says) || seen.exit == Exit::Code(0), "{seen:?}");
    }
    let reads = "import sys\nprint(sys.stdin.read())\n";
    check(&bench, reads, &[], |_| {}).await;
    bench.finish().await;
}

#[tokio::test]
async fn node() {
    let bench = Bench::new("typescript");
    let finds = r#"
import fs from 'node:fs';
const named: string[] = Object.entries(process.env).map(([name, value]) => `${name}=${value}`).sort();
console.log(process.argv, process.execArgv, process.cwd(), import.meta.url);
console.log(named.join('|'));
console.log(fs.readdirSync('/scripts').sort(), fs.readFileSync(0).length, fs.readdirSync('/proc/self/fd').length > 3);
console.log(fs.readFileSync('/proc/self/status', 'utf8').split('\n').filter((it: string) => /^(Uid|Gid|Groups|NoNew|Seccomp|Cap)/.test(it)));
console.log(fs.readFileSync('/proc/self/limits', 'utf8'), process.stdout.isTTY, process.stdout.constructor.name);
process.exitCode = 5;
"#;
    let seen = check(&bench, finds, &["one", "two words", ""], told).await;
    assert_eq!((seen.exit, seen.stderr.as_str()), (Exit::Code(5), ""));
    assert!(seen.stdout.contains("'two words'") && seen.stdout.contains("EMPTY=|"), "{}", seen.stdout);
    for (source, says) in [
        ("export {};\nfunction f(): never { throw new Error('no'); }\nf();\n", "/scripts/main.ts:2:"),
        ("import 'node:nowhere';\n", "node:nowhere"),
        ("export {};\nPromise.reject(new TypeError('late'));\n", "TypeError: late"),
        ("export {};\nprocess.kill(process.pid, 'SIGTERM');\nsetTimeout(() => {}, 100000);\n", ""),
    ] {
        let seen = check(&bench, source, &[], |_| {}).await;
        assert!(seen.stderr.contains(says) && seen.exit != Exit::Code(0), "{seen:?}");
    }
    bench.finish().await;
}
