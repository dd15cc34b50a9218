//! The forms in which a secret may show up in output: the bytes that are looked for. Not how.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

/// The shortest form that is looked for. Shorter ones are found in every other line.
pub(super) const MIN_FORM: usize = 4;
/// The shortest line of a secret with several lines that is looked for by itself.
const MIN_LINE: usize = 8;

/// Every form of a secret, at least [`MIN_FORM`] bytes long each.
pub(super) fn forms(secret: &[u8]) -> BTreeSet<Vec<u8>> {
    let mut found = BTreeSet::new();
    for value in [secret, secret.trim_ascii()] {
        if value.len() >= MIN_FORM {
            encodings(value, &mut found);
        }
    }
    // A log prints a key line by line, often indented.
    let lines: Vec<&[u8]> = secret.split(|it| *it == b'\n').map(<[u8]>::trim_ascii).collect();
    if lines.len() > 1 {
        found.extend(lines.into_iter().filter(|it| it.len() >= MIN_LINE).map(<[u8]>::to_vec));
    }
    found.retain(|it| it.len() >= MIN_FORM);
    found
}

fn encodings(value: &[u8], into: &mut BTreeSet<Vec<u8>>) {
    into.insert(value.to_vec());
    for shift in 0..3 {
        into.insert(base64_within(&STANDARD, value, shift));
        into.insert(base64_within(&URL_SAFE, value, shift));
    }
    into.insert(hex(value, b"0123456789abcdef"));
    into.insert(hex(value, b"0123456789ABCDEF"));
    // What the usual libraries leave as it is: RFC 3986, paths, JavaScript's encodeURIComponent.
    for keep in [&b""[..], b"/", b"!*'()"] {
        for digits in [b"0123456789abcdef", b"0123456789ABCDEF"] {
            let encoded = percent(value, keep, digits);
            into.insert(replace(&encoded, b"%20", b"+"));
            into.insert(encoded);
        }
    }
    into.insert(replace(value, b"'", br"'\''"));
    into.insert(replace(value, b"'", br#"'"'"'"#));
    if let Ok(text) = std::str::from_utf8(value) {
        json(text, into);
        into.insert(xml(text, "&#39;"));
        into.insert(xml(text, "&apos;"));
        into.insert(xml(text, "&#x27;"));
    }
}

/// The characters of a base64 text that are decided by `value` alone, when it stands `shift` bytes after a
/// multiple of three and anything may stand before and after it.
fn base64_within(alphabet: &impl Engine, value: &[u8], shift: usize) -> Vec<u8> {
    let mut padded = vec![0; shift];
    padded.extend_from_slice(value);
    let first = (shift * 8).div_ceil(6);
    let end = padded.len() * 8 / 6;
    alphabet.encode(&padded).into_bytes().drain(first..end).collect()
}

fn hex(value: &[u8], digits: &[u8; 16]) -> Vec<u8> {
    value.iter().flat_map(|it| nibbles(*it, digits)).collect()
}

fn nibbles(byte: u8, digits: &[u8; 16]) -> [u8; 2] {
    [digits[usize::from(byte >> 4)], digits[usize::from(byte & 15)]]
}

fn percent(value: &[u8], keep: &[u8], digits: &[u8; 16]) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(value.len() * 3);
    for byte in value {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(byte) || keep.contains(byte) {
            encoded.push(*byte);
        } else {
            encoded.push(b'%');
            encoded.extend(nibbles(*byte, digits));
        }
    }
    encoded
}

/// The inside of a JSON string: as serde and JavaScript write it, with only ASCII (Python), with `\/` (PHP), and
/// with `<`, `>` and `&` escaped (Go).
fn json(text: &str, into: &mut BTreeSet<Vec<u8>>) {
    let quoted = serde_json::Value::from(text).to_string();
    let plain = quoted[1..quoted.len() - 1].to_owned();
    for upper in [false, true] {
        let ascii: String =
            plain.chars().map(|it| if it.is_ascii() { it.to_string() } else { unicode(it, upper) }).collect();
        into.insert(ascii.into_bytes());
        let html = |it| if matches!(it, '<' | '>' | '&') { unicode(it, upper) } else { it.to_string() };
        into.insert(plain.chars().map(html).collect::<String>().into_bytes());
    }
    into.insert(plain.replace('/', "\\/").into_bytes());
    into.insert(plain.into_bytes());
}

fn unicode(letter: char, upper: bool) -> String {
    let escape = |unit: &u16| if upper { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") };
    letter.encode_utf16(&mut [0; 2]).iter().map(escape).collect()
}

fn xml(text: &str, apostrophe: &str) -> Vec<u8> {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    escaped.replace('"', "&quot;").replace('\'', apostrophe).into_bytes()
}

fn replace(value: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = memchr::memmem::find(rest, from) {
        replaced.extend_from_slice(&rest[..at]);
        replaced.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    replaced.extend_from_slice(rest);
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(secret: &str, expected: &[&str]) {
        let found = forms(secret.as_bytes());
        for form in expected {
            assert!(
                found.contains(form.as_bytes()),
                "{form:?} is not among {:?}",
                found.iter().map(|it| String::from_utf8_lossy(it)).collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn every_encoding_is_a_form() {
        check(
            "a/b c\"d\u{e9}<",
            &[
                "a/b c\"d\u{e9}<",
                "612f62206322643c".replace("643c", "64c3a93c").as_str(),
                "a%2Fb%20c%22d%C3%A9%3C",
                "a%2fb%20c%22d%c3%a9%3c",
                "a/b+c%22d%C3%A9%3C",
                "a/b c\\\"d\u{e9}<",
                "a/b c\\\"d\\u00e9<",
                "a/b c\\\"d\\u00E9<",
                "a\\/b c\\\"d\u{e9}<",
                "a/b c\\\"d\u{e9}\\u003c",
                "a/b c&quot;d\u{e9}&lt;",
            ],
        );
        check("it's me", &["it'\\''s me", "it&#39;s me", "it%27s%20me", "it's%20me"]);
        check("smile \u{1f600}", &["smile \\ud83d\\ude00"]);
        check("line\nbreak\t", &["line\\nbreak\\t", "line\nbreak"]);
    }

    #[test]
    fn base64_is_found_at_any_shift() {
        let secret = b"pass\xff\xfe?word";
        for (before, after) in [(0, 0), (1, 0), (2, 1), (3, 2), (4, 3), (5, 5)] {
            let text = [&vec![b'x'; before][..], secret, &vec![b'y'; after]].concat();
            for encoded in [STANDARD.encode(&text), URL_SAFE.encode(&text)] {
                let found = forms(secret).iter().any(|it| memchr::memmem::find(encoded.as_bytes(), it).is_some());
                assert!(found, "{before} {after} {encoded}");
            }
        }
    }

    #[test]
    fn lines_count_from_eight_bytes_and_nothing_below_four() {
        let key = "-----BEGIN KEY-----\r\n  QUJDREVGR0g\nshort\n-----END KEY-----\n";
        let found = forms(key.as_bytes());
        assert!(found.contains(&b"QUJDREVGR0g"[..]) && found.contains(&b"-----BEGIN KEY-----"[..]));
        assert!(!found.contains(&b"short"[..]));
        assert!(forms(b" ab ").iter().all(|it| it.len() >= MIN_FORM));
    }
}
