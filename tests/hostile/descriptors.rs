//! Scripts that use what they were not given: descriptors, terminals, the environment of the host.

use script_engine_core::Outcome;

use crate::bench::{Bench, Who, ends, prints, stdout, story};
use crate::case::{Hostile, cases};

pub(crate) fn cases() -> Vec<Hostile> {
    cases![
        nothing_inherited,
        no_terminal,
        environment_is_what_was_given,
        parameters_are_not_code,
        limits_cannot_be_raised,
    ]
}

async fn nothing_inherited(bench: &Bench) {
    // Of the engine's own process; without `O_CLOEXEC` it goes to whatever is executed.
    let inheritable = std::process::Command::new("true").spawn();
    drop(inheritable.map(|mut it| it.wait()));
    let source = "
import os, stat
def kind(fd):
    mode = os.fstat(fd).st_mode
    return 'pipe' if stat.S_ISFIFO(mode) else 'device' if stat.S_ISCHR(mode) else 'socket' if stat.S_ISSOCK(mode) else 'file'
for fd in range(0, 1024):
    try:
        print(fd, kind(fd))
    except OSError:
        pass
for fd in (0, 1, 2):
    try:
        os.lseek(fd, 0, os.SEEK_SET)
        print('seekable', fd) if kind(fd) != 'device' else None
    except OSError:
        pass
try:
    os.write(0, b'x')
    print('stdin can be written')
except OSError:
    pass
";
    prints(&bench.python(source).await, "0 device\n1 pipe\n2 pipe\n");
}

async fn no_terminal(bench: &Bench) {
    let source = "
import fcntl, os
try:
    os.open('/dev/tty', os.O_RDWR)
    print('terminal')
except OSError:
    pass
for fd in range(3):
    try:
        os.tcgetpgrp(fd)
        print('terminal', fd)
    except OSError:
        pass
    try:
        fcntl.ioctl(fd, 0x5412, b'x')  # TIOCSTI
        print('pushed', fd)
    except OSError:
        pass
print(open('/proc/self/stat').read().split()[6], os.getsid(0) == os.getpid(), os.path.exists('/dev/ptmx'))
";
    // A container can make terminals of its own.
    let expect = if bench.who == Who::Containers { "0 True True\n" } else { "0 True False\n" };
    prints(&bench.python(source).await, expect);
}

async fn environment_is_what_was_given(bench: &Bench) {
    let record = bench
        .run("python", "import os; print(sorted(os.environ.items()))", |request| {
            request.with_env("GIVEN", "a b\nc=d").with_parameter("p", "x")
        })
        .await;
    let id = record.id();
    let expected = format!(
        "[('GIVEN', 'a b\\nc=d'), ('HOME', '/work'), ('LANG', 'C.UTF-8'), ('PARAM_P', 'x'), \
         ('PATH', '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'), \
         ('PYTHONDONTWRITEBYTECODE', '1'), ('PYTHONUNBUFFERED', '1'), ('PYTHONUTF8', '1'), \
         ('SCRIPT_ARGS_FILE', '/scripts/args.json'), ('SCRIPT_EXECUTION_ID', '{id}'), \
         ('SCRIPT_RESULT', '/tmp/.script-result'), ('TMPDIR', '/tmp')]\n"
    );
    prints(&record, &expected);
    // Nor does anything of the host's stand anywhere else that a script can read.
    let own = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| "SCRIPT_ENGINE_HOSTILE_ALONE".to_owned());
    let record = bench.bash("cat /proc/*/environ /proc/*/cmdline 2>/dev/null; true").await;
    ends(&record, &Outcome::Succeeded);
    assert!(!stdout(&record).contains(&own), "{}", story(&record));
}

/// Values that a shell, a format string or a template would take for more than text.
async fn parameters_are_not_code(bench: &Bench) {
    let values = [
        "$(touch /work/owned)",
        "`touch /work/owned`",
        "; touch /work/owned",
        "' || touch /work/owned || '",
        "\" -c id",
        "%s%n",
        "{0.__class__}",
        "../../etc/passwd",
        "-rf /",
        "a\nb\r\tc",
        "\u{202e}\u{0}x",
        "*",
        "~",
        "\\",
        "${PATH}",
        "@/scripts/args.json",
        "\u{1b}[2J",
        "é\u{301}\u{1f4a9}",
    ];
    let source = "
import glob, json, os
given = json.load(open('/scripts/args.json'))
for name in sorted(given, key=lambda it: int(it[1:])):
    variable = os.environb[b'PARAM_' + name.upper().encode()]
    print(given[name].encode().hex(), variable == given[name].encode() or variable.startswith(b'@/scripts/args.json#/'))
print(os.listdir('/work'))
";
    let record = bench
        .run("python", source, |request| {
            values.iter().zip(1..).fold(request, |it, (value, number)| it.with_parameter(format!("p{number}"), *value))
        })
        .await;
    let hex = |it: &str| it.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    let lines: String = values.iter().map(|it| format!("{} True\n", hex(it))).collect();
    prints(&record, &format!("{lines}[]\n"));
    let record = bench
        .run("bash", "printf '%s' \"$PARAM_X\"; ls -A /work", |it| it.with_parameter("x", "$(touch owned) `id` $PATH"))
        .await;
    prints(&record, "$(touch owned) `id` $PATH");
}

async fn limits_cannot_be_raised(bench: &Bench) {
    let source = "
import os, resource
for name in ('NPROC', 'NOFILE', 'CORE', 'FSIZE'):
    kind = getattr(resource, 'RLIMIT_' + name)
    soft, hard = resource.getrlimit(kind)
    for act in (lambda: resource.setrlimit(kind, (hard + 1, hard + 1)), lambda: resource.setrlimit(kind, (-1, -1)),
                lambda: resource.prlimit(1, kind, (hard, hard)), lambda: resource.prlimit(os.getppid(), kind, (hard, hard))):
        try:
            act()
            print('raised', name)
        except (OSError, ValueError):
            pass
for act in (lambda: os.nice(-5), lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)),
            lambda: open('/proc/self/oom_score_adj', 'w').write('-1000'), lambda: os.setuid(0), lambda: os.setgroups([0]),
            lambda: os.chroot('/work')):
    try:
        act()
        print('did')
    except OSError:
        pass
print('end')
";
    prints(&bench.python(source).await, "end\n");
}
