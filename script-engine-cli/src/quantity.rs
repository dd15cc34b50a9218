//! Durations, sizes and shares as people write them on a command line.

use std::time::Duration;

use jiff::SignedDuration;

/// Reads a duration: `30s`, `5m`, `1h30m`, `250ms`, or a plain number of seconds.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let seconds = text.trim_start_matches('-');
    let plain = !seconds.is_empty() && seconds.bytes().all(|byte| byte.is_ascii_digit());
    let signed: SignedDuration = if plain { format!("{text}s").parse() } else { text.parse() }
        .map_err(|_| "is not a duration; write for example 30s, 5m or 1h30m".to_owned())?;
    match Duration::try_from(signed) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        Ok(_) => Err("is zero; give at least 1ms".to_owned()),
        Err(_) => Err("is negative; give at least 1ms".to_owned()),
    }
}

/// Reads a size in bytes: a number with `k`, `m`, `g` or `t`, which are powers of 1024 as Docker reads
/// them, with or without `b` or `ib` behind.
pub(crate) fn size(text: &str) -> Result<u64, String> {
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

/// Reads a number of cpus such as `0.5`, in thousandths.
pub(crate) fn cpus(text: &str) -> Result<u32, String> {
    let bad = || "is not a number of cpus; write for example 0.5 or 2".to_owned();
    let value: f64 = text.parse().map_err(|_| bad())?;
    if !value.is_finite() || value <= 0.0 || value > 1_000_000.0 {
        return Err(bad());
    }
    // In range by the check above.
    Ok((value * 1000.0).round() as u32)
}

/// Reads `NAME=VALUE`.
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("is not NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, expect) in [("30s", 30_000), ("5m", 300_000), ("1h30m", 5_400_000), ("250ms", 250), ("7", 7_000)] {
            assert_eq!(duration(text), Ok(Duration::from_millis(expect)), "{text}");
        }
        for (text, part) in
            [("0", "zero"), ("0s", "zero"), ("-5s", "negative"), ("-5", "negative"), ("", "not a"), ("soon", "not a")]
        {
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
    fn shares_and_pairs() {
        assert_eq!((cpus("0.5"), cpus("2")), (Ok(500), Ok(2000)));
        for text in ["0", "-1", "NaN", "inf", "x"] {
            assert!(cpus(text).is_err(), "{text}");
        }
        assert_eq!(pair("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert!(pair("=b").is_err() && pair("a").is_err());
    }
}
