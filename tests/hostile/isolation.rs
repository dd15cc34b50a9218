//! Scripts that look at the host, at each other, and at those who come after.

use script_engine_core::Outcome;
use script_engine_core::contract::IdSource as _;
use script_engine_core::memory::UuidIds;
use script_engine_core::{CancelReason, Stdin};

use crate::bench::{Bench, Who, ends, prints, stdout, story};
use crate::case::{Hostile, cases};

pub(crate) fn cases() -> Vec<Hostile> {
    cases![
        files_of_the_host,
        processes_of_the_host,
        another_execution_under_way,
        what_the_one_before_left,
        names_and_numbers_of_the_host,
        signals_across_executions,
    ]
}

async fn files_of_the_host(bench: &Bench) {
    let name = format!("script-engine-hostile-{:x}", UuidIds.fresh());
    // Everybody on the host may read it.
    let secret = std::env::temp_dir().join(&name);
    std::fs::write(&secret, "host's own").unwrap();
    let source = format!(
        "
import os
for path in ('/etc/shadow', '/etc/gshadow', '/root', '/home', '/var', '/boot', '/mnt', '/srv', '/opt', '/media', '/sys/kernel',
             '/etc/ssh', '/etc/sudoers', '/etc/hostname~', '/run/secrets', '/.dockerenv', '{secret}', '/old', '/.old'):
    if os.path.lexists(path):
        print('there', path)
for start in ('/proc/self/root', '/proc/self/cwd/..', '/proc/1/root', '/proc/thread-self/root'):
    for path in ('{secret}', '/etc/shadow', '/etc/gshadow'):
        if os.path.lexists(start + path):
            print('there', start, path)
os.chdir('/work')
for _ in range(100):
    os.chdir('..')
print(os.getcwd(), os.path.lexists('.{secret}'))
print(open('/etc/passwd').read().count(chr(10)), open('/etc/hostname').read().strip())
",
        secret = secret.display()
    );
    let record = bench.python(&source).await;
    ends(&record, &Outcome::Succeeded);
    let mut found = stdout(&record);
    if bench.who == Who::Containers {
        // Folders of the image, not of the host.
        for own in ["/root", "/home", "/var", "/boot", "/mnt", "/srv", "/opt", "/media", "/sys/kernel", "/.dockerenv"] {
            found = found.replace(&format!("there {own}\n"), "");
        }
    }
    let (rest, users) = found.trim_end().rsplit_once('\n').unwrap_or_default();
    assert_eq!(rest, "/ False", "{}", story(&record));
    assert!(users == "3 sandbox" || bench.who == Who::Containers && users.ends_with(" sandbox"), "{users}");
    std::fs::remove_file(secret).unwrap();
}

async fn processes_of_the_host(bench: &Bench) {
    let source = format!(
        "
import os
pids = [it for it in os.listdir('/proc') if it.isdigit()]
print(len(pids) <= 3)
for pid in range(1, 70000):
    try:
        os.kill(pid, 0)
        alive = True
    except ProcessLookupError:
        alive = False
    except PermissionError:
        alive = True
    if alive and str(pid) not in pids:
        print('alive', pid)
for name in ('cmdline', 'environ', 'maps', 'status'):
    try:
        if '{}' in open('/proc/{}/' + name).read():
            print('read', name)
    except OSError:
        pass
for name in ('kcore', 'kmsg', 'keys', 'timer_list', 'slabinfo', 'kallsyms', 'sched_debug'):
    try:
        if any(it.strip('0') for it in open('/proc/' + name, 'rb').read(4096).decode('latin-1').split()[:1]):
            print('told', name)
    except OSError:
        pass
",
        env!("CARGO_PKG_NAME"),
        std::process::id()
    );
    prints(&bench.python(&source).await, "True\n");
}

