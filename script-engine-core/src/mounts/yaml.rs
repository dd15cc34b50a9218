//! Writes values as YAML that every version of it reads alike: maps and lists as blocks, each text in double quotes or
//! as a literal block, so that none is taken for a number, a date or a truth value.

use serde_json::Value;

/// A value as one document.
pub(super) fn document(value: &Value) -> String {
    let mut text = String::new();
    block(&mut text, value, 0);
    text
}

/// Writes what is in a map or a list, a line each, `depth` levels in.
fn block(text: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                indent(text, depth);
                text.push_str(&self::key(key));
                text.push(':');
                below(text, value, depth);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                indent(text, depth);
                text.push('-');
                match item {
                    // The first line of what is in it stands behind the dash.
                    Value::Object(map) if !map.is_empty() => {
                        let mut inner = String::new();
                        block(&mut inner, item, depth + 1);
                        text.push(' ');
                        text.push_str(inner.trim_start_matches(' '));
                    }
                    _ => below(text, item, depth),
                }
            }
        }
        other => {
            text.push_str(&scalar(other));
            text.push('\n');
        }
    }
}

/// Writes a value behind its key or dash: on the same line, or as a block below it.
fn below(text: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            text.push('\n');
            block(text, value, depth + 1);
        }
        Value::Array(items) if !items.is_empty() => {
            text.push('\n');
            block(text, value, depth + 1);
        }
        Value::String(string) if is_literal(string) => {
            text.push_str(if string.ends_with('\n') { " |\n" } else { " |-\n" });
            for line in string.lines() {
                if !line.is_empty() {
                    indent(text, depth + 1);
                    text.push_str(line);
                }
                text.push('\n');
            }
        }
        other => {
            text.push(' ');
            text.push_str(&scalar(other));
            text.push('\n');
        }
    }
}

fn indent(text: &mut String, depth: usize) {
    text.extend(std::iter::repeat_n("  ", depth));
}

/// JSON is YAML but for characters that YAML takes in quotes by their number only.
fn scalar(value: &Value) -> String {
    let json = value.to_string();
    if !json.contains(is_special) {
        return json;
    }
    json.chars().map(|c| if is_special(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() }).collect()
}

/// A key as it is, if it can't be taken for anything else.
fn key(key: &str) -> String {
    const OTHERS: [&str; 10] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan"];
    let plain = key.starts_with(|c: char| c.is_ascii_alphabetic())
        && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !OTHERS.contains(&key.to_ascii_lowercase().as_str());
    if plain { key.to_owned() } else { scalar(&key.into()) }
}

/// Whether a text can stand as a literal block and be read as it was: several lines, of characters that need no
/// escape, the first of which shows the indentation, with at most one line end behind the last.
fn is_literal(text: &str) -> bool {
    text.trim_end_matches('\n').contains('\n')
        && !text.starts_with([' ', '\t', '\n'])
        && !text.ends_with("\n\n")
        && text.chars().all(|c| c == '\n' || c == '\t' || !(c.is_control() || is_special(c)))
}

/// Not printable to YAML, or a line end to some of its versions. JSON escapes those below U+0020 itself.
fn is_special(c: char) -> bool {
    matches!(c, '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}
