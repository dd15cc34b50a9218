//! Decides which language a source is in: what the caller says, else the file's extension, else the
//! `#!` line. Where they disagree the caller decides, by an error that names both.

use crate::contract::LanguageInfo;
use crate::{EntryPoint, Error, LanguageId, Result};

/// The longest `#!` line that is read.
const MAX_LINE: usize = 256;

/// Gives the language. Fails with `InvalidRequest` about `language` that says what to do.
pub fn detect(
    named: Option<&LanguageId>,
    entry_point: Option<&EntryPoint>,
    source: &[u8],
    languages: &[&LanguageInfo],
) -> Result<LanguageId> {
    let extension = entry_point.and_then(EntryPoint::extension);
    let by_extension =
        extension.and_then(|it| languages.iter().find(|info| info.extensions.iter().any(|own| own == it)));
    let line = hash_bang(source)?;
    let by_line =
        line.as_deref().and_then(|it| languages.iter().find(|info| info.interpreters.iter().any(|own| own == it)));
    if let (Some(interpreter), None) = (&line, by_line) {
        let known: Vec<&str> = languages.iter().flat_map(|it| it.interpreters.iter().map(String::as_str)).collect();
        let message =
            format!("the `#!` line asks for {interpreter:?}, which is not known; use one of {}", known.join(", "));
        return Err(Error::invalid("language", message));
    }
    let signs: Vec<(&str, &LanguageId)> = [
        named.map(|it| ("the request", it)),
        by_extension.map(|it| ("the file extension", &it.id)),
        by_line.map(|it| ("the `#!` line", &it.id)),
    ]
    .into_iter()
    .flatten()
    .collect();
    let Some((first, language)) = signs.first() else {
        let names: Vec<&str> = languages.iter().map(|it| it.id.as_str()).collect();
        let message = format!(
            "is not said, and neither the file extension nor a `#!` line tells it; name one of {}",
            names.join(", ")
        );
        return Err(Error::invalid("language", message));
    };
    match signs.iter().find(|(_, other)| other != language) {
        None => Ok((*language).clone()),
        Some((second, other)) => {
            let message = format!("{first} says {language} and {second} says {other}; make them agree");
            Err(Error::invalid("language", message))
        }
    }
}

/// The program that a `#!` line names, without its folder; `env` and its options are passed over.
fn hash_bang(source: &[u8]) -> Result<Option<String>> {
    let source = source.strip_prefix(b"\xef\xbb\xbf").unwrap_or(source);
    let Some(rest) = source.strip_prefix(b"#!") else { return Ok(None) };
    let line = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let bad =
        || Error::invalid("source", "begins with a `#!` line that can't be read; write `#!` and a program's path");
    if line.len() > MAX_LINE {
        return Err(bad());
    }
    let line = std::str::from_utf8(line).map_err(|_| bad())?;
    let name = |word: &str| word.rsplit('/').next().unwrap_or_default().to_owned();
    let mut words = line.split_whitespace();
    let first = words.next().map(name).ok_or_else(bad)?;
    if first != "env" {
        return Ok(Some(first));
    }
    words.find(|word| !word.starts_with('-') && !word.contains('=')).map(name).map(Some).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    fn info(id: &str, extension: &str, interpreters: &[&str]) -> LanguageInfo {
        LanguageInfo {
            id: LanguageId::parse(id).unwrap(),
            title: id.into(),
            extensions: vec![extension.into()],
            interpreters: interpreters.iter().map(|it| (*it).to_owned()).collect(),
            entry_point: EntryPoint::parse("main").unwrap(),
            limits: Limits::default(),
            image: String::new(),
            env: Vec::new(),
        }
    }

    #[track_caller]
    fn check(named: Option<&str>, file: Option<&str>, source: &str, expect: Result<&str, &str>) {
        let languages = [info("bash", "sh", &["sh", "bash"]), info("python", "py", &["python3"])];
        let named = named.map(|it| LanguageId::parse(it).unwrap());
        let file = file.map(|it| EntryPoint::parse(it).unwrap());
        let found = detect(named.as_ref(), file.as_ref(), source.as_bytes(), &languages.iter().collect::<Vec<_>>());
        match (found, expect) {
            (Ok(found), Ok(expect)) => assert_eq!(found.as_str(), expect),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (found, expect) => panic!("{found:?}, expected {expect:?}"),
        }
    }

    #[test]
    fn signs_decide_and_must_agree() {
        check(Some("python"), None, "", Ok("python"));
        check(None, Some("a.sh"), "", Ok("bash"));
        check(None, Some("a.txt"), "#!/usr/bin/env -S python3 -u\n", Ok("python"));
        check(None, None, "#!/bin/sh", Ok("bash"));
        check(None, None, "\u{feff}#!/bin/sh", Ok("bash"));
        check(Some("python"), Some("a.py"), "#!/usr/bin/python3\n", Ok("python"));
        check(Some("python"), Some("a.sh"), "", Err("the request says python and the file extension says bash"));
        check(None, Some("a.py"), "#!/bin/bash\n", Err("the file extension says python and the `#!` line says bash"));
        check(None, Some("a.py"), "#!/usr/bin/perl\n", Err("\"perl\", which is not known"));
        check(None, None, "print(1)", Err("name one of bash, python"));
        check(None, None, "#!\n", Err("can't be read"));
    }
}
