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
