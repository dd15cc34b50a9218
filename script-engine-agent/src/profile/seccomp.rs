//! The seccomp program of a profile, from the table of calls.
//!
//! Made by hand rather than by a library: each script installs it, and the kernel then tries it for
//! every call number there is, so a program that compares number by number costs a script a
//! millisecond of its start. This one searches: calls of neighbouring numbers with the same answer are
//! one range, and a tree of comparisons finds it.

use super::ProfileError;
use super::calls::{ANY, CLONE3, CONDITIONAL, Call, IPC, NEWEST, NONE, SCHEDULING};

/// One instruction (`struct sock_filter`, `include/uapi/linux/filter.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Op {
    code: u16,
    when_true: u8,
    when_false: u8,
    value: u32,
}

const LOAD: u16 = 0x20;
const AND: u16 = 0x54;
const JUMP: u16 = 0x05;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_AT_LEAST: u16 = 0x35;
const JUMP_ANY_OF: u16 = 0x45;
const RETURN: u16 = 0x06;

/// Where `struct seccomp_data` holds the call's number, the architecture, and the arguments' lower
/// halves (both architectures are little-endian).
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

const ALLOW: u32 = 0x7fff_0000;
const KILL: u32 = 0x8000_0000;
const ERRNO: u32 = 0x0005_0000;
const EPERM: u32 = ERRNO | 1;
const ENOSYS: u32 = ERRNO | 38;
const EAFNOSUPPORT: u32 = ERRNO | 97;

/// `CLONE_NEW*` except `CLONE_NEWTIME`, which only `clone3` and `unshare` know.
const CLONE_NAMESPACES: u32 = 0x7e02_0000;

const AF_UNIX: u32 = 1;
const AF_INET: u32 = 2;
const AF_INET6: u32 = 10;
const SOCK_STREAM: u32 = 1;
const SOCK_DGRAM: u32 = 2;
/// The type without `SOCK_NONBLOCK` and `SOCK_CLOEXEC`.
const SOCK_TYPE: u32 = 0xf;
const IPPROTO_TCP: u32 = 6;
const IPPROTO_UDP: u32 = 17;

/// Push input into a terminal, and the console's own calls.
const TIOCSTI: u32 = 0x5412;
const TIOCLINUX: u32 = 0x541c;

/// What lies around a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Namespaces of its own.
    Namespaces,
    /// The host's processes, network and ipc objects.
    Host,
}

/// What a call is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Answer {
    /// Always this.
    Is(u32),
    /// What these instructions, which end by returning, make of its arguments.
    Depends(Vec<Op>),
}

/// Makes the program.
pub(super) fn program(reach: Reach) -> Result<Vec<u8>, ProfileError> {
    let (audit, number): (u32, fn(&Call) -> i64) = match std::env::consts::ARCH {
        // `AUDIT_ARCH_*` (`include/uapi/linux/audit.h`).
        "x86_64" => (0xc000_003e, |it| it.1),
        "aarch64" => (0xc000_00b7, |it| it.2),
        other => return Err(ProfileError(format!("architecture {other} is not supported"))),
    };
    let mut answers = vec![Answer::Is(EPERM); NEWEST as usize + 1];
    let mut answer = |call: &Call, answer: Answer| {
        let index = Some(number(call)).filter(|it| *it != NONE).and_then(|it| usize::try_from(it).ok());
        if let Some(place) = index.and_then(|it| answers.get_mut(it)) {
            *place = answer;
        }
    };
    let own: &[&[Call]] = if reach == Reach::Namespaces { &[ANY, SCHEDULING, IPC] } else { &[ANY] };
    own.iter().copied().flatten().for_each(|it| answer(it, Answer::Is(ALLOW)));
    CONDITIONAL.iter().for_each(|it| answer(it, conditional(it.0, reach)));
    // As if it did not exist, which C libraries and runtimes know how to live with.
    answer(&CLONE3, Answer::Is(ENOSYS));

    // Each range by its first number. Beyond the table: calls of the future, and those of the x32
    // interface, which carry a bit that makes them greater.
    let mut ranges: Vec<(u32, Answer)> = Vec::new();
    for (number, answer) in (0..).zip(answers.into_iter().chain([Answer::Is(ENOSYS)])) {
        if ranges.last().is_none_or(|(_, last)| *last != answer) {
            ranges.push((number, answer));
        }
    }
    let head = [
        load(ARCHITECTURE),
        Op { code: JUMP_EQUAL, when_true: 1, when_false: 0, value: audit },
        give(KILL),
        load(NUMBER),
    ];
    Ok(head.into_iter().chain(search(&ranges)).flat_map(Op::bytes).collect())
}

