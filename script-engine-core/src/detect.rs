//! Which language a script is in: what was asked for, its file's extension and its `#!` line, which
//! must not contradict each other. Pure; looks at nothing but what it is given.

use crate::contract::LanguageInfo;
use crate::{EntryPoint, Error, LanguageId, Result};

/// A `#!` line, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashBang {
    /// The program's file name: `python3` of `#!/usr/bin/env -S python3 -u`.
    pub program: String,
    /// The words after it.
    pub arguments: Vec<String>,
}

impl HashBang {
    /// Reads the first line of `source`, after a UTF-8 byte order mark if there is one. `None` if it is no `#!` line
    /// or names no program.
    #[must_use]
    pub fn read(source: &[u8]) -> Option<Self> {
        let source = source.strip_prefix(b"\xef\xbb\xbf").unwrap_or(source);
        let line = source.strip_prefix(b"#!")?;
        // The kernel reads 255 bytes; nobody means more.
        let line = line.get(..255).unwrap_or(line).split(|byte| *byte == b'\n').next()?;
        let line = String::from_utf8_lossy(line).into_owned();
        let mut words = line.split_whitespace();
        let mut program = file_name(words.next()?);
        if program == "env" {
            // Options of `env` and variables it sets come before the program.
            program = file_name(words.find(|it| !it.starts_with('-') && !it.contains('='))?);
        }
        Some(Self { program: program.to_owned(), arguments: words.map(str::to_owned).collect() })
    }

    /// Whether the program is one of `info`'s interpreters, with or without a version: `python3.12`.
    fn means(&self, info: &LanguageInfo) -> bool {
        let plain = self.program.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
        info.interpreters.iter().any(|it| *it == self.program || it == plain)
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Finds the language of a script: the one asked for (by its id, its title, or an extension or interpreter of it), else the one of
/// the extension, else the one of the `#!` line. An extension that no language has says nothing; an interpreter is refused,
/// since the script is not written for the one that would run it.
///
/// Fails with `InvalidRequest` if two of them contradict each other, if none says anything, or if what was asked for
/// does not exist; the message names what was found and what to do.
pub fn detect<'a>(
    asked: Option<&LanguageId>,
    entry_point: Option<&EntryPoint>,
    source: &[u8],
    languages: impl IntoIterator<Item = &'a LanguageInfo> + Clone,
) -> Result<&'a LanguageInfo> {
    let find = |has: &dyn Fn(&LanguageInfo) -> bool| languages.clone().into_iter().find(|it| has(it));
    let mut said: Vec<(String, &LanguageInfo)> = Vec::new();
    if let Some(asked) = asked {
        let info = find(&|it| it.id == *asked)
            .or_else(|| find(&|it| is_called(it, asked.as_str())))
            .ok_or_else(|| Error::invalid("language", unknown(asked, languages.clone())))?;
        said.push((format!("the request says `{asked}`"), info));
    }
    let extension = entry_point.and_then(EntryPoint::extension).map(str::to_ascii_lowercase);
    if let Some(extension) = &extension
        && let Some(info) = find(&|it| it.extensions.contains(extension))
    {
        said.push((format!("the extension `.{extension}` means {}", info.id), info));
    }
    let line = HashBang::read(source);
    if let Some(line) = &line
        && let Some(info) = find(&|it| line.means(it))
    {
        said.push((format!("the `#!` line names {}, which means {}", line.program.escape_debug(), info.id), info));
    }
    let Some((first, info)) = said.first() else {
        let line = line.map(|it| format!(" and its `#!` line names {}", it.program.escape_debug())).unwrap_or_default();
        let file = entry_point.map_or("no file name was given".to_owned(), |it| format!("the file is `{it}`"));
        return Err(Error::invalid(
            "language",
            format!("can't be told: {file}{line}; say which it is: {}", known(languages)),
        ));
    };
    if let Some((second, _)) = said.iter().find(|(_, other)| other.id != info.id) {
        let message = format!("{first}, but {second}; change one of them so that they agree");
        return Err(Error::invalid("language", message));
    }
    match line.filter(|it| !it.means(info) && !info.interpreters.is_empty()) {
        None => Ok(info),
        Some(line) => {
            let (program, known) = (line.program.escape_debug(), info.interpreters.join(", "));
            let message = format!(
                "{first}, but the `#!` line names {program}, which runs no script here; take the line off, or name one \
                 of {known}"
            );
            Err(Error::invalid("language", message))
        }
    }
}

fn is_called(info: &LanguageInfo, name: &str) -> bool {
    info.title.to_lowercase().split('/').any(|it| it == name)
        || info.extensions.iter().chain(&info.interpreters).any(|it| it == name)
}

fn unknown<'a>(asked: &LanguageId, languages: impl IntoIterator<Item = &'a LanguageInfo>) -> String {
    format!("`{asked}` is not a language this engine knows; choose one of {}", known(languages))
}

fn known<'a>(languages: impl IntoIterator<Item = &'a LanguageInfo>) -> String {
    let each = |it: &LanguageInfo| {
        let extensions: Vec<String> = it.extensions.iter().map(|it| format!(".{it}")).collect();
        format!("{} ({})", it.id, extensions.join(" "))
    };
    let all: Vec<String> = languages.into_iter().map(each).collect();
    if all.is_empty() { "(none is registered)".to_owned() } else { all.join(", ") }
}

