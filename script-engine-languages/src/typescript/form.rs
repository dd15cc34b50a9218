//! What a file's name says about the JavaScript or TypeScript in it, and the names of what is made of it.

use script_engine_core::EntryPoint;

/// Whether types have to be taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// They have.
    TypeScript,
    /// There are none: Node runs the source as it is.
    JavaScript,
}

/// How Node loads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Module {
    /// With `import`, `export` and `await` at top level.
    Ecma,
    /// With `require` and `module.exports`.
    CommonJs,
}

/// What the file's name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Form {
    /// JavaScript if the extension says so.
    pub(super) dialect: Dialect,
    /// `None` where the source decides.
    pub(super) module: Option<Module>,
}

impl Form {
    pub(super) fn of(entry_point: &EntryPoint) -> Self {
        let (dialect, module) = match entry_point.extension() {
            Some("mts") => (Dialect::TypeScript, Some(Module::Ecma)),
            Some("cts") => (Dialect::TypeScript, Some(Module::CommonJs)),
            Some("mjs") => (Dialect::JavaScript, Some(Module::Ecma)),
            Some("cjs") => (Dialect::JavaScript, Some(Module::CommonJs)),
            Some("js") => (Dialect::JavaScript, None),
            _ => (Dialect::TypeScript, None),
        };
        Self { dialect, module }
    }
}

/// The name of the JavaScript that is made of `entry_point`, beside it.
pub(super) fn made_name(entry_point: &EntryPoint, module: Module) -> String {
    let path = entry_point.as_str();
    let stem = match entry_point.extension() {
        Some(extension) => &path[..path.len() - extension.len() - 1],
        None => path,
    };
    // `.mts` without a name before the dot is a name of its own.
    let stem = if stem.is_empty() || stem.ends_with('/') { path } else { stem };
    let extension = match module {
        Module::Ecma => "mjs",
        Module::CommonJs => "cjs",
    };
    format!("{stem}.{extension}")
}

/// The last component of `entry_point`.
pub(super) fn file_name(entry_point: &EntryPoint) -> &str {
    let path = entry_point.as_str();
    path.rsplit('/').next().unwrap_or(path)
}

/// The path of `name` beside `entry_point`.
pub(super) fn beside(entry_point: &EntryPoint, name: &str) -> String {
    match entry_point.as_str().rsplit_once('/') {
        Some((folder, _)) => format!("{folder}/{name}"),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_is_in_a_file() {
        for (path, dialect, module, made) in [
            ("main.ts", Dialect::TypeScript, None, "main.mjs"),
            ("a.b/x.y.mts", Dialect::TypeScript, Some(Module::Ecma), "a.b/x.y.mjs"),
            ("a/.cts", Dialect::TypeScript, Some(Module::CommonJs), "a/.cts.mjs"),
            ("main", Dialect::TypeScript, None, "main.mjs"),
            ("main.js", Dialect::JavaScript, None, "main.mjs"),
            ("main.cjs", Dialect::JavaScript, Some(Module::CommonJs), "main.mjs"),
        ] {
            let entry_point = EntryPoint::parse(path).unwrap();
            assert_eq!(Form::of(&entry_point), Form { dialect, module }, "{path}");
            assert_eq!(made_name(&entry_point, Module::Ecma), made);
        }
        let nested = EntryPoint::parse("a/b/main.js").unwrap();
        assert_eq!((beside(&nested, "package.json").as_str(), file_name(&nested)), ("a/b/package.json", "main.js"));
    }
}
