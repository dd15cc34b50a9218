//! Runs the programs as the kernel would, over tables of calls.

use std::path::PathBuf;

use super::calls::{ANY, CONDITIONAL, Call, IPC, NEWEST, SCHEDULING};
use super::{Profile, process, sandbox};
use crate::wire::HEADER_LEN;

const ALLOW: u32 = 0x7fff_0000;
const KILL: u32 = 0x8000_0000;
const EPERM: u32 = 0x0005_0001;
const ENOSYS: u32 = 0x0005_0026;
const EAFNOSUPPORT: u32 = 0x0005_0061;

#[cfg(target_arch = "x86_64")]
const AUDIT: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const AUDIT: u32 = 0xc000_00b7;

/// Interprets one program; only the operations that the programs are made of.
fn interpret(program: &[u8], data: &[u8; 64]) -> u32 {
    let word = |at: u32| {
        let at = at as usize;
        u32::from_ne_bytes(data[at..at + 4].try_into().unwrap())
    };
    let mut accumulator = 0_u32;
    let mut at = 0;
    loop {
        let op: [u8; 8] = program[at * 8..at * 8 + 8].try_into().unwrap();
        let code = u16::from_ne_bytes([op[0], op[1]]);
        let k = u32::from_ne_bytes([op[4], op[5], op[6], op[7]]);
        at += 1;
        let jump = |holds: bool| usize::from(if holds { op[2] } else { op[3] });
        match code {
            0x20 => accumulator = word(k),
            0x05 => at += k as usize,
            0x15 => at += jump(accumulator == k),
            0x25 => at += jump(accumulator > k),
            0x35 => at += jump(accumulator >= k),
            0x45 => at += jump(accumulator & k != 0),
            0x54 => accumulator &= k,
            0x06 => return k,
            other => panic!("operation {other:#x}"),
        }
    }
}

/// What the kernel makes of a call: of the most severe answers that of the program installed last.
fn verdict(profile: &Profile, audit: u32, number: u32, arguments: [u64; 3]) -> u32 {
    let mut data = [0; 64];
    data[..4].copy_from_slice(&number.to_ne_bytes());
    data[4..8].copy_from_slice(&audit.to_ne_bytes());
    for (place, argument) in data[16..].chunks_exact_mut(8).zip(arguments) {
        place.copy_from_slice(&argument.to_ne_bytes());
    }
    let severity = |answer: u32| (answer & 0xffff_0000).cast_signed();
    let mut chosen = ALLOW;
    for program in profile.seccomp.iter().rev() {
        let answer = interpret(program, &data);
        if severity(answer) < severity(chosen) {
            chosen = answer;
        }
    }
    chosen
}