/// Two at a time: neither sees the other's files, processes, sockets or shared memory.
async fn another_execution_under_way(bench: &Bench) {
    let victim = "
import ctypes, os, socket, sys
open('/tmp/secret', 'w').write('x')
open('/work/secret', 'w').write('x')
open('/dev/shm/secret', 'w').write('x')
server = socket.socket(socket.AF_UNIX)
server.bind('\\0victim')
server.listen()
tcp = socket.create_server(('127.0.0.1', 4567))
libc = ctypes.CDLL(None, use_errno=True)
print(libc.shmget(0x5ec, 4096, 0o1666) >= 0, flush=True)
sys.stdin.read()
";
    let victim = bench.submit("python", victim, |it| it.with_stdin(Stdin::Open)).await;
    assert_eq!(bench.await_text(victim, "\n").await, "True\n");
    let source = "
import ctypes, os, socket
found = [it for it in ('/tmp/secret', '/work/secret', '/dev/shm/secret') if os.path.exists(it)]
for family, address in ((socket.AF_UNIX, '\\0victim'), (socket.AF_INET, ('127.0.0.1', 4567))):
    try:
        socket.socket(family).connect(address)
        found.append(address)
    except OSError:
        pass
libc = ctypes.CDLL(None, use_errno=True)
if libc.shmget(0x5ec, 4096, 0o666) >= 0:
    found.append('shm')
found += [it for it in os.listdir('/proc') if it.isdigit() and it not in ('1', str(os.getpid()), str(os.getppid()))]
print(found)
";
    let id = bench.submit("python", source, |request| request).await;
    let record = bench.engine.wait(id).await.unwrap();
    prints(&record, "[]\n");
    bench.engine.close_stdin(victim).await.unwrap();
    ends(&bench.end(victim).await, &Outcome::Succeeded);
}

async fn what_the_one_before_left(bench: &Bench) {
    let leave = "
import ctypes, os
for folder in ('/tmp', '/work', '/dev/shm', '/var/tmp', '/run', '/run/lock'):
    try:
        open(folder + '/left', 'w').write('x')
    except OSError:
        pass
libc = ctypes.CDLL(None, use_errno=True)
print(libc.shmget(0x1ef7, 4096, 0o1666) >= 0, libc.semget(0x1ef7, 1, 0o1666) >= 0, libc.msgget(0x1ef7, 0o1666) >= 0)
rt = ctypes.CDLL('librt.so.1', use_errno=True)
print(rt.mq_open(b'/left', os.O_CREAT | os.O_RDWR, 0o666, None) >= 0, os.listdir('/dev/mqueue'))
";
    prints(&bench.python(leave).await, "True True True\nTrue ['left']\n");
    let find = "
import ctypes, os
found = [it for it in ('/tmp', '/work', '/dev/shm', '/run', '/run/lock', '/var/tmp', '/dev/mqueue') if os.path.exists(it + '/left')]
libc = ctypes.CDLL(None, use_errno=True)
print(found, libc.shmget(0x1ef7, 0, 0), libc.semget(0x1ef7, 0, 0), libc.msgget(0x1ef7, 0))
print(*[len(open('/proc/sysvipc/' + it).readlines()) for it in ('shm', 'sem', 'msg')])
";
    prints(&bench.python(find).await, "[] -1 -1 -1\n1 1 1\n");
}

async fn names_and_numbers_of_the_host(bench: &Bench) {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let source = "
import os
print(os.uname().nodename, os.getuid(), os.getgid(), os.getgroups() in ([], [1000], [65534]), os.getpid() < 10)
print(sorted(open('/proc/self/cgroup').read().split()))
print(open('/proc/self/mountinfo').read())
";
    let record = bench.python(source).await;
    ends(&record, &Outcome::Succeeded);
    let text = stdout(&record);
    // A container's users are the daemon's machine's, of whom the script is nobody.
    let id = match bench.who {
        Who::Containers => bench.users().find(|it| text.contains(&format!(" {it} "))).expect("an id of its own"),
        _ => 1000,
    };
    assert!(text.starts_with(&format!("sandbox {id} {id} True True\n")), "{}", story(&record));
    assert!(!text.contains(&bench.owner.to_string()), "the owner's mark shows: {}", story(&record));
    assert!(!text.contains(&format!("/{}", host.trim())) || host.trim().len() < 4, "{}", story(&record));
}

/// A script signals every id that another one's processes could have.
async fn signals_across_executions(bench: &Bench) {
    let victim = bench.submit("bash", "echo ready; read -r _; sleep 1000", |it| it.with_stdin(Stdin::Open)).await;
    bench.await_text(victim, "ready").await;
    let source = "
import os, signal
for number in range(1, 65):
    if number not in (9, 19, 32, 33):
        signal.signal(number, signal.SIG_IGN)
for pid in range(2, 70000):
    if pid not in (os.getpid(), os.getppid()):
        try:
            os.kill(pid, signal.SIGKILL)
            print('killed', pid)
        except OSError:
            pass
print('end')
";
    let id = bench.submit("python", source, |request| request).await;
    prints(&bench.engine.wait(id).await.unwrap(), "end\n");
    assert!(!bench.engine.get(victim).await.unwrap().state.is_terminal());
    bench.engine.cancel(victim).await.unwrap();
    ends(&bench.end(victim).await, &Outcome::Cancelled(CancelReason::Requested));
}
