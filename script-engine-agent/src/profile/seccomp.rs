//! Seccomp programs from the table of calls.
//!
//! Two programs, because of actions of the same severity the one installed last decides: first the
//! allow-list, which refuses everything else with `EPERM`; then a short one that says of a few calls
//! that they do not exist, which is what C libraries and runtimes know how to live with.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, sock_filter,
};

use super::ProfileError;
use super::calls::{ANY, CLONE3, CONDITIONAL, Call, IPC, NEWEST, NONE, SCHEDULING};

const EPERM: u32 = 1;
const ENOSYS: u32 = 38;
const EAFNOSUPPORT: u32 = 97;

/// `CLONE_NEW*` except `CLONE_NEWTIME`, which only `clone3` and `unshare` know.
const CLONE_NAMESPACES: u64 = 0x7e02_0000;

const AF_UNIX: u32 = 1;
const AF_INET: u32 = 2;
const AF_INET6: u32 = 10;
const SOCK_STREAM: u64 = 1;
const SOCK_DGRAM: u64 = 2;
/// The type without `SOCK_NONBLOCK` and `SOCK_CLOEXEC`.
const SOCK_TYPE: u64 = 0xf;
const IPPROTO_TCP: u64 = 6;
const IPPROTO_UDP: u64 = 17;

/// Push input into a terminal, and the console's own calls.
const TIOCSTI: u64 = 0x5412;
const TIOCLINUX: u64 = 0x541c;

/// What lies around a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Namespaces of its own.
    Namespaces,
    /// The host's processes, network and ipc objects.
    Host,
}

/// Makes the programs in the order in which they are to be installed.
pub(super) fn programs(reach: Reach) -> Result<Vec<Vec<u8>>, ProfileError> {
    let arch = Arch::current()?;
    Ok(vec![bytes(&allow_list(arch, reach)?), bytes(&absent(arch, reach))])
}

#[derive(Clone, Copy, Debug)]
enum Arch {
    X86_64,
    Aarch64,
}

impl Arch {
    fn current() -> Result<Self, ProfileError> {
        match std::env::consts::ARCH {
            "x86_64" => Ok(Self::X86_64),
            "aarch64" => Ok(Self::Aarch64),
            other => Err(ProfileError(format!("architecture {other} is not supported"))),
        }
    }

    fn target(self) -> TargetArch {
        match self {
            Self::X86_64 => TargetArch::x86_64,
            Self::Aarch64 => TargetArch::aarch64,
        }
    }

    /// `AUDIT_ARCH_*` (`include/uapi/linux/audit.h`).
    fn audit(self) -> u32 {
        match self {
            Self::X86_64 => 0xc000_003e,
            Self::Aarch64 => 0xc000_00b7,
        }
    }

    fn number(self, call: &Call) -> Option<i64> {
        let number = match self {
            Self::X86_64 => call.1,
            Self::Aarch64 => call.2,
        };
        (number != NONE).then_some(number)
    }
}

fn allow_list(arch: Arch, reach: Reach) -> Result<BpfProgram, ProfileError> {
    let wrong = |error: seccompiler::BackendError| ProfileError(error.to_string());
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    let mut any = |calls: &[Call]| rules.extend(calls.iter().filter_map(|it| Some((arch.number(it)?, Vec::new()))));
    any(ANY);
    if reach == Reach::Namespaces {
        any(SCHEDULING);
        any(IPC);
    }
    for call in CONDITIONAL {
        let (Some(number), Some(alternatives)) = (arch.number(call), conditions(call.0, reach)) else { continue };
        let alternatives: Result<Vec<SeccompRule>, _> = alternatives
            .into_iter()
            .map(|all| {
                let all: Result<_, _> = all.into_iter().map(Test::condition).collect();
                SeccompRule::new(all?)
            })
            .collect();
        rules.insert(number, alternatives.map_err(wrong)?);
    }
    SeccompFilter::new(rules, SeccompAction::Errno(EPERM), SeccompAction::Allow, arch.target())
        .and_then(TryInto::try_into)
        .map_err(wrong)
}

/// A test of one argument.
#[derive(Clone, Copy, Debug)]
enum Test {
    /// The argument's lower half is this.
    Is(u8, u64),
    IsNot(u8, u64),
    /// Of the argument's lower half, under this mask, this is set.
    Masked(u8, u64, u64),
    /// Of the whole argument, nothing under this mask is set.
    NoneOf(u8, u64),
}

