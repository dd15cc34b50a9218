//! Answers to a script's questions for names: the packets (RFC 1035). Trusts nothing of a question; knows no socket.

use std::net::Ipv4Addr;

/// Longer ones are of no use in a question.
pub const MAX_QUESTION: usize = 512;
/// Seconds that an answer may be kept.
const TIME_TO_LIVE: u32 = 60;

const HEADER: usize = 12;
const TYPE_A: u16 = 1;
const CLASS_IN: u16 = 1;
const FORMAT_ERROR: u8 = 1;
const FAILURE: u8 = 2;
const NO_SUCH_NAME: u8 = 3;
const NOT_IMPLEMENTED: u8 = 4;

/// What is known of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It has this one address.
    Address(Ipv4Addr),
    /// There is no such name.
    Nothing,
    /// There is no room to answer another name.
    Full,
}

/// Makes the answer to a question. None if it is not a question at all.
pub fn answer(question: &[u8], find: impl FnOnce(&str) -> Found) -> Option<Vec<u8>> {
    let header = question.get(..HEADER)?;
    // Answers are not answered.
    if header[2] & 0x80 != 0 {
        return None;
    }
    if header[2] & 0x78 != 0 {
        return Some(reply(header, &[], NOT_IMPLEMENTED, None));
    }
    let Some(asked) = Asked::read(question).filter(|_| header[4..6] == [0, 1]) else {
        return Some(reply(header, &[], FORMAT_ERROR, None));
    };
    let (code, address) = match find(&asked.name) {
        // Of another type there is nothing, which is not the same as that there is no such name.
        Found::Address(address) => (0, (asked.kind == TYPE_A && asked.class == CLASS_IN).then_some(address)),
        Found::Nothing => (NO_SUCH_NAME, None),
        Found::Full => (FAILURE, None),
    };
    Some(reply(header, asked.bytes, code, address))
}

struct Asked<'a> {
    /// In lower case, without a dot at its end.
    name: String,
    kind: u16,
    class: u16,
    bytes: &'a [u8],
}

impl<'a> Asked<'a> {
    fn read(question: &'a [u8]) -> Option<Self> {
        let mut name = String::new();
        let mut at = HEADER;
        loop {
            let length = usize::from(*question.get(at)?);
            at += 1;
            if length == 0 {
                break;
            }
            // Questions point nowhere.
            if length > 63 {
                return None;
            }
            let label = question.get(at..at + length)?;
            at += length;
            if !name.is_empty() {
                name.push('.');
            }
            // What is not text is no name that anybody has.
            name.extend(
                label.iter().map(|it| if it.is_ascii_graphic() { char::from(it.to_ascii_lowercase()) } else { '?' }),
            );
        }
        let rest = question.get(at..at + 4)?;
        let number = |at: usize| u16::from_be_bytes([rest[at], rest[at + 1]]);
        Some(Self { name, kind: number(0), class: number(2), bytes: question.get(HEADER..at + 4)? })
    }
}

