//! Masking against a slow and obvious model, over random secrets and random chunks.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::*;

fn masker(secrets: &[&[u8]]) -> SecretMasker {
    SecretMasker::new(secrets).expect("secrets that can be masked")
}

#[track_caller]
fn check(secrets: &[&str], text: &str, expected: &str) {
    let secrets: Vec<&[u8]> = secrets.iter().map(|it| it.as_bytes()).collect();
    assert_eq!(masker(&secrets).mask_str(text), expected, "{secrets:?} in {text:?}");
    // Byte by byte gives the same.
    let mut stream = masker(&secrets).stream();
    let mut masked = Vec::new();
    for byte in text.as_bytes() {
        masked.extend_from_slice(&stream.push(Bytes::copy_from_slice(&[*byte])));
    }
    masked.extend_from_slice(&stream.finish());
    assert_eq!(String::from_utf8_lossy(&masked), expected, "{secrets:?} in {text:?}, byte by byte");
}

#[test]
fn secrets_are_replaced() {
    check(&["hunter2"], "the password is hunter2, ok", "the password is ***, ok");
    check(&["hunter2"], "hunter2", "***");
    check(&["hunter2"], "hunter", "hunter");
    check(&["hunter2"], "hhunter22", "h***2");
    check(&["hunter2\n"], "hunter2 and hunter2\n", "*** and ***");
    check(
        &["hunter2"],
        "aHVudGVyMg== 68756e74657232 68756E74657232",
        "***Mg== *** ***".replace("Mg==", "g==").as_str(),
    );
    check(&["p/ss w&rd"], "p%2Fss%20w%26rd p%2fss+w%26rd p\\/ss w&rd p/ss w&amp;rd", "*** *** *** ***");
    check(&["say \"hi\""], r#"{"a":"say \"hi\""}"#, r#"{"a":"***"}"#);
    check(&[], "hunter2", "hunter2");
}

#[test]
fn overlapping_and_touching_secrets_are_covered_whole() {
    check(&["abcdef", "defghi"], "xabcdefghix", "x***x");
    check(&["abcdefgh", "cdef"], "xabcdefg abcdefgh", "xab***g ***");
    check(&["abcd", "efgh"], "abcdefgh abcd efgh", "*** *** ***");
    check(&["aaaa"], "aaaaaaaaaaab", "***b");
    check(&["abcd", "bcde", "cdefgh"], "abcdefg", "***fg");
    check(&["abcdeabcdf", "deab"], "abcdeabcde", "abc***cde");
}

#[test]
fn a_key_is_masked_line_by_line() {
    let key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkq\nhkiG9w0BAQEFAASC\n-----END KEY-----\n";
    check(&[key], "  MIIEvQIBADANBgkq\r\n> hkiG9w0BAQEFAASC", "  ***\r\n> ***");
    check(&[key], &format!("key: {key}."), "key: ***.");
}

#[test]
fn nothing_is_held_but_the_beginning_of_a_form() {
    let mut stream = masker(&[b"hunter2"]).stream();
    assert_eq!(stream.push(Bytes::from_static(b"Continue? ")), "Continue? ");
    assert_eq!(stream.push(Bytes::from_static(b"hu")), "");
    assert_eq!(stream.push(Bytes::from_static(b"man hunt")), "human ");
    assert_eq!(stream.push(Bytes::from_static(b"er2")), "***");
    assert_eq!(stream.push(Bytes::from_static(b"hun")), "");
    assert_eq!(stream.finish(), "hun");
    assert_eq!(stream.push(Bytes::from_static(b"ter2")), "ter2", "the stream was finished");
}

#[test]
fn a_long_run_of_secrets_is_neither_held_nor_repeated() {
    let mut stream = masker(&[b"aaaa"]).stream();
    let mut masked = Vec::new();
    for _ in 0..1000 {
        masked.extend_from_slice(&stream.push(Bytes::from(vec![b'a'; 1000])));
        let scan = stream.scan.as_ref().expect("secrets");
        assert!(scan.held.len() < 16 && scan.parts.len() < 4, "{scan:?}");
    }
    masked.extend_from_slice(&stream.finish());
    assert_eq!(masked, b"***");
}

#[test]
fn bytes_without_a_secret_are_not_copied() {
    for masker in [masker(&[]), masker(&[b"hunter2"])] {
        let bytes = Bytes::from(vec![b'.'; 1000]);
        let passed = masker.stream().push(bytes.clone());
        assert_eq!((passed.as_ptr(), passed.len()), (bytes.as_ptr(), bytes.len()));
    }
}

#[test]
fn what_cannot_be_masked_is_refused() {
    let message = |values: &[&[u8]]| SecretMasker::new(values).expect_err("not maskable").to_string();
    assert_eq!(
        message(&[b"long enough", b"abc"]),
        "secrets: number 2 has less than 4 bytes and cannot be masked; use a longer one"
    );
    assert!(message(&[b"   a   "]).contains("less than 4"));
    assert!(message(&[&[b'x'; MAX_SECRET_BYTES + 1]]).contains("number 1 has 16385 bytes"));
    assert!(message(&[&[b'x'; MAX_SECRET_BYTES][..]; 5]).contains("number 5"));
}

#[test]
fn secrets_are_not_shown_by_debug() {
    let masker = masker(&[b"hunter2"]);
    let mut stream = masker.stream();
    stream.push(Bytes::from_static(b"hunter"));
    let shown = format!("{masker:?} {stream:?}");
    assert!(!shown.contains("hunt") && !shown.contains("104, 117"), "{shown}");
}

#[test]
fn json_is_masked_inside() {
    let value = serde_json::json!({ "hunter2": ["a hunter2", 1_234_567], "n": null });
    let masked = masker(&[b"hunter2", b"1234567"]).mask_json(&value);
    assert_eq!(masked, serde_json::json!({ "***": ["a ***", "***"], "n": null }));
}

/// Marks every occurrence of every form, and replaces each run of marked bytes.
fn model(secrets: &[Vec<u8>], text: &[u8]) -> Vec<u8> {
    let mut marked = vec![false; text.len()];
    for form in secrets.iter().flat_map(|it| forms(it)) {
        for (at, window) in text.windows(form.len()).enumerate() {
            if window == form {
                marked[at..at + form.len()].fill(true);
            }
        }
    }
    let mut masked = Vec::new();
    for (at, byte) in text.iter().enumerate() {
        if !marked[at] {
            masked.push(*byte);
        } else if at == 0 || !marked[at - 1] {
            masked.extend_from_slice(MASK.as_bytes());
        }
    }
    masked
}

fn secrets() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let narrow = || prop::collection::vec(prop::sample::select(b"ab\n ".to_vec()), 4..12);
    let wide = || prop::collection::vec(any::<u8>().prop_filter("not the mask", |it| *it != b'*'), 4..40);
    let valid = |it: &Vec<u8>| it.trim_ascii().len() >= 4;
    prop::collection::vec(prop_oneof![narrow(), wide()].prop_filter("too short", valid), 1..4)
}