/// Finds the range of the loaded number.
fn search(ranges: &[(u32, Answer)]) -> Vec<Op> {
    let (lower, upper) = ranges.split_at(ranges.len() / 2);
    match (lower, upper) {
        ([], [(_, Answer::Is(answer))]) => vec![give(*answer)],
        ([], [(_, Answer::Depends(ops))]) => ops.clone(),
        (_, [(first, _), ..]) => {
            let lower = search(lower);
            let mut ops = match u8::try_from(lower.len()) {
                Ok(length) => vec![Op { code: JUMP_AT_LEAST, when_true: length, when_false: 0, value: *first }],
                // A conditional jump does not reach as far.
                Err(_) => vec![
                    Op { code: JUMP_AT_LEAST, when_true: 0, when_false: 1, value: *first },
                    Op { code: JUMP, when_true: 0, when_false: 0, value: lower.len() as u32 },
                ],
            };
            ops.extend(lower);
            ops.extend(search(upper));
            ops
        }
        (_, []) => Vec::new(),
    }
}

/// What the arguments of a call decide.
fn conditional(call: &str, reach: Reach) -> Answer {
    let ops = match (call, reach) {
        ("clone", _) => vec![
            load_argument(0),
            Op { code: JUMP_ANY_OF, when_true: 0, when_false: 1, value: CLONE_NAMESPACES },
            give(EPERM),
            give(ALLOW),
        ],
        ("ioctl", _) => {
            [vec![load_argument(1)], when(TIOCSTI, EPERM), when(TIOCLINUX, EPERM), vec![give(ALLOW)]].concat()
        }
        // One's own limits, not those of others of the same user: the agent may be one.
        ("prlimit64", _) => [vec![load_argument(0)], when(0, ALLOW), vec![give(EPERM)]].concat(),
        ("socketpair", _) => [vec![load_argument(0)], when(AF_UNIX, ALLOW), vec![give(EPERM)]].concat(),
        ("socket", Reach::Namespaces) => socket(),
        ("socket", Reach::Host) => return Answer::Is(EAFNOSUPPORT),
        _ => return Answer::Is(EPERM),
    };
    Answer::Depends(ops)
}

/// Unix sockets of any type; of the internet families only TCP and UDP.
fn socket() -> Vec<Op> {
    let protocols =
        |of_its_own: u32| [vec![load_argument(2)], when(0, ALLOW), when(of_its_own, ALLOW), vec![give(EPERM)]].concat();
    let (stream, datagram) = (protocols(IPPROTO_TCP), protocols(IPPROTO_UDP));
    let skip = |value: u32, over: usize| Op { code: JUMP_EQUAL, when_true: over as u8, when_false: 0, value };
    [
        vec![load_argument(0)],
        when(AF_UNIX, ALLOW),
        vec![skip(AF_INET, 2), skip(AF_INET6, 1), give(EAFNOSUPPORT)],
        vec![load_argument(1), Op { code: AND, when_true: 0, when_false: 0, value: SOCK_TYPE }],
        vec![skip(SOCK_STREAM, 2), skip(SOCK_DGRAM, 1 + stream.len()), give(EPERM)],
        stream,
        datagram,
    ]
    .concat()
}

fn load(offset: u32) -> Op {
    Op { code: LOAD, when_true: 0, when_false: 0, value: offset }
}

fn load_argument(index: u32) -> Op {
    load(ARGUMENTS + 8 * index)
}

fn give(answer: u32) -> Op {
    Op { code: RETURN, when_true: 0, when_false: 0, value: answer }
}

/// Answers if the loaded value is this, else goes on.
fn when(value: u32, answer: u32) -> Vec<Op> {
    vec![Op { code: JUMP_EQUAL, when_true: 0, when_false: 1, value }, give(answer)]
}

impl Op {
    fn bytes(self) -> [u8; 8] {
        let [a, b] = self.code.to_ne_bytes();
        let [k0, k1, k2, k3] = self.value.to_ne_bytes();
        [a, b, self.when_true, self.when_false, k0, k1, k2, k3]
    }
}
