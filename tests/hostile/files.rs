//! Scripts that leave traps where the engine looks, and change what is not theirs.

use std::time::{Duration, Instant};

use script_engine_core::Outcome;

use crate::bench::{Bench, Who, ends, prints, stdout, story};
use crate::case::{Hostile, cases};

pub(crate) fn cases() -> Vec<Hostile> {
    cases![
        traps_left_behind,
        hostile_names,
        devices_cannot_be_made,
        own_files_are_read_only,
        host_files_are_read_only,
        setuid_gains_nothing,
        programs_written_and_executed,
        crash_leaves_no_core,
    ]
}

/// Links, pipes, sockets everywhere; nothing of the engine hangs on them or follows them.
async fn traps_left_behind(bench: &Bench) {
    let source = "
import os, socket
for folder in ('/work', '/tmp', '/dev/shm'):
    for name, target in (('a', '/etc'), ('b', '/'), ('c', '../../../..'), ('d', 'd'), ('e', '/proc/self/fd/1')):
        os.symlink(target, f'{folder}/{name}')
    os.mkfifo(folder + '/pipe')
    socket.socket(socket.AF_UNIX).bind(folder + '/socket')
    os.link(folder + '/pipe', folder + '/pipe2')
    os.mkdir(folder + '/folder')
    os.symlink('/etc/passwd', folder + '/folder/link')
print('left')
";
    let begin = Instant::now();
    prints(&bench.python(source).await, "left\n");
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
}

async fn hostile_names(bench: &Bench) {
    let source = r"
import os
for folder in (b'/work/', b'/tmp/'):
    for name in (b'\n', b'-rf', b' ', b'\xff\xfe', b'*', b'$(id)', b'x' * 255, b'CON', b'..\\..\\x', b'\x1b[2J', b'.reset-1'):
        os.mkdir(folder + name)
        open(folder + name + b'/' + name, 'w').close()
print('named')
";
    prints(&bench.python(source).await, "named\n");
}

async fn devices_cannot_be_made(bench: &Bench) {
    let source = "
import os, stat
for folder in ('/work', '/tmp', '/dev/shm', '/dev'):
    for kind in (stat.S_IFCHR, stat.S_IFBLK):
        try:
            os.mknod(folder + '/device', kind | 0o666, os.makedev(1, 1))
            print('made', folder)
        except OSError:
            pass
print(sorted(it for it in os.listdir('/dev')))
for name in ('mem', 'kmsg', 'sda', 'vda', 'fuse', 'kvm', 'net/tun'):
    print('there', name) if os.path.exists('/dev/' + name) else None
";
    let devices = match bench.who {
        // Terminals of its own, if it makes any.
        Who::Containers => {
            "['fd', 'full', 'mqueue', 'null', 'ptmx', 'pts', 'random', 'shm', 'stderr', 'stdin', 'stdout', 'tty', 'urandom', 'zero']\n"
        }
        _ => "['fd', 'full', 'mqueue', 'null', 'random', 'shm', 'stderr', 'stdin', 'stdout', 'urandom', 'zero']\n",
    };
    prints(&bench.python(source).await, devices);
}

async fn own_files_are_read_only(bench: &Bench) {
    let source = "
import os
for act in (
    lambda: open('/scripts/main.py', 'a'),
    lambda: open('/scripts/args.json', 'w'),
    lambda: open('/scripts/new', 'w'),
    lambda: os.unlink('/scripts/main.py'),
    lambda: os.rename('/scripts/main.py', '/scripts/x'),
    lambda: os.symlink('/x', '/scripts/y'),
    lambda: os.chmod('/scripts/main.py', 0o777),
    lambda: os.chmod('/scripts', 0o777),
    lambda: os.utime('/scripts/main.py'),
    lambda: os.link('/scripts/main.py', '/work/main.py'),
):
    try:
        act()
        print('done')
    except OSError:
        pass
print('end')
";
    prints(&bench.python(source).await, "end\n");
}

async fn host_files_are_read_only(bench: &Bench) {
    let source = "
import os
for folder, _, files in os.walk('/'):
    if folder.startswith(('/proc', '/work', '/tmp', '/dev/shm', '/dev/mqueue')):
        continue
    if os.access(folder, os.W_OK):
        print('writable', folder)
    if folder.count('/') > 3:
        continue
    for name in ['.hostile'] + files[:3]:
        try:
            os.close(os.open(f'{folder}/{name}', os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK))
            if folder not in ('/dev', '/dev/pts'):
                print('opened', folder, name)
        except OSError:
            pass
for path in ('/proc/sys/kernel/core_pattern', '/proc/sysrq-trigger', '/proc/sys/vm/drop_caches', '/proc/1/oom_score_adj'):
    try:
        os.close(os.open(path, os.O_WRONLY))
        print('opened', path)
    except OSError:
        pass
print('end')
";
    prints(&bench.python(source).await, "end\n");
}

/// Programs of the host that are setuid, and the script's own: who they run as is the script.
async fn setuid_gains_nothing(bench: &Bench) {
    let source = r#"
import os, shutil, subprocess, sys
shutil.copy(os.path.realpath(sys.executable), '/work/p')
os.chmod('/work/p', 0o6755)
code = """
import os, sys
user, group = int(sys.argv[1]), int(sys.argv[2])
print(os.getresuid() == (user,) * 3, os.getresgid() == (group,) * 3)
print([it for it in open('/proc/self/status') if it.startswith(('CapEff', 'NoNewPrivs'))])
"""
subprocess.run(['/work/p', '-c', code, str(os.getuid()), str(os.getgid())])
for argv in (['su', '-c', 'id'], ['sudo', '-c', 'id'], ['pkexec', 'id'], ['newgrp', 'root', '-c', 'id'], ['mount', '-t', 'tmpfs', 'x', '/work']):
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        print('did', argv) if done.returncode == 0 else None
    except OSError:
        pass
print('end')
"#;
    let same = "True True\n['CapEff:\\t0000000000000000\\n', 'NoNewPrivs:\\t1\\n']\nend\n";
    prints(&bench.python(source).await, same);
}

/// What a script writes it may execute, over and over; it stays in its cage.
async fn programs_written_and_executed(bench: &Bench) {
    let source = "
set -e
for i in $(seq 50); do cp /bin/true /work/t$i; /work/t$i; done
cp /bin/cat /tmp/cat
/tmp/cat /etc/shadow 2>/dev/null || echo refused
/tmp/cat /proc/self/status | grep Seccomp:
";
    prints(&bench.bash(source).await, "refused\nSeccomp:\t2\n");
}

async fn crash_leaves_no_core(bench: &Bench) {
    let source = "
ulimit -c unlimited 2>/dev/null && echo raised
sh -c 'kill -SEGV $$' 2>/dev/null; echo $?
sh -c 'kill -ABRT $$' 2>/dev/null; echo $?
ls -A /work /tmp
";
    let record = bench.bash(source).await;
    ends(&record, &Outcome::Succeeded);
    let text = stdout(&record);
    assert!(text == "139\n134\n/tmp:\n\n/work:\n", "{}", story(&record));
}