impl Test {
    fn condition(self) -> Result<SeccompCondition, seccompiler::BackendError> {
        use SeccompCmpArgLen::{Dword, Qword};
        use SeccompCmpOp::{Eq, MaskedEq, Ne};
        match self {
            Self::Is(argument, value) => SeccompCondition::new(argument, Dword, Eq, value),
            Self::IsNot(argument, value) => SeccompCondition::new(argument, Dword, Ne, value),
            Self::Masked(argument, mask, value) => SeccompCondition::new(argument, Dword, MaskedEq(mask), value),
            Self::NoneOf(argument, mask) => SeccompCondition::new(argument, Qword, MaskedEq(mask), 0),
        }
    }
}

/// The alternatives under which a call is allowed, each a list of tests that must all hold; `None` if
/// it is not.
fn conditions(call: &str, reach: Reach) -> Option<Vec<Vec<Test>>> {
    let inet = |family: u32, kind: u64, protocol: u64| {
        vec![Test::Is(0, u64::from(family)), Test::Masked(1, SOCK_TYPE, kind), Test::Is(2, protocol)]
    };
    match (call, reach) {
        ("clone", _) => Some(vec![vec![Test::NoneOf(0, CLONE_NAMESPACES)]]),
        ("ioctl", _) => Some(vec![vec![Test::IsNot(1, TIOCSTI), Test::IsNot(1, TIOCLINUX)]]),
        // One's own limits, not those of others of the same user: the agent may be one.
        ("prlimit64", _) => Some(vec![vec![Test::Is(0, 0)]]),
        ("socketpair", _) => Some(vec![vec![Test::Is(0, u64::from(AF_UNIX))]]),
        ("socket", Reach::Namespaces) => {
            let mut alternatives = vec![vec![Test::Is(0, u64::from(AF_UNIX))]];
            for family in [AF_INET, AF_INET6] {
                for (kind, protocol) in [(SOCK_STREAM, IPPROTO_TCP), (SOCK_DGRAM, IPPROTO_UDP)] {
                    alternatives.extend([inet(family, kind, 0), inet(family, kind, protocol)]);
                }
            }
            Some(alternatives)
        }
        _ => None,
    }
}

/// Says of calls and address families that they do not exist. Written by hand: it compares call
/// numbers by order, which the compiler of the other program cannot.
fn absent(arch: Arch, reach: Reach) -> BpfProgram {
    /// Where the kernel tells what (`struct seccomp_data`): the first argument's lower half.
    const NUMBER: u32 = 0;
    const ARCHITECTURE: u32 = 4;
    const ARGUMENT: u32 = 16;
    const ALLOW: u32 = 0x7fff_0000;
    const ERRNO: u32 = 0x0005_0000;
    const KILL: u32 = 0x8000_0000;
    const LOAD: u16 = 0x20;
    const EQUAL: u16 = 0x15;
    const GREATER: u16 = 0x25;
    const RETURN: u16 = 0x06;
    let op = |code, k, jt, jf| sock_filter { code, jt, jf, k };
    let number = |call: &Call| arch.number(call).and_then(|it| u32::try_from(it).ok()).unwrap_or(u32::MAX);
    let socket = CONDITIONAL.iter().find(|it| it.0 == "socket").map_or(u32::MAX, number);
    let families: &[u32] = match reach {
        Reach::Namespaces => &[AF_UNIX, AF_INET, AF_INET6],
        Reach::Host => &[],
    };
    let mut program = vec![
        op(LOAD, ARCHITECTURE, 0, 0),
        op(EQUAL, arch.audit(), 1, 0),
        op(RETURN, KILL, 0, 0),
        op(LOAD, NUMBER, 0, 0),
        // Calls of the x32 interface carry a bit that makes them greater too.
        op(GREATER, NEWEST, 1, 0),
        op(EQUAL, number(&CLONE3), 0, 1),
        op(RETURN, ERRNO | ENOSYS, 0, 0),
        op(EQUAL, socket, 1, 0),
        op(RETURN, ALLOW, 0, 0),
        op(LOAD, ARGUMENT, 0, 0),
    ];
    for family in families {
        program.push(op(EQUAL, *family, 0, 1));
        program.push(op(RETURN, ALLOW, 0, 0));
    }
    program.push(op(RETURN, ERRNO | EAFNOSUPPORT, 0, 0));
    program
}

fn bytes(program: &[sock_filter]) -> Vec<u8> {
    program
        .iter()
        .flat_map(|it| {
            let [a, b] = it.code.to_ne_bytes();
            let [k0, k1, k2, k3] = it.k.to_ne_bytes();
            [a, b, it.jt, it.jf, k0, k1, k2, k3]
        })
        .collect()
}
