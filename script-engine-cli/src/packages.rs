//! `script-engine lock` and `deps search`: the packages of a script, and of an index.

use std::process::ExitCode;

use script_engine::packages::{DependencyLock, PackageSummary};
use script_engine::{Engine, Identity, LanguageId, ScriptDraft, Shutdown};

use crate::arguments::{LockArguments, SearchArguments};
use crate::inputs::draft_of;
use crate::run::explained;
use crate::{engine, exit, terminal};

/// Says which packages a script gets. Gives 0, or 125 with a message on stderr.
pub(crate) async fn lock(arguments: LockArguments) -> ExitCode {
    let draft = match draft_of(&arguments.file, arguments.language.as_deref()) {
        Ok(draft) => draft,
        Err(problems) => return exit::fail(&problems.join("\nscript-engine: ")),
    };
    let progress = terminal::Progress::begin("looking for packages");
    let engine = match engine::build(&arguments.engine, arguments.upgrade).await {
        Ok(engine) => engine,
        Err(error) => return progress.fail(&explained(&error)),
    };
    progress.follow(&engine);
    let locked = locked(&engine, &draft).await;
    progress.end();
    engine.shutdown(Shutdown::Drain).await;
    let written = match locked {
        Err(message) => return exit::fail(&message),
        Ok(None) if arguments.json => terminal::print("null\n"),
        Ok(None) => terminal::print("no packages\n"),
        Ok(Some(text)) if arguments.json => terminal::print(&format!("{}\n", text.0)),
        Ok(Some(text)) => terminal::print(&text.1),
    };
    // A closed pipe has nobody to tell.
    drop(written);
    ExitCode::SUCCESS
}

/// The lock as JSON and for people.
async fn locked(engine: &Engine, draft: &ScriptDraft) -> Result<Option<(String, String)>, String> {
    let lock = engine.lock(&Identity::default(), draft).await.map_err(|error| explained(&error))?;
    let Some(lock) = lock else { return Ok(None) };
    let json = lock.to_json().map_err(|error| explained(&error))?;
    Ok(Some((json, table(&lock))))
}

/// A line for each package: name, version, scope, hash, what needs it.
fn table(lock: &DependencyLock) -> String {
    let name = lock.packages.iter().map(|it| it.name.len()).max().unwrap_or_default();
    let version = lock.packages.iter().map(|it| it.version.len()).max().unwrap_or_default();
    let mut text = format!("{} for {}\n", lock.digest.short(), lock.platform);
    for it in &lock.packages {
        let hash = it.hashes.first().map_or("no hash", String::as_str);
        text.push_str(&format!("{:<name$}  {:<version$}  {:<7}  {hash}\n", it.name, it.version, it.scope.as_str()));
    }
    text
}

/// Looks packages up. Gives 0, or 125 with a message on stderr.
pub(crate) async fn search(arguments: SearchArguments) -> ExitCode {
    let language = match LanguageId::parse(&arguments.language.to_lowercase()) {
        Ok(language) => language,
        Err(error) => return exit::fail(&error.to_string()),
    };
    let progress = terminal::Progress::begin("asking the index");
    let engine = match engine::build(&arguments.engine, false).await {
        Ok(engine) => engine,
        Err(error) => return progress.fail(&explained(&error)),
    };
    progress.follow(&engine);
    let found = engine.search_packages(&language, &arguments.text.join(" "), arguments.limit).await;
    progress.end();
    engine.shutdown(Shutdown::Drain).await;
    let found = match found {
        Ok(found) => found,
        Err(error) => return exit::fail(&explained(&error)),
    };
    // A closed pipe has nobody to tell.
    drop(if arguments.json { terminal::print_json(&found) } else { terminal::print(&list(&found)) });
    ExitCode::SUCCESS
}

/// A line for each package. Control characters of an index's words are not passed on to a terminal.
fn list(found: &[PackageSummary]) -> String {
    let plain = |text: &str| text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(120).collect::<String>();
    let name = found.iter().map(|it| it.name.len()).max().unwrap_or_default();
    let line = |it: &PackageSummary| {
        let version = it.version.as_deref().unwrap_or("-");
        let about = it.description.as_deref().unwrap_or_default();
        let text = format!("{:<name$}  {:<12}  {}", plain(&it.name), plain(version), plain(about));
        format!("{}\n", text.trim_end())
    };
    found.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn what_an_index_says_is_shown_on_one_line() {
        let summary = |name: &str, version: Option<&str>, about: Option<&str>| PackageSummary {
            name: name.into(),
            version: version.map(Into::into),
            description: about.map(Into::into),
        };
        let found = [summary("a", Some("1.0"), Some("does\n\u{1b}[31m a")), summary("long-name", None, None)];
        assert_eq!(list(&found), "a          1.0           does  [31m a\nlong-name  -\n");
    }

    #[test]
    fn a_draft_needs_a_file() {
        assert!(draft_of(Path::new("/nowhere/a.py"), None).unwrap_err()[0].contains("cannot read"));
    }
}
