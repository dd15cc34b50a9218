//! `script-engine check`: what comes before a script's first run, without the run.

use std::process::ExitCode;

use script_engine::Shutdown;
use script_engine::contract::Diagnostic;
use serde_json::{Value, json};

use crate::arguments::CheckArguments;
use crate::inputs::{draft_of, identity};
use crate::run::explained;
use crate::{engine, exit, terminal};

/// Checks a script, gets its packages and compiles it. Gives 0 where it is sound, 1 where it is not, with a line for
/// each fault on stdout, or 125 with a message on stderr.
pub(crate) async fn check(arguments: CheckArguments) -> ExitCode {
    let draft = match draft_of(&arguments.file, arguments.language.as_deref()) {
        Ok(draft) => draft,
        Err(problems) => return exit::fail(&problems.join("\nscript-engine: ")),
    };
    let progress = terminal::Progress::begin("checking");
    let engine = match engine::build(&arguments.engine, false).await {
        Ok(engine) => engine,
        Err(error) => return progress.fail(&explained(&error)),
    };
    progress.follow(&engine);
    let found = engine.check(&identity(), &draft).await;
    progress.end();
    engine.shutdown(Shutdown::Drain).await;
    let found = match found {
        Ok(found) => found,
        Err(error) => return exit::fail(&explained(&error)),
    };
    let name = arguments.file.display();
    let line = |it: &Diagnostic| format!("{name}:{}:{}: {}\n", it.line, it.column, it.message);
    // A closed pipe has nobody to tell.
    drop(if arguments.json {
        terminal::print_json(&found.iter().map(diagnostic).collect::<Vec<_>>())
    } else {
        terminal::print(&found.iter().map(line).collect::<String>())
    });
    if found.is_empty() { ExitCode::SUCCESS } else { exit::NOT_COMPILED.into() }
}

/// A diagnostic as JSON.
pub(crate) fn diagnostic(it: &Diagnostic) -> Value {
    json!({"line": it.line, "column": it.column, "message": it.message})
}