fn reply(header: &[u8], asked: &[u8], code: u8, address: Option<Ipv4Addr>) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER + asked.len() + 16);
    out.extend_from_slice(&header[..2]);
    // An answer, to the same kind of question; recursion is there if it was desired.
    out.extend_from_slice(&[0x80 | header[2] & 0x79, 0x80 | code]);
    out.extend_from_slice(&[0, u8::from(!asked.is_empty()), 0, u8::from(address.is_some()), 0, 0, 0, 0]);
    out.extend_from_slice(asked);
    if let Some(address) = address {
        // The name is the one that was asked for.
        out.extend_from_slice(&[0xc0, HEADER as u8]);
        out.extend_from_slice(&TYPE_A.to_be_bytes());
        out.extend_from_slice(&CLASS_IN.to_be_bytes());
        out.extend_from_slice(&TIME_TO_LIVE.to_be_bytes());
        out.extend_from_slice(&[0, 4]);
        out.extend_from_slice(&address.octets());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 64, 0, 1);

    fn question(labels: &[&[u8]], kind: u16) -> Vec<u8> {
        let mut out = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in labels {
            out.push(label.len() as u8);
            out.extend_from_slice(label);
        }
        out.push(0);
        out.extend_from_slice(&kind.to_be_bytes());
        out.extend_from_slice(&[0, 1]);
        out
    }

    /// The code of an answer and the address in it.
    #[track_caller]
    fn check(question: &[u8], known: &str, expected: Option<(u8, Option<Ipv4Addr>)>) {
        let found = answer(question, |name| if name == known { Found::Address(ADDRESS) } else { Found::Nothing });
        let read = found.map(|it| {
            assert_eq!(it[..2], question[..2], "the question's id");
            assert_eq!(it[2] & 0x80, 0x80, "an answer");
            let address = (it[7] == 1).then(|| Ipv4Addr::from(<[u8; 4]>::try_from(&it[it.len() - 4..]).unwrap()));
            (it[3] & 0xf, address)
        });
        assert_eq!(read, expected);
    }

    #[test]
    fn questions_are_answered() {
        let (aaaa, https, any) = (28, 65, 255);
        let labels: [&[u8]; 2] = [b"a", b"Example"];
        check(&question(&labels, 1), "a.example", Some((0, Some(ADDRESS))));
        for kind in [aaaa, https, any, 15] {
            check(&question(&labels, kind), "a.example", Some((0, None)));
        }
        check(&question(&[b"b", b"example"], 1), "a.example", Some((3, None)));
        check(&question(&[], 1), "a.example", Some((3, None)));
        // A dot in a label is not one between labels, and what is not text is no name.
        check(&question(&[b"a.example"], 1), "a.example", Some((0, Some(ADDRESS))));
        check(&question(&[b"a", b"ex\xffmple"], 1), "a.example", Some((3, None)));
        // With more behind it, as resolvers send that know of longer packets.
        let mut longer = question(&labels, 1);
        longer[11] = 1;
        longer.extend_from_slice(&[0, 0, 41, 16, 0, 0, 0, 0, 0, 0, 0]);
        check(&longer, "a.example", Some((0, Some(ADDRESS))));
    }

    #[test]
    fn what_is_no_question_is_told_so_or_passed_over() {
        let good = question(&[b"a", b"example"], 1);
        let changed = |at: usize, value: u8| {
            let mut question = good.clone();
            question[at] = value;
            question
        };
        check(&changed(2, 0x80), "a.example", None);
        check(&good[..11], "a.example", None);
        check(&changed(2, 0x10), "a.example", Some((4, None)));
        check(&changed(5, 2), "a.example", Some((1, None)));
        check(&changed(5, 0), "a.example", Some((1, None)));
        check(&changed(12, 0xc0), "a.example", Some((1, None)));
        check(&changed(12, 63), "a.example", Some((1, None)));
        for end in 12..good.len() {
            check(&good[..end], "a.example", Some((1, None)));
        }
        assert_eq!(answer(&good, |_| Found::Full).map(|it| it[3] & 0xf), Some(2));
    }

    #[test]
    fn any_bytes_are_answered_or_not_and_never_at_length() {
        // A generator of its own: the agent has no dependencies.
        let mut state = 1_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize
        };
        let good = question(&[b"a", b"example"], 1);
        for _ in 0..200_000 {
            let mut bytes = good.clone();
            for _ in 0..next() % 6 {
                let at = next() % bytes.len();
                bytes[at] = next() as u8;
            }
            bytes.truncate(next() % (bytes.len() + 1));
            bytes.extend((0..next() % 4).map(|_| 0xff));
            if let Some(answer) = answer(&bytes, |_| Found::Address(ADDRESS)) {
                assert!(answer.len() <= bytes.len().max(HEADER) + 16);
            }
        }
    }
}
