//! The `#` lines by which a script says what it needs: `#r "nuget: …"` of script files, `#:package` and its kin of
//! file-based apps.

/// What a `#` line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Directive {
    /// A package and which of its versions will do; empty for any.
    Package { name: String, requirement: String },
    /// A setting of the build, as it stands after `#:`; only a .NET 10 SDK knows what to do with it.
    Build(String),
    /// Nothing that the compiler is to see: `#!`, `#region`, the default SDK.
    Nothing,
    /// Something for the compiler.
    Compiler,
}

/// Reads a `#` line. `first` says that it is the first line of all. Fails with what is wrong and what to do.
pub(super) fn read(line: &str, first: bool) -> Result<Directive, String> {
    let rest = line.strip_prefix('#').unwrap_or(line);
    if let Some(rest) = rest.strip_prefix(':') {
        return app_directive(rest);
    }
    if rest.starts_with('!') && first {
        return Ok(Directive::Nothing);
    }
    let rest = rest.trim_start();
    let (word, rest) = rest.split_at(rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len()));
    match word {
        "r" => reference(rest.trim()),
        "load" => Err("`#load` is not supported, for a script is one file; put the other file's text into it".into()),
        "region" | "endregion" => Ok(Directive::Nothing),
        _ => Ok(Directive::Compiler),
    }
}

/// `#r "nuget: Name, Version"`.
fn reference(rest: &str) -> Result<Directive, String> {
    const FORM: &str = "write `#r \"nuget: Name, Version\"`";
    let quoted = rest.strip_prefix('"').and_then(|it| it.split_once('"'));
    let Some((inside, after)) = quoted else { return Err(format!("`#r` without a quoted reference; {FORM}")) };
    if !(after.trim().is_empty() || after.trim_start().starts_with("//")) {
        return Err(format!("`#r` with more than one reference; {FORM}"));
    }
    let Some((scheme, package)) = inside.split_once(':').filter(|it| it.0.trim().eq_ignore_ascii_case("nuget")) else {
        return Err(format!("`#r` of an assembly file, which a sandbox does not have; {FORM}"));
    };
    debug_assert!(!scheme.is_empty());
    let (name, requirement) = package.split_once(',').unwrap_or((package, ""));
    named(name, requirement).ok_or_else(|| format!("`#r` that names no package; {FORM}"))
}

/// `#:package Name@Version`, `#:sdk Name`, `#:property Name=Value`, `#:project Path`.
fn app_directive(rest: &str) -> Result<Directive, String> {
    let (kind, value) = rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len()));
    let value = value.trim();
    match kind {
        "package" => {
            let (name, requirement) = value.split_once('@').unwrap_or((value, ""));
            named(name, requirement)
                .ok_or_else(|| "`#:package` that names no package; write `#:package Name@Version`".into())
        }
        "sdk" if value == "Microsoft.NET.Sdk" => Ok(Directive::Nothing),
        "sdk" => Err(format!("`#:sdk` asks for `{}`; only `Microsoft.NET.Sdk` is supported", shown(value))),
        "property" if is_property(value) => Ok(Directive::Build(format!("property {value}"))),
        "property" => Err("`#:property` that names no property; write `#:property Name=Value`".into()),
        "project" => Err("`#:project` is not supported, for a script is one file".into()),
        other => Err(format!("`#:{}` is not known; there are `#:package`, `#:property` and `#:sdk`", shown(other))),
    }
}

fn named(name: &str, requirement: &str) -> Option<Directive> {
    let (name, requirement) = (name.trim(), requirement.trim());
    let whole = !name.is_empty() && !name.contains(char::is_whitespace);
    whole.then(|| Directive::Package { name: name.to_owned(), requirement: requirement.to_owned() })
}

fn is_property(value: &str) -> bool {
    let plain = |it: &str| !it.is_empty() && it.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.');
    value.split_once('=').is_some_and(|(name, _)| plain(name.trim()))
}

fn shown(text: &str) -> String {
    text.chars().take(60).collect::<String>().escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expect: Result<Directive, &str>) {
        match (read(line, false), expect) {
            (Ok(found), Ok(expect)) => assert_eq!(found, expect, "{line}"),
            (Err(found), Err(expect)) => assert!(found.contains(expect), "{line}: {found}"),
            (found, _) => panic!("{line}: {found:?}"),
        }
    }

    #[test]
    fn lines_are_read_as_their_tools_do() {
        let package = |name: &str, requirement: &str| {
            Ok(Directive::Package { name: name.into(), requirement: requirement.into() })
        };
        check("#r \"nuget: Newtonsoft.Json, 13.0.3\"", package("Newtonsoft.Json", "13.0.3"));
        check("# r \"NuGet:Dapper\" // a database", package("Dapper", ""));
        check("#r \"nuget: A, [1.0,2.0)\"", package("A", "[1.0,2.0)"));
        check("#r \"nuget:\"", Err("names no package"));
        check("#r \"nuget: A B, 1\"", Err("names no package"));
        check("#r \"lib/My.dll\"", Err("assembly file"));
        check("#r nuget", Err("quoted"));
        check("#r \"nuget: A\", \"nuget: B\"", Err("more than one"));
        check("#load \"other.csx\"", Err("one file"));
        check("#:package Npgsql@8.0.0", package("Npgsql", "8.0.0"));
        check("#:package  Npgsql@8.*", package("Npgsql", "8.*"));
        check("#:package Npgsql", package("Npgsql", ""));
        check("#:package", Err("names no package"));
        check("#:sdk Microsoft.NET.Sdk", Ok(Directive::Nothing));
        check("#:sdk Microsoft.NET.Sdk.Web", Err("only `Microsoft.NET.Sdk`"));
        check("#:property LangVersion=preview", Ok(Directive::Build("property LangVersion=preview".into())));
        check("#:property x", Err("Name=Value"));
        check("#:project ../x", Err("one file"));
        check("#:what", Err("not known"));
        check("#pragma warning disable", Ok(Directive::Compiler));
        check("#region x", Ok(Directive::Nothing));
        check("#!/bin/x", Ok(Directive::Compiler));
        assert_eq!(read("#!/usr/bin/env dotnet", true), Ok(Directive::Nothing));
    }
}