/// Names what is wrong with a source whatever its language: nothing in it, or too much.
pub fn check_source(source: &[u8]) -> Result<()> {
    if source.len() > crate::script::MAX_SOURCE {
        let message = format!(
            "is {} bytes long; at most {} (10 MiB) are accepted: keep data in files or parameters",
            source.len(),
            crate::script::MAX_SOURCE
        );
        return Err(Error::invalid("source", message));
    }
    let text = source.strip_prefix(b"\xef\xbb\xbf").unwrap_or(source);
    if text.iter().all(u8::is_ascii_whitespace) {
        return Err(Error::invalid("source", "is empty; give the script's text"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Requirement;
    use crate::{ErrorKind, LimitOverrides, Limits};

    fn language(id: &str, title: &str, extensions: &[&str], interpreters: &[&str]) -> LanguageInfo {
        let all = |it: &[&str]| it.iter().map(ToString::to_string).collect();
        LanguageInfo {
            id: LanguageId::parse(id).unwrap(),
            title: title.into(),
            extensions: all(extensions),
            interpreters: all(interpreters),
            entry_point: EntryPoint::parse("main").unwrap(),
            limits: Limits::default(),
            step_limits: LimitOverrides::default(),
            requirement: Requirement { least: "1".into(), mend: String::new() },
            image: String::new(),
            env: Vec::new(),
            code_variables: Vec::new(),
            packages_dir: "/packages".into(),
        }
    }

    #[track_caller]
    fn check(asked: &str, file: &str, source: &str, expect: std::result::Result<&str, &str>) {
        let languages = [
            language("bash", "Bash", &["sh", "bash"], &["bash", "sh"]),
            language("python", "Python", &["py"], &["python", "python3"]),
            language("typescript", "TypeScript/JavaScript", &["ts", "js"], &["node"]),
            language("go", "Go", &["go"], &[]),
        ];
        let asked = (!asked.is_empty()).then(|| LanguageId::parse(asked).unwrap());
        let file = (!file.is_empty()).then(|| EntryPoint::parse(file).unwrap());
        let found = detect(asked.as_ref(), file.as_ref(), source.as_bytes(), &languages);
        match (found, expect) {
            (Ok(found), Ok(expect)) => assert_eq!(found.id.as_str(), expect),
            (Err(error), Err(expect)) => {
                assert_eq!(error.kind(), ErrorKind::InvalidRequest);
                assert_eq!(error.problems()[0].field, "language");
                assert!(error.to_string().contains(expect), "{error}");
            }
            (found, expect) => panic!("{:?}, not {expect:?}", found.map(|it| &it.id)),
        }
    }

    #[test]
    fn the_request_then_the_extension_then_the_line_decide() {
        check("python", "", "", Ok("python"));
        check("javascript", "", "", Ok("typescript"));
        check("py", "", "", Ok("python"));
        check("", "a.sh", "", Ok("bash"));
        check("", "a.PY", "", Ok("python"));
        check("", "a/b.tar.ts", "", Ok("typescript"));
        check("", "", "#!/bin/sh\n", Ok("bash"));
        check("", "", "\u{feff}#! /usr/bin/env python3.12\r\nx", Ok("python"));
        check("", "script", "#!/usr/bin/env -S A=1 node --flag\n", Ok("typescript"));
        check("python", "a.txt", "#!/opt/python3.13\n", Ok("python"));
        check("go", "", "#!/usr/bin/anything\n", Ok("go"));
    }

    #[test]
    fn contradictions_and_silence_are_errors_that_name_the_way_out() {
        check("python", "a.sh", "", Err("the request says `python`, but the extension `.sh` means bash; change one"));
        check("", "a.py", "#!/bin/bash\n", Err("`.py` means python, but the `#!` line names bash, which means bash"));
        check("bash", "", "#!/usr/bin/env node\n", Err("says `bash`, but the `#!` line names node"));
        check(
            "cobol",
            "a.sh",
            "",
            Err("`cobol` is not a language this engine knows; choose one of bash (.sh .bash), py"),
        );
        check(
            "",
            "a.sh",
            "#!/bin/zsh\n",
            Err("means bash, but the `#!` line names zsh, which runs no script here; take"),
        );
        check(
            "python",
            "a.txt",
            "#!/usr/bin/perl\n",
            Err("names perl, which runs no script here; take the line off, or name one of python, python3"),
        );
        check("", "a.txt", "x", Err("the file is `a.txt`; say which it is: bash"));
        check("", "", "#!/usr/bin/perl -w\n", Err("no file name was given and its `#!` line names perl; say"));
        check("", "", "#!\n", Err("can't be told"));
        check("", "", "#!/usr/bin/env\n", Err("can't be told"));
    }

    #[test]
    fn the_line_is_taken_apart() {
        let read = |it: &str| HashBang::read(it.as_bytes()).map(|it| (it.program, it.arguments.join("|")));
        assert_eq!(read("#!/bin/bash -eu\nx"), Some(("bash".into(), "-eu".into())));
        assert_eq!(read("#!/usr/bin/env -S bash -e -o pipefail"), Some(("bash".into(), "-e|-o|pipefail".into())));
        assert_eq!(read(&format!("#!/bin/{}", "x".repeat(9000))).unwrap().0.len(), 250);
        assert_eq!(read(" #!/bin/sh"), None);
    }

    #[test]
    fn empty_and_huge_sources_are_refused() {
        assert!(check_source(b"x").is_ok());
        for (source, expect) in [
            (b"".to_vec(), "is empty"),
            (b"\xef\xbb\xbf \r\n\t".to_vec(), "is empty"),
            (vec![b'x'; 20 << 20], "10 MiB"),
        ] {
            let error = check_source(&source).unwrap_err();
            assert_eq!(error.problems()[0].field, "source");
            assert!(error.to_string().contains(expect), "{error}");
        }
    }
}
