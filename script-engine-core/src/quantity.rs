//! Durations, sizes and shares as people write them: on a command line and in settings.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer};

/// Reads a duration: `30s`, `5m`, `1h30m`, `250ms`, `7d`, or a plain number of seconds. Fails with a lower-case fragment that
/// says what is wrong.
pub fn duration(text: &str) -> Result<Duration, String> {
    let bad = || "is not a duration; write for example 30s, 5m or 1h30m".to_owned();
    if text.strip_prefix('-').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())) {
        return Err("is negative; give at least 1ms".to_owned());
    }
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let number: u64 = rest[..digits].parse().map_err(|_| bad())?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let millis = match &rest[..letters] {
            "" if digits == text.len() => 1000,
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(bad()),
        };
        rest = &rest[letters..];
        let part = number.checked_mul(millis).map(Duration::from_millis);
        total = part.and_then(|it| total.checked_add(it)).ok_or_else(bad)?;
    }
    match total {
        _ if text.is_empty() => Err(bad()),
        Duration::ZERO => Err("is zero; give at least 1ms".to_owned()),
        total => Ok(total),
    }
}

/// Reads a size in bytes: a number with `k`, `m`, `g` or `t`, which are powers of 1024 as Docker reads
/// them, with or without `b` or `ib` behind. Fails with a lower-case fragment that says what is wrong.
pub fn size(text: &str) -> Result<u64, String> {
    let bad = || "is not a size; write for example 256m or 1g".to_owned();
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.find(|c: char| !c.is_ascii_digit()).unwrap_or(lower.len());
    let (number, unit) = lower.split_at(digits);
    let number: u64 = number.parse().map_err(|_| bad())?;
    let shift = match unit.strip_suffix("ib").or_else(|| unit.strip_suffix('b')).unwrap_or(unit) {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return Err(bad()),
    };
    number.checked_mul(1 << shift).ok_or_else(|| "is larger than any machine; give less".to_owned())
}

/// Reads a number of cpus such as `0.5`, in thousandths. Fails with a lower-case fragment that says what is wrong.
pub fn cpus(text: &str) -> Result<u32, String> {
    let bad = || "is not a number of cpus; write for example 0.5 or 2".to_owned();
    let value: f64 = text.parse().map_err(|_| bad())?;
    if !value.is_finite() || value <= 0.0 || value > 1_000_000.0 {
        return Err(bad());
    }
    // In range by the check above.
    Ok((value * 1000.0).round() as u32)
}

/// A value in settings, which formats with numbers give as one.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Text(String),
    Number(f64),
}

fn read<'de, T, D: Deserializer<'de>>(from: D, parse: fn(&str) -> Result<T, String>) -> Result<Option<T>, D::Error> {
    let text = match Option::<Written>::deserialize(from)? {
        None => return Ok(None),
        Some(Written::Text(text)) => text,
        Some(Written::Number(number)) => number.to_string(),
    };
    parse(&text).map(Some).map_err(|problem| serde::de::Error::custom(format!("`{}` {problem}", text.escape_debug())))
}

fn write<S: Serializer>(text: Option<String>, to: S) -> Result<S::Ok, S::Error> {
    match text {
        Some(text) => to.serialize_some(&text),
        None => to.serialize_none(),
    }
}

/// A duration in settings, as text.
pub(crate) mod duration_text {
    use super::{Deserializer, Duration, Serializer};

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
        super::read(from, super::duration)
    }

    pub(crate) fn serialize<S: Serializer>(value: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
        super::write(value.map(|it| format!("{}ms", it.as_millis())), to)
    }
}

/// A size in settings, as text.
pub(crate) mod size_text {
    use super::{Deserializer, Serializer};

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
        super::read(from, super::size)
    }

    pub(crate) fn serialize<S: Serializer>(value: &Option<u64>, to: S) -> Result<S::Ok, S::Error> {
        super::write(value.map(|it| it.to_string()), to)
    }
}

/// A number of cpus in settings, as text.
pub(crate) mod cpus_text {
    use super::{Deserializer, Serializer};

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
        super::read(from, super::cpus)
    }

    pub(crate) fn serialize<S: Serializer>(value: &Option<u32>, to: S) -> Result<S::Ok, S::Error> {
        super::write(value.map(|it| (f64::from(it) / 1000.0).to_string()), to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, expect) in
            [("30s", 30_000), ("5m", 300_000), ("1h30m", 5_400_000), ("250ms", 250), ("7", 7_000), ("1d", 86_400_000)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(expect)), "{text}");
        }
        for (text, part) in [
            ("0", "zero"),
            ("0s", "zero"),
            ("-5s", "negative"),
            ("-5", "negative"),
            ("", "not a"),
            ("soon", "not a"),
            ("5 m", "not a"),
            ("1h30", "not a"),
            ("99999999999999999999s", "not a"),
            ("9999999999999999999d", "not a"),
        ] {
            assert!(duration(text).unwrap_err().contains(part), "{text}");
        }
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        for (text, expect) in [("512m", 512 << 20), ("1g", 1 << 30), ("1GiB", 1 << 30), ("64kb", 64 << 10), ("7", 7)] {
            assert_eq!(size(text), Ok(expect), "{text}");
        }
        for text in ["", "m", "1x", "-1", "1.5g", "99999999999999999999", "99999999999t"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn shares() {
        assert_eq!((cpus("0.5"), cpus("2")), (Ok(500), Ok(2000)));
        for text in ["0", "-1", "NaN", "inf", "x"] {
            assert!(cpus(text).is_err(), "{text}");
        }
    }
}
