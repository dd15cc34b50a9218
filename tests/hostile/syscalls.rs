//! System calls that no script has a use for, those of other interfaces among them.

use script_engine_core::{Exit, Outcome};

use crate::bench::{Bench, ends, prints};
use crate::case::{Hostile, cases};

pub(crate) fn cases() -> Vec<Hostile> {
    #[cfg(target_arch = "x86_64")]
    let cases =
        cases![refused_calls, new_namespaces, calls_of_another_interface, calls_of_32_bit, libraries_still_work];
    #[cfg(not(target_arch = "x86_64"))]
    let cases = cases![libraries_still_work];
    cases
}

/// How a Python script makes a call, and tells what it answered.
#[cfg(target_arch = "x86_64")]
const CALL: &str = "
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
def call(*arguments):
    ctypes.set_errno(0)
    value = libc.syscall(*map(ctypes.c_long, arguments))
    return errno.errorcode[ctypes.get_errno()] if value < 0 else 'done'
";

/// Numbers of `arch/x86/entry/syscalls/syscall_64.tbl`.
#[cfg(target_arch = "x86_64")]
async fn refused_calls(bench: &Bench) {
    let source = format!(
        "{CALL}
calls = dict(
    ptrace=101, syslog=103, personality=135, ustat=136, sysfs=139, vhangup=153, modify_ldt=154, pivot_root=155,
    sysctl=156, adjtimex=159, chroot=161, acct=163, settimeofday=164, mount=165, umount2=166, swapon=167, swapoff=168,
    reboot=169, sethostname=170, setdomainname=171, iopl=172, ioperm=173, init_module=175, delete_module=176,
    quotactl=179, lookup_dcookie=212, clock_settime=227, mbind=237, set_mempolicy=238, get_mempolicy=239,
    kexec_load=246, add_key=248, request_key=249, keyctl=250, migrate_pages=256, unshare=272, move_pages=279,
    perf_event_open=298, fanotify_init=300, name_to_handle_at=303, open_by_handle_at=304, clock_adjtime=305, setns=308,
    process_vm_readv=310, process_vm_writev=311, kcmp=312, finit_module=313, kexec_file_load=320, bpf=321,
    userfaultfd=323, io_uring_setup=425, io_uring_enter=426, io_uring_register=427, open_tree=428, move_mount=429,
    fsopen=430, fsconfig=431, fsmount=432, fspick=433, clone3=435, pidfd_getfd=438, process_madvise=440,
    mount_setattr=442, quotactl_fd=443, memfd_secret=447, set_mempolicy_home_node=450, statmount=457, listmount=458,
    lsm_get_self_attr=459, lsm_set_self_attr=460, open_tree_attr=467, no_such_call=999, far_away=0x3fffffff)
for name, number in calls.items():
    answer = call(number, 0xffffffff, 0, 0, 0, 0, 0)
    if answer not in ('EPERM', 'ENOSYS'):
        print(name, answer)
print('end')
"
    );
    prints(&bench.python(&source).await, "end\n");
}

/// By every call that can make one, and every kind.
#[cfg(target_arch = "x86_64")]
async fn new_namespaces(bench: &Bench) {
    let source = format!(
        "{CALL}
flags = [0x80, 0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000]
for flag in flags:
    for name, answer in (
        ('unshare', call(272, flag)),
        # CLONE_NEWTIME has the place of a signal's number here.
        ('clone', 'EPERM' if flag == 0x80 else call(56, flag | 17, 0, 0, 0, 0)),
        ('setns', call(308, os.open('/proc/self/ns/net', os.O_RDONLY), flag)),
    ):
        if answer not in ('EPERM', 'ENOSYS'):
            print(name, hex(flag), answer)
print('end')
"
    );
    prints(&bench.python(&source).await, "end\n");
    let record = bench.bash("unshare -Ur id 2>/dev/null || unshare -U id 2>/dev/null || echo refused").await;
    prints(&record, "refused\n");
}

/// The x32 interface: the same kernel, other numbers.
#[cfg(target_arch = "x86_64")]
async fn calls_of_another_interface(bench: &Bench) {
    let source = format!(
        "{CALL}
X32 = 0x40000000
answers = {{call(X32 | number, 0, 0, 0) for number in list(range(0, 600)) if number not in (15, 60, 231)}}
print(answers <= {{'EPERM', 'ENOSYS'}}, answers)
"
    );
    prints(&bench.python(&source).await, "True {'ENOSYS'}\n");
}

/// `int 0x80` reaches the calls of 32-bit programs, whose numbers mean something else.
#[cfg(target_arch = "x86_64")]
async fn calls_of_32_bit(bench: &Bench) {
    let source = "
import ctypes, mmap
code = b'\\xb8\\x14\\x00\\x00\\x00\\xcd\\x80\\xc3'  # mov eax, 20; int 0x80; ret
memory = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
memory.write(code)
address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
print('before', flush=True)
print(ctypes.CFUNCTYPE(ctypes.c_int)(address)())
";
    let record = bench.python(source).await;
    // SIGSYS, or SIGSEGV where the kernel has no such interface.
    let ended = [31, 11].map(|it| Outcome::Failed(Exit::Signal(it)));
    let expected = if record.outcome() == Some(&ended[1]) { &ended[1] } else { &ended[0] };
    ends(&record, expected);
    assert_eq!(crate::bench::stdout(&record), "before\n");
}

/// The profile is no wall against honest programs.
async fn libraries_still_work(bench: &Bench) {
    let source = "
import asyncio, concurrent.futures, multiprocessing, os, signal, sqlite3, subprocess, tempfile, threading
print(subprocess.run(['sh', '-c', 'echo child'], capture_output=True, text=True).stdout.strip())
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    print(sum(pool.map(lambda it: it * it, range(10))))
with multiprocessing.Pool(2) as pool:
    print(pool.map(abs, [-1, -2]))
async def nap():
    process = await asyncio.create_subprocess_exec('true')
    return await process.wait()
print(asyncio.run(nap()))
with tempfile.TemporaryDirectory() as folder:
    base = sqlite3.connect(folder + '/db')
    base.execute('create table t (a)')
    base.execute('insert into t values (1)')
    base.commit()
    print(base.execute('select a from t').fetchall())
";
    prints(&bench.python(source).await, "child\n285\n[1, 2]\n0\n[(1,)]\n");
}