/// Pieces of a text: noise, secrets, halves of secrets, encodings.
fn texts() -> impl Strategy<Value = (Vec<Vec<u8>>, Vec<u8>, Vec<usize>)> {
    let piece = (
        0..6u8,
        any::<prop::sample::Index>(),
        prop::collection::vec(prop::sample::select(b"ab \nxyz=%".to_vec()), 0..10),
    );
    let pieces = prop::collection::vec(piece, 0..12);
    (secrets(), pieces, prop::collection::vec(1..20usize, 1..8)).prop_map(|(secrets, pieces, chunks)| {
        let mut text = Vec::new();
        for (kind, index, noise) in pieces {
            let secret = index.get(&secrets);
            match kind {
                0 => text.extend_from_slice(&noise),
                1 => text.extend_from_slice(secret),
                2 => text.extend_from_slice(&secret[..index.index(secret.len())]),
                3 => text.extend_from_slice(&secret[index.index(secret.len())..]),
                4 => text.extend(STANDARD.encode([&noise, &secret[..], &noise].concat()).into_bytes()),
                _ => {
                    let all: Vec<_> = forms(secret).into_iter().collect();
                    text.extend_from_slice(&all[index.index(all.len())]);
                }
            }
        }
        (secrets, text, chunks)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_chunks_give_what_the_model_gives((secrets, text, chunks) in texts()) {
        let masker = SecretMasker::new(&secrets).expect("maskable");
        let expected = model(&secrets, &text);
        prop_assert_eq!(masker.mask_once(&text), &expected[..]);
        let mut stream = masker.stream();
        let mut masked = Vec::new();
        let mut rest = Bytes::from(text);
        for size in chunks.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            masked.extend_from_slice(&stream.push(rest.split_to((*size).min(rest.len()))));
            // All but what begins a form has been passed on.
            let scan = stream.scan.as_ref().expect("secrets");
            prop_assert!(scan.held.len() <= scan.automata.depth(scan.state));
        }
        masked.extend_from_slice(&stream.finish());
        prop_assert_eq!(&masked, &expected);
        for form in secrets.iter().flat_map(|it| forms(it)) {
            prop_assert!(memchr::memmem::find(&masked, &form).is_none());
        }
    }
}