#[track_caller]
fn check(profile: &Profile, cases: &[(&str, u32, [u64; 3], u32)]) {
    for (name, number, arguments, expected) in cases {
        let found = verdict(profile, AUDIT, *number, *arguments);
        assert_eq!(found, *expected, "{name} {arguments:x?}: {found:#x}");
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn calls_of_a_sandboxed_script() {
    let stream = 1 | 0o2_000_000 | 0o4000;
    check(
        &sandbox().unwrap(),
        &[
            ("read", 0, [0, 0, 0], ALLOW),
            ("execve", 59, [0, 0, 0], ALLOW),
            ("fork", 57, [0, 0, 0], ALLOW),
            ("clone of a thread", 56, [0x3d_0f00, 0, 0], ALLOW),
            ("clone with NEWUSER", 56, [0x1000_0011, 0, 0], EPERM),
            ("clone with NEWNET", 56, [0x4000_0011, 0, 0], EPERM),
            ("clone with NEWNS", 56, [0x0002_0011, 0, 0], EPERM),
            ("clone with NEWCGROUP", 56, [0x0200_0011, 0, 0], EPERM),
            ("clone3", 435, [0, 0, 0], ENOSYS),
            ("unshare", 272, [0, 0, 0], EPERM),
            ("setns", 308, [0, 0, 0], EPERM),
            ("mount", 165, [0, 0, 0], EPERM),
            ("umount2", 166, [0, 0, 0], EPERM),
            ("pivot_root", 155, [0, 0, 0], EPERM),
            ("open_tree", 428, [0, 0, 0], EPERM),
            ("move_mount", 429, [0, 0, 0], EPERM),
            ("fsopen", 430, [0, 0, 0], EPERM),
            ("fsconfig", 431, [0, 0, 0], EPERM),
            ("fsmount", 432, [0, 0, 0], EPERM),
            ("mount_setattr", 442, [0, 0, 0], EPERM),
            ("io_uring_setup", 425, [0, 0, 0], EPERM),
            ("io_uring_enter", 426, [0, 0, 0], EPERM),
            ("io_uring_register", 427, [0, 0, 0], EPERM),
            ("add_key", 248, [0, 0, 0], EPERM),
            ("request_key", 249, [0, 0, 0], EPERM),
            ("keyctl", 250, [0, 0, 0], EPERM),
            ("bpf", 321, [0, 0, 0], EPERM),
            ("perf_event_open", 298, [0, 0, 0], EPERM),
            ("userfaultfd", 323, [0, 0, 0], EPERM),
            ("ptrace", 101, [0, 0, 0], EPERM),
            ("process_vm_readv", 310, [0, 0, 0], EPERM),
            ("process_vm_writev", 311, [0, 0, 0], EPERM),
            ("pidfd_getfd", 438, [0, 0, 0], EPERM),
            ("kcmp", 312, [0, 0, 0], EPERM),
            ("kexec_load", 246, [0, 0, 0], EPERM),
            ("init_module", 175, [0, 0, 0], EPERM),
            ("finit_module", 313, [0, 0, 0], EPERM),
            ("delete_module", 176, [0, 0, 0], EPERM),
            ("swapon", 167, [0, 0, 0], EPERM),
            ("reboot", 169, [0, 0, 0], EPERM),
            ("quotactl", 179, [0, 0, 0], EPERM),
            ("personality", 135, [0xffff_ffff, 0, 0], EPERM),
            ("open_by_handle_at", 304, [0, 0, 0], EPERM),
            ("name_to_handle_at", 303, [0, 0, 0], EPERM),
            ("modify_ldt", 154, [0, 0, 0], EPERM),
            ("own limits", 302, [0, 7, 0], ALLOW),
            ("limits of process 1", 302, [1, 7, 0], EPERM),
            ("unix socket", 41, [1, stream, 0], ALLOW),
            ("tcp", 41, [2, stream, 0], ALLOW),
            ("tcp by name", 41, [2, 1, 6], ALLOW),
            ("udp on v6", 41, [10, 2, 17], ALLOW),
            ("raw", 41, [2, 3, 1], EPERM),
            ("ping", 41, [2, 2, 1], EPERM),
            ("multipath tcp", 41, [2, 1, 262], EPERM),
            ("sctp", 41, [2, 1, 132], EPERM),
            ("netlink", 41, [16, 3, 0], EAFNOSUPPORT),
            ("packet", 41, [17, 3, 0], EAFNOSUPPORT),
            ("vsock", 41, [40, 1, 0], EAFNOSUPPORT),
            ("alg", 41, [38, 5, 0], EAFNOSUPPORT),
            ("pair of unix sockets", 53, [1, 1, 0], ALLOW),
            ("pair of others", 53, [30, 1, 0], EPERM),
            ("size of a terminal", 16, [0, 0x5413, 0], ALLOW),
            ("input into a terminal", 16, [0, 0x5412, 0], EPERM),
            ("the same with a high half", 16, [0, 0x1_0000_5412, 0], EPERM),
            ("the console", 16, [0, 0x541c, 0], EPERM),
            ("shared memory", 29, [0, 0, 0], ALLOW),
            ("a call that is not there yet", 467, [0, 0, 0], ENOSYS),
            ("x32", 0x4000_0000, [0, 0, 0], ENOSYS),
            ("a second filter", 317, [1, 0, 0], ALLOW),
        ],
    );
}

#[cfg(target_arch = "x86_64")]
#[test]
fn calls_of_a_script_without_namespaces() {
    check(
        &process(&[], &[]).unwrap(),
        &[
            ("read", 0, [0, 0, 0], ALLOW),
            ("unix socket", 41, [1, 1, 0], EAFNOSUPPORT),
            ("tcp", 41, [2, 1, 0], EAFNOSUPPORT),
            ("udp on v6", 41, [10, 2, 0], EAFNOSUPPORT),
            ("pair of unix sockets", 53, [1, 1, 0], ALLOW),
            ("shared memory", 29, [0, 0, 0], EPERM),
            ("message queue", 240, [0, 0, 0], EPERM),
            ("priority of others", 141, [0, 1, 0], EPERM),
            ("unshare", 272, [0, 0, 0], EPERM),
        ],
    );
}

#[test]
fn every_number_is_answered_as_the_table_says() {
    let own = |it: &Call| if cfg!(target_arch = "x86_64") { it.1 } else { it.2 };
    let is_in = |calls: &[Call], number: u32| calls.iter().any(|it| own(it) == i64::from(number));
    let numbers = (0..1000).chain([0x3fff_ffff, 0x4000_0000, 0x4000_01d2, 0x7fff_ffff, 0x8000_0000, u32::MAX]);
    for number in numbers.filter(|it| !is_in(CONDITIONAL, *it)) {
        let expect = |allowed: bool| match number {
            435 => ENOSYS,
            _ if number > NEWEST => ENOSYS,
            _ if allowed => ALLOW,
            _ => EPERM,
        };
        let in_sandbox = is_in(ANY, number) || is_in(SCHEDULING, number) || is_in(IPC, number);
        for arguments in [[0; 3], [u64::MAX; 3]] {
            assert_eq!(verdict(&sandbox().unwrap(), AUDIT, number, arguments), expect(in_sandbox), "{number}");
            let without = process(&[], &[]).unwrap();
            assert_eq!(verdict(&without, AUDIT, number, arguments), expect(is_in(ANY, number)), "{number}");
        }
    }
}

#[test]
fn other_architectures_are_killed() {
    for profile in [sandbox().unwrap(), process(&[], &[]).unwrap()] {
        // i386, and the native one's mirror image.
        for audit in [0x4000_0003, AUDIT.swap_bytes()] {
            assert_eq!(verdict(&profile, audit, 0, [0; 3]), KILL);
        }
    }
}

#[test]
fn domains_write_only_where_promised() {
    let all = (1 << 16) - 1;
    let may_write = 0b1 << 1 | 0b1_1111_1111 << 4 | 1 << 13 | 1 << 14;
    let writable = |profile: Profile| -> Vec<String> {
        assert_eq!(profile.landlock.handled_fs, all);
        let rules = profile.landlock.rules.into_iter();
        rules.filter(|it| it.access & may_write != 0).map(|it| String::from_utf8(it.path).unwrap()).collect()
    };
    let devices =
        ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/ptmx", "/dev/pts"];
    let own = ["/work", "/tmp", "/dev/shm", "/dev/mqueue"];
    let expected: Vec<&str> = ["/proc"].into_iter().chain(devices).chain(own).collect();
    assert_eq!(writable(sandbox().unwrap()), expected);

    let made = process(&[PathBuf::from("/usr")], &[PathBuf::from("/run/x/work")]).unwrap();
    assert_eq!((made.landlock.min_abi, made.landlock.handled_net, made.landlock.scoped), (6, 3, 3));
    let expected: Vec<&str> = devices.into_iter().chain(["/run/x/work"]).collect();
    assert_eq!(writable(made), expected);
}

#[test]
fn a_profile_fits_a_frame() {
    for profile in [sandbox().unwrap(), process(&[], &[]).unwrap()] {
        // The kernel takes at most 4096 instructions; each costs every script something.
        assert!(profile.seccomp.iter().all(|it| it.len() / 8 <= 400));
        let length = profile.message().encode(0).unwrap().len();
        assert!(length < HEADER_LEN + 32 * 1024, "{length}");
    }
}
